"""One tenant's figures from the published file: the summary of a month, its trend by day, its breakdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import duckdb

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.money import exact
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.reading.published import has_table, known_days, open_published, require_month, require_tenant
from tokenboard_etl.reading.tenant_values import (
    Amounts,
    Breakdown,
    Budget,
    Day,
    Document,
    Part,
    ProviderMonth,
    Summary,
    Today,
)

Dimension = Literal["project", "line_item", "model", "api_key", "category", "job"]
DIMENSIONS: tuple[str, ...] = get_args(Dimension)

_STATES = ("missing", "lost", "provisional", "settled", "closed")
"""Of a source day, the least certain first."""
NOT_READ = ("missing", "lost")


def summary(published: Path, intraday: Path, today: date, tenant_id: str, month: str | None) -> Summary:
    """The tenant's month, by default the newest one there are figures about, and the running day."""
    with open_published(published) as connection:
        name, status = require_tenant(connection, tenant_id)
        which = require_month(connection, month)
        providers = _provider_months(connection, tenant_id, which)
        return Summary(
            tenant_id,
            name,
            status,
            which,
            known_days(connection).last,
            _sum([each.amounts for each in providers]),
            providers,
            _budget(connection, tenant_id, which),
            _documents(connection, tenant_id, which),
            _today(intraday, today, tenant_id),
        )


def trend(published: Path, tenant_id: str, window: Window | None) -> list[Day]:
    """The tenant's days, one by one; by default the last 30 there are figures about."""
    with open_published(published) as connection:
        require_tenant(connection, tenant_id)
        days = window or Window(*_last_thirty(known_days(connection)))
        rows = connection.execute(
            """
            SELECT usage_date, provider, cost_usd, billed_usd, margin_usd, estimated_billed_usd
            FROM billing.tenant_days WHERE tenant_id = $1 AND usage_date >= $2 AND usage_date < $3
            ORDER BY usage_date, provider
            """,
            [tenant_id, days.start, days.end],
        ).fetchall()
        states = day_states(connection, days)
    found: dict[date, dict[str, Amounts]] = {}
    for day, provider, *amounts in rows:
        found.setdefault(day, {})[provider] = Amounts(*amounts)
    return [_day(day, states.get(day, {}), found.get(day, {})) for day in days.days()]


def breakdown(published: Path, tenant_id: str, month: str | None, by: Dimension) -> Breakdown:
    """The tenant's month in parts; `by` says of what."""
    with open_published(published) as connection:
        require_tenant(connection, tenant_id)
        which = require_month(connection, month)
        parts = _jobs(connection, tenant_id, which) if by == "job" else _parts(connection, tenant_id, which, by)
    return Breakdown(tenant_id, which, by, _sum([part.amounts for part in parts]), tuple(parts))


def _sum(amounts: list[Amounts]) -> Amounts:
    with exact():
        return Amounts(
            sum((each.cost_usd for each in amounts), Decimal(0)),
            sum((each.billed_usd for each in amounts), Decimal(0)),
            sum((each.margin_usd for each in amounts), Decimal(0)),
            sum((each.estimated_billed_usd for each in amounts), Decimal(0)),
        )


def _provider_months(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month) -> tuple[ProviderMonth, ...]:
    rows = connection.execute(
        """
        SELECT days.provider, max(months.state), sum(days.cost_usd), sum(days.billed_usd), sum(days.margin_usd),
            sum(days.estimated_billed_usd)
        FROM billing.tenant_days AS days
        LEFT JOIN billing.tenant_months AS months
            ON months.month = strftime(days.usage_date, '%Y-%m')
            AND months.tenant_id = days.tenant_id
            AND months.provider = days.provider
        WHERE days.tenant_id = $1 AND days.usage_date >= $2 AND days.usage_date < $3
        GROUP BY days.provider ORDER BY days.provider
        """,
        [tenant_id, month.window.start, month.window.end],
    ).fetchall()
    return tuple(ProviderMonth(provider, state, Amounts(*amounts)) for provider, state, *amounts in rows)


def _budget(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month) -> Budget | None:
    rows = connection.execute(
        """
        SELECT budget_usd, spent_usd, remaining_usd, forecast_usd, threshold_reached, threshold_forecast
        FROM billing.budgets WHERE tenant_id = $1 AND month = $2
        """,
        [tenant_id, str(month)],
    ).fetchall()
    return Budget(*rows[0]) if rows else None


def _documents(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month) -> tuple[Document, ...]:
    rows = connection.execute(
        """
        SELECT invoice_number, kind, status, currency, total_minor
        FROM billing.invoices WHERE tenant_id = $1 AND month = $2 ORDER BY issued_at, invoice_number
        """,
        [tenant_id, str(month)],
    ).fetchall()
    return tuple(Document(*row) for row in rows)


def _today(intraday: Path, today: date, tenant_id: str) -> Today:
    """The file is there once the job `intraday` has run, and is of today only if it ran today."""
    if not intraday.exists():
        return Today(today, None, None)
    with open_published(intraday) as connection:
        ((as_of, billed, priced),) = connection.execute(
            """
            SELECT
                max(minute_at),
                coalesce(sum(estimated_billed_usd) FILTER (WHERE tenant_id = $1), 0),
                count(*) FILTER (WHERE tenant_id = $1 AND estimated_billed_usd IS NULL) = 0
            FROM usage.intraday WHERE usage_date = $2
            """,
            [tenant_id, today],
        ).fetchall()
    return Today(today, as_of, billed if as_of is not None and priced else None)


def _last_thirty(known: Window) -> tuple[date, date]:
    days = list(known.days())[-30:]
    return days[0], known.end


def day_states(connection: duckdb.DuckDBPyConnection, days: Window) -> dict[date, dict[str, str]]:
    """By day and provider, of the reports bills are made from; a connection of a tenant's own makes no bill.

    Of several connections of a provider it is the least certain one's.
    """
    rank = " ".join(f"WHEN '{state}' THEN {place}" for place, state in enumerate(_STATES))
    rows = connection.execute(
        f"""
        SELECT usage_date, provider, min(CASE state {rank} END)
        FROM ops.source_days
        WHERE gates_closing AND usage_date >= $1 AND usage_date < $2
            AND connection_id NOT IN (SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL)
        GROUP BY usage_date, provider
        """,  # noqa: S608 - our own words
        [days.start, days.end],
    ).fetchall()
    found: dict[date, dict[str, str]] = {}
    for day, provider, place in rows:
        found.setdefault(day, {})[provider] = _STATES[place]
    return found


def least_certain(states: Mapping[str, str]) -> str:
    """Of a day's states by provider; missing where nothing was to be read."""
    return min(states.values(), key=_STATES.index, default=_STATES[0])


def not_known(states: Mapping[str, str], told: Iterable[str]) -> frozenset[str]:
    """The providers of a day that were not read, `told` being those there are figures of all the same: estimates."""
    return frozenset(provider for provider, state in states.items() if state in NOT_READ).difference(told)


def _day(day: date, states: Mapping[str, str], by_provider: dict[str, Amounts]) -> Day:
    state = least_certain(states)
    unknown = state in NOT_READ and not by_provider
    billed: dict[str, Decimal | None] = {provider: each.billed_usd for provider, each in by_provider.items()}
    billed |= dict.fromkeys(not_known(states, by_provider))
    return Day(day, state, None if unknown else _sum(list(by_provider.values())), billed)


_KEYS = {
    "project": "provider, account_id",
    "api_key": "provider, api_key_id",
    "line_item": "provider, line_item",
    "model": "provider, model",
    "category": "CAST(NULL AS VARCHAR), category",
}


def _parts(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month, by: Dimension) -> list[Part]:
    rows = connection.execute(
        f"""
        WITH charges AS (
            SELECT cost_usd, billed_usd, source = 'provider' AS is_final, {_KEYS[by]}
            FROM billing.charges WHERE tenant_id = $1 AND usage_date >= $2 AND usage_date < $3
        ),
        parts(cost_usd, billed_usd, is_final, provider, key) AS (FROM charges),
        names AS (SELECT provider, account_id, max(name) AS name FROM ops.accounts GROUP BY provider, account_id)
        SELECT
            parts.provider, parts.key, names.name,
            coalesce(sum(cost_usd) FILTER (WHERE is_final), 0),
            coalesce(sum(billed_usd) FILTER (WHERE is_final), 0),
            coalesce(sum(billed_usd - cost_usd) FILTER (WHERE is_final), 0),
            coalesce(sum(billed_usd) FILTER (WHERE NOT is_final), 0)
        FROM parts
        LEFT JOIN names
            ON names.provider = parts.provider AND names.account_id = parts.key AND $4
        GROUP BY parts.provider, parts.key, names.name
        ORDER BY sum(billed_usd) DESC, sum(cost_usd) DESC, parts.provider, parts.key
        """,  # noqa: S608 - our own words
        [tenant_id, month.window.start, month.window.end, by in ("project", "api_key")],
    ).fetchall()
    return [Part(provider, key, name, Amounts(*amounts)) for provider, key, name, *amounts in rows]


def _jobs(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month) -> list[Part]:
    if not has_table(connection, "billing.job_costs"):
        raise WrongUse("The published file holds no costs by job: no log of operations is loaded.")
    rows = connection.execute(
        """
        SELECT
            NULL, job_id, CASE part WHEN 'rest' THEN 'what no operation explains' ELSE job_title END,
            total_cost_usd, total_billed_usd, total_billed_usd - total_cost_usd, 0
        FROM billing.job_costs WHERE tenant_id = $1 AND month = $2
        ORDER BY total_billed_usd DESC, total_cost_usd DESC, job_id, part
        """,
        [tenant_id, str(month)],
    ).fetchall()
    return [Part(provider, key, name, Amounts(*map(Decimal, amounts))) for provider, key, name, *amounts in rows]
