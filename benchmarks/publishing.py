"""Part `publish`: publishing a large working file against copying it, by turns, on the disk this tree is on."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.serving import ROOT
from benchmarks.tables import Table, seconds
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.publish import publish

TIMES = 3
_FILL = """
CREATE TABLE billing.large AS
SELECT CAST(range AS VARCHAR) AS name, hash(range) AS one, hash(range + 1) AS two, hash(range + 2) AS three
FROM range($1)
"""
_ROWS_PER_MB = 33_000


def run(options: Namespace, _folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A working file of which nearly all is published, copied and published by turns."""
    (ROOT / "test-output").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "test-output") as name:
        on_disk = Path(name)
        working = on_disk / "warehouse.duckdb"
        with open_warehouse(working) as connection:
            bring_up_to_date(connection, load_settings(TOKENBOARD_HOME=on_disk))
            asked = int(options.publish_gb * 1000 * _ROWS_PER_MB)
            connection.execute(_FILL, [asked])
            connection.execute("CHECKPOINT")
            copied, published = list[float](), list[float]()
            for _ in range(TIMES):
                copied.append(_timed(lambda: _copy(working, on_disk / "copy.duckdb")))
                published.append(_timed(lambda: publish(connection, working, on_disk / "published" / "out.duckdb")))
                rows = _rows(on_disk / "published" / "out.duckdb")
                shutil.rmtree(on_disk / "published")
                say(f"publish: {published[-1]:.2f} s, copying {copied[-1]:.2f} s")
        size_bytes = working.stat().st_size
    return {"bytes": size_bytes, "is_whole": rows == asked, "copied_s": copied, "published_s": published}


def exact(result: Mapping[str, Any]) -> bool:
    """Whether everything is in the published file."""
    return bool(result["is_whole"])


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """Publishing over copying, each at its fastest."""
    return {"publishing / copying": min(result["published_s"]) / min(result["copied_s"])}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The fastest of both."""
    rows = [
        [what, seconds(min(found)), f"{result['bytes'] / 1e6 / min(found):,.0f}"]
        for what, found in (("copying, to the disk", result["copied_s"]), ("publishing", result["published_s"]))
    ]
    note = (
        f"A file of {result['bytes'] / 1e9:.2f} GB, of which nearly all is published; the fastest of {TIMES} by turns."
    )
    return [Table("Publishing a large file", ["", "wall s", "MB/s"], rows, note)]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as copy:
        os.fsync(copy.fileno())
    target.unlink()


def _rows(published: Path) -> int:
    with duckdb.connect(published, read_only=True) as connection:
        return int(connection.execute("SELECT count(*) FROM billing.large").fetchall()[0][0])


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
