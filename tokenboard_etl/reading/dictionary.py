"""docs/data-dictionary.md: every table and column of the published files, in the words of their COMMENTs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from tokenboard_etl.reading.published import open_published
from tokenboard_etl.warehouse.catalog import Table, read_catalog
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.publish import INTRADAY, publish, publish_table

_HEAD = """\
# Data dictionary

What stands in `published/tokenboard.duckdb` and `published/intraday.duckdb`. Made by `make dictionary` from the
comments in those files, which say the same in any DuckDB client (`SELECT * FROM duckdb_columns()`).

Amounts are `DECIMAL`, in US dollars where the name ends in `_usd`, in a currency's minor units where it ends in
`_minor`. Days and months are UTC. Spend nobody is bound to has `tenant_id = 'unallocated'`. NULL is unknown, never
zero.
"""


def published_tables() -> dict[str, Table]:
    """The tables and views of the published files, as an empty warehouse publishes them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        working, large, small = (folder / f"{file}.duckdb" for file in ("warehouse", "tokenboard", "intraday"))
        with open_warehouse(working) as warehouse:
            build_models(warehouse, datetime(2024, 1, 1, tzinfo=UTC), settle_days=4)
            publish(warehouse, working, large)
            publish_table(warehouse, INTRADAY, small)
        found: dict[str, Table] = {}
        for file in (large, small):
            with open_published(file) as connection:
                found |= read_catalog(connection)
    return found


def data_dictionary(tables: dict[str, Table]) -> str:
    """The tables as Markdown, by schema and name."""
    return "\n".join((_HEAD, *_schemas([tables[name] for name in sorted(tables)])))


def _schemas(tables: list[Table]) -> Iterator[str]:
    for schema, group in groupby(tables, key=lambda table: table.name.partition(".")[0]):
        yield f"## {schema}\n"
        for table in group:
            about = " In `published/intraday.duckdb`." if table.name == INTRADAY else ""
            yield f"### {table.name}\n\n{table.comment}{about}\n\n| column | type | meaning |\n|---|---|---|"
            yield from (f"| `{each.name}` | {each.type} | {_cell(each.comment)} |" for each in table.columns)
            yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
