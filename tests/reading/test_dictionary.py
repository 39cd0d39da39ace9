"""The published files describe themselves, and the dictionary says what they say."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tokenboard_etl.reading.dictionary import data_dictionary, published_tables
from tokenboard_etl.warehouse.catalog import Column, Table, read_catalog

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
FOR_ANALYSTS = {"billing", "credits", "ops", "registry", "usage", "views"}


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    return published_tables()


def columns(tables: dict[str, Table]) -> list[tuple[str, Column]]:
    return [(f"{name}.{column.name}", column) for name, table in tables.items() for column in table.columns]


def test_the_dictionary_is_current(tables: dict[str, Table]) -> None:
    assert DICTIONARY.read_text() == data_dictionary(tables), "run `make dictionary`"


def test_every_table_and_column_says_what_it_means(tables: dict[str, Table]) -> None:
    assert {name.partition(".")[0] for name in tables} == FOR_ANALYSTS
    silent = [name for name, table in tables.items() if not table.comment.strip()]
    silent += [
        f"{name}.{column.name}" for name, table in tables.items() for column in table.columns if not column.comment
    ]
    assert silent == []


def test_no_amount_is_a_float(tables: dict[str, Table]) -> None:
    floats = [
        f"{name}.{c.name}" for name, table in tables.items() for c in table.columns if c.type in ("DOUBLE", "FLOAT")
    ]
    assert floats == []


@pytest.mark.slow
def test_a_published_file_with_a_past_has_the_same_tables_and_words(published: Path, tables: dict[str, Table]) -> None:
    with duckdb.connect(published, read_only=True) as connection:
        assert read_catalog(connection) == {name: table for name, table in tables.items() if name != "usage.intraday"}


@pytest.mark.slow
def test_views_hold_what_their_tables_hold(published: Path) -> None:
    with duckdb.connect(published, read_only=True) as connection:
        named = connection.execute(
            """
            SELECT count(*), sum(cost_usd), count(DISTINCT tenant_name), count(account_name) FILTER (account_id <> '')
            FROM views.named_charges
            """
        ).fetchall()
        plain = connection.execute(
            """
            SELECT count(*), sum(cost_usd), (SELECT count(*) FROM registry.tenants), count(*) FILTER (account_id <> '')
            FROM billing.charges
            """
        ).fetchall()
        assert named == plain
        ((reports, until, missing),) = connection.execute(
            "SELECT count(*), max(read_until)::VARCHAR, sum(missing_days) FROM views.freshness WHERE gates_closing"
        ).fetchall()
        assert (reports, until, missing) == (2, "2026-06-09", 0)
