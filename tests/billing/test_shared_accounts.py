"""Accounts that were several tenants', and keys inside somebody else's project: what each tenant's lines call them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pytest

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, save_tenant
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.load import mark_months
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models

NOW = datetime(2026, 6, 20, 2, tzinfo=UTC)
LATER = datetime(2026, 7, 20, 2, tzinfo=UTC)
MAY, JUNE = Month(2026, 5), Month(2026, 6)
JAN, MADE, HANDED_OVER = date(2026, 1, 1), date(2026, 3, 20), date(2026, 5, 11)
DAYS = [date(2026, 5, 4), date(2026, 5, 10), date(2026, 5, 12), date(2026, 5, 30), date(2026, 6, 2)]

BOUND = [
    Binding("host", "openai", "project", "proj_host", JAN),
    Binding("guest", "openai", "api_key", "key_guest", MADE),
    Binding("guest", "openai", "api_key", "key_late", date(2026, 5, 12)),
    Binding("guest", "openai", "api_key", "key_shared", JAN),
    Binding("before", "openai", "project", "proj_moved", JAN, HANDED_OVER),
    Binding("after", "openai", "project", "proj_moved", HANDED_OVER),
    Binding("before", "openai", "project", "proj_unseen", JAN, HANDED_OVER),
    Binding("after", "openai", "project", "proj_unseen", HANDED_OVER),
    Binding("before", "openai", "project", "proj_left", JAN, HANDED_OVER),
]
NAMED = {
    ("proj_host", None): [(date(2026, 4, 1), "Host Inc"), (date(2026, 5, 20), "Host Group")],
    ("proj_moved", None): [
        (date(2026, 4, 1), "Before Inc"),
        (HANDED_OVER, "Before and gone"),
        (date(2026, 6, 2), "After Ltd"),
        (date(2026, 6, 10), "After Group"),
    ],
    ("proj_unseen", None): [(date(2026, 6, 2), "whoever named it")],
    ("proj_left", None): [(date(2026, 6, 2), "kept for somebody")],
    ("key_host", "proj_host"): [(date(2026, 4, 1), "the host's key")],
    ("key_guest", "proj_host"): [(date(2026, 4, 12), "the guest's key")],
    ("key_late", "proj_host"): [(date(2026, 4, 12), "a key of the host then")],
    ("key_moved", "proj_moved"): [(date(2026, 4, 1), "named before")],
    ("key_shared", "proj_pool"): [(date(2026, 4, 1), "in the pool")],
}
"""Listed from that day on; projects were made in January, keys on MADE. Nobody has proj_pool."""

SPENT = [
    ("proj_host", "key_host"),
    ("proj_host", "key_guest"),
    ("proj_host", "key_late"),
    ("proj_host", ""),
    ("proj_moved", "key_moved"),
    ("proj_unseen", ""),
    ("proj_left", ""),
    ("proj_pool", "key_shared"),
]


def plant(connection: duckdb.DuckDBPyConnection) -> None:
    """A dollar a day of each of SPENT."""
    for tenant_id in ("host", "guest", "before", "after"):
        save_tenant(connection, Tenant(tenant_id, tenant_id.title(), None, "US", "USD", None), {}, NOW)
    for binding in BOUND:
        bind(connection, binding, NOW)
    for (account_id, project_id), names in NAMED.items():
        table, own = ("project_keys", "api_key_id") if project_id else ("projects", "project_id")
        for day, name in names:
            connection.execute(
                f"""
                INSERT INTO raw.openai_{table} BY NAME
                SELECT 'openai' AS connection_id, 'l' AS load_id, $1::DATE AS snapshot_date, $2 AS {own}, $3 AS name,
                    $4::TIMESTAMPTZ AS created_at {", $5 AS project_id" if project_id else ""}
                """,
                [day, account_id, name, MADE if project_id else JAN, *([project_id] if project_id else [])],
            )
    for project_id, key_id in SPENT:
        connection.execute(
            "INSERT INTO raw.openai_costs SELECT 'openai', 'l', unnest($1::DATE[]), $2, 'gpt-4o', $3, 1, 1, NULL, 1",
            [DAYS, project_id, key_id],
        )
    connection.execute(
        "INSERT INTO ops.load_days SELECT 'l', 'openai', 'openai', 'costs', unnest($1::DATE[]), $2, $2, 1, 1",
        [DAYS, NOW],
    )
    record_default_margins(connection, {"openai": Decimal("1.25"), "openrouter": Decimal("1.3")}, NOW)
    record_policy(connection, parse_policy(b"{}", "policy.yaml"), NOW)


def build(connection: duckdb.DuckDBPyConnection, now: datetime = NOW) -> None:
    mark_months(connection, {str(MAY), str(JUNE)})
    build_models(connection, now, settle_days=4)


@pytest.fixture
def months() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    plant(connection)
    build(connection)
    yield connection
    connection.close()


def close(connection: duckdb.DuckDBPyConnection, month: Month, now: datetime) -> dict[str, Invoice]:
    build(connection, now)
    issued = close_month(connection, month, now, render_invoice, accepted_reason="planted", accepted_by="the test")
    build(connection, now)
    return {document.buyer.tenant_id: document for document in issued}


def told(document: Invoice) -> dict[tuple[str, str], Decimal]:
    """What was billed, in USD, by id and name of the account."""
    return {(line.account_id, line.account_name): line.billed_exact for line in document.lines}


def test_each_is_told_its_own_accounts_by_names_that_are_its_own(months: duckdb.DuckDBPyConnection) -> None:
    may = close(months, MAY, NOW)
    day = Decimal("1.25")
    assert told(may["host"]) == {
        ("proj_host", "Host Group"): 10 * day
    }  # its keys' and nobody's, and key_late's until it was the guest's
    assert told(may["guest"]) == {
        ("key_guest", "the guest's key"): 4 * day,
        ("key_late", "key_late"): 2 * day,
        ("key_shared", "in the pool"): 4 * day,
    }
    assert told(may["before"]) == {
        ("proj_moved", "Before Inc"): 2 * day,
        ("proj_unseen", "proj_unseen"): 2 * day,
        ("proj_left", "proj_left"): 2 * day,
    }
    assert told(may["after"]) == {("proj_moved", "After Ltd"): 2 * day, ("proj_unseen", "proj_unseen"): 2 * day}
    june = close(months, JUNE, LATER)
    assert told(june["after"]) == {("proj_moved", "After Ltd"): day, ("proj_unseen", "proj_unseen"): day}
    assert "before" not in june
    for document in (*may.values(), *june.values()):
        assert all(line.account_name in line.description for line in document.lines)


def test_a_key_has_the_names_of_its_own_binding_or_of_its_projects(months: duckdb.DuckDBPyConnection) -> None:
    rows = months.execute("SELECT tenant_id, name FROM ops.told_names WHERE account_id LIKE 'key%'").fetchall()
    assert sorted(rows) == [
        ("before", "named before"),
        ("guest", "in the pool"),
        ("guest", "the guest's key"),
        ("host", "a key of the host then"),
        ("host", "the host's key"),
    ]


def test_a_month_closed_in_the_former_way_is_neither_corrected_nor_told_otherwise(
    months: duckdb.DuckDBPyConnection,
) -> None:
    """As a file of an earlier version is: the month was closed before lines named keys."""
    months.execute("INSERT INTO billing.former_lines VALUES ($1)", [NOW])
    may = close(months, MAY, NOW)
    assert told(may["guest"]) == {("proj_host", "proj_host"): Decimal("7.5"), ("proj_pool", "proj_pool"): Decimal(5)}
    build(months, LATER)
    assert months.execute("SELECT * FROM billing.corrections_due").fetchall() == []
    assert set(told(close(months, JUNE, LATER)["guest"])) == {
        ("key_guest", "the guest's key"),
        ("key_late", "key_late"),
        ("key_shared", "in the pool"),
    }


def test_a_key_bound_since_is_named_in_a_month_closed_in_the_former_way(months: duckdb.DuckDBPyConnection) -> None:
    months.execute("UPDATE registry.accounts SET bound_at = $1 WHERE account_id = 'key_shared'", [LATER])
    months.execute("INSERT INTO billing.former_lines VALUES ($1)", [NOW])
    assert "key_shared" in {account for account, _ in told(close(months, MAY, NOW)["guest"])}
