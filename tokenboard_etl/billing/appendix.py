"""What an invoice's usage was for, by category and by job: rows that add up to its usage lines exactly as printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenboard_etl.billing.inputs import UsagePart
from tokenboard_etl.billing.invoice import CATEGORY, REST, USAGE, AppendixRow, Invoice
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.money import apportion, exact_sum

UNCATEGORISED = "uncategorised"
"""The category of usage that no rule of the policy takes (sql/billing/charges.sql)."""


def appendix_of(document: Invoice, parts: Sequence[UsagePart]) -> tuple[AppendixRow, ...]:
    """The rows of an appendix, none where nothing is known of what the usage was for.

    `parts` are the month's usage by category and once more by job, either in the order of print. Corrections, fees and
    credits are for no category and no job. Raises CheckFailed where parts are not the whole of the usage lines.
    """
    if not any(line.kind == USAGE for line in document.lines):
        return ()
    categories = [each for each in parts if each.part == CATEGORY]
    jobs = [each for each in parts if each.part != CATEGORY]
    rows: list[AppendixRow] = []
    if any(each.key != UNCATEGORISED for each in categories):
        rows += _rows(document, categories, 1)
    if any(each.part != REST for each in jobs):
        rows += _rows(document, jobs, len(rows) + 1)
    return tuple(rows)


def _rows(document: Invoice, parts: Sequence[UsagePart], first: int) -> Iterator[AppendixRow]:
    exact = [part.billed_exact for part in parts]
    if exact_sum(exact) != exact_sum(line.billed_exact for line in document.lines if line.kind == USAGE):
        raise CheckFailed(
            f"What the usage of {document.buyer.tenant_id} in {document.month} was for does not add up to it "
            "(billing.category_costs, billing.job_costs); run `tokenboard rebuild`."
        )
    amounts = apportion(document.usage_minor, exact, document.currency, per_usd=document.per_usd)
    for row_no, (part, amount_minor) in enumerate(zip(parts, amounts, strict=True), start=first):
        yield AppendixRow(row_no=row_no, amount_minor=amount_minor, **vars(part))
