"""Reversing an issued invoice, whole or in part, by a credit note of its own number.

A person decides this and says why. It stands apart from the corrections that closing computes: what is taken back
here does not return by itself, and a month whose invoice is credited in full gets no corrections any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import duckdb

from tokenboard_etl.billing.invoice import CREDIT, CREDIT_NOTE, INVOICE, CreditUse, Invoice, Line, Render, TaxSum
from tokenboard_etl.billing.issue import issue_documents
from tokenboard_etl.billing.issued import issued_document
from tokenboard_etl.billing.lines import flat_line, numbered
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_versions import policy_in_use
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.money import exact, format_minor, percent_of
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.load import mark_months


def issue_credit_note(
    connection: duckdb.DuckDBPyConnection,
    number: str,
    now: datetime,
    render: Render,
    *,
    reason: str,
    line_nos: Sequence[int] = (),
    amount_minor: int | None = None,
) -> Invoice:
    """Issues a credit note over an invoice: all that is left of it, some lines, or an amount net of tax.

    Raises WrongUse for what cannot be credited; nothing is issued then.
    """
    with transaction(connection):
        original = issued_document(connection, number)
        file = policy_in_use(connection)
        earlier = credit_notes_over(connection, number)
        _refuse_the_same_again(number, earlier, reason, amount_minor)
        draft = credit_note_of(original, earlier, file.policy, now, reason, line_nos, amount_minor)
        request = {"credits": number, "reason": reason, "line_nos": list(line_nos), "amount_minor": amount_minor}
        (issued,) = issue_documents(connection, [draft], original.month, now, file, render, request)
        mark_months(connection, {str(original.month)})
    return issued


def credit_note_of(
    original: Invoice,
    earlier: Sequence[Invoice],
    policy: Policy,
    now: datetime,
    reason: str,
    line_nos: Sequence[int] = (),
    amount_minor: int | None = None,
) -> Invoice:
    """The credit note, without a number; `earlier` are those the invoice has already. Credits used come back with
    the whole invoice only.
    """
    if original.kind != INVOICE:
        raise WrongUse(f"{original.number} is a credit note; only invoices are credited.")
    if line_nos and amount_minor is not None:
        raise WrongUse("Give either lines or an amount to credit, not both.")
    before = [line for note in earlier for line in note.lines]
    uses: tuple[CreditUse, ...] = ()
    if line_nos:
        lines = _chosen(original, before, line_nos)
    elif amount_minor is not None:
        lines = [_amount(original, amount_minor)]
    else:
        lines = _rest(original, before)
        uses = tuple(_returned(use) for use in original.credit_uses)
    note = replace(
        original,
        number="",
        issued_at=now,
        lines=numbered(lines),
        taxes=_taxes(original, earlier, lines),
        kind=CREDIT_NOTE,
        credit_uses=uses,
        seller=policy.seller,
        due_on=None,
        terms=None,
        reason=reason,
        accepted=None,
        corrects=original.number,
        appendix=(),
    )
    left_minor = original.total_minor + sum(each.total_minor for each in earlier)
    if left_minor + note.total_minor < 0:
        raise WrongUse(
            f"{format_minor(-note.total_minor, note.currency)} with tax is more than is left to credit of "
            f"{original.number}: {format_minor(left_minor, note.currency)}."
        )
    return note


def _chosen(original: Invoice, before: Sequence[Line], line_nos: Sequence[int]) -> list[Line]:
    by_number = {line.line_no: line for line in original.lines}
    reversed_before = {line.original_line for line in before}
    found = []
    for line_no in sorted(set(line_nos)):
        line = by_number.get(line_no)
        if line is None:
            raise WrongUse(f"{original.number} has no line {line_no}; it has {len(by_number)}.")
        if line_no in reversed_before:
            raise WrongUse(f"Line {line_no} of {original.number} is credited already.")
        if line.kind == CREDIT or line.amount_minor <= 0:
            raise WrongUse(f"Line {line_no} of {original.number} asks for nothing, so it cannot be credited.")
        found.append(_reversed(original, line))
    return found


def _refuse_the_same_again(number: str, earlier: Sequence[Invoice], reason: str, amount_minor: int | None) -> None:
    """Whoever was interrupted runs a command again; lines and the whole invoice can be credited only once anyway."""
    for note in earlier:
        if amount_minor is not None and (note.reason, note.net_minor) == (reason, -amount_minor):
            raise WrongUse(
                f"{note.number} credits {number} with the same amount for the same reason already. If another "
                "is meant, give it a --reason of its own."
            )


def _amount(original: Invoice, amount_minor: int) -> Line:
    if amount_minor <= 0:
        raise WrongUse("The amount to credit must be more than zero minor units (cents).")
    taxes = {line.taxes for line in original.lines}
    if len(taxes) != 1:
        raise WrongUse(f"The lines of {original.number} are taxed differently; say which ones to credit with --line.")
    line = flat_line(
        CREDIT_NOTE,
        f"Credit on {original.number}",
        "",
        -amount_minor,
        original.currency,
        original.per_usd,
        original.month,
        taxes.pop(),
    )
    return replace(line, original_invoice=original.number)


def _rest(original: Invoice, before: Sequence[Line]) -> list[Line]:
    """Every line that is not credited yet, less what was credited as an amount."""
    reversed_before = {line.original_line for line in before}
    lines = [_reversed(original, line) for line in original.lines if line.line_no not in reversed_before]
    amounts = [line for line in before if line.original_line is None]
    with exact():
        lines += [
            replace(
                line,
                description="Credited before",
                billed_exact=-line.billed_exact,
                amount_minor=-line.amount_minor,
            )
            for line in amounts
        ]
    if before and not sum(line.amount_minor for line in original.lines) + sum(line.amount_minor for line in before):
        raise WrongUse(f"{original.number} is credited in full already.")
    return lines


def _reversed(original: Invoice, line: Line) -> Line:
    with exact():
        return replace(
            line,
            kind=CREDIT_NOTE,
            quantity=None,
            unit=None,
            billed_exact=-line.billed_exact,
            amount_minor=-line.amount_minor,
            original_invoice=original.number,
            original_line=line.line_no,
        )


def _returned(use: CreditUse) -> CreditUse:
    with exact():
        return replace(use, used=-use.used, amount_minor=-use.amount_minor)


def _taxes(original: Invoice, earlier: Sequence[Invoice], lines: Sequence[Line]) -> tuple[TaxSum, ...]:
    """Each tax down to what is due on what is left, so that all notes together take back what was charged."""
    found = []
    for charged in original.taxes:
        code = charged.tax.code
        base = sum(line.amount_minor for line in lines if code in line.taxes)
        if not any(code in line.taxes for line in lines):
            continue
        sums = [charged, *(each for note in earlier for each in note.taxes if each.tax.code == code)]
        left = sum(each.base_minor for each in sums) + base
        tax_minor = percent_of(left, charged.tax.percent) - sum(each.tax_minor for each in sums)
        found.append(TaxSum(charged.tax, base, tax_minor))
    return tuple(found)


def credit_notes_over(connection: duckdb.DuckDBPyConnection, number: str) -> list[Invoice]:
    """The credit notes an invoice has, in their order."""
    rows = connection.execute(
        """
        SELECT DISTINCT document.issue_no, document.invoice_number
        FROM billing.invoice_lines AS line
        JOIN billing.documents AS document ON document.invoice_number = line.invoice_number
        WHERE line.kind = 'credit_note' AND line.original_invoice = $1
        ORDER BY ALL
        """,
        [number],
    ).fetchall()
    return [issued_document(connection, each) for _, each in rows]
