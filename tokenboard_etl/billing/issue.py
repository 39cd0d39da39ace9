"""Closing a month: drafts become issued documents, in one transaction.

Numbers are allotted inside that transaction by the only writer, so they have no gap and no duplicate; issued rows
are only ever inserted. Closing a month again finds it closed and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, replace
from datetime import datetime

import duckdb

from tokenboard_etl.billing.compose import documents_of
from tokenboard_etl.billing.drafts import inputs_of_month
from tokenboard_etl.billing.evidence import record_issue
from tokenboard_etl.billing.invoice import Acceptance, Invoice, Render
from tokenboard_etl.billing.numbers import next_numbers, refuse_numbers_given_twice
from tokenboard_etl.billing.obstacles import (
    ACCEPT,
    is_closed,
    reasons_to_wait,
    refuse_open_month,
    refuse_unknown_tenant,
)
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_file import PolicyFile
from tokenboard_etl.billing.policy_versions import policy_in_use
from tokenboard_etl.billing.records import Issued, insert_documents
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.periods import Month, utc_day
from tokenboard_etl.settings import operator_name
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.models import build_table_within

log = logging.getLogger("tokenboard.close")


def close_month(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    now: datetime,
    render: Render,
    *,
    gating: Collection[tuple[str, str]] = (),
    waiting_days: int = 0,
    tenant_id: str | None = None,
    accepted_reason: str | None = None,
    accepted_by: str | None = None,
    failed_checks: Sequence[str] = (),
) -> list[Invoice]:
    """Issues the documents of every tenant who has none of the month yet; returns the new ones.

    `gating` names connections and reports that must have every day of the month, beside those ever read;
    `waiting_days` have to pass after its end; `failed_checks` are the blocking ones that found something. All of that
    is accepted with an `accepted_reason`, by `accepted_by` or else whoever runs this.
    """
    refuse_open_month(month, now)
    with transaction(connection):
        refuse_unknown_tenant(connection, tenant_id)
        if is_closed(connection, month, tenant_id):
            return []
        reasons = [*reasons_to_wait(connection, month, now, gating, waiting_days), *failed_checks]
        if reasons and not accepted_reason:
            raise CheckFailed(f"{month} cannot be closed: {' '.join(reasons)} {ACCEPT}")
        accepted = None
        if reasons and accepted_reason:
            accepted = Acceptance(accepted_reason, accepted_by or operator_name(), " ".join(reasons))
        file = policy_in_use(connection)
        drafts = draft_documents(connection, month, now, file.policy, tenant_id, accepted)
        request = {"tenant_id": tenant_id, "accepted": accepted and astuple(accepted)}
        issued = issue_documents(connection, drafts, month, now, file, render, request) if drafts else []
        if issued or tenant_id is None:  # a tenant without charges yet may still get some
            connection.execute(
                "INSERT INTO billing.closed_months VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    str(month),
                    tenant_id,
                    now,
                    accepted and accepted.reason,
                    file.sha256,
                    accepted and accepted.by,
                ],
            )
        mark_months(connection, {str(month)})
    return issued


def draft_documents(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    now: datetime,
    policy: Policy,
    tenant_id: str | None = None,
    accepted: Acceptance | None = None,
) -> list[Invoice]:
    """What closing the month would issue, by tenant_id and without numbers."""
    return [
        document
        for inputs in inputs_of_month(connection, month, now, policy, tenant_id, accepted)
        for document in documents_of(inputs)
    ]


def issue_documents(
    connection: duckdb.DuckDBPyConnection,
    drafts: Sequence[Invoice],
    month: Month,
    now: datetime,
    file: PolicyFile,
    render: Render,
    request: Mapping[str, object],
) -> list[Invoice]:
    """Numbers, renders and records drafts, inside the caller's transaction; `request` is what was asked for."""
    _warn_if_the_clock_was_set_back(connection, now)
    corrected = {line.service_month for draft in drafts for line in draft.lines}
    issue_no = record_issue(connection, month, corrected, now, file.sha256, request)
    issued = []
    for draft, number in zip(drafts, next_numbers(connection, file.policy, utc_day(now)), strict=False):
        document = replace(draft, number=number.text)
        issued.append(Issued(document, number, render(document)))
    insert_documents(connection, issued, issue_no, file.sha256)
    refuse_numbers_given_twice(connection)
    build_table_within(connection, "billing.invoices")
    return [each.document for each in issued]


def _warn_if_the_clock_was_set_back(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """No refusal: after one document of a clock that was ahead, nothing could be issued until that day."""
    rows = connection.execute(
        "SELECT invoice_number, issued_at FROM billing.documents WHERE issued_at > $1 ORDER BY issued_at DESC LIMIT 1",
        [now],
    ).fetchall()
    for number, issued_at in rows:
        log.warning(
            "%s was issued at %s, and by this machine's clock it is %s; is the clock right?",
            number,
            f"{issued_at:%Y-%m-%d %H:%M} UTC",
            f"{now:%Y-%m-%d %H:%M} UTC",
        )
