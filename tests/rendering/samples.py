"""Documents of every shape that has to look right, by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from tokenboard_etl.billing.invoice import Acceptance, AppendixRow, Buyer, Invoice, Line, Tax, TaxSum
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


def explained(
    number: int, part: str, key: str, minor: int, title: str | None = None, told: str | None = None
) -> AppendixRow:
    """A row of an appendix; `told` are CVs, questions and minutes."""
    cvs, questions, minutes = map(Decimal, told.split()) if told else (None, None, None)
    return AppendixRow(number, part, key, title, cvs, questions, minutes, Decimal(minor).scaleb(-2), minor)


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

APPENDIX = replace(
    FULL,
    appendix=(
        explained(1, "category", "cv-parsing", 150120),
        explained(2, "category", "video-interview", 91000),
        explained(3, "category", "question-generation", 25093),
        explained(4, "category", "uncategorised", 1000),
        explained(5, "job", "J-2041", 120050, "Senior backend engineer (Rust)", "1284 640 0"),
        explained(6, "job", "J-2040", 98211, "Nurse, night shift", "310 1 1822.25"),
        explained(
            7, "job", "J-1977", 30000, "\u05de\u05d4\u05e0\u05d3\u05e1 \u05ea\u05d5\u05db\u05e0\u05d4 (2)", "0 0 1"
        ),
        explained(8, "job", "careers/warehouse-assistant", 0, None, "1 0 0"),
        explained(9, "no_job", "", 12052, None, "12 85 0"),
        explained(10, "rest", "", 6900),
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
    appendix=(
        explained(1, "category", HOSTILE, 100),
        explained(2, "job", f"{HOSTILE} 7", 100, HOSTILE, "1 1 1"),
    ),
)


def with_jobs(number: int) -> Invoice:
    """An invoice over so many jobs, each of its own amount."""
    whole = sum(range(1, number + 1))
    jobs = [
        explained(place, "job", f"J-{place}", number + 1 - place, f"Opening {place} of the season", f"{place} 0 0.5")
        for place in range(1, number + 1)
    ]
    return replace(FULL, lines=(usage(1, "openai", "Acme", "gpt-6-sol", whole),), taxes=(), appendix=tuple(jobs))


SAMPLES = {
    "simple": SIMPLE,
    "full": FULL,
    "appendix": APPENDIX,
    "credit-note": CREDIT_NOTE,
    "hostile": HOSTILE_NAMES,
    "control-characters": replace(
        FULL,
        lines=(usage(1, "openai", CONTROL, CONTROL, 100), usage(2, "openai", "after", "it", 200)),
        taxes=(),
        appendix=(explained(1, "job", "j", 300, CONTROL, "3 0 0"),),
    ),
    "empty": replace(FULL, lines=(), taxes=()),
    "long-names": replace(
        FULL,
        buyer=Buyer("a" * 48, LONG, "DE", f"{LONG.lower()}@example.com"),
        seller=Seller(name=LONG, address=(LONG,), country="DE", tax_id="DE" + "9" * 60),
        terms=LONG,
        lines=(usage(1, "openai", LONG, LONG, 10**13, "123456789012345678.123456"), flat(2, "fee", LONG, -(10**13))),
        taxes=(TaxSum(Tax("t", LONG, Decimal("7.125")), 10**13, 10**12),),
        appendix=(
            explained(1, "category", LONG, 10**13),
            explained(2, "job", LONG.lower(), 10**13, LONG, "12345678901.123456 98765432109.5 12345678901.123456"),
        ),
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
        appendix=(
            explained(1, "job", "J-7 (ב)", 123000, "ראיון 2 (תל אביב)", "12 3 0"),
            explained(2, "job", "J-8", 400, "مهندس برمجيات 3", "0 0 4.5"),
            explained(3, "rest", "", 63),
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
