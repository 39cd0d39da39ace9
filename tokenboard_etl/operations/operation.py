"""One operation of an application's log, as docs/operations-feed.md describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tokenboard_etl.billing.policy_fields import Name, Text
from tokenboard_etl.money import written_out

MAX_TOKENS = 10**12
MAX_QUANTITY = 100_000
_INSTANT = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_QUANTITY = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


class UnfitRow(ValueError):
    """A row that is no operation. The message names the column and never repeats what stands in it."""


def _instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError("is not an instant with its offset, such as 2026-06-14T09:30:00Z")
    return datetime.fromisoformat(text).astimezone(UTC)


def _tokens(text: str) -> int:
    if not re.fullmatch(r"\d{1,13}", text, re.ASCII) or int(text) > MAX_TOKENS:
        raise ValueError(f"is not a whole number from 0 to {MAX_TOKENS}")
    return int(text)


def _quantity(text: str) -> Decimal:
    if not _QUANTITY.fullmatch(text) or Decimal(text) > MAX_QUANTITY:
        raise ValueError(f"is not a number from 0 to {MAX_QUANTITY} with at most six decimals")
    return Decimal(text)


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text == "true"


class Operation(BaseModel):
    """`type` is the name of a category; `job_id` is empty for none; `tokens` None where nobody says."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    operation_id: Text
    type: Name
    occurred_at: Annotated[datetime, BeforeValidator(_instant)]
    tenant_id: Name
    job_id: Text | Literal[""] = ""
    job_title: Text | None = None
    candidate: Annotated[str, Field(max_length=500)] | None = None
    tokens: Annotated[int, BeforeValidator(_tokens)] | None = None
    quantity: Annotated[Decimal, BeforeValidator(_quantity)]
    unit: Literal["cvs", "questions", "minutes"]
    success: Annotated[bool, BeforeValidator(_yes_or_no)]


COLUMNS = tuple(Operation.model_fields)
REQUIRED = tuple(name for name, field in Operation.model_fields.items() if field.is_required())


def parse_operation(values: Mapping[str, object]) -> Operation:
    """The operation a row holds, whichever format it is from; a blank value is none. Raises UnfitRow."""
    given = {name: text for name, value in values.items() if (text := _as_text(name, value))}
    try:
        return Operation.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "extra_forbidden" or not first["loc"]:  # no place: a name that is no text
        raise UnfitRow(f"there is a field that is not known; known are {', '.join(COLUMNS)}")
    column = str(first["loc"][0])
    if first["type"] == "missing":
        raise UnfitRow(f"{column} is missing")
    raise UnfitRow(f"{column}: {first['msg'].removeprefix('Value error, ')}")


def _as_text(name: str, value: object) -> str:
    """What a typed value would be in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        try:
            return written_out(value)
        except ValueError as error:
            raise UnfitRow(f"{name if name in COLUMNS else 'a field'}: {error}") from None
    if isinstance(value, (str, int)):
        return str(value).strip()
    raise UnfitRow(f"{name if name in COLUMNS else 'a field'}: is neither text nor a number")
