"""Documents of every shape that has to look right, by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from tokenboard_etl.billing.invoice import Acceptance, Buyer, Invoice, Line, Tax, TaxSum
from tokenboard_etl.billing.policy import Seller
from tokenboard_etl.periods import Month

HOSTILE = "<script>alert('x')</script>\"' onload=1 {{ 7*7 }} =1+1"
CONTROL = "a\x00b\x07c\x1b[31md\x9b2Je\u202egpj.exe\r\nf\u061cg"
"""What providers let people name a project or a key."""
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenfabrikationsverwaltung" * 2


def usage(number: int, provider: str, account: str, item: str, minor: int, quantity: str | None = None) -> Line:
    return Line(
        number,
        "usage",
        f"{provider} · {account} · {item}",
        provider,
        f"id-{account}",
        account,
        item,
        "default",
        Decimal(quantity) if quantity else None,
        "1000_tokens" if quantity else None,
        Decimal(minor).scaleb(-2),
        minor,
        "2026-05",
    )


def flat(number: int, kind: str, text: str, minor: int, original: tuple[str, int | None] = ("", None)) -> Line:
    return Line(
        number, kind, text, "", "", "", "", "rule", None, None, Decimal(minor).scaleb(-2), minor, "2026-05",
        original[0] or None, original[1],
    )  # fmt: skip


SELLER = Seller(
    name="Beacon Resale GmbH",
    address=("Am Leuchtturm 7", "20457 Hamburg"),
    country="DE",
    tax_id="DE123456789",
    email="billing@beacon.example",
)

SIMPLE = Invoice(
    "INV-2026-00007",
    Buyer("acme", "Acme & Söhne", "US", "rechnung@acme.example"),
    Month(2026, 5),
    "USD",
    datetime(2026, 6, 5, 2, 0, tzinfo=UTC),
    (
        usage(1, "openai", "Acme", "gpt-6-sol, input", 123456, "918625"),
        usage(2, "openai", "Acme", "web search tool calls", 7),
        usage(3, "openrouter", "team-atlas", "openai/gpt-6-sol", -50, "0.5"),
    ),
)

FULL = replace(
    SIMPLE,
    number="INV-2026-00008",
    buyer=Buyer("acme", "Acme & Söhne", "DE", "rechnung@acme.example"),
    currency="EUR",
    per_usd=Decimal("0.92"),
    seller=SELLER,
    due_on=date(2026, 7, 5),
    terms="Payable within 30 days without deduction to IBAN DE02 1203 0000 0000 2020 51, naming the invoice's number.",
    accepted=Acceptance("the provider confirmed the figures by mail", "Jo Finance", "a day was provisional"),
    lines=(
        usage(1, "openai", "Acme production", "gpt-6-sol, input", 123456, "918625"),
        usage(2, "openai", "Acme production", "gpt-6-sol, output", 98700, "120400.25"),
        usage(3, "openai", "Acme staging", "web search tool calls", 7),
        usage(4, "openrouter", "team-atlas", "anthropic/claude-sonnet-4.6", 45050),
        flat(5, "fee", "Platform fee", 25000),
        flat(6, "minimum", "Minimum commitment of €3,000.00, not reached by", 7787),
        flat(7, "adjustment", "2026-04: OpenAI · Acme production · gpt-6-sol, input", -312, ("INV-2026-00003", 4)),
        flat(8, "credit", "Welcome credit", -10000),
    ),
    taxes=(
        TaxSum(Tax("vat", "VAT", Decimal(19)), 264688, 50291),
        TaxSum(Tax("vat-zero", "VAT", Decimal(0), "Reverse charge: the customer owes the tax."), 25000, 0),
    ),
)

CREDIT_NOTE = replace(
    FULL,
    number="CN-2026-00002",
    kind="credit_note",
    corrects="INV-2026-00008",
    reason="The customer was on another plan.",
    accepted=None,
    due_on=None,
    terms=None,
    lines=(
        flat(1, "credit_note", "OpenAI · Acme production · gpt-6-sol, input", -123456, ("INV-2026-00008", 1)),
        flat(2, "credit_note", "Platform fee", -25000, ("INV-2026-00008", 5)),
    ),
    taxes=(TaxSum(Tax("vat", "VAT", Decimal(19)), -148456, -28207),),
)

HOSTILE_NAMES = replace(
    FULL,
    buyer=Buyer("acme", HOSTILE, None, HOSTILE),
    terms=HOSTILE,
    reason=HOSTILE,
    seller=Seller(name=HOSTILE, address=(HOSTILE,)),
    lines=(usage(1, "openai", HOSTILE, HOSTILE, 100), flat(2, "fee", HOSTILE, 100)),
)

SAMPLES = {
    "simple": SIMPLE,
    "full": FULL,
    "credit-note": CREDIT_NOTE,
    "hostile": HOSTILE_NAMES,
    "control-characters": replace(
        FULL, lines=(usage(1, "openai", CONTROL, CONTROL, 100), usage(2, "openai", "after", "it", 200)), taxes=()
    ),
    "empty": replace(FULL, lines=(), taxes=()),
    "long-names": replace(
        FULL,
        buyer=Buyer("a" * 48, LONG, "DE", f"{LONG.lower()}@example.com"),
        seller=Seller(name=LONG, address=(LONG,), country="DE", tax_id="DE" + "9" * 60),
        terms=LONG,
        lines=(usage(1, "openai", LONG, LONG, 10**13, "123456789012345678.123456"), flat(2, "fee", LONG, -(10**13))),
        taxes=(TaxSum(Tax("t", LONG, Decimal("7.125")), 10**13, 10**12),),
    ),
    "right-to-left": replace(
        FULL,
        currency="ILS",
        buyer=Buyer("shalom", "שלום סוכנות בע״מ", "IL", "cfo@shalom.example"),
        seller=Seller(name="شركة المنارة (2) للتجارة", address=("شارع الملك 7، دبي",), country="AE"),
        terms="لتُدفع خلال 30 يومًا.",
        lines=(
            usage(1, "openai", "פרויקט 1 (ייצור)", "gpt-6-sol, input", 123456, "918625"),
            usage(2, "openai", "فريق أطلس", "فئة 3 - gpt", 7),
        ),
    ),
    "yen": replace(FULL, currency="JPY", buyer=Buyer("tokyo", "東京エージェンシー", "JP", None)),
    "dinar": replace(FULL, currency="KWD", buyer=Buyer("kuwait", "Kuwait Agency", "KW", None)),
    "500-lines": replace(
        FULL,
        lines=tuple(
            usage(
                number,
                "openai" if number <= 400 else "openrouter",
                f"Team {number // 60}",
                f"model-{number}",
                number,
            )
            for number in range(1, 501)
        ),
    ),
}
