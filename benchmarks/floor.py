"""The least that could turn the same answers into the same bills: what a night is measured against.

`python -m benchmarks.floor BASE_URL OUTPUT FIRST_DAY DAYS KEY...` streams each organization's pages of costs and usage
to disk, has DuckDB read them into DECIMAL, sums them in one GROUP BY and writes a bare invoice per project. No control
totals, no checksums, no checks, no history, no second run: whatever fails, fails.

Its questions, its invoices and its last line are also those of the peers (peers/).
"""

from __future__ import annotations

import html
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import httpx

SIDE_BY_SIDE = 4
MULTIPLIER = Decimal("1.25")
REPORTS = {
    "costs": ("/organization/costs", ("project_id", "line_item", "api_key_id")),
    "completions": ("/organization/usage/completions", ("project_id", "model", "api_key_id", "user_id", "batch")),
}
_PAGE = """
CREATE TABLE {report} AS
WITH bucket AS (
    SELECT unnest(json_transform(json, '{shape}').data) AS bucket
    FROM read_json_objects($files, format = 'unstructured', maximum_object_size = 268435456)
),
result AS (
    SELECT make_timestamp(bucket.start_time * 1000000)::DATE AS usage_date, unnest(bucket.results) AS row FROM bucket
)
SELECT usage_date, {columns} FROM result
"""
_COSTS = json.dumps(
    {
        "data": [
            {
                "start_time": "BIGINT",
                "results": [
                    {
                        "amount": {"value": "DECIMAL(38,18)"},
                        "line_item": "VARCHAR",
                        "project_id": "VARCHAR",
                        "api_key_id": "VARCHAR",
                        "quantity": "DECIMAL(38,9)",
                    }
                ],
            }
        ]
    }
)
_COUNTS = ("input_tokens", "output_tokens", "input_cached_tokens", "num_model_requests")
_NAMES = ("project_id", "api_key_id", "model", "user_id", "service_tier")
_USAGE = json.dumps(
    {
        "data": [
            {"start_time": "BIGINT", "results": [dict.fromkeys(_NAMES, "VARCHAR") | dict.fromkeys(_COUNTS, "BIGINT")]}
        ]
    }
)


Query = list[tuple[str, str | int | float | bool | None]]


@dataclass(frozen=True)
class Asked:
    """One request: a report of one organization and day."""

    key: str
    report: str
    day: date

    @property
    def path(self) -> str:
        return REPORTS[self.report][0]

    @property
    def query(self) -> Query:
        start = int(datetime.combine(self.day, datetime.min.time(), UTC).timestamp())
        window: Query = [("start_time", start), ("end_time", start + 86_400), ("bucket_width", "1d"), ("limit", 1)]
        return [*(("group_by", each) for each in REPORTS[self.report][1]), *window]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class Task:
    """What the floor and the peers are started with: all days of all organizations, and where to put what is made."""

    base_url: str
    folder: Path
    asked: Sequence[Asked]

    @classmethod
    def from_arguments(cls) -> Task:
        base_url, output, first_day, days, *keys = sys.argv[1:]
        (Path(output) / "invoices").mkdir(parents=True)
        first = date.fromisoformat(first_day)
        dates = [first + timedelta(days=number) for number in range(int(days))]
        asked = [Asked(key, report, day) for report in REPORTS for key in keys for day in dates]
        return cls(base_url, Path(output), asked)


class Stopwatch:
    """Seconds of one stage after the other."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.stages[stage], self._last = now - self._last, now


def download(task: Task) -> None:
    """A file per organization, report and day."""

    def one(numbered: tuple[int, Asked]) -> None:
        number, asked = numbered
        file = task.folder / f"{asked.report}-{number}.json"
        with (
            client.stream("GET", task.base_url + asked.path, params=asked.query, headers=asked.headers) as answer,
            file.open("wb") as page,
        ):
            answer.raise_for_status()
            for part in answer.iter_bytes():
                page.write(part)

    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for _ in pool.map(one, enumerate(task.asked)):
            pass


def load(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Both reports as tables, exact."""
    for report, shape, columns in (
        ("costs", _COSTS, "row.project_id, row.line_item, row.api_key_id, row.amount.value AS cost_usd, row.quantity"),
        ("completions", _USAGE, "row.*"),
    ):
        files = sorted(str(path) for path in folder.glob(f"{report}-*.json"))
        connection.execute(_PAGE.format(report=report, shape=shape, columns=columns), {"files": files})


def bill(lines: Iterable[tuple[str, str, Any]], folder: Path) -> None:
    """Writes an invoice per project from (project, line item, cost), which are in that order."""
    for project, found in groupby(lines, key=lambda line: line[0]):
        items = [(item, Decimal(cost)) for _, item, cost in found]
        total = sum((cost for _, cost in items), Decimal(0)) * MULTIPLIER
        body = "".join(f"<tr><td>{html.escape(item)}<td>{cost * MULTIPLIER:.2f}" for item, cost in items)
        (folder / f"{project}.html").write_text(f"<h1>{project}</h1><table>{body}</table>{total:.2f}")


def bill_tables(
    connection: duckdb.DuckDBPyConnection, folder: Path, schema: str = "main"
) -> tuple[int, dict[str, str]]:
    """Bills what is in the tables costs and completions; returns their rows, and what each day costs us."""
    costs, usage = f"{schema}.costs", f"{schema}.completions"
    by_line = f"SELECT project_id, line_item, sum(cost_usd) FROM {costs} GROUP BY ALL ORDER BY ALL"  # noqa: S608 - ours
    bill(connection.execute(by_line).fetchall(), folder / "invoices")
    by_day = f"SELECT usage_date::VARCHAR, sum(cost_usd)::VARCHAR FROM {costs} GROUP BY 1"  # noqa: S608 - ours
    count = f"SELECT (SELECT count(*) FROM {costs}) + (SELECT count(*) FROM {usage})"  # noqa: S608 - ours
    return connection.execute(count).fetchall()[0][0], dict(connection.execute(by_day).fetchall())


def tell(rows: int, cost_usd: dict[str, str], stages: dict[str, float]) -> None:
    """The last line, as JSON: what was found, and the seconds of each stage."""
    print(json.dumps({"rows": rows, "cost_usd": cost_usd, "stages": stages}))  # noqa: T201 - the result


def main() -> None:
    """Everything once."""
    task, watch = Task.from_arguments(), Stopwatch()
    download(task)
    watch.lap("download")
    with duckdb.connect(task.folder / "floor.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        load(connection, task.folder)
        watch.lap("load")
        found = bill_tables(connection, task.folder)
        watch.lap("render")
    tell(*found, watch.stages)


if __name__ == "__main__":
    main()
