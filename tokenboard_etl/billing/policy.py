"""The policy: what finance decides. Prices, fees, credits, taxes, rates, budgets, and how invoices look.

It is read from the YAML file TOKENBOARD_POLICY names (policy_file.py); what the file leaves out has the defaults here.
Days are UTC days, `until` is excluded. Margins are applied in SQL (sql/billing/rates.sql); everything else is asked
here, by day.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from tokenboard_etl.billing.policy_fields import Country, Currency, Email, Part, Percent, Text, Whole
from tokenboard_etl.billing.policy_globs import matches
from tokenboard_etl.billing.policy_rules import (
    SINCE_EVER,
    Budget,
    Category,
    Credit,
    Exchange,
    FallbackPrice,
    Fee,
    InvoicedEstimates,
    Margin,
    Minimum,
    PriceOverride,
    Tax,
    winner,
)
from tokenboard_etl.errors import PolicyError

UNCATEGORISED = "uncategorised"
_LONGEST_NUMBER = 100
"""A document's number is its file's name too, and systems of files hold no more than 255 bytes."""


def _number_format(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"has more than {_LONGEST_NUMBER} characters")
    rest = re.sub(r"\{year\}|\{number(:0[1-9]d)?\}", "", text)
    if text.count("{year}") != 1 or text.count("{number") != 1 or re.search(r"[^A-Za-z0-9._-]", rest):
        raise ValueError("needs {year} and {number:05d} once each, and else letters, digits, '.', '_' and '-'")
    return text


class Seller(Part):
    """Who invoices, as printed."""

    name: Text
    address: tuple[Text, ...] = Field((), description="Line by line.")
    country: Country | None = None
    tax_id: Text | None = Field(None, description="VAT number or the like.")
    email: Email | None = None


class InvoiceForm(Part):
    """How invoices are numbered and what they ask for."""

    number: Annotated[Text, AfterValidator(_number_format)] = Field(
        "INV-{year}-{number:05d}", description="{year} is the year of issue, {number} counts within it."
    )
    terms: Text | None = Field(None, description="Printed at the end.")
    due_days: Whole = Field(30, ge=0, le=365, description="Days from issue until payment is due.")


_CATEGORIES = tuple(
    Category.model_validate({"id": f"default-{category}", "from": SINCE_EVER, "category": category, **condition})
    for category, condition in (
        ("cv-parsing", {"over_tokens_per_request": 5000}),
        ("video-interview", {"over_tokens_per_request": 1000}),
        ("question-generation", {}),
    )
)
_FALLBACK_PRICES = tuple(
    FallbackPrice.model_validate(
        {"id": f"default-price-{unit}", "from": SINCE_EVER, "category": category, "unit": unit, "usd": usd}
    )
    for category, unit, usd in (
        ("cv-parsing", "cv", "0.50"),
        ("question-generation", "question", "0.01"),
        ("video-interview", "minute", "0.30"),
    )
)


class Policy(Part):
    """What TokenBoard ETL is to charge, and how."""

    seller: Seller | None = None
    operator_email: Email | None = Field(None, description="Where alerts of providers go.")
    currency: Currency = Field("USD", description="Of fees, minimums and credits that name none.")
    margins: tuple[Margin, ...] = Field((), description="Where none matches, the environment's defaults hold.")
    fees: tuple[Fee, ...] = ()
    minimums: tuple[Minimum, ...] = ()
    credits: tuple[Credit, ...] = ()
    taxes: tuple[Tax, ...] = ()
    fx: tuple[Exchange, ...] = ()
    budgets: tuple[Budget, ...] = ()
    categories: tuple[Category, ...] = _CATEGORIES
    fallback_prices: tuple[FallbackPrice, ...] = _FALLBACK_PRICES
    price_overrides: tuple[PriceOverride, ...] = ()
    invoiced_estimates: tuple[InvoicedEstimates, ...] = ()
    settle_days: Whole | None = Field(
        None, ge=0, le=60, description="What TOKENBOARD_SETTLE_DAYS has to be; none: whatever it is."
    )
    waiting_days: Whole = Field(0, ge=0, le=90, description="Days after a month's end before it can be closed.")
    margin_alarm_percent: Percent = Field(
        Decimal(0), lt=100, description="Alarm where less of a tenant's billed amount remains as gross margin."
    )
    own_accounts: bool = Field(False, description="Whether spend on accounts that tenants brought is invoiced too.")
    invoice: InvoiceForm = InvoiceForm()

    def fees_for(self, tenant: str, day: date) -> tuple[Fee, ...]:
        """Every fee that holds on the day (a month's first), by id."""
        return tuple(sorted((fee for fee in self.fees if fee.covers(day, tenant)), key=lambda fee: fee.id))

    def minimum_for(self, tenant: str, day: date) -> Minimum | None:
        return winner(self.minimums, day, tenant)

    def credits_for(self, tenant: str, day: date) -> tuple[Credit, ...]:
        """Credits that can be used on the day, in the order of use: first what ends first, then what was given."""
        usable = (credit for credit in self.credits if credit.tenant == tenant and credit.holds_on(day))
        return tuple(sorted(usable, key=lambda each: (each.valid_until or date.max, each.kind == "prepaid", each.id)))

    def taxes_for(self, tenant: str, country: str | None, day: date) -> tuple[Tax, ...]:
        """The taxes on a buyer's invoice of the day, one for each name, by name."""
        names = sorted({tax.name for tax in self.taxes})
        chosen = (winner((tax for tax in self.taxes if tax.name == name), day, tenant, country) for name in names)
        return tuple(tax for tax in chosen if tax is not None)

    def rate(self, currency: str, day: date) -> Decimal:
        """Units of a currency for one US dollar. Raises PolicyError where none is known: there is no rate of 1."""
        if currency == "USD":
            return Decimal(1)
        known = [entry for entry in self.fx if entry.currency == currency and entry.valid_from <= day]
        if not known:
            raise PolicyError(
                f"The policy has no exchange rate for {currency} on {day}. Add one under fx, valid from that day or "
                "earlier."
            )
        return max(known, key=lambda entry: entry.valid_from).per_usd

    def budget_for(self, tenant: str, day: date) -> Budget | None:
        return winner(self.budgets, day, tenant)

    def category_of(
        self,
        day: date,
        *,
        api_key: str | None,
        project: str | None,
        model: str | None,
        tokens: int | None = None,
        requests: int | None = None,
    ) -> str:
        """The category of a day's usage; `tokens` are input and output, None or no requests: no usage figures."""
        has_usage = tokens is not None and bool(requests)
        for rule in self.categories:
            given = [(rule.api_key, api_key), (rule.project, project), (rule.model, model)]
            narrowed = any(pattern is not None for pattern, _ in given)
            fits = all(p is None or (fact is not None and matches(p, fact)) for p, fact in given)
            if rule.over_tokens_per_request is not None:
                fits = fits and has_usage and (tokens or 0) > rule.over_tokens_per_request * (requests or 0)
            elif not narrowed:
                fits = has_usage
            if fits and rule.holds_on(day):
                return rule.category
        return UNCATEGORISED

    def fallback_price(self, category: str, tenant: str, day: date) -> FallbackPrice | None:
        return winner((price for price in self.fallback_prices if price.category == category), day, tenant)

    def price_override(self, model: str, tier: str, token_kind: str, day: date) -> PriceOverride | None:
        return winner((each for each in self.price_overrides if each.token_kind == token_kind), day, model, tier)
