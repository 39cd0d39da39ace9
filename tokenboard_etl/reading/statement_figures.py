"""What the statements of a month say: every tenant's prices, read at once. No cost, no margin.

Columns are named one by one, and none of them tells what we pay: a statement is for its tenant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.periods import Month
from tokenboard_etl.reading.published import has_table, known_days, open_published
from tokenboard_etl.reading.statement_values import Price, PricedDay, PricedPart, Statement
from tokenboard_etl.reading.tenant_figures import day_states, least_certain, not_known
from tokenboard_etl.reading.tenant_values import Budget, Document, Today

LISTED = 40
"""So many parts of each kind have a row of their own; the others share one."""

_KEYS = {
    "project": "billed_account_id",
    "line_item": "line_item",
    "model": "model",
    "api_key": "api_key_id",
    "category": "category",
}
_NAMED = ("project", "api_key")


def statements(
    connection: duckdb.DuckDBPyConnection, intraday: Path, today: date, month: Month, tenant_id: str | None = None
) -> Iterator[Statement]:
    """The statements of a month from an open published file: of a tenant, or of all who were customers or spent in it.

    Raises WrongUse if there is no such tenant.
    """
    names = _who(connection, month, tenant_id)
    if tenant_id is not None and tenant_id not in names:
        raise WrongUse(f"There is no tenant {tenant_id!r}; `tokenboard tenants list` shows them.")
    last_day = min(known_days(connection).last, month.window.last)
    days, parts = _days(connection, month), _parts(connection, month)
    states, budgets = day_states(connection, month.window), _budgets(connection, month)
    documents, own = _documents(connection, month), _own_accounts(connection, month)
    live = _live(intraday, today) if today in month.window else None
    known = [day for day in month.window.days() if day <= last_day]
    for each, name in names.items():
        prices = _prices(days.get(each, ()))
        yield Statement(
            each,
            name,
            month,
            last_day,
            [_priced(day, states.get(day, {}), prices.get(day, {})) for day in known],
            {kind: [_part(*part[1:]) for part in rows] for kind, rows in parts.get(each, {}).items()},
            budgets.get(each),
            documents.get(each, ()),
            own.get(each, {}),
            live.get(each, Today(today, live[""].as_of, Decimal(0))) if live else None,
        )


def _priced(day: date, states: Mapping[str, str], prices: Mapping[str, Price]) -> PricedDay:
    return PricedDay(day, least_certain(states), prices, not_known(states, prices))


def _who(connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None) -> dict[str, str]:
    """Tenants by id with their names. One that left or came later has a statement where it has figures."""
    rows = connection.execute(
        """
        SELECT tenant_id, name FROM registry.tenants
        WHERE tenant_id = $4 OR $4 IS NULL AND (
            status <> 'offboarded' AND created_at < $2
            OR tenant_id IN (
                SELECT tenant_id FROM billing.tenant_days WHERE usage_date >= $1 AND usage_date < $2
                UNION ALL SELECT tenant_id FROM billing.own_account_costs WHERE usage_date >= $1 AND usage_date < $2
                UNION ALL SELECT tenant_id FROM billing.invoices WHERE month = $3
            )
        )
        ORDER BY tenant_id
        """,
        [month.window.start, month.window.end, str(month), tenant_id],
    ).fetchall()
    return dict(rows)


Row = tuple[Any, ...]
"""As DuckDB gave it: what all tenants' statements say is kept so, and made values of one tenant after the other."""


def _days(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[Row]]:
    rows = connection.execute(
        """
        SELECT tenant_id, usage_date, provider, billed_usd, estimated_billed_usd
        FROM billing.tenant_days WHERE usage_date >= $1 AND usage_date < $2
        ORDER BY tenant_id, usage_date, provider
        """,
        [month.window.start, month.window.end],
    ).fetchall()
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _prices(rows: Iterable[Row]) -> dict[date, dict[str, Price]]:
    found: dict[date, dict[str, Price]] = defaultdict(dict)
    for _, day, provider, billed, estimated in rows:
        found[day][provider] = Price(billed, estimated)
    return found


def _parts(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, dict[str, list[Row]]]:
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE priced AS
        SELECT
            tenant_id, provider, billed_account_id, line_item, model, api_key_id, category,
            max(usage_date) AS last_day,
            coalesce(sum(billed_usd) FILTER (WHERE source = 'provider'), 0) AS billed_usd,
            coalesce(sum(billed_usd) FILTER (WHERE source <> 'provider'), 0) AS estimated_usd
        FROM billing.charges
        WHERE usage_date >= $1 AND usage_date < $2 AND tenant_id <> 'unallocated'
        GROUP BY ALL
        """,
        [month.window.start, month.window.end],
    )
    for dimension in _KEYS:
        for part in _parts_by(connection, dimension):
            found[part[0]][dimension].append(part)
    if has_table(connection, "billing.job_costs"):
        for part in _jobs(connection, month):
            found[part[0]]["job"].append(part)
    return found


def _part(
    provider: str | None,
    key: str | None,
    name: str | None,
    others: int,
    billed: Decimal,
    estimated: Decimal,
) -> PricedPart:
    return PricedPart(provider, key, name, Price(billed, estimated), others)


_LARGEST_FIRST = f"""
    ranked AS (
        SELECT *, least({LISTED + 1}, row_number() OVER (
            PARTITION BY tenant_id ORDER BY billed_usd + estimated_usd DESC, provider, key, name
        )) AS place
        FROM parts
    )
    SELECT
        tenant_id,
        CASE WHEN place <= {LISTED} THEN max(provider) END,
        CASE WHEN place <= {LISTED} THEN max(key) END,
        CASE WHEN place <= {LISTED} THEN max(name) END,
        CASE WHEN place <= {LISTED} THEN 0 ELSE count(*) END,
        sum(billed_usd),
        sum(estimated_usd)
    FROM ranked
    GROUP BY tenant_id, place
    ORDER BY tenant_id, place
"""  # noqa: S608 - our own number


def _parts_by(connection: duckdb.DuckDBPyConnection, dimension: str) -> list[Row]:
    """An account has the name it had when the tenant last spent on it, of those that are the tenant's to know."""
    provider = "CAST(NULL AS VARCHAR)" if dimension == "category" else "provider"
    name = "coalesce(then_called.name, first_called.name)" if dimension in _NAMED else "CAST(NULL AS VARCHAR)"
    return connection.execute(
        f"""
        WITH sums AS (
            SELECT
                tenant_id, {provider} AS provider, {_KEYS[dimension]} AS key, max(last_day) AS last_day,
                sum(billed_usd) AS billed_usd, sum(estimated_usd) AS estimated_usd
            FROM priced GROUP BY tenant_id, 2, 3
        ),
        first_called AS (
            SELECT tenant_id, provider, account_id, arg_min(name, seen_from) AS name
            FROM ops.told_names GROUP BY tenant_id, provider, account_id
        ),
        parts AS (
            SELECT
                sums.tenant_id, sums.provider, sums.key, sums.billed_usd, sums.estimated_usd,
                nullif({name}, sums.key) AS name
            FROM sums
            ASOF LEFT JOIN ops.told_names AS then_called
                ON then_called.tenant_id = sums.tenant_id AND then_called.provider = sums.provider
                AND then_called.account_id = sums.key AND then_called.seen_from <= sums.last_day
            LEFT JOIN first_called
                ON first_called.tenant_id = sums.tenant_id AND first_called.provider = sums.provider
                AND first_called.account_id = sums.key
        ),
        {_LARGEST_FIRST}
        """  # noqa: S608 - our own words
    ).fetchall()


def _jobs(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Row]:
    """Only of tenants whose applications told of operations: for all others it is one rest."""
    return connection.execute(
        f"""
        WITH parts AS (
            SELECT
                tenant_id, CAST(NULL AS VARCHAR) AS provider, job_id AS key,
                CASE part WHEN 'rest' THEN 'not explained by operations' ELSE job_title END AS name,
                total_billed_usd AS billed_usd, CAST(0 AS DECIMAL(38, 24)) AS estimated_usd
            FROM billing.job_costs
            WHERE month = $1 AND tenant_id IN (
                SELECT tenant_id FROM billing.job_costs WHERE month = $1 AND part = 'operations'
            )
        ),
        {_LARGEST_FIRST}
        """,  # noqa: S608 - our own words
        [str(month)],
    ).fetchall()


def _budgets(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, Budget]:
    rows = connection.execute(
        """
        SELECT
            tenant_id, budget_usd, spent_usd, remaining_usd, forecast_usd, threshold_reached, threshold_forecast
        FROM billing.budgets WHERE month = $1
        """,
        [str(month)],
    ).fetchall()
    return {tenant_id: Budget(*figures) for tenant_id, *figures in rows}


def _documents(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[Document]]:
    rows = connection.execute(
        """
        SELECT tenant_id, invoice_number, kind, status, currency, total_minor
        FROM billing.invoices WHERE month = $1 ORDER BY issued_at, invoice_number
        """,
        [str(month)],
    ).fetchall()
    found: dict[str, list[Document]] = defaultdict(list)
    for tenant_id, *document in rows:
        found[tenant_id].append(Document(*document))
    return found


def _own_accounts(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, dict[str, Decimal]]:
    """The tenants' own costs, on accounts they brought: the only ones they are shown."""
    rows = connection.execute(
        """
        SELECT tenant_id, provider, sum(cost_usd) FROM billing.own_account_costs
        WHERE usage_date >= $1 AND usage_date < $2 GROUP BY tenant_id, provider ORDER BY tenant_id, provider
        """,
        [month.window.start, month.window.end],
    ).fetchall()
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for tenant_id, provider, amount in rows:
        found[tenant_id][provider] = amount
    return found


def _live(intraday: Path, today: date) -> dict[str, Today] | None:
    """The running day by tenant, and under '' as of when; None where nothing was read of it."""
    if not intraday.exists():
        return None
    with open_published(intraday) as connection:
        rows = connection.execute(
            """
            SELECT
                tenant_id, sum(estimated_billed_usd), count(*) FILTER (WHERE estimated_billed_usd IS NULL) = 0,
                max(max(minute_at)) OVER ()
            FROM usage.intraday WHERE usage_date = $1 GROUP BY tenant_id
            """,
            [today],
        ).fetchall()
    if not rows:
        return None
    found = {tenant_id: Today(today, as_of, billed if priced else None) for tenant_id, billed, priced, as_of in rows}
    return {**found, "": Today(today, rows[0][3], None)}
