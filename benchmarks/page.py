"""docs/performance.md, from the newest results of all parts."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving import ROOT
from benchmarks.tables import Table

PAGE = ROOT / "docs" / "performance.md"
_LIBRARIES = ("duckdb", "dagster", "pyarrow", "polars", "httpx", "jinja2")
_HEAD = """\
# Performance

`make bench` wrote this page; [benchmarks](../benchmarks/README.md) says how each figure is measured. Measured on
{machine}.

"""


def machine() -> str:
    """The machine and what runs on it, without its name or any path of it."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    cpu = f"{os.cpu_count()} cores ({platform.machine()})"
    return f"{cpu}, {memory_gb:.0f} GB of memory, {platform.system()}, Python {platform.python_version()}, {libraries}"


def write_page(ratios: Table, parts: Mapping[str, tuple[str, Sequence[Table]]], page: Path = PAGE) -> None:
    """`parts` are a date and tables each."""
    shown = [ratios.as_markdown()]
    for date, tables in parts.values():
        shown += [f"{table.as_markdown()}\nMeasured on {date}.\n" for table in tables]
    page.write_text(_HEAD.format(machine=machine()) + "\n".join(shown))
