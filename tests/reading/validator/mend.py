"""Makes the validator run on Python 3.11: one line of it is an f-string of Python 3.12's grammar.

Run with the Python of the validator's own environment.
"""

import sys
import sysconfig
from pathlib import Path

FILE = Path(sysconfig.get_path("purelib"), "focus_validator", "config_objects", "focus_to_duckdb_converter.py")
NEW_GRAMMAR = """f"'{k.replace('\\"', '\\"\\"')}'" for k in ignore_keys"""
OLD_GRAMMAR = """"'" + k.replace('"', '""') + "'" for k in ignore_keys"""

if sys.version_info < (3, 12):
    text = FILE.read_text()
    if text.count(NEW_GRAMMAR) + text.count(OLD_GRAMMAR) != 1:
        sys.exit(f"{FILE.name} is not as this knows it; see whether it still has to be mended")
    FILE.write_text(text.replace(NEW_GRAMMAR, OLD_GRAMMAR))
