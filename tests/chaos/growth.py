"""How large a home is, and how it grows from night to night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import duckdb

from chaos.command import Home


@dataclass(frozen=True)
class Growth:
    """Bytes on disk after a night; of the published files the newest."""

    landing: int
    warehouse: int
    published: int
    dagster: int
    reports: int
    others: int
    files: int

    @classmethod
    def of(cls, place: Home) -> Growth:
        parts = dict.fromkeys(("landing", "dagster", "reports", "others"), 0)
        files = 0
        for path in place.path.rglob("*"):
            if path.is_symlink() or not path.is_file():
                continue
            files += 1
            part = path.relative_to(place.path).parts[0]
            if part not in ("published", "warehouse.duckdb"):
                parts[part if part in parts else "others"] += on_disk(path)
        published = on_disk(place.published.resolve()) if place.published.exists() else 0
        return cls(warehouse=on_disk(place.tables[1]), published=published, files=files, **parts)


def on_disk(path: Path) -> int:
    """What it takes: the published file has holes."""
    return path.stat().st_blocks * 512


def compact(file: Path, folder: Path) -> int:
    """The bytes of a database when all that is in it is written into a fresh file."""
    copy = folder / f"compact-{file.name}"
    with duckdb.connect() as connection:
        connection.execute("ATTACH $1 AS old (READ_ONLY)", [str(file)])
        connection.execute("ATTACH $1 AS fresh", [str(copy)])
        connection.execute("COPY FROM DATABASE old TO fresh")
        connection.execute("DETACH fresh")
    size = on_disk(copy)
    copy.unlink()
    return size


def told(growth: Sequence[Growth], every: int = 10) -> Iterator[str]:
    """A table in MB, of every so many nights, the last one included."""
    names = [each.name for each in fields(Growth)]
    yield "  ".join(f"{name:>9}" for name in ("night", *names))
    for night in sorted({*range(every, len(growth) + 1, every), len(growth)}):
        *sizes, files = astuple(growth[night - 1])
        yield "  ".join(f"{each:>9}" for each in (night, *(f"{size / 1e6:.1f}" for size in sizes), files))
