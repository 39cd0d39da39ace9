"""What a tenant has used, asked of the providers now, beside what the published file says.

Our figures end with the last day that was read; the providers' include the running day as far as they have it. OpenAI
tells no rest of a limit: it is the limit less the month's cost, never less than zero.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import duckdb
from pydantic import SecretStr

from tokenboard_etl.connections import Connection, base_url, connections
from tokenboard_etl.errors import KeyMissing, RegistryError, TokenboardError, WrongUse
from tokenboard_etl.extraction.asking import asking
from tokenboard_etl.money import exact, from_minor
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers import openai, openai_accounts, openrouter, openrouter_changes
from tokenboard_etl.providers.openrouter_wire import Key, KeyInfo
from tokenboard_etl.providers.wire import Fetch
from tokenboard_etl.reading.published import open_published, require_tenant
from tokenboard_etl.settings import Settings


@dataclass(frozen=True)
class Spans:
    """USD of cost in the running UTC day, week (from Monday) and month; None is unknown."""

    today_usd: Decimal | None = None
    week_usd: Decimal | None = None
    month_usd: Decimal | None = None


@dataclass(frozen=True)
class AccountUsage:
    """One account now. `spent_usd` counts against the limit; `problem` is why the provider's side is unknown.

    `ours_until` is the last day of our figures.
    """

    provider: str
    account_id: str
    limit_usd: Decimal | None
    spent_usd: Decimal | None
    remaining_usd: Decimal | None
    reset: str | None
    theirs: Spans
    ours: Spans = Spans()
    ours_until: date | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Bound:
    provider: str
    account_id: str
    connection_id: str | None


def usage_of(settings: Settings, tenant_id: str) -> list[AccountUsage]:
    """Every account that is the tenant's today. One that cannot be asked has its problem instead of figures."""
    today = utc_day(settings.now)
    with open_published(settings.published_path) as published:
        require_tenant(published, tenant_id)
        bound = _bound(published, tenant_id, today)
        ours = {each: _our_figures(published, tenant_id, each, today) for each in bound}
    if not bound:
        raise RegistryError(f"{tenant_id} has no account at any provider today.")
    found = asyncio.run(_ask_all(connections(settings), bound, settings.now))
    return [
        AccountUsage(**{**vars(theirs), "ours": ours[each][0], "ours_until": ours[each][1]})
        for each, theirs in zip(bound, found, strict=True)
    ]


def usage_of_key(settings: Settings, key: SecretStr) -> AccountUsage:
    """What OpenRouter tells a key about itself. OpenAI tells keys nothing: raises WrongUse for one of OpenAI."""
    if not key.get_secret_value().startswith("sk-or-"):
        raise WrongUse("OpenAI tells a key nothing about itself; `tokenboard usage TENANT` asks with the admin key.")
    connection = Connection("stdin", "openrouter", base_url(settings, "openrouter"), key)

    async def ask() -> KeyInfo:
        async with connection.client() as client:
            return await openrouter.own_key(asking(client))

    info = asyncio.run(ask())
    return _of_router(info.label or "", info)


async def _ask_all(known: Sequence[Connection], bound: Sequence[_Bound], now: datetime) -> list[AccountUsage]:
    async def ask(each: _Bound) -> AccountUsage:
        try:
            connection = _connection(known, each)
            async with connection.client() as client:
                if each.provider == "openai":
                    return await _of_project(asking(client), each.account_id, utc_day(now))
                key = await openrouter_changes.find_key(asking(client), each.account_id)
                if key is None:
                    return _unknown(each, "the provider does not list it any more")
                return _of_router(each.account_id, key)
        except TokenboardError as error:
            return _unknown(each, str(error))

    return list(await asyncio.gather(*(ask(each) for each in bound)))


async def _of_project(fetch: Fetch, project_id: str, today: date) -> AccountUsage:
    month, week = today.replace(day=1), today - timedelta(days=today.weekday())
    days = await openai.project_costs(fetch, project_id, Window.of_days(min(month, week), today))
    limit = await openai_accounts.spend_limit(fetch, project_id)
    spans = Spans(*(_sum(days, since) for since in (today, week, month)))
    limit_usd = from_minor(limit.threshold_amount, "USD") if limit is not None else None
    remaining = None
    if limit_usd is not None and spans.month_usd is not None:
        with exact():
            remaining = max(Decimal(0), limit_usd - spans.month_usd)
    reset = limit.interval if limit is not None else None
    return AccountUsage("openai", project_id, limit_usd, spans.month_usd, remaining, reset, spans)


def _of_router(account_id: str, key: Key | KeyInfo) -> AccountUsage:
    spent = None
    if key.limit is not None and key.limit_remaining is not None:
        with exact():
            spent = key.limit - key.limit_remaining
    spans = Spans(key.usage_daily, key.usage_weekly, key.usage_monthly)
    return AccountUsage("openrouter", account_id, key.limit, spent, key.limit_remaining, key.limit_reset, spans)


def _unknown(each: _Bound, problem: str) -> AccountUsage:
    return AccountUsage(each.provider, each.account_id, None, None, None, None, Spans(), problem=problem)


def _sum(days: dict[date, Decimal], since: date) -> Decimal | None:
    """None where the provider confirmed no day of the span."""
    within = [usd for day, usd in days.items() if day >= since]
    with exact():
        return sum(within, Decimal(0)) if within else None


def _connection(known: Sequence[Connection], each: _Bound) -> Connection:
    fitting = [one for one in known if one.provider == each.provider and one.tenant_id is None]
    named = [one for one in fitting if one.connection_id == each.connection_id]
    if not (named or (fitting and each.connection_id is None)):
        raise KeyMissing(f"{each.connection_id or each.provider} is not configured, so it cannot be asked.")
    return (named or fitting)[0]


def _bound(published: duckdb.DuckDBPyConnection, tenant_id: str, today: date) -> list[_Bound]:
    rows = published.execute(
        """
        SELECT bound.provider, bound.account_id, coalesce(min(listed.connection_id), min(made.connection_id))
        FROM registry.accounts AS bound
        LEFT JOIN ops.accounts AS listed
            ON listed.provider = bound.provider AND listed.kind = bound.kind AND listed.account_id = bound.account_id
        LEFT JOIN registry.provisioning AS made
            ON made.tenant_id = bound.tenant_id AND made.provider = bound.provider
        WHERE bound.tenant_id = $1 AND bound.kind IN ('project', 'key')
            AND bound.valid_from <= $2 AND (bound.valid_until IS NULL OR bound.valid_until > $2)
        GROUP BY bound.provider, bound.account_id ORDER BY bound.provider, bound.account_id
        """,
        [tenant_id, today],
    ).fetchall()
    return [_Bound(*row) for row in rows]


def _our_figures(
    published: duckdb.DuckDBPyConnection, tenant_id: str, each: _Bound, today: date
) -> tuple[Spans, date | None]:
    """The same spans from what was read; a span of which no day was read is unknown."""
    ((until,),) = published.execute(
        """
        SELECT max(usage_date) FROM ops.source_days
        WHERE provider = $1 AND gates_closing AND state NOT IN ('missing', 'lost')
            AND ($2 IS NULL OR connection_id = $2)
        """,
        [each.provider, each.connection_id],
    ).fetchall()

    def since(first: date) -> Decimal | None:
        if until is None or until < first:
            return None
        ((cost,),) = published.execute(
            """
            SELECT CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 18)) FROM billing.charges
            WHERE tenant_id = $1 AND provider = $2 AND account_id = $3 AND source = 'provider' AND usage_date >= $4
            """,
            [tenant_id, each.provider, each.account_id, first],
        ).fetchall()
        return Decimal(cost)

    return Spans(since(today), since(today - timedelta(days=today.weekday())), since(today.replace(day=1))), until
