"""What both providers share: a request as a value, and the strictness with which an answer is read.

Providers build requests and read pages; they never send. `Fetch` is passed in: it sends, retries, lands the
body and hands back the parsed JSON with every number exact.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError
from pydantic_core import PydanticCustomError

from tokenboard_etl.errors import MalformedAnswer, ProviderRejected
from tokenboard_etl.money import parse_amount
from tokenboard_etl.redaction import redact

WireAmount = Annotated[Decimal, BeforeValidator(parse_amount)]
"""A decimal that may come as a JSON number or as its text; 18 decimals."""


def _parse_count(value: object) -> object:
    """OpenRouter's analytics sends counts as text ("214"), OpenAI as integers."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


DigitText = BeforeValidator(_parse_count)
WireCount = Annotated[int, DigitText]
"""An integer that may come as its digits."""


_NEVER_SHOWN = ("missing", "key")
"""Kinds of mistakes whose input is not quoted: it is a key, or all of what a key may stand in."""


def _whole_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{16,1000}", value.get_secret_value()):
        raise PydanticCustomError("key", "Input should be a key: 16 characters or more, and no blanks")
    return value


WireKey = Annotated[SecretStr, AfterValidator(_whole_key)]
"""A key that was just made. What cannot be one is refused: it would be stored, and blotted out of every text."""


class Wire(BaseModel):
    """A part of an answer: types are strict, unknown fields are kept (providers add some without notice)."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


@dataclass(frozen=True)
class Request:
    """One exchange, as a value. `report` and `context` are for the landing's manifest only.

    `context` holds what is needed to read the rows later and is not in the body (for example which key hash a
    name in the answer stands for). `repeatable` says that sending it twice does no harm. `key_advice` replaces the
    usual advice where another kind of key is needed. `missing_is_outage`: a 404 means the provider is broken, never
    "no data" (seen on /costs for a day). `missing_is_none`: a 404 is an answer, nothing is set; a landing keeps it as
    `null`. A body over `max_bytes` raises AnswerTooLarge and is not kept. `without_rows` takes the rows out of a
    large body, which are then the load's to check.
    """

    provider: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: Mapping[str, Any] | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    repeatable: bool = True
    missing_is_outage: bool = False
    missing_is_none: bool = False
    key_advice: str = ""
    max_bytes: int | None = None
    without_rows: Callable[[bytes], bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def fingerprint(self) -> str:
        """Equal for requests that ask the same of the provider and read the answer alike."""
        asked = [self.method, self.path, self.params, self.body, dict(self.context)]
        return json.dumps(asked, sort_keys=True, ensure_ascii=False, default=str)


Fetch = Callable[[Request], Awaitable[Any]]
"""Sends one request and returns the parsed JSON body (numbers as int or Decimal)."""


def encode(body: Mapping[str, Any]) -> bytes:
    """A request's body as JSON; a `Decimal` becomes a number literal, digit for digit.

    The mark around a literal is drawn anew each time, so that no text from outside can imitate it.
    """
    mark = secrets.token_hex(16)

    def marked(value: object) -> str:
        if isinstance(value, Decimal):
            return f"{mark}{value:f}{mark}"
        raise TypeError(f"no JSON for {type(value).__name__}")

    text = json.dumps(body, ensure_ascii=False, default=marked)
    return re.sub(f'"{mark}([^"]*){mark}"', r"\1", text).encode()


W = TypeVar("W", bound=Wire)


def read(model: type[W], request: Request, body: Any) -> W:
    """Validates a parsed body; raises MalformedAnswer with the JSON path of the first field that is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        hidden = first["type"] in _NEVER_SHOWN or not request.repeatable  # what made something may show a key
        said = "Value error" if hidden and first["type"] == "value_error" else first["msg"]  # which quotes what it read
        seen = "" if hidden else f", found {redact(repr(first['input']))[:80]}"
        raise MalformedAnswer(request.provider, request.endpoint, f"{path}: {said}{seen}{more}", status=200) from None


class Deleted(Wire):
    """What both providers answer to DELETE."""

    deleted: Literal[True]


async def delete(fetch: Fetch, request: Request) -> bool:
    """Sends a DELETE, as often as needed: what is gone already is an answer too, and gives False."""
    try:
        read(Deleted, request, await fetch(request))
    except ProviderRejected as refusal:
        if refusal.status != 404:
            raise
        return False
    return True
