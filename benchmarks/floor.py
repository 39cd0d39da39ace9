"""The least that could turn the same answers into the same bills: what a night is measured against.

`python -m benchmarks.floor BASE_URL OUTPUT FIRST_DAY DAYS KEY...` streams each organization's pages of costs and usage
to disk, has DuckDB read them into DECIMAL, sums them in one GROUP BY and writes a bare invoice per project. No control
totals, no checksums, no checks, no history, no second run: whatever fails, fails.
"""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

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


def download(base_url: str, folder: Path, days: Sequence[date], keys: Sequence[str]) -> None:
    """A file per organization, report and day."""

    def one(asked: tuple[str, str, date]) -> None:
        key, report, day = asked
        path, dimensions = REPORTS[report]
        start = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
        query: list[tuple[str, str | int | float | bool | None]] = [("group_by", each) for each in dimensions]
        query += [("start_time", start), ("end_time", start + 86_400), ("bucket_width", "1d"), ("limit", 1)]
        file = folder / f"{report}-{keys.index(key)}-{day}.json"
        with (
            client.stream("GET", base_url + path, params=query, headers={"Authorization": f"Bearer {key}"}) as answer,
            file.open("wb") as page,
        ):
            answer.raise_for_status()
            for part in answer.iter_bytes():
                page.write(part)

    asked = [(key, report, day) for report in REPORTS for key in keys for day in days]
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for _ in pool.map(one, asked):
            pass


def load(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Both reports as tables, exact."""
    for report, shape, columns in (
        ("costs", _COSTS, "row.project_id, row.line_item, row.api_key_id, row.amount.value AS cost_usd, row.quantity"),
        ("completions", _USAGE, "row.*"),
    ):
        files = sorted(str(path) for path in folder.glob(f"{report}-*.json"))
        connection.execute(_PAGE.format(report=report, shape=shape, columns=columns), {"files": files})


def bill(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[Decimal]:
    """Writes an invoice per project from one GROUP BY; yields what each one costs us."""
    rows = connection.execute(
        "SELECT project_id, line_item, sum(cost_usd) AS cost_usd FROM costs GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for project, found in groupby(rows, key=lambda row: row[0]):
        lines = [(item, cost_usd) for _, item, cost_usd in found]
        cost_usd = sum((cost for _, cost in lines), Decimal(0))
        body = "".join(f"<tr><td>{html.escape(item)}<td>{cost * MULTIPLIER:.2f}" for item, cost in lines)
        (folder / f"{project}.html").write_text(f"<h1>{project}</h1><table>{body}</table>{cost_usd * MULTIPLIER:.2f}")
        yield cost_usd


def main() -> None:
    """Everything once; prints the rows of costs and of usage and the exact cost as JSON."""
    base_url, output, first_day, days, *keys = sys.argv[1:]
    folder, first = Path(output), date.fromisoformat(first_day)
    (folder / "invoices").mkdir(parents=True)
    download(base_url, folder, [first + timedelta(days=number) for number in range(int(days))], keys)
    with duckdb.connect(folder / "floor.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        load(connection, folder)
        cost_usd = sum(bill(connection, folder / "invoices"), Decimal(0))
        rows = connection.execute("SELECT (SELECT count(*) FROM costs) + (SELECT count(*) FROM completions)").fetchall()
    print(json.dumps({"rows": rows[0][0], "cost_usd": str(cost_usd)}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
