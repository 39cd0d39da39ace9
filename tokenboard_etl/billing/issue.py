"""Closing a month: drafts become issued invoices, in one transaction.

Numbers are allotted inside that transaction by the only writer, so they have no gap and no duplicate; issued rows
are only ever inserted. Closing a month again finds it closed and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple
from datetime import datetime, timedelta

import duckdb

from tokenboard_etl.billing.drafts import draft_invoices
from tokenboard_etl.billing.invoice import Buyer, Invoice, Line, Render, Rendered
from tokenboard_etl.billing.policy_versions import sha256_in_use
from tokenboard_etl.errors import CheckFailed, WrongUse
from tokenboard_etl.periods import FIRST_DAY, Month, utc_day
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.load import mark_months

ACCEPT = "To close it all the same, give --accept-provisional REASON."


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
) -> list[Invoice]:
    """Issues an invoice for every tenant with charges in the month who has none yet; returns the new ones.

    `gating` names connections and reports that must have every day of the month, beside those ever read;
    `waiting_days` have to pass after its end. `accepted_reason` accepts that they have not, and that days are not
    final.
    """
    refuse_open_month(month, now)
    with transaction(connection):
        refuse_unknown_tenant(connection, tenant_id)
        if is_closed(connection, month, tenant_id):
            return []
        reasons = reasons_to_wait(connection, month, now, gating, waiting_days)
        if reasons and not accepted_reason:
            raise CheckFailed(f"{month} cannot be closed: {' '.join(reasons)} {ACCEPT}")
        drafts = list(draft_invoices(connection, month, now, tenant_id))
        policy = sha256_in_use(connection)
        reason = accepted_reason if reasons else None
        for invoice in drafts:
            _insert(connection, invoice, render(invoice), policy, reason)
        if drafts or tenant_id is None:  # a tenant without charges yet may still get some
            connection.execute(
                "INSERT INTO billing.closed_months VALUES ($1, $2, $3, $4, $5)",
                [str(month), tenant_id, now, reason, policy],
            )
        mark_months(connection, {str(month)})
    return drafts


def refuse_early_close(month: Month, now: datetime, waiting_days: int, accepted_reason: str | None) -> None:
    """Raises WrongUse for a month that is not over, CheckFailed within the waiting days unless a reason is given."""
    refuse_open_month(month, now)
    if (early := waiting_time_left(month, now, waiting_days)) and not accepted_reason:
        raise CheckFailed(f"{month} cannot be closed: {early} {ACCEPT}")


def refuse_open_month(month: Month, now: datetime) -> None:
    """Raises WrongUse for a month that is not over, or from before this system's first day."""
    if month.first < FIRST_DAY:
        raise WrongUse(f"{month} is before {FIRST_DAY}, where this system begins.")
    if month.window.end > utc_day(now):
        raise WrongUse(f"{month} is not over; it can be closed from {month.window.end} on.")


def reasons_to_wait(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    now: datetime,
    gating: Collection[tuple[str, str]],
    waiting_days: int,
) -> list[str]:
    """Why a month that is over should not be closed yet, one sentence each."""
    reasons = []
    if early := waiting_time_left(month, now, waiting_days):
        reasons.append(early)
    if unfinished := unfinished_days(connection, month, gating):
        reasons.append(
            f"{len(unfinished)} source day(s) are not final, first {'; '.join(unfinished[:3])}; once they have "
            f"settled, run `tokenboard nightly --from {month.window.start} --to {month.window.last}`."
        )
    return reasons


def waiting_time_left(month: Month, now: datetime, waiting_days: int) -> str | None:
    """The sentence that says so while the policy's waiting days after the month's end have not passed."""
    first_day = month.window.end + timedelta(days=waiting_days)
    if utc_day(now) >= first_day:
        return None
    return f"the policy waits {waiting_days} days after a month's end, until {first_day}."


def unfinished_days(
    connection: duckdb.DuckDBPyConnection, month: Month, gating: Collection[tuple[str, str]] = ()
) -> list[str]:
    """Days of the month that gate closing and are not final, readable; every connection must have every day.

    A configured connection that was never read gates as well: its spend would otherwise never be invoiced.
    """
    rows = connection.execute(
        """
        WITH days AS (
            SELECT CAST(unnest(generate_series($start::DATE, $last::DATE, INTERVAL 1 DAY)) AS DATE) AS usage_date
        ),
        gating AS (
            SELECT connection_id, report FROM ops.source_days WHERE gates_closing
            UNION
            SELECT unnest($connections::VARCHAR[]), unnest($reports::VARCHAR[])
        )
        SELECT gating.connection_id, gating.report, days.usage_date, coalesce(known.state, 'missing')
        FROM gating CROSS JOIN days
        LEFT JOIN ops.source_days AS known
            ON known.connection_id = gating.connection_id
            AND known.report = gating.report
            AND known.usage_date = days.usage_date
        WHERE coalesce(known.state, 'missing') NOT IN ('settled', 'closed')
        ORDER BY 3, 1, 2
        """,
        {
            "start": month.window.start,
            "last": month.window.last,
            "connections": [connection_id for connection_id, _ in gating],
            "reports": [report for _, report in gating],
        },
    ).fetchall()
    if not rows and not gating and not _has_any_source(connection):
        return [f"no provider has been read for {month}"]
    return [f"{connection_id} {report} {day} is {state}" for connection_id, report, day, state in rows]


def invoices_of(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Invoice]:
    """The issued invoices of a month as values, rebuilt from their frozen rows."""
    heads = connection.execute(
        """
        SELECT invoice_number, tenant_id, buyer_name, buyer_country, buyer_email, currency, issued_at, tax_minor, kind
        FROM billing.invoices WHERE month = $1 ORDER BY invoice_number
        """,
        [str(month)],
    ).fetchall()
    return [
        Invoice(number, Buyer(*buyer), month, currency, issued_at, _lines(connection, number), tax, kind)
        for number, *buyer, currency, issued_at, tax, kind in heads
    ]


def issued_checksums(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, str]:
    """Invoice number to the SHA-256 its document had when it was issued."""
    rows = connection.execute("SELECT invoice_number, sha256 FROM billing.invoices WHERE month = $1", [str(month)])
    return dict(rows.fetchall())


def refuse_unknown_tenant(connection: duckdb.DuckDBPyConnection, tenant_id: str | None) -> None:
    """Raises WrongUse for a tenant nobody registered."""
    known = connection.execute("SELECT count(*) FROM registry.tenants WHERE tenant_id = $1", [tenant_id]).fetchall()
    if tenant_id is not None and not known[0][0]:
        raise WrongUse(f"There is no tenant {tenant_id!r}; `tokenboard tenants list` shows them.")


def is_closed(connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None) -> bool:
    """Whether the month was invoiced, for all tenants or for this one."""
    rows = connection.execute(
        """
        SELECT count(*) FROM billing.closed_months
        WHERE month = $1 AND (tenant_id IS NULL OR tenant_id = $2)
        """,
        [str(month), tenant_id],
    ).fetchall()
    return bool(rows[0][0])


def _has_any_source(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM ops.source_days WHERE gates_closing").fetchall()[0][0])


def _insert(
    connection: duckdb.DuckDBPyConnection, invoice: Invoice, rendered: Rendered, policy: str, reason: str | None
) -> None:
    buyer = invoice.buyer
    connection.execute(
        """
        INSERT INTO billing.invoices
        VALUES ($1, $2, $3, $4, 'issued', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL)
        """,
        [
            invoice.number,
            buyer.tenant_id,
            str(invoice.month),
            invoice.kind,
            invoice.currency,
            invoice.net_minor,
            invoice.tax_minor,
            invoice.total_minor,
            invoice.issued_at,
            buyer.name,
            buyer.country,
            buyer.email,
            reason,
            rendered.template,
            rendered.sha256,
            policy,
        ],
    )
    connection.execute(
        """
        INSERT INTO billing.invoice_inputs
        SELECT DISTINCT $number, load_id, sha256
        FROM billing.charges JOIN ops.loads USING (load_id)
        WHERE tenant_id = $tenant AND usage_date >= $start AND usage_date < $end
        """,
        {
            "number": invoice.number,
            "tenant": buyer.tenant_id,
            "start": invoice.month.window.start,
            "end": invoice.month.window.end,
        },
    )
    lines = connection.appender("billing.invoice_lines")
    lines.append_rows([(invoice.number, *astuple(line)) for line in invoice.lines])
    lines.flush()


def _lines(connection: duckdb.DuckDBPyConnection, number: str) -> tuple[Line, ...]:
    rows = connection.execute(
        """
        SELECT
            line_no, kind, description, provider, account_id, account_name, line_item, margin_rule_id, quantity, unit,
            billed_exact, amount_minor
        FROM billing.invoice_lines WHERE invoice_number = $1 ORDER BY line_no
        """,
        [number],
    ).fetchall()
    return tuple(Line(*row) for row in rows)
