"""What closing a month would issue now, and what another policy makes of it: worked out on a copy, nothing written.

A month that is not over is a preview: what its documents would say if it ended here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issue import draft_documents
from tokenboard_etl.billing.issued import invoices_of
from tokenboard_etl.billing.obstacles import reasons_to_wait, refuse_future_month, refuse_unknown_tenant
from tokenboard_etl.billing.policy_file import load_policy
from tokenboard_etl.billing.policy_versions import policy_in_use
from tokenboard_etl.closing import altered, bring_up_to_date, gating_reports
from tokenboard_etl.periods import Month
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.checks import all_checks, blocking_failures, run_checks
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.scratch import scratch_warehouse
from tokenboard_etl.warehouse.sql_files import quoted

_DOCUMENTS = "billing.invoices"
"""Checks of it are made before the documents of the month are forgotten: what is left of them would be findings."""


@dataclass(frozen=True)
class Forecast:
    """One tenant's month, net, in minor units of `currency`; None where there is nothing.

    `before_minor` is today's usage under the policy it was rated with until now (an invoiced tenant: the one its
    invoice names), `now_minor` the same usage under the policy of today, as if nothing had been issued.
    """

    tenant_id: str
    currency: str
    invoice_number: str | None
    issued_minor: int | None
    before_minor: int | None
    now_minor: int | None

    @property
    def policy_difference_minor(self) -> int:
        """What the policy of today changes."""
        return (self.now_minor or 0) - (self.before_minor or 0)

    @property
    def issued_difference_minor(self) -> int | None:
        """What differs from the invoice; None where there is none. It stays as it was issued."""
        return None if self.issued_minor is None else (self.now_minor or 0) - self.issued_minor


@dataclass(frozen=True)
class DryRun:
    """`is_new_policy`: another one than was used last. `obstacles` are what closing would be refused for.

    `documents` are what closing would issue now, whole and without numbers.
    """

    month: Month
    is_new_policy: bool
    forecasts: tuple[Forecast, ...]
    documents: tuple[Invoice, ...]
    obstacles: tuple[str, ...]


def dry_run(settings: Settings, month: Month, *, tenant_id: str | None = None) -> DryRun:
    """Works out what `close` would do, from the figures as they were last read."""
    refuse_future_month(month, settings.now)
    new = load_policy(settings)
    with scratch_warehouse(settings.warehouse_path) as scratch:
        refuse_unknown_tenant(scratch, tenant_id)
        old = policy_in_use(scratch)
        issued = {each.buyer.tenant_id: each for each in reversed(invoices_of(scratch, month)) if each.reason is None}
        _as_invoiced(scratch, issued)
        bring_up_to_date(scratch, settings, old)
        of_documents = [each for each in all_checks() if each.table == _DOCUMENTS]
        failed = [*blocking_failures(run_checks(scratch, of_documents)), *altered(scratch)]
        _forget_documents(scratch, month)
        before = _by_tenant(draft_documents(scratch, month, settings.now, policy_in_use(scratch).policy))
        scratch.execute("DELETE FROM billing.closed_months WHERE month = $1", [str(month)])
        mark_months(scratch, {str(month)})
        bring_up_to_date(scratch, settings, new)
        drafts = draft_documents(scratch, month, settings.now, policy_in_use(scratch).policy)
        now = _by_tenant(drafts)
        obstacles = [
            *reasons_to_wait(scratch, month, settings.now, gating_reports(settings), new.policy.waiting_days),
            *blocking_failures(run_checks(scratch, [each for each in all_checks() if each.table != _DOCUMENTS])),
            *failed,
        ]
    tenants = [tenant_id] if tenant_id else sorted(issued.keys() | before.keys() | now.keys())
    return DryRun(
        month,
        new.sha256 != old.sha256,
        tuple(_forecasts(tenants, issued, before, now)),
        tuple(each for each in drafts if each.buyer.tenant_id in tenants and each.buyer.tenant_id not in issued),
        tuple(obstacles),
    )


def _as_invoiced(scratch: duckdb.DuckDBPyConnection, issued: Mapping[str, Invoice]) -> None:
    """Who was invoiced and has another currency since is worked out in that of the invoice, to be held against it."""
    for tenant_id, document in issued.items():
        scratch.execute(
            "UPDATE registry.tenants SET currency = $2 WHERE tenant_id = $1", [tenant_id, document.currency]
        )


def _forget_documents(scratch: duckdb.DuckDBPyConnection, month: Month) -> None:
    """As if nothing of the month had been issued. The numbers then have gaps, which only a copy may have."""
    numbers = [
        number
        for (number,) in scratch.execute(
            "SELECT invoice_number FROM billing.documents WHERE month = $1", [str(month)]
        ).fetchall()
    ]
    for table in ("documents", "invoice_lines", "invoice_taxes", "credit_uses", "invoice_appendix"):
        scratch.execute(
            f"DELETE FROM {quoted(f'billing.{table}')} WHERE list_contains($1::VARCHAR[], invoice_number)",  # noqa: S608 - quoted
            [numbers],
        )


def _by_tenant(drafts: list[Invoice]) -> dict[str, Invoice]:
    """The first of each: the one in the tenant's own currency."""
    return {draft.buyer.tenant_id: draft for draft in reversed(drafts)}


def _forecasts(
    tenants: list[str], issued: dict[str, Invoice], before: dict[str, Invoice], now: dict[str, Invoice]
) -> Iterator[Forecast]:
    for tenant_id in tenants:
        known = [version[tenant_id] for version in (issued, before, now) if tenant_id in version]
        if not known:
            continue
        done = issued.get(tenant_id)
        yield Forecast(
            tenant_id,
            known[0].currency,
            done.number if done else None,
            *(version[tenant_id].net_minor if tenant_id in version else None for version in (issued, before, now)),
        )
