"""What documents say, for any costs and rules: printed lines + tax = printed total, and credits never too much."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.months import half_up, policy
from tokenboard_etl.billing.compose import documents_of
from tokenboard_etl.billing.inputs import ClosedMonth, Inputs, InvoicedLine, LineKey, RatedLine, UsagePart
from tokenboard_etl.billing.invoice import Acceptance, Buyer, Invoice, Tax
from tokenboard_etl.errors import PolicyError
from tokenboard_etl.money import exact_sum
from tokenboard_etl.periods import Month, utc_day
from tokenboard_etl.rendering.invoices import render_invoice

NOW = datetime(2026, 6, 5, 2, tzinfo=UTC)
MAY, APRIL = Month(2026, 5), Month(2026, 4)
PER_USD = {"USD": Decimal(1), "EUR": Decimal("0.9213"), "JPY": Decimal("149.37"), "KWD": Decimal("0.30641")}
DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
FX = [
    {"id": f"fx-{name}", "currency": name, "per_usd": str(per_usd), "from": "2026-01-01"}
    for name, per_usd in PER_USD.items()
    if name != "USD"
]
SINCE = {"from": "2026-01-01"}


def rated(item: str, usd: Decimal) -> RatedLine:
    return RatedLine(LineKey("openai", "proj", item, "default-openai"), "Project", None, None, usd)


def inputs(usage: list[Decimal], currency: str = "USD", **more: Any) -> Inputs:
    values: dict[str, Any] = {"policy": policy(fx=FX).policy, "closed": (), "credits_used": {}, **more}
    lines = tuple(rated(f"item {position:02d}", usd) for position, usd in enumerate(usage))
    return Inputs(
        Buyer("acme", "Acme", "DE", None),
        currency,
        MAY,
        NOW,
        values["policy"],
        True,
        lines,
        values["closed"],
        values["credits_used"],
    )


def printed(document: Invoice) -> tuple[int, int, int]:
    """Lines, taxes and total as somebody adds them up who only has the paper."""
    american = replace(document.buyer, country="US")
    html = render_invoice(replace(document, number="INV-1", buyer=american)).html.decode()
    body, totals = html.split('<table class="totals">')
    digits = DIGITS[document.currency]

    def minor(text: str) -> int:
        number = re.sub(r"[^\d.-]", "", text)
        return int(Fraction(number) * 10**digits)

    def last_cells(part: str) -> list[int]:
        rows = re.findall(r'<tr(?: class="(\w+)")?>(?:(?!</tr>).)*<td class="n sum">([^<]*)</td></tr>', part, re.DOTALL)
        return [minor(cell) for row, cell in rows if row != "subtotal"]

    _, *taxes, total = last_cells(totals)
    return sum(last_cells(body)), sum(taxes), total


usd = st.decimals(min_value=-500, max_value=50_000, places=24, allow_nan=False)
money = st.decimals(min_value=0, max_value=5_000, places=3, allow_nan=False).map(str)
currencies = st.sampled_from(list(PER_USD))
percents = st.sampled_from(["0", "5.5", "7", "19", "8.875"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    def some(prefix: str, most: int, **fields: Any) -> list[dict[str, Any]]:
        return [
            {"id": f"{prefix}-{number}", **SINCE, **{name: draw(value) for name, value in fields.items()}}
            for number in range(draw(st.integers(0, most)))
        ]

    return {
        "fx": FX,
        "fees": some("fee", 2, description=st.just("Fee"), amount=money, currency=currencies),
        "minimums": some("floor", 1, amount=money, currency=currencies),
        "credits": some(
            "gift",
            3,
            tenant=st.just("acme"),
            kind=st.sampled_from(["promotional", "prepaid"]),
            amount=money,
            currency=currencies,
        ),
        "taxes": [
            {"id": f"tax-{name}", "name": name, "percent": draw(percents), **SINCE}
            for name in draw(st.sets(st.sampled_from(["VAT", "City"])))
        ],
    }


@st.composite
def closed_months(draw: st.DrawFn) -> ClosedMonth:
    currency = draw(currencies)
    before, now = draw(st.lists(usd, min_size=3, max_size=3)), draw(st.lists(usd, min_size=3, max_size=3))
    per_usd = PER_USD[currency]
    invoiced = tuple(
        InvoicedLine(
            rated(str(n), each).key, "P", each, half_up(Fraction(each) * Fraction(per_usd) * 10 ** DIGITS[currency]), n
        )
        for n, each in enumerate(before)
    )
    taxes = tuple(Tax("old", "VAT", Decimal(draw(percents))) for _ in range(draw(st.integers(0, 1))))
    lines = tuple(rated(str(number), each) for number, each in enumerate(now))
    return ClosedMonth(
        APRIL, policy(fx=FX).policy, currency, per_usd, taxes, "INV-0", True, utc_day(NOW), lines, invoiced
    )


@settings(max_examples=200)
@given(
    usage=st.lists(usd, max_size=6), currency=currencies, sections=rules(), closed=st.lists(closed_months(), max_size=1)
)
def test_printed_lines_and_taxes_are_the_printed_total(
    usage: list[Decimal], currency: str, sections: dict[str, Any], closed: list[ClosedMonth]
) -> None:
    given_policy = policy(**sections).policy
    for document in documents_of(inputs(usage, currency, policy=given_policy, closed=tuple(closed))):
        lines, taxes, total = printed(document)
        assert lines + taxes == total == document.total_minor
        assert (document.kind == "credit_note") == (total < 0)
        without = [line.amount_minor for line in document.lines if line.kind != "credit"]
        if any(line.kind == "credit" for line in document.lines):
            assert total >= 0
            assert sum(without) > 0
        for line in document.lines:
            if line.kind == "usage":
                exact = Fraction(line.billed_exact) * Fraction(PER_USD[currency]) * 10 ** DIGITS[currency]
                assert line.amount_minor == half_up(exact)
        for each in document.taxes:
            base = sum(line.amount_minor for line in document.lines if each.tax.code in line.taxes)
            assert (each.base_minor, each.tax_minor) == (
                base,
                half_up(Fraction(base) * Fraction(each.tax.percent) / 100),
            )


@settings(max_examples=60)
@given(st.lists(usd, min_size=1, max_size=6), currencies, st.lists(usd, max_size=5), st.lists(usd, max_size=5))
def test_an_appendix_adds_up_to_the_printed_usage_lines_by_category_and_by_job(
    usage: list[Decimal], currency: str, categories: list[Decimal], jobs: list[Decimal]
) -> None:
    """Any parts at all, the last of which is what is left of the whole."""
    parts = [
        UsagePart(part, str(number), None, None, None, None, amount)
        for part, amounts in (("category", categories), ("job", jobs))
        for number, amount in enumerate([*amounts, exact_sum([*usage, *(each.copy_negate() for each in amounts)])])
    ]
    (document,) = documents_of(replace(inputs(usage, currency), parts=tuple(parts)))
    if document.kind == "credit_note":
        assert document.appendix == ()
        return
    html = render_invoice(replace(document, number="INV-1", buyer=replace(document.buyer, country="US"))).html.decode()
    _, *tables = html.split('<section class="appendix">')[1].split("<table")
    for part, table in zip(("category", "job"), tables, strict=True):
        *printed_rows, whole = [
            int(Fraction(re.sub(r"[^\d.-]", "", cell)) * 10 ** DIGITS[currency])
            for cell in re.findall(r'<td class="n sum">([^<]*)</td>', table)
        ]
        assert printed_rows == [row.amount_minor for row in document.appendix if row.part == part]
        assert sum(printed_rows) == whole == sum(line.amount_minor for line in document.lines)


@settings(max_examples=60)
@given(st.lists(st.lists(usd, min_size=1, max_size=3), min_size=1, max_size=5), rules())
def test_a_credit_is_used_up_and_never_more(months: list[list[Decimal]], sections: dict[str, Any]) -> None:
    """Month after month: each use is taken from what is left, and no month leaves a whole unit that it could use."""
    given_policy = policy(**sections).policy
    used = {credit.id: Decimal(0) for credit in given_policy.credits}
    for usage in months:
        for document in documents_of(inputs(usage, policy=given_policy, credits_used=used)):
            for use in document.credit_uses:
                used[use.credit_id] += use.used
            left = [credit.amount - used[credit.id] for credit in given_policy.credits]
            assert min(left, default=Decimal(0)) >= 0
            worth = [
                int(Fraction(each) * 100 / Fraction(PER_USD[credit.currency or "USD"]))
                for each, credit in zip(left, given_policy.credits, strict=True)
            ]
            assert document.net_minor <= 0 or document.total_minor <= 0 or not any(worth)


def granted(*amounts: tuple[str, str, str | None]) -> list[dict[str, Any]]:
    """Credits of one currency by kind, amount and end."""
    return [
        {
            "id": f"c{n}",
            "tenant": "acme",
            "kind": kind,
            "amount": amount,
            **SINCE,
            **({"until": until} if until else {}),
        }
        for n, (kind, amount, until) in enumerate(amounts)
    ]


def test_what_ends_first_is_used_first_and_given_money_before_paid() -> None:
    given_policy = policy(
        credits=granted(("prepaid", "10", None), ("promotional", "10", None), ("prepaid", "10", "2026-12-01"))
    ).policy
    (document,) = documents_of(inputs([Decimal(25)], policy=given_policy))
    assert [(use.credit_id, use.amount_minor) for use in document.credit_uses] == [
        ("c2", 1000),
        ("c1", 1000),
        ("c0", 500),
    ]
    assert (document.net_minor, document.total_minor) == (0, 0)


def test_a_credit_that_has_ended_is_not_used() -> None:
    given_policy = policy(credits=granted(("promotional", "10", "2026-06-05"))).policy
    (document,) = documents_of(inputs([Decimal(25)], policy=given_policy))
    assert document.credit_uses == ()


def test_a_credit_in_another_currency_is_converted_down_and_the_rest_stays() -> None:
    sections = {"fx": FX, "credits": [{**granted(("prepaid", "10.00", None))[0], "currency": "EUR"}]}
    (document,) = documents_of(inputs([Decimal(100)], policy=policy(**sections).policy))
    (use,) = document.credit_uses
    assert use.amount_minor == 1085  # 10 / 0.9213 = 10.8542...
    assert Decimal("9.996") < use.used < Decimal(10)


def test_fees_and_minimum_hold_for_a_customer_without_usage_and_for_nobody_else() -> None:
    given_policy = policy(
        fees=[{"id": "fee", "description": "Platform fee", "amount": "49", **SINCE}],
        minimums=[{"id": "floor", "amount": "25", **SINCE}],
    ).policy
    (document,) = documents_of(inputs([], policy=given_policy))
    assert [(line.kind, line.amount_minor) for line in document.lines] == [("fee", 4900), ("minimum", 2500)]
    assert documents_of(replace(inputs([], policy=given_policy), is_customer=False)) == []


def test_a_currency_without_a_rate_is_refused() -> None:
    with pytest.raises(PolicyError, match="no exchange rate for CHF"):
        documents_of(inputs([Decimal(1)], "CHF"))


EXTREME = [{"id": "eur", "currency": "EUR", "per_usd": "0.000000000000000001", **SINCE}]
HUGE = [{"id": "eur", "currency": "EUR", "per_usd": "1000000000", **SINCE}]


@pytest.mark.parametrize(
    ("usd", "currency", "sections", "what"),
    [
        ("99999999999", "EUR", {"fx": HUGE}, "the line 'OpenAI · Project · item 00'"),
        (
            "1",
            "EUR",
            {"fx": EXTREME, "fees": [{"id": "f", "description": "Fee", "amount": 49, "currency": "EUR", **SINCE}]},
            "the line 'Fee'",
        ),
        (
            "1",
            "USD",
            {"fx": EXTREME, "minimums": [{"id": "m", "amount": 1000, "currency": "EUR", **SINCE}]},
            "the line 'Minimum commitment of 1000 EUR'",
        ),
        (
            "90000000",
            "EUR",
            {"fx": HUGE, "taxes": [{"id": "t", "name": "VAT", "percent": 19, **SINCE}]},
            "the total",
        ),
    ],
)
def test_a_rate_with_its_digits_in_the_wrong_place_is_said_to_be_one(
    usd: str, currency: str, sections: dict[str, Any], what: str
) -> None:
    said = f"2026-05 of acme cannot be invoiced in {currency}: {re.escape(what)} comes to more than .* under fx"
    with pytest.raises(PolicyError, match=said):
        documents_of(inputs([Decimal(usd)], currency, policy=policy(**sections).policy))


def test_the_largest_amount_a_document_holds_is_invoiced() -> None:
    most = Decimal(2**63 - 1)
    (document,) = documents_of(inputs([most / 10**11], "EUR", policy=policy(fx=HUGE).policy))
    assert (document.total_minor, document.lines[0].amount_minor) == (2**63 - 1, 2**63 - 1)


def test_rate_due_day_and_who_accepted_stand_on_the_document() -> None:
    given_policy = policy(fx=FX, invoice={"due_days": 14, "terms": "Payable without deduction."}).policy
    accepted = Acceptance("agreed by phone", "Erika Muster", "openai costs 2026-05-31 is missing")
    (document,) = documents_of(replace(inputs([Decimal(100)], "EUR", policy=given_policy), accepted=accepted))
    text = render_invoice(document).html.decode()
    for expected in ("0,9213 EUR", "19 June 2026", "Payable without deduction.", "Erika Muster", "agreed by phone"):
        assert expected in text
    assert "2026-05-31 is missing" not in text
