"""SQL files and what their headers say. The path is the name: sql/billing/charges.sql is billing.charges.

A header is the comment block at the top:

    -- Charges: what each tenant owes for each day, account and line item.     (the table's COMMENT)
    -- grain: UTC day x connection x account x API key x line item x source
    -- key: usage_date, connection_id, account_id, api_key_id, line_item, source
    -- month: usage_date          the column by which it is built month by month; absent: built whole (staging: a view)
    -- owner: team:billing
    -- column usage_date: UTC day                                              (the column's COMMENT)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import sqlglot
from sqlglot import exp

SQL_ROOT = Path(__file__).parents[1] / "sql"
MODEL_SCHEMAS = ("staging", "usage", "credits", "ops", "billing")


@dataclass(frozen=True)
class SqlFile:
    """One SELECT and its header. `name` is schema.table."""

    name: str
    query: str
    title: str
    tags: dict[str, str] = field(hash=False)
    columns: dict[str, str] = field(hash=False)

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        return self.name.partition(".")[2]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.tags.get("key", "").split(",") if part.strip())

    @property
    def month_column(self) -> str | None:
        return self.tags.get("month")

    @property
    def is_view(self) -> bool:
        """Staging is views; what several models would work out again and again is built by month and is a table."""
        return self.schema == "staging" and self.month_column is None


@cache
def read_sql(name: str) -> SqlFile:
    """Reads sql/<schema>/<table>.sql."""
    schema, _, table = name.partition(".")
    text = (SQL_ROOT / schema / f"{table}.sql").read_text()
    title: list[str] = []
    tags: dict[str, str] = {}
    columns: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        content = line[2:].strip()
        if column := re.match(r"column (\w+): (.+)", content):
            columns[column[1]] = column[2]
        elif tag := re.match(r"(grain|key|month|owner|severity|asset): (.+)", content):
            tags[tag[1]] = tag[2]
        else:
            title.append(content)
    return SqlFile(name, text, " ".join(title), tags, columns)


def names_in(schema: str) -> tuple[str, ...]:
    """All SQL files of a folder, as schema.table."""
    return tuple(f"{schema}.{path.stem}" for path in sorted((SQL_ROOT / schema).glob("*.sql")))


@cache
def sources_of(name: str) -> frozenset[str]:
    """The schema-qualified tables a file reads, parsed from its SQL."""
    tree = sqlglot.parse_one(read_sql(name).query, dialect="duckdb")
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db)


@cache
def models_in_order() -> tuple[SqlFile, ...]:
    """Every model, each after what it reads."""
    names = {name for schema in MODEL_SCHEMAS for name in names_in(schema)}
    graph = {name: sorted(sources_of(name) & names) for name in sorted(names)}
    return tuple(read_sql(name) for name in TopologicalSorter(graph).static_order())


def quoted(name: str) -> str:
    """schema.table with both parts quoted."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))
