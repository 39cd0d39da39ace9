"""The script most people would write: requests, a DataFrame of floats, one groupby. Arguments and last line are the
floor's.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import requests

from benchmarks.floor import SIDE_BY_SIDE, Asked, Stopwatch, Task, bill, tell


def frames(task: Task, report: str) -> Iterator[pd.DataFrame]:
    """A frame of each day."""
    session = requests.Session()

    def one(asked: Asked) -> pd.DataFrame:
        query: Any = asked.query
        answer = session.get(task.base_url + asked.path, params=query, headers=asked.headers, timeout=60)
        answer.raise_for_status()
        [bucket] = answer.json()["data"]
        frame = pd.DataFrame(bucket["results"])
        if report == "costs":
            frame["cost_usd"] = [float(amount["value"]) for amount in frame.pop("amount")]
        frame["usage_date"] = str(datetime.fromtimestamp(bucket["start_time"], UTC).date())
        return frame

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield from pool.map(one, (asked for asked in task.asked if asked.report == report))


def main() -> None:
    """Everything once."""
    task, watch = Task.from_arguments(), Stopwatch()
    costs, usage = (pd.concat(frames(task, report), ignore_index=True) for report in ("costs", "completions"))
    watch.lap("download")
    lines = costs.groupby(["project_id", "line_item"], sort=True)["cost_usd"].sum().reset_index()
    bill(lines.itertuples(index=False, name=None), task.folder / "invoices")
    watch.lap("render")
    by_day = costs.groupby("usage_date")["cost_usd"].sum()
    tell(len(costs) + len(usage), {day: repr(float(cost)) for day, cost in by_day.items()}, watch.stages)


if __name__ == "__main__":
    main()
