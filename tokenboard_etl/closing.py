"""Closing a month from end to end: figures brought up to date, checked, invoices issued and written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tokenboard_etl.billing.credit_notes import issue_credit_note
from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.billing.issued import altered_rows
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.obstacles import refuse_open_month
from tokenboard_etl.billing.policy_file import PolicyFile, load_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.connections import ours
from tokenboard_etl.documents import told_altered, write_documents
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.rereads import GATING_REPORTS
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.known_connections import record_connections
from tokenboard_etl.tenants.learning import learn
from tokenboard_etl.warehouse.checks import blocking_failures, refuse_violations, run_checks, violations_found
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.publish import publish

log = logging.getLogger("tokenboard.close")


@dataclass(frozen=True)
class Closed:
    """`issued` are the documents this call issued; `invoices` and `written` all of the month and their files.

    `failed_checks` are the blocking ones that found something and were accepted: nothing may be published then.
    """

    month: Month
    issued: tuple[Invoice, ...]
    invoices: tuple[Invoice, ...]
    written: tuple[Path, ...]
    failed_checks: tuple[str, ...]


def bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, settings: Settings, policy: PolicyFile | None = None
) -> dict[str, int]:
    """Records connections, policy, default margins and prices, and builds what changed; returns the models' row counts.

    Accounts that bear a tenant's name are bound on the way (tenants/learning.py).

    `policy` is that of TOKENBOARD_POLICY unless another is given.
    """
    policy = policy or load_policy(settings)
    record_connections(connection, settings)
    if record_policy(connection, policy, settings.now):
        log.info("policy %s is in use from now on", policy.sha256[:12])
    record_default_margins(connection, settings.default_multipliers, settings.now)
    record_bundled_prices(connection, settings.now)
    rows = build_models(connection, settings.now, settings.settle_days)
    if learn(connection, settings.now):
        rows = build_models(connection, settings.now, settings.settle_days)
    log.info("built %d tables", len(rows))
    return rows


def gating_reports(settings: Settings) -> list[tuple[str, str]]:
    """Connections, and the report of each that has to be final before a month is closed."""
    return [(each.connection_id, GATING_REPORTS[each.provider]) for each in ours(settings)]


def republish(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """What a command that changed a published table ends with: models, blocking checks, publication."""
    bring_up_to_date(connection, settings)
    refuse_violations(run_checks(connection))
    publish(connection, settings.warehouse_path, settings.published_path)


def close(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    month: Month,
    *,
    tenant_id: str | None = None,
    accepted_reason: str | None = None,
    accepted_by: str | None = None,
) -> Closed:
    """Issues the month's invoices and writes their files. Done before, it issues nothing and mends missing files.

    `accepted_reason` accepts, by the word of `accepted_by`, days that are not final and checks that failed.
    """
    refuse_open_month(month, settings.now)
    file = load_policy(settings)
    bring_up_to_date(connection, settings, file)
    changed = altered(connection)
    failed = [*blocking_failures(run_checks(connection)), *changed]
    if failed and not accepted_reason:
        raise violations_found(failed)
    issued = close_month(
        connection,
        month,
        settings.now,
        render_invoice,
        gating=gating_reports(settings),
        waiting_days=file.policy.waiting_days,
        tenant_id=tenant_id,
        accepted_reason=accepted_reason,
        accepted_by=accepted_by,
        failed_checks=failed,
    )
    bring_up_to_date(connection, settings, file)
    documents, written = write_documents(connection, settings.reports_path, month)
    log.info("closed %s: %d document(s) issued, %d file(s) in place", month, len(issued), len(written))
    failed = [*blocking_failures(run_checks(connection)), *changed]
    return Closed(month, tuple(issued), tuple(documents), tuple(written), tuple(failed))


def altered(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Issued rows that were changed, readable: corrections, credits and credit notes are reckoned from them."""
    return [told_altered(number) for number in altered_rows(connection)]


def credit(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    number: str,
    *,
    reason: str,
    line_nos: Sequence[int] = (),
    amount_minor: int | None = None,
) -> Invoice:
    """Issues a credit note over an invoice, writes its file and publishes."""
    bring_up_to_date(connection, settings)
    if failed := [*blocking_failures(run_checks(connection)), *altered(connection)]:
        raise violations_found(failed)
    note = issue_credit_note(
        connection,
        number,
        settings.now,
        render_invoice,
        reason=reason,
        line_nos=line_nos,
        amount_minor=amount_minor,
    )
    write_documents(connection, settings.reports_path, note.month)
    log.info("credited %s by %s", number, note.number)
    try:
        republish(connection, settings)
    except TokenboardError:
        log.warning("%s is issued and its file is in place, but nothing is published", note.number)
        raise
    return note
