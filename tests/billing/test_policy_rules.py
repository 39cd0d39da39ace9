"""What a policy answers by day: rates, taxes, credits, fees, budgets, categories, prices; and how patterns meet."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_globs import intersect, matches
from tokenboard_etl.errors import PolicyError

MAY = date(2026, 5, 1)


def policy(text: str) -> Policy:
    return parse_policy(text.encode(), "policy.yaml").policy


# --- patterns -------------------------------------------------------------------------------------------------------

patterns = st.text("ab*?", max_size=6)


def as_regex(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern) + r"\Z", re.DOTALL)


@given(patterns, st.text("ab\n*?", max_size=8))
def test_a_pattern_matches_what_its_regular_expression_does(pattern: str, text: str) -> None:
    assert matches(pattern, text) is bool(as_regex(pattern).match(text))


SHORT_TEXTS = [""]
for _ in range(7):
    SHORT_TEXTS += [text + char for text in SHORT_TEXTS if len(text) == len(SHORT_TEXTS[-1]) for char in "ab"]


@given(st.text("ab*?", max_size=3), st.text("ab*?", max_size=3))
def test_two_patterns_meet_where_some_text_matches_both(one: str, other: str) -> None:
    """Two patterns of three characters that meet at all meet in a text of six."""
    both = [text for text in SHORT_TEXTS if as_regex(one).match(text) and as_regex(other).match(text)]
    assert intersect(one, other) is bool(both)
    assert intersect(other, one) is bool(both)


def test_endless_stars_are_no_endless_work() -> None:
    assert not matches("*a" * 90, "a" * 89 + "b")
    assert intersect("*a" * 90 + "*", "*b" * 90 + "*")


# --- ambiguity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", ""),
        ("model: 'gpt-*'", "model: '*-mini'"),
        ("model: 'gpt-*', tenant: acme", "model: '*-mini', tenant: acme"),
        ("provider: openai", "provider: openai"),
        ("tenant: 'a*', until: 2026-07-01", "tenant: '?b*'"),
    ],
)
def test_rules_of_which_neither_goes_first_are_refused_and_both_are_named(one: str, other: str) -> None:
    with pytest.raises(PolicyError, match=r"line 3, margins 'second' \(and line 2\): 'first' and 'second' can hold"):
        policy(margins(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("until: 2026-06-01", "from: 2026-06-01"),
        ("model: 'gpt-*'", "model: 'o1-*'"),
        ("model: 'gpt-*'", "model: gpt-4o"),
        ("model: 'gpt-*', tenant: acme", "model: '*-mini', tenant: beta"),
        ("model: 'gpt-*'", "line_item: 'gpt-*'"),
        ("tenant: 'a*', model: gpt-4o", "tenant: acme, model: 'gpt-*'"),
    ],
)
def test_rules_that_are_told_apart_stand_side_by_side(one: str, other: str) -> None:
    assert len(policy(margins(one, other)).margins) == 2


def margins(one: str, other: str) -> str:
    rules = []
    for name, fields in (("first", one), ("second", other)):
        start = "" if "from:" in fields else ", from: 2026-01-01"
        rules.append(f"- {{id: {name}, percent: 1{start}{fields and ', ' + fields}}}")
    return "\n".join(["margins:", *rules])


def test_taxes_of_several_names_do_not_compete_and_fees_add_up() -> None:
    rules = policy(
        """
        taxes:
        - {id: gst, name: GST, percent: 5, country: CA, from: 2026-01-01}
        - {id: pst, name: PST, percent: 7, country: CA, from: 2026-01-01}
        fees:
        - {id: b, description: B, amount: 2, from: 2026-01-01}
        - {id: a, description: A, amount: 1, from: 2026-01-01}
        """
    )
    assert [tax.id for tax in rules.taxes_for("acme", "CA", MAY)] == ["gst", "pst"]
    assert [fee.id for fee in rules.fees_for("acme", MAY)] == ["a", "b"]


# --- answers --------------------------------------------------------------------------------------------------------


def test_the_tax_with_more_fields_goes_first_and_an_unknown_country_matches_none() -> None:
    rules = policy(
        """
        taxes:
        - {id: export, name: VAT, percent: 0, from: 2026-01-01}
        - {id: de, name: VAT, percent: 19, country: DE, from: 2026-01-01}
        - {id: acme, name: VAT, percent: 7, tenant: acme, from: 2026-02-01, until: 2026-06-01}
        - {id: acme-de, name: VAT, percent: 16, tenant: acme, country: DE, from: 2026-03-01, until: 2026-04-01}
        """
    )

    def tax(tenant: str, country: str | None, day: date) -> str:
        return rules.taxes_for(tenant, country, day)[0].id

    assert tax("beta", "DE", MAY) == "de"
    assert tax("beta", "FR", MAY) == "export"
    assert tax("beta", None, MAY) == "export"
    assert tax("acme", "DE", date(2026, 1, 31)) == "de"
    assert tax("acme", "DE", date(2026, 2, 1)) == "acme"
    assert tax("acme", "DE", date(2026, 3, 1)) == "acme-de"
    assert tax("acme", "DE", date(2026, 5, 31)) == "acme"
    assert tax("acme", "DE", date(2026, 6, 1)) == "de"
    assert rules.taxes_for("beta", "DE", date(2025, 12, 31)) == ()


def test_a_rate_holds_until_the_next_and_is_never_taken_to_be_one() -> None:
    rules = policy(
        """
        fx:
        - {id: b, currency: EUR, per_usd: 0.8, from: 2026-05-02}
        - {id: a, currency: EUR, per_usd: 0.9, from: 2026-01-01}
        """
    )
    assert rules.rate("EUR", MAY) == Decimal("0.9")
    assert rules.rate("EUR", MAY + timedelta(days=1)) == Decimal("0.8")
    assert rules.rate("USD", MAY) == 1
    for currency, day in (("EUR", date(2025, 12, 31)), ("GBP", MAY)):
        with pytest.raises(PolicyError, match=f"no exchange rate for {currency} on {day}"):
            rules.rate(currency, day)


def test_credits_are_used_in_the_order_they_end_and_gifts_before_payments() -> None:
    rules = policy(
        """
        credits:
        - {id: d, tenant: acme, kind: prepaid, amount: 1, from: 2026-01-01}
        - {id: c, tenant: acme, kind: promotional, amount: 1, from: 2026-01-01}
        - {id: b, tenant: acme, kind: prepaid, amount: 1, from: 2026-01-01, until: 2026-06-01}
        - {id: a, tenant: acme, kind: prepaid, amount: 1, from: 2026-01-01, until: 2026-05-01}
        - {id: e, tenant: beta, kind: prepaid, amount: 1, from: 2026-01-01}
        """
    )
    assert [credit.id for credit in rules.credits_for("acme", MAY)] == ["b", "c", "d"]


def test_minimums_budgets_and_fallback_prices_know_the_tenant() -> None:
    rules = policy(
        """
        minimums:
        - {id: m, amount: 10, from: 2026-01-01}
        - {id: ma, tenant: acme, amount: 20, currency: EUR, from: 2026-01-01}
        budgets:
        - {id: b, usd: 10, from: 2026-06-01}
        - {id: ba, tenant: "ac*", usd: 20, from: 2026-01-01}
        fallback_prices:
        - {id: f, category: cv-parsing, unit: cv, usd: 1, from: 2026-01-01}
        - {id: fa, tenant: acme, category: cv-parsing, unit: cv, usd: 2, from: 2026-01-01}
        """
    )
    minimum, budget = rules.minimum_for("acme", MAY), rules.budget_for("acme", MAY)
    assert minimum
    assert (minimum.id, minimum.currency) == ("ma", "EUR")
    assert budget
    assert (budget.id, budget.thresholds) == ("ba", (50, 80, 100))
    assert rules.budget_for("beta", MAY) is None
    assert [getattr(rules.fallback_price("cv-parsing", t, MAY), "id", None) for t in ("acme", "beta")] == ["fa", "f"]
    assert rules.fallback_price("video-interview", "acme", MAY) is None


def test_a_price_override_names_model_tier_and_kind_and_is_exact_by_the_token() -> None:
    rules = policy(
        """
        price_overrides:
        - {id: a, model: "gpt-*", token_kind: input, usd_per_million_tokens: 0.150000000001, from: 2026-01-01}
        - {id: b, model: "gpt-*", tier: batch, token_kind: input, usd_per_million_tokens: 1, from: 2026-01-01}
        """
    )
    found = rules.price_override("gpt-4o", "default", "input", MAY)
    assert found
    assert found.usd_per_token == Decimal("0.000000150000000001")
    assert getattr(rules.price_override("gpt-4o", "batch", "input", MAY), "id", None) == "b"
    assert rules.price_override("gpt-4o", "default", "output", MAY) is None


@pytest.mark.parametrize(
    ("tokens", "requests", "category"),
    [
        (5001, 1, "cv-parsing"),
        (10_001, 2, "cv-parsing"),
        (10_000, 2, "video-interview"),
        (1001, 1, "video-interview"),
        (1000, 1, "question-generation"),
        (0, 1, "question-generation"),
        (5, 0, "uncategorised"),
        (None, None, "uncategorised"),
    ],
)
def test_the_built_in_categories_go_by_tokens_for_a_request(
    tokens: int | None, requests: int | None, category: str
) -> None:
    found = Policy().category_of(MAY, api_key="k", project="p", model="m", tokens=tokens, requests=requests)
    assert found == category


def test_a_category_by_key_or_project_needs_no_usage_and_the_first_match_decides() -> None:
    rules = policy(
        """
        categories:
        - {id: a, category: video, project: "proj_v*", until: 2026-05-02, from: 2026-01-01}
        - {id: b, category: cv, api_key: key_cv, over_tokens_per_request: 10, from: 2026-01-01}
        - {id: c, category: rest, from: 2026-01-01}
        """
    )

    def category(day: date, project: str, api_key: str, tokens: int | None) -> str:
        return rules.category_of(
            day, api_key=api_key, project=project, model=None, tokens=tokens, requests=tokens and 1
        )

    assert category(MAY, "proj_v1", "key_cv", 11) == "video"
    assert category(MAY, "proj_v1", "x", None) == "video"
    assert category(MAY + timedelta(days=1), "proj_v1", "x", None) == "uncategorised"
    assert category(MAY, "p", "key_cv", 11) == "cv"
    assert category(MAY, "p", "key_cv", 10) == "rest"
    assert category(MAY, "p", "key_cv", None) == "uncategorised"
