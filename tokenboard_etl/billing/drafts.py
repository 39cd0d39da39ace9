"""Reads from the warehouse what decides the documents of a month, tenant by tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import duckdb

from tokenboard_etl.billing.inputs import ClosedMonth, Inputs, LineKey, RatedLine, UsagePart
from tokenboard_etl.billing.invoice import Acceptance, Buyer
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.restated import months_to_correct
from tokenboard_etl.errors import PolicyError
from tokenboard_etl.periods import Month


@dataclass(frozen=True)
class _Tenant:
    buyer: Buyer
    currency: str
    is_customer: bool


def inputs_of_month(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    now: datetime,
    policy: Policy,
    tenant_id: str | None = None,
    accepted: Acceptance | None = None,
    *,
    with_parts: bool = True,
) -> Iterator[Inputs]:
    """What closing the month now rests on, by tenant_id; tenants who have a document of the month already are left out.

    `with_parts`: with what their appendices are made of. Raises PolicyError where the policy contradicts what was used
    or invoiced before.
    """
    known = _tenants(connection, month, tenant_id)
    rated = _rated(connection, month)
    corrections: dict[str, list[ClosedMonth]] = defaultdict(list)
    currencies = {name: (tenant.currency, tenant.buyer.country) for name, tenant in known.items()}
    for name, closed in months_to_correct(connection, month, now, policy, currencies):
        corrections[name].append(closed)
    used = _credits_used(connection, policy)
    parts = _parts(connection, month, tenant_id) if with_parts else {}
    for name in sorted(known):
        tenant = known[name]
        if name in rated or name in corrections or tenant.is_customer:
            yield Inputs(
                tenant.buyer,
                tenant.currency,
                month,
                now,
                policy,
                tenant.is_customer,
                tuple(rated.get(name, ())),
                tuple(corrections.get(name, ())),
                used.get(name, {}),
                accepted,
                tuple(parts.get(name, ())),
            )


def _tenants(connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None) -> dict[str, _Tenant]:
    rows = connection.execute(
        """
        SELECT
            tenant.tenant_id, tenant.name, tenant.country, tenant.billing_email, tenant.currency,
            tenant.tenant_id IN (
                SELECT tenant_id FROM registry.accounts
                WHERE valid_from < $end AND (valid_until IS NULL OR valid_until > $start)
            )
        FROM registry.tenants AS tenant
        WHERE ($tenant::VARCHAR IS NULL OR tenant.tenant_id = $tenant)
            AND tenant.tenant_id NOT IN (SELECT tenant_id FROM billing.documents WHERE month = $month)
        """,
        {"month": str(month), "tenant": tenant_id, "start": month.window.start, "end": month.window.end},
    ).fetchall()
    return {row[0]: _Tenant(Buyer(*row[:4]), row[4], row[5]) for row in rows}


def _rated(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[RatedLine]]:
    rows = connection.execute(
        """
        SELECT
            draft.tenant_id, draft.provider, draft.account_id, draft.line_item, draft.margin_rule_id,
            called.name, draft.quantity, draft.unit, draft.billed_exact
        FROM billing.invoice_drafts AS draft
        JOIN staging.line_names AS called USING (month, tenant_id, provider, account_id)
        WHERE draft.month = $1
        ORDER BY draft.tenant_id, draft.provider, called.name, draft.account_id, draft.line_item, draft.margin_rule_id
        """,
        [str(month)],
    ).fetchall()
    found: dict[str, list[RatedLine]] = defaultdict(list)
    for tenant_id, provider, account_id, line_item, rule_id, *rest in rows:
        found[tenant_id].append(RatedLine(LineKey(provider, account_id, line_item, rule_id), *rest))
    return found


def _parts(connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None) -> dict[str, list[UsagePart]]:
    """Each tenant's usage by category, and by job; the largest first."""
    rows = connection.execute(
        """
        WITH estimates AS (  -- those that are invoiced; they are spread over no operations
            SELECT tenant_id, category, billed_usd FROM billing.charges
            WHERE invoice_item IS NOT NULL AND source <> 'provider' AND usage_date >= $start AND usage_date < $end
        ),
        parts AS (
            SELECT
                tenant_id, 'category' AS part, category AS key, NULL AS title, NULL AS cvs, NULL AS questions,
                NULL AS minutes, billed_usd AS billed_exact
            FROM billing.category_costs WHERE month = $month AND billed_usd <> 0
            UNION ALL
            SELECT tenant_id, 'category', category, NULL, NULL, NULL, NULL, billed_usd FROM estimates
            UNION ALL
            SELECT
                tenant_id, CASE WHEN part = 'rest' THEN 'rest' WHEN job_id = '' THEN 'no_job' ELSE 'job' END, job_id,
                job_title, CASE WHEN part <> 'rest' THEN cvs END, CASE WHEN part <> 'rest' THEN questions END,
                CASE WHEN part <> 'rest' THEN minutes END, total_billed_usd
            FROM billing.job_costs WHERE month = $month
            UNION ALL
            SELECT tenant_id, 'rest', '', NULL, NULL, NULL, NULL, billed_usd FROM estimates
        )
        SELECT
            tenant_id, part, key, max(title) AS title, sum(cvs) AS cvs, sum(questions) AS questions,
            sum(minutes) AS minutes, sum(billed_exact) AS billed_exact
        FROM parts
        WHERE $tenant::VARCHAR IS NULL OR tenant_id = $tenant
        GROUP BY tenant_id, part, key
        ORDER BY tenant_id, part, part = 'category' AND key = 'uncategorised', billed_exact DESC, key
        """,
        {"month": str(month), "tenant": tenant_id, "start": month.window.start, "end": month.window.end},
    ).fetchall()
    found: dict[str, list[UsagePart]] = defaultdict(list)
    for tenant, *part in rows:
        found[tenant].append(UsagePart(*part))
    return found


def _credits_used(connection: duckdb.DuckDBPyConnection, policy: Policy) -> dict[str, dict[str, Decimal]]:
    currencies = {(credit.tenant, credit.id): credit.currency or policy.currency for credit in policy.credits}
    rows = connection.execute(
        """
        SELECT tenant_id, credit_id, currency, sum(used) FROM billing.credit_uses
        GROUP BY tenant_id, credit_id, currency ORDER BY ALL
        """
    ).fetchall()
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for tenant_id, credit_id, currency, used in rows:
        if currencies.get((tenant_id, credit_id), currency) != currency:
            raise PolicyError(
                f"The credit {credit_id!r} of {tenant_id} was used in {currency} already and cannot change its "
                "currency. Give what is left of it a new id in the policy."
            )
        found[tenant_id][credit_id] = used
    return found
