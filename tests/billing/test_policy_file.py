"""The policy file as people write it: what is read, what is refused, and what the error says."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_file import PolicyFile, load_policy, parse_policy
from tokenboard_etl.billing.policy_schema import policy_schema
from tokenboard_etl.errors import PolicyError
from tokenboard_etl.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = (DOCS / "policy.example.yaml").read_bytes()


def parse(text: str) -> PolicyFile:
    return parse_policy(text.encode(), "policy.yaml")


# --- documents ------------------------------------------------------------------------------------------------------


def test_the_example_loads_and_its_version_is_the_checksum_of_its_bytes() -> None:
    file = parse_policy(EXAMPLE, "policy.example.yaml")
    assert file.sha256 == hashlib.sha256(EXAMPLE).hexdigest()
    assert file.content.encode() == EXAMPLE
    assert file.policy.margins[0].factor == Decimal("1.300000")


def test_the_example_shows_every_field_there_is() -> None:
    shown = yaml.safe_load(EXAMPLE)
    assert missing(Policy, shown) == []


def missing(model: type[BaseModel], shown: Any, place: str = "") -> list[str]:
    """Fields of a model that stand in none of the shown mappings."""
    entries = shown if isinstance(shown, list) else [shown]
    absent = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        values = [entry[key] for entry in entries if key in entry]
        if not values:
            absent.append(f"{place}{key}")
        elif inner := next(iter(models_in(field.annotation)), None):
            absent += missing(
                inner, [v for value in values for v in (value if isinstance(value, list) else [value])], f"{key}."
            )
    return absent


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def test_the_documentation_names_every_key() -> None:
    text = (DOCS / "policy.md").read_text()
    assert [key for key in Policy.model_fields if f"| `{key}` |" not in text] == []


def test_the_schema_in_the_documentation_is_current() -> None:
    assert (DOCS / "policy.schema.json").read_text() == policy_schema(), "run `make schema`"


class AsEditorsRead(yaml.SafeLoader):
    """YAML 1.2's core schema, in which a date is text."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, form) for tag, form in known if not tag.endswith(":timestamp")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        (EXAMPLE.decode(), True),
        ("margins: [{id: a, percent: 25, from: 2026-01-01}]", True),
        ("margins: [{id: a, percent: '25.5', from: 2026-01-01}]", True),
        ("margins: [{id: a, percnt: 25, from: 2026-01-01}]", False),
        ("margins: [{id: a, percent: 25%, from: 2026-01-01}]", False),
        ("margins: [{id: a, percent: 25, from: 2026-01-01, tenant: }]", False),
        ("margins: [{id: a, percent: 25}]", False),
        ("taxes: [{id: a, name: VAT, percent: 101, from: 2026-01-01}]", False),
        ("seler: {name: x}", False),
    ],
)
def test_the_schema_says_in_the_editor_what_the_loader_says(text: str, sound: bool) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(policy_schema()))
    assert validator.is_valid(yaml.load(text, AsEditorsRead)) is sound
    if sound:
        parse(text)
    else:
        with pytest.raises(PolicyError):
            parse(text)


# --- what is read ---------------------------------------------------------------------------------------------------


def test_an_empty_file_is_the_built_in_policy() -> None:
    for text in ("", "# nothing\n", "\ufeff", "{}"):
        assert parse(text).policy == Policy()


@pytest.mark.parametrize("written", ["0.1", "'0.1'", "0.10"])
def test_numbers_are_exactly_what_is_written(written: str) -> None:
    (minimum,) = parse(f"minimums: [{{id: a, amount: {written}, from: 2026-01-01}}]").policy.minimums
    assert minimum.amount == Decimal("0.1")


def test_a_number_with_more_digits_than_a_float_has_stays_whole() -> None:
    digits = "123456789.123456789012345678"
    (minimum,) = parse(f"minimums: [{{id: a, amount: {digits}, from: 2026-01-01}}]").policy.minimums
    assert str(minimum.amount) == digits


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    (tax,) = parse("taxes: [{id: 007, name: on, country: NO, percent: 25, from: 2026-01-01}]").policy.taxes
    assert (tax.id, tax.name, tax.country, tax.valid_from) == ("007", "on", "NO", date(2026, 1, 1))


# --- what is refused ------------------------------------------------------------------------------------------------

RULE = "percent: 25, from: 2026-01-01"

REFUSED = {
    "no_mapping": ("- a", "line 1: this must be a block"),
    "unknown_section": ("currency: USD\nmargin: []", "line 2: there is no 'margin' here; did you mean 'margins'?"),
    "unknown_key": (
        f"margins:\n- {{id: a, {RULE}}}\n- id: b\n  from: 2026-01-01\n  percnt: 3",
        "line 5, margins 'b': there is no 'percnt' here; did you mean 'percent'?",
    ),
    "nothing_near": ("zzzz: 1", "line 1: there is no 'zzzz' here; known: seller, "),
    "unknown_key_within": ("invoice:\n  due_day: 3", "line 2: there is no 'due_day' here; did you mean 'due_days'?"),
    "percent_sign": ("margins:\n- id: a\n  from: 2026-01-01\n  percent: 25%", "line 4, margins 'a': percent: '25%' is"),
    "exponent": (f"margins: [{{id: a, {RULE.replace('25', '1e1')}}}]", "'1e1' is not a number"),
    "not_a_number": (f"margins: [{{id: a, {RULE.replace('25', '.nan')}}}]", "'.nan' is not a number"),
    "too_many_decimals": (f"margins: [{{id: a, {RULE.replace('25', '2.00001')}}}]", "2.00001 has more than 4 decimals"),
    "too_large": (f"margins: [{{id: a, {RULE.replace('25', '90000')}}}]", "percent: Input should be less than 90000"),
    "no_token_price": (
        "price_overrides: [{id: a, model: m, token_kind: input, usd_per_million_tokens: 123456789012345678, "
        "from: 2026-01-01}]",
        "usd_per_million_tokens: Input should be less than or equal to 1000000",
    ),
    "long_number": (f"invoice: {{number: '{'x' * 100}{{year}}-{{number}}'}}", "number: has more than 100 characters"),
    "negative_fee": ("minimums: [{id: a, amount: -1, from: 2026-01-01}]", "amount: Input should be greater than or"),
    "both_ways": (f"margins: [{{id: a, multiplier: 2, {RULE}}}]", "margins 'a': give either percent or multiplier"),
    "neither_way": ("margins:\n- id: a\n  from: 2026-01-01", "line 2, margins 'a': give either percent or multiplier"),
    "no_id": (f"margins:\n- {{{RULE}}}", "line 2, margins, entry 1: 'id' is missing"),
    "no_from": ("margins:\n- {id: a, percent: 1}", "line 2, margins 'a': 'from' is missing"),
    "no_value": (f"margins:\n- id: a\n  tenant:\n  {RULE.replace(', ', chr(10) + '  ')}", "line 3: a value is missing"),
    "no_such_day": ("fx: [{id: a, currency: EUR, per_usd: 1, from: 2026-02-30}]", "'2026-02-30' is not a date"),
    "a_time": ("fx: [{id: a, currency: EUR, per_usd: 1, from: 2026-02-03T00:00:00Z}]", "is not a date"),
    "no_days": (f"margins: [{{id: a, until: 2026-01-01, {RULE}}}]", "until 2026-01-01 is not after from 2026-01-01"),
    "an_id_twice": (
        f"margins:\n- {{id: a, {RULE}}}\ntaxes:\n- {{id: a, name: VAT, {RULE}}}",
        "line 4, taxes 'a' (and line 2): the id 'a' is taken",
    ),
    "a_reserved_id": (f"margins: [{{id: default-openai, {RULE}}}]", "ids that begin with 'default-'"),
    "a_rate_twice": (
        "fx:\n- {id: a, currency: EUR, per_usd: 1, from: 2026-01-01}\n"
        "- {id: b, currency: EUR, per_usd: 2, from: 2026-01-01}",
        "line 3, fx 'b' (and line 2): 'a' and 'b' give EUR from the same day on",
    ),
    "a_rate_of_nothing": ("fx: [{id: a, currency: EUR, per_usd: 0, from: 2026-01-01}]", "greater than 0"),
    "no_such_currency": ("currency: ZZZ", "'ZZZ' is not an ISO 4217 currency code"),
    "no_such_provider": (
        f"margins: [{{id: a, provider: opnai, {RULE}}}]",
        "'opnai' matches none of openai, openrouter",
    ),
    "no_such_category": (f"margins: [{{id: a, category: cv, {RULE}}}]", "'cv' matches none of cv-parsing, "),
    "own_accounts": ("own_accounts: true", "line 1: spend on tenants' own accounts cannot be invoiced yet"),
    "thresholds_that_fall": ("budgets: [{id: a, usd: 1, thresholds: [80, 50], from: 2026-01-01}]", "thresholds must"),
    "a_number_format": ("invoice: {number: 'R{number}'}", "needs {year} and {number:05d} once each"),
    "a_number_that_leaves_the_folder": ("invoice: {number: '../{year}{number}'}", "needs {year}"),
    "half_a_day": ("waiting_days: 1.5", "'1.5' is not a whole number"),
    "not_a_list": ("margins: 3", "line 1: margins: this must be a list"),
    "a_key_twice": ("currency: USD\ncurrency: EUR", "line 2: 'currency' stands here twice"),
    "an_alias": ("seller: &s {name: x}\ninvoice: *s", "line 2: aliases (*name) are not understood"),
    "a_tag": ("seller: {name: !env HOME}", "'!env' is not understood"),
    "a_python_object": ("seller: !!python/object/apply:os.system [ls]", "is not understood"),
    "a_merge": ("seller: {<<: {name: x}}", "a key must be a word"),
    "two_documents": ("currency: USD\n---\ncurrency: EUR", "line 2: this is not YAML"),
    "no_yaml": ("currency: USD\nmargins: [", "line 2: this is not YAML"),
    "unprintable": ('seller: {name: "a\\u202Eb"}', "holds characters that cannot be printed"),
    "deep": ("[" * 400_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_line_and_rule(case: str) -> None:
    text, says = REFUSED[case]
    with pytest.raises(PolicyError) as raised:
        parse(text)
    message = str(raised.value)
    assert message.startswith("policy.yaml, line ")
    assert says in message
    assert "\n" not in message
    assert raised.value.exit_status == 2


def test_the_first_of_several_problems_is_told_and_the_others_are_counted() -> None:
    with pytest.raises(PolicyError, match=r"line 1: .*'seler'.* 2 more problem\(s\) follow\."):
        parse("seler: {}\nmargin: []\ncurrency: EURO")


def test_bytes_that_are_no_text_are_refused_on_their_line() -> None:
    with pytest.raises(PolicyError, match="line 2: the file is not text in UTF-8"):
        parse_policy(b"currency: USD\n\xff", "policy.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"absent\.yaml \(TOKENBOARD_POLICY\) cannot be read: No such file"):
        load_policy(load_settings(TOKENBOARD_POLICY=str(tmp_path / "absent.yaml")))


def test_a_settle_time_that_differs_from_the_environments_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("settle_days: 3\n")
    with pytest.raises(PolicyError, match="settle_days: 3, and TOKENBOARD_SETTLE_DAYS is 4"):
        load_policy(load_settings(TOKENBOARD_POLICY=str(path)))
    assert load_policy(load_settings(TOKENBOARD_POLICY=str(path), TOKENBOARD_SETTLE_DAYS="3")).policy.settle_days == 3
