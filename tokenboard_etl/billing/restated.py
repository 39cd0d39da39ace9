"""Closed months that come to something else now, read with everything their correction rests on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import duckdb

from tokenboard_etl.billing.inputs import ClosedMonth, InvoicedLine, LineKey, RatedLine
from tokenboard_etl.billing.invoice import Tax
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_versions import policy_of
from tokenboard_etl.billing.taxes import taxes_of
from tokenboard_etl.periods import Month, utc_day
from tokenboard_etl.warehouse.sql_files import read_sql

_PAIRS = "pairs AS (SELECT unnest($tenants::VARCHAR[]) AS tenant_id, unnest($months::VARCHAR[]) AS month)"


class _Pair(NamedTuple):
    """A tenant's month, the policy it was closed with, and the document that first billed it."""

    tenant_id: str
    month: str
    policy_sha256: str
    original: str | None
    is_own: bool
    currency: str | None
    per_usd: Decimal | None
    issued_at: datetime | None


def months_to_correct(
    connection: duckdb.DuckDBPyConnection,
    closing: Month,
    now: datetime,
    policy: Policy,
    tenants: Mapping[str, tuple[str, str | None]],
) -> Iterator[tuple[str, ClosedMonth]]:
    """Tenant and month where billing.corrections_due has something, the month that is being closed left out.

    `tenants` has currency and country of those wanted. What was never billed gets today's rate and taxes.
    """
    pairs = [pair for pair in _pairs(connection, closing) if pair.tenant_id in tenants]
    if not pairs:
        return
    wanted = {"tenants": [pair.tenant_id for pair in pairs], "months": [pair.month for pair in pairs]}
    rated, invoiced, taxes = _rated(connection, wanted), _invoiced(connection, wanted), _taxes(connection, wanted)
    policies = {sha: policy_of(connection, sha).policy for sha in {pair.policy_sha256 for pair in pairs}}
    for pair in pairs:
        key, (currency, country) = (pair.tenant_id, pair.month), tenants[pair.tenant_id]
        today = utc_day(now)
        if pair.original is None:
            terms = currency, policy.rate(currency, today), taxes_of(policy, pair.tenant_id, country, today)
        else:
            terms = str(pair.currency), pair.per_usd or Decimal(1), tuple(taxes[key])
        yield (
            pair.tenant_id,
            ClosedMonth(
                Month.parse(pair.month),
                policies[pair.policy_sha256],
                *terms,
                pair.original,
                pair.is_own,
                utc_day(pair.issued_at or now),
                tuple(rated[key]),
                tuple(invoiced[key]),
            ),
        )


def _pairs(connection: duckdb.DuckDBPyConnection, closing: Month) -> list[_Pair]:
    rows = connection.execute(
        f"""
        WITH due AS (
            SELECT DISTINCT tenant_id, month FROM ({read_sql("billing.corrections_due").query}) WHERE month <> $1
        )
        SELECT
            due.tenant_id, due.month, coalesce(for_one.policy_sha256, for_all.policy_sha256), document.invoice_number,
            coalesce(document.month = due.month, false), document.currency, document.per_usd, document.issued_at
        FROM due
        LEFT JOIN billing.closed_months AS for_one ON for_one.month = due.month AND for_one.tenant_id = due.tenant_id
        LEFT JOIN billing.closed_months AS for_all ON for_all.month = due.month AND for_all.tenant_id IS NULL
        LEFT JOIN staging.first_documents AS original
            ON original.tenant_id = due.tenant_id AND original.service_month = due.month
        LEFT JOIN billing.documents AS document ON document.invoice_number = original.invoice_number
        ORDER BY due.tenant_id, due.month
        """,  # noqa: S608 - our own files
        [str(closing)],
    ).fetchall()
    return [_Pair(*row) for row in rows]


def _rated(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, list[str]]
) -> dict[tuple[str, str], list[RatedLine]]:
    rows = connection.execute(
        f"""
        WITH {_PAIRS}
        SELECT
            tenant_id, month, provider, account_id, draft.line_item, draft.margin_rule_id, called.name, draft.quantity,
            draft.unit, draft.billed_exact
        FROM billing.invoice_drafts AS draft
        JOIN pairs USING (tenant_id, month)
        JOIN staging.line_names AS called USING (month, tenant_id, provider, account_id)
        ORDER BY ALL
        """,  # noqa: S608 - our own text
        wanted,
    ).fetchall()
    found: dict[tuple[str, str], list[RatedLine]] = defaultdict(list)
    for tenant_id, month, provider, account_id, line_item, rule_id, *rest in rows:
        found[tenant_id, month].append(RatedLine(LineKey(provider, account_id, line_item, rule_id), *rest))
    return found


def _invoiced(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, list[str]]
) -> dict[tuple[str, str], list[InvoicedLine]]:
    rows = connection.execute(
        f"""
        WITH {_PAIRS}
        SELECT
            document.tenant_id, line.service_month, line.provider, line.account_id, line.line_item, line.margin_rule_id,
            max(line.account_name),
            coalesce(sum(line.billed_exact) FILTER (line.kind <> 'credit_note'), 0),
            CAST(coalesce(sum(line.amount_minor) FILTER (line.kind <> 'credit_note'), 0) AS BIGINT),
            min(line.line_no) FILTER (line.invoice_number = original.invoice_number),
            coalesce(sum(line.billed_exact) FILTER (line.kind = 'credit_note'), 0),
            CAST(coalesce(sum(line.amount_minor) FILTER (line.kind = 'credit_note'), 0) AS BIGINT)
        FROM billing.invoice_lines AS line
        JOIN billing.documents AS document ON document.invoice_number = line.invoice_number
        JOIN pairs ON pairs.tenant_id = document.tenant_id AND pairs.month = line.service_month
        LEFT JOIN staging.first_documents AS original
            ON original.tenant_id = document.tenant_id AND original.service_month = line.service_month
        WHERE line.kind IN ('usage', 'adjustment', 'minimum', 'credit_note')
        GROUP BY ALL
        ORDER BY ALL
        """,  # noqa: S608 - our own text
        wanted,
    ).fetchall()
    found: dict[tuple[str, str], list[InvoicedLine]] = defaultdict(list)
    for tenant_id, month, provider, account_id, line_item, rule_id, *rest in rows:
        found[tenant_id, month].append(InvoicedLine(LineKey(provider, account_id, line_item, rule_id), *rest))
    return found


def _taxes(connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, list[str]]) -> dict[tuple[str, str], list[Tax]]:
    """The taxes on the lines that first billed a month."""
    rows = connection.execute(
        f"""
        WITH {_PAIRS},
        codes AS (
            SELECT DISTINCT
                original.tenant_id, original.service_month AS month, line.invoice_number, unnest(line.taxes) AS tax
            FROM staging.first_documents AS original
            JOIN pairs ON pairs.tenant_id = original.tenant_id AND pairs.month = original.service_month
            JOIN billing.invoice_lines AS line
                ON line.invoice_number = original.invoice_number AND line.service_month = original.service_month
            WHERE line.kind IN ('usage', 'fee', 'minimum', 'adjustment')
        )
        SELECT codes.tenant_id, codes.month, known.tax_rule_id, known.name, known.percent, known.note
        FROM codes
        JOIN billing.invoice_taxes AS known ON known.invoice_number = codes.invoice_number AND known.tax = codes.tax
        ORDER BY codes.tenant_id, codes.month, known.name, known.percent
        """,  # noqa: S608 - our own text
        wanted,
    ).fetchall()
    found: dict[tuple[str, str], list[Tax]] = defaultdict(list)
    for tenant_id, month, *tax in rows:
        found[tenant_id, month].append(Tax(*tax))
    return found
