"""Money: every digit kept, rounded once, and DuckDB agreeing with Python. The oracle is arithmetic on fractions."""

from __future__ import annotations

import contextlib
import decimal
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenboard_etl.money import (
    apportion,
    exact,
    exact_sum,
    format_minor,
    format_usd,
    from_minor,
    minor_unit_digits,
    parse_amount,
    to_minor,
)
from tokenboard_etl.warehouse.sql_files import read_sql

CURRENCY_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}


def half_up(number: Fraction, digits: int) -> int:
    """A number in units of 10**-digits, rounded half away from zero."""
    scaled = abs(number) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return whole if number >= 0 else -whole


@st.composite
def literals(draw: Callable[[st.SearchStrategy[Any]], Any], *, exponents: bool = True) -> str:
    """Amounts as JSON writes numbers, below 10**19, with far more decimals than are kept."""
    whole = str(draw(st.integers(0, 10 ** draw(st.integers(1, 19)) - 1)))
    fraction = draw(st.text("0123456789", max_size=45))
    text = draw(st.sampled_from(("", "-"))) + whole + ("." + fraction if fraction else "")
    if exponents and draw(st.booleans()):
        text += draw(st.sampled_from(("e-", "E-"))) + str(draw(st.integers(0, 40)))
    return text


@given(literals())
@example("0.0000000000000000005")
@example("-0.0000000000000000005")
@example("0.00000000000000000049999999999999999999999")
@example("15e-19")
@example("1.005e-17")
def test_an_amount_is_rounded_half_up_once_to_18_decimals(text: str) -> None:
    amount = parse_amount(text)
    assert amount.as_tuple().exponent == -18
    assert Fraction(amount) == Fraction(half_up(Fraction(text), 18), 10**18)


@given(st.integers(-(10**38) + 1, 10**38 - 1))
def test_an_amount_keeps_every_digit_of_18_decimals(units: int) -> None:
    text = f"{'-' if units < 0 else ''}{abs(units) // 10**18}.{abs(units) % 10**18:018d}"
    assert Fraction(parse_amount(text)) == Fraction(units, 10**18)


@given(literals())
def test_a_json_number_and_its_text_are_the_same_amount(text: str) -> None:
    number = json.loads(text, parse_float=Decimal)
    assert parse_amount(number) == parse_amount(text) == parse_amount(json.loads(f'"{text}"'))


@pytest.mark.parametrize("text", ["0E-6176", "-0E-6176", "0e5", "0", "-0", "0.000", "0E+6144", "1E-6176", "-1e-999999"])
def test_a_zero_of_any_spelling_has_a_sane_scale(text: str) -> None:
    amount = parse_amount(text)
    assert amount == 0
    assert amount.as_tuple() == Decimal(0).quantize(Decimal("1e-18")).as_tuple()._replace(sign=amount.is_signed())
    assert len(f"{amount:f}") <= 21


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        1.5,
        0.0,
        float("nan"),
        float("inf"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "\t1",
        "+1",
        ".5",
        "1.",
        "1,5",
        "1_000",
        "0x10",
        "1e",
        "--1",
        "1.2.3",
        "$1",
        "\uff11\uff12",
        "\u0661\u0662\u0663",
        "1\u066b5",
        "\u22121",
        b"1",
        [1],
        {"value": 1},
    ],
)
def test_what_is_no_plain_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"decimal number|a number or its text"):
        parse_amount(value)


@pytest.mark.parametrize("value", ["1" + "0" * 20, 10**20, -(10**20), "1e20", "-1e20", "9e999999", Decimal("1e21")])
def test_an_amount_no_column_can_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="larger than any real amount"):
        parse_amount(value)


@pytest.mark.parametrize(
    "text", ["99999999999999999999.9999999999999999995", "-99999999999999999999.9999999999999999999"]
)
def test_an_amount_that_rounds_up_beyond_the_column_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="larger than any real amount"):
        parse_amount(text)


@pytest.mark.parametrize("text", ["1e99999999999999999999", "1e-99999999999999999999", "0e99999999999999999999"])
def test_an_exponent_beyond_all_reason_is_a_value_error(text: str) -> None:
    """Only ValueError becomes a message about the field; another exception would end the program."""
    with contextlib.suppress(ValueError):
        assert parse_amount(text) == 0


_units_38 = st.integers(-(10**38) + 1, 10**38 - 1)
_units_9 = st.integers(-(10**9) + 1, 10**9 - 1)


@given(st.lists(_units_38, max_size=60))
def test_sums_of_amounts_are_exact(units: list[int]) -> None:
    with exact():
        total = sum((Decimal(each).scaleb(-18) for each in units), Decimal(0))
    assert Fraction(total) == Fraction(sum(units), 10**18)


@given(_units_38, _units_9)
def test_an_amount_times_a_multiplier_is_exact(amount: int, multiplier: int) -> None:
    with exact():
        product = Decimal(amount).scaleb(-18) * Decimal(multiplier).scaleb(-6)
    assert Fraction(product) == Fraction(amount * multiplier, 10**24)


@given(_units_38, _units_38)
def test_the_product_of_two_amounts_is_exact(left: int, right: int) -> None:
    with exact():
        product = Decimal(left).scaleb(-18) * Decimal(right).scaleb(-18)
    assert Fraction(product) == Fraction(left * right, 10**36)


def test_floats_do_not_mix_with_money() -> None:
    with exact():
        with pytest.raises(decimal.FloatOperation):
            Decimal(1) < 1.5  # noqa: B015 - the comparison itself is refused
        with pytest.raises(decimal.FloatOperation):
            Decimal(float(1) / 10)


def test_exactness_ends_with_its_block() -> None:
    before = decimal.getcontext().prec
    with exact():
        assert decimal.getcontext().prec == 76
    assert decimal.getcontext().prec == before


_currencies = st.sampled_from(sorted(CURRENCY_DIGITS))


@given(st.integers(-(10**38) + 1, 10**38 - 1), _currencies)
@example(5 * 10**21, "USD")
@example(-5 * 10**21, "USD")
@example(5 * 10**23, "JPY")
@example(-5 * 10**23, "JPY")
@example(5 * 10**20, "KWD")
@example(4999999999999999999999, "USD")
def test_an_invoice_line_is_rounded_half_up_to_minor_units(units: int, currency: str) -> None:
    amount = Decimal(units).scaleb(-24, decimal.Context(prec=76))
    assert to_minor(amount, currency) == half_up(Fraction(units, 10**24), CURRENCY_DIGITS[currency])


@given(st.integers(-(10**30), 10**30), _currencies)
def test_minor_units_survive_a_round_trip(minor: int, currency: str) -> None:
    amount = from_minor(minor, currency)
    assert to_minor(amount, currency) == minor
    assert Fraction(amount) == Fraction(minor, 10 ** CURRENCY_DIGITS[currency])


@pytest.mark.parametrize(("currency", "digits"), CURRENCY_DIGITS.items())
def test_a_currency_has_the_digits_of_iso_4217(currency: str, digits: int) -> None:
    assert minor_unit_digits(currency) == digits


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (123456, "USD", "$1,234.56"),
        (-5, "USD", "-$0.05"),
        (1234, "JPY", "¥1,234"),
        (1234, "KWD", "KWD1.234"),
    ],
)
def test_minor_units_are_shown_as_people_read_them(minor: int, currency: str, shown: str) -> None:
    assert format_minor(minor, currency) == shown


def test_dollars_are_shown_half_up() -> None:
    assert format_usd(Decimal("0.005")) == "$0.01"
    assert format_usd(Decimal("-0.004")) == "$0.00"
    assert format_usd(Decimal("2.675")) == "$2.68"
    assert format_usd(Decimal("0.004999999999999999")) == "$0.00"


@given(st.lists(st.decimals(-(10**20), 10**20, places=24)))
def test_a_sum_keeps_every_digit(amounts: list[Decimal]) -> None:
    assert Fraction(exact_sum(amounts)) == sum(map(Fraction, amounts))


@given(st.decimals(-(10**20), 10**20, places=24))
def test_dollars_are_shown_as_babel_shows_their_cents(amount: Decimal) -> None:
    assert format_usd(amount) == format_minor(to_minor(amount, "USD"), "USD")


small = st.decimals(-(10**7), 10**7, places=24)


@given(st.integers(-(10**9), 10**9), st.lists(small | st.just(Decimal(0)), min_size=1, max_size=12))
@example(1, [Decimal(1), Decimal(-1)])
@example(7, [Decimal(0), Decimal(0), Decimal(0)])
def test_a_printed_total_is_shared_out_whole_and_each_share_is_within_one_unit(
    total: int, amounts: list[Decimal]
) -> None:
    """What the total has beside the amounts is theirs by size, the oracle by common denominators."""
    shared = apportion(total, amounts, "USD")
    assert sum(shared) == total
    cents = [Fraction(amount) * 100 for amount in amounts]
    whole = sum(map(abs, cents))
    fair = [each + (total - sum(cents)) * (abs(each) / whole if whole else Fraction(1, len(cents))) for each in cents]
    assert all(-1 < given - due < 1 for given, due in zip(shared, fair, strict=True))
    up = [due - given for given, due in zip(shared, fair, strict=True) if given < due]
    down = [due - given + 1 for given, due in zip(shared, fair, strict=True) if given > due]
    assert max(up, default=0) <= min(down, default=1), "a smaller remainder got a unit before a larger one"


def test_of_equal_shares_the_first_get_the_units_left_and_currencies_have_their_own() -> None:
    thirds = [Decimal("3.335")] * 3
    assert apportion(1000, thirds, "USD") == [334, 333, 333]
    assert apportion(1500, thirds, "JPY", per_usd=Decimal("149.9")) == [500, 500, 500]
    assert apportion(-1001, [-each for each in thirds], "USD") == [-333, -334, -334]


@pytest.fixture(scope="module")
def load_costs() -> Iterator[Callable[[list[str]], list[Decimal | None]]]:
    """Amounts as the load of OpenAI's costs reads them: each literal stands in a body of its own project."""
    connection = duckdb.connect()
    query = read_sql("raw.openai_costs").query

    def load(values: list[str]) -> list[Decimal | None]:
        rows = [
            f'{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},'
            f'"project_id":"{number:06d}","line_item":"x","api_key_id":null}}'
            for number, value in enumerate(values)
        ]
        body = f'{{"data":[{{"start_time":1793145600,"end_time":1793232000,"results":[{",".join(rows)}]}}]}}'
        connection.execute("CREATE OR REPLACE TEMP TABLE landed AS SELECT $1::JSON AS body", [body])
        found = connection.execute(f"SELECT cost_usd FROM ({query}) ORDER BY project_id").fetchall()
        return [value for (value,) in found]

    yield load
    connection.close()


@given(st.lists(literals(), min_size=1, max_size=40))
@example(["0E-6176", "0.13080438340307526", "1.837250000000000000000000000000000000", "0.07", "0.0000000000000000005"])
def test_duckdb_reads_the_same_amount_as_python(
    load_costs: Callable[[list[str]], list[Decimal | None]], texts: list[str]
) -> None:
    expected = [Fraction(parse_amount(text)) for text in texts]
    for spelled in (texts, [f'"{text}"' for text in texts]):
        assert [Fraction(amount) for amount in load_costs(spelled) if amount is not None] == expected


@given(st.integers(1, 10**19), st.integers(0, 18), st.integers(0, 10))
def test_duckdb_reads_positive_exponents_as_python_does(
    load_costs: Callable[[list[str]], list[Decimal | None]], digits: int, decimals: int, exponent: int
) -> None:
    text = f"{digits // 10**decimals}.{digits % 10**decimals:0{max(decimals, 1)}d}e{min(exponent, decimals)}"
    amount = parse_amount(text)
    assert load_costs([text, f'"-{text}"']) == [amount, -amount]


@pytest.mark.parametrize("value", ["null", '""', '"abc"', "{}", "[]"])
def test_an_amount_duckdb_cannot_read_is_null_and_never_zero(
    load_costs: Callable[[list[str]], list[Decimal | None]], value: str
) -> None:
    with contextlib.suppress(duckdb.Error):
        assert load_costs([value]) == [None]
