"""One night after the other in one process, as a code server does it: `python -m benchmarks.many_nights FIRST NIGHTS`.

A line of JSON a night: what the process holds and what lies in its folders after it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from assets.run import run_nightly
from tokenboard_etl.periods import lookback_window, utc_day
from tokenboard_etl.settings import Settings, load_settings

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Each night is the one after a day, with the window the schedule gives it."""
    first, nights = date.fromisoformat(sys.argv[1]), int(sys.argv[2])
    for number in range(nights):
        now = datetime.combine(first + timedelta(days=number + 1), datetime.min.time(), UTC) + timedelta(hours=2)
        settings = load_settings(TOKENBOARD_NOW=now.isoformat())
        began = time.monotonic()
        run_nightly(settings, lookback_window(utc_day(settings.now), settings.lookback_days))
        print(json.dumps({"wall_s": round(time.monotonic() - began, 3), **held(settings)}), flush=True)  # noqa: T201 - the result


def held(settings: Settings) -> dict[str, float]:
    """Megabytes by folder, files left in the temporary folder, open files and resident megabytes of this process."""
    gc.collect()
    home = settings.warehouse_path.parent
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    sizes: dict[str, float] = {}
    for path in files:
        top = path.relative_to(home).parts[0]
        sizes[f"{top} MB"] = sizes.get(f"{top} MB", 0) + path.stat().st_size / 1e6
    statm = Path("/proc/self/statm").read_text().split()
    return {
        "memory MB": int(statm[1]) * _PAGE_BYTES / 2**20,
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "temporary files": sum(1 for path in Path(tempfile.gettempdir()).rglob("*")),
        "parts left": sum(1 for path in files if ".part" in path.name or path.suffix == ".wal"),
        **sizes,
    }


if __name__ == "__main__":
    main()
