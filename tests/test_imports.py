"""Commands import what they need when they run: each of these must be a way in, whatever was imported before."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

_EACH_IN_A_FORK = """
import os, sys
import duckdb, httpx, jinja2, polars, pyarrow, pydantic_settings, sqlglot, typer  # of others, and the same for all
for name in sys.argv[1:]:
    pid = os.fork()
    if not pid:
        try:
            __import__(name)
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def imported_by_commands() -> set[str]:
    """The modules that functions of the command line import."""
    found = set[str]()
    for path in (ROOT / "tokenboard_etl").glob("cli*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                inside = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
                found |= {node.module for node in inside if node.module}
    return found


def test_every_module_a_command_imports_can_be_imported_first() -> None:
    names = sorted(imported_by_commands())
    assert len(names) > 30
    done = subprocess.run([sys.executable, "-c", _EACH_IN_A_FORK, *names], capture_output=True, text=True, check=True)
    assert done.stderr == ""
