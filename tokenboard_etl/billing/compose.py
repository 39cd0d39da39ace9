"""What a tenant's documents say: a pure function of its inputs. Nothing is read here, and nothing numbered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tokenboard_etl.billing.adjustments import adjustments
from tokenboard_etl.billing.appendix import appendix_of
from tokenboard_etl.billing.credits import apply_credits
from tokenboard_etl.billing.inputs import Inputs
from tokenboard_etl.billing.invoice import ADJUSTMENT, CREDIT_NOTE, INVOICE, Invoice, Line, Tax
from tokenboard_etl.billing.lines import lines_of_the_month, numbered
from tokenboard_etl.billing.taxes import tax_sums, taxes_of
from tokenboard_etl.errors import PolicyError
from tokenboard_etl.money import exact
from tokenboard_etl.periods import utc_day

UNNUMBERED = ""

_MOST_MINOR = 2**63 - 1
_MOST_USD = Decimal(10) ** 14
"""What the tables of issued documents can hold: BIGINT, and DECIMAL(38, 24) before rounding."""


def documents_of(inputs: Inputs) -> list[Invoice]:
    """The documents a tenant gets when its month is closed, without numbers: none, or one for each currency.

    There are several only where the tenant's currency has changed since a month that has to be corrected. Raises
    PolicyError where an exchange rate is missing, or makes an amount that no document can hold.
    """
    day, tenant_id = utc_day(inputs.issued_at), inputs.buyer.tenant_id
    own = taxes_of(inputs.policy, tenant_id, inputs.buyer.country, day)
    lines = {inputs.currency: list(lines_of_the_month(inputs, tuple(tax.code for tax in own)))}
    known = list(own)
    for closed in inputs.closed:
        known += closed.taxes
        lines.setdefault(closed.currency, []).extend(adjustments(closed, tenant_id))
    used, found = dict(inputs.credits_used), []
    for currency, of_currency in lines.items():
        if not any(line.kind != ADJUSTMENT or line.amount_minor for line in of_currency):
            continue  # corrections that print as nothing wait for a document that prints something
        document = _document(inputs, currency, of_currency, tuple(known))
        _refuse_what_no_document_holds(document)
        if document.total_minor > 0:
            document = apply_credits(document, inputs.policy, used, own, tuple(known))
        with exact():
            for use in document.credit_uses:
                used[use.credit_id] = used.get(use.credit_id, Decimal(0)) + use.used
        found.append(_finished(document, inputs))
    return found


def _document(inputs: Inputs, currency: str, lines: list[Line], known: tuple[Tax, ...]) -> Invoice:
    return Invoice(
        UNNUMBERED,
        inputs.buyer,
        inputs.month,
        currency,
        inputs.issued_at,
        numbered(lines),
        tax_sums(lines, known),
        per_usd=inputs.policy.rate(currency, utc_day(inputs.issued_at)),
        seller=inputs.policy.seller,
        accepted=inputs.accepted,
    )


def _refuse_what_no_document_holds(document: Invoice) -> None:
    """A rate with its digits in the wrong place makes such amounts; no real one does."""
    beyond = [
        f"the line {line.description!r}"
        for line in document.lines
        if abs(line.amount_minor) > _MOST_MINOR or abs(line.billed_exact) >= _MOST_USD
    ]
    if not beyond and max(map(abs, (document.net_minor, document.tax_minor, document.total_minor))) > _MOST_MINOR:
        beyond = ["the total"]
    if beyond:
        raise PolicyError(
            f"{document.month} of {document.buyer.tenant_id} cannot be invoiced in {document.currency}: {beyond[0]} "
            "comes to more than a document can hold. Check the exchange rates under fx in the policy."
        )


def _finished(document: Invoice, inputs: Inputs) -> Invoice:
    """Its kind, what it corrects, until when it is to be paid, and its appendix: a credit note has none."""
    corrected = {line.original_invoice for line in document.lines if line.original_invoice}
    only_corrects = all(line.kind == ADJUSTMENT for line in document.lines)
    form, owed = inputs.policy.invoice, document.total_minor > 0
    kind = CREDIT_NOTE if document.total_minor < 0 else INVOICE
    return replace(
        document,
        kind=kind,
        appendix=appendix_of(document, inputs.parts) if kind == INVOICE else (),
        corrects=min(corrected) if only_corrects and len(corrected) == 1 else None,
        due_on=utc_day(document.issued_at) + timedelta(days=form.due_days) if owed else None,
        terms=form.terms if owed else None,
    )
