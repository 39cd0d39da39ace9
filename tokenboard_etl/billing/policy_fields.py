"""The kinds of values a policy file holds. Numbers come as text or `Decimal` and never pass through a float."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from babel.numbers import list_currencies
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.money import exact
from tokenboard_etl.periods import parse_day

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


class Part(BaseModel):
    """A part of the policy: unchangeable, and every key in it must be known."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, str_strip_whitespace=True
    )


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError("is not a number")  # noqa: TRY004 - pydantic collects ValueError
    text = f"{value:f}" if isinstance(value, Decimal) else str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number such as 12.50")
    return Decimal(text)


def _at_most(decimals: int) -> AfterValidator:
    def check(value: Decimal) -> Decimal:
        with exact():
            is_more = value != round(value, decimals)
        if is_more:
            raise ValueError(f"{value} has more than {decimals} decimals")
        return value

    return AfterValidator(check)


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return parse_day(str(value))
    except WrongUse as error:
        raise ValueError(str(error).rstrip(".")) from None


def _whole_number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not re.fullmatch(r"-?\d{1,9}", str(value)):
        raise ValueError(f"{str(value)[:40]!r} is not a whole number")
    return int(value)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


def _currency(code: str) -> str:
    if code not in list_currencies():
        raise ValueError(f"{code!r} is not an ISO 4217 currency code")
    return code


def _number_schema(**bounds: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": f"^{_NUMBER.pattern}$"}]}
    )


Percent = Annotated[
    Decimal,
    _number_schema(minimum=-100, exclusiveMaximum=90_000),
    _at_most(4),
    Field(ge=-100, lt=90_000),
    BeforeValidator(_number),
]
"""25 is 25 %; four decimals."""

Multiplier = Annotated[
    Decimal, _number_schema(minimum=0, exclusiveMaximum=900), _at_most(6), Field(ge=0, lt=900), BeforeValidator(_number)
]
"""DECIMAL(9,6)."""

Amount = Annotated[
    Decimal,
    _number_schema(minimum=0, maximum=1_000_000_000),
    Field(ge=0, le=1_000_000_000),
    BeforeValidator(_number),
]
"""An amount of money, not negative, up to 18 decimals; its currency stands beside it."""

TokenPrice = Annotated[
    Decimal,
    _number_schema(minimum=0, maximum=1_000_000),
    _at_most(12),
    Field(ge=0, le=1_000_000),
    BeforeValidator(_number),
]
"""USD for a million tokens; one token's price then has at most 18 decimals."""

Rate = Annotated[
    Decimal,
    _number_schema(exclusiveMinimum=0, maximum=1_000_000_000),
    Field(gt=0, le=1_000_000_000),
    BeforeValidator(_number),
]

TaxPercent = Annotated[
    Decimal, _number_schema(minimum=0, maximum=100), _at_most(4), Field(ge=0, le=100), BeforeValidator(_number)
]

Whole = Annotated[int, BeforeValidator(_whole_number)]

Day = Annotated[date, BeforeValidator(_day)]
"""A UTC day, 2026-11-20."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
"""Exact text, or a glob: `*` is any text, `?` one character."""

RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""Lower case, digits and hyphens: a tenant_id, a category."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_currency)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
