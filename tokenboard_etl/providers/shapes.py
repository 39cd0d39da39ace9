"""Every field of every row against the wire models, fast enough for bodies that are never built as rows.

The models of pydantic are the one source; here each becomes a struct of msgspec, which reads 1 M rows a second where
DuckDB's JSON functions, asked for the type of each field, read 0.2 M. Unlike the models, a struct also says which
fields it does not know.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import reduce
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tokenboard_etl.errors import MalformedAnswer
from tokenboard_etl.providers.wire import DigitText, Wire
from tokenboard_etl.redaction import redact

MAX_UNKNOWN_FIELDS = 200
"""More fields than this that nobody knows are another answer, not an answer with news."""

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Digits = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,18}\Z")]
_Literal = Annotated[str, msgspec.Meta(pattern=r"\A-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")]
# Values are only held against their types; DuckDB reads the digits.
_LEAVES: dict[Any, Any] = {Decimal: int | float | _Literal, int: _Integer, SecretStr: str, Any: msgspec.Raw}

_PLACE = re.compile(r"(.*) - at `(\$[^`]*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_UNTELLABLE = re.compile(r'["\\\x00-\x1f]')
"""What no struct can have in the name of a field."""

_MISSING = re.compile(r"Object missing required field `(\w+)`")

Names = tuple[tuple[str, str], ...]
"""Fields without a place in the model: the path of the object each stands in, and its name."""


class Shape:
    """What the answers of one endpoint look like.

    `documented` fields are nobody's concern. `unknown` has the others met so far: their paths, like
    `$.data[*].results[*].user_email`, and the JSON type of the first value.
    """

    def __init__(self, provider: str, endpoint: str, model: type[Wire], documented: Names = ()) -> None:
        self._provider, self._endpoint, self._model = provider, endpoint, model
        self.unknown: dict[str, str] = {}
        self._names = documented
        self._decoder = _decoder(model, documented)

    def check(self, body: bytes) -> None:
        """Raises MalformedAnswer with the JSON path of the first field that is missing or of a wrong type."""
        while True:
            try:
                self._decoder.decode(body)
            except msgspec.ValidationError as error:
                self._learn_or_refuse(str(error), body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self._malformed("$", f"no JSON ({error})") from None
            else:
                return

    def _learn_or_refuse(self, said: str, body: bytes) -> None:
        placed = _PLACE.fullmatch(said)
        what, at = (placed[1], placed[2]) if placed else (said, "$")
        path = _anywhere(at)
        if missing := _MISSING.fullmatch(what):
            raise self._malformed(f"{path}.{missing[1]}", "a required field is missing")
        unknown = _UNKNOWN.fullmatch(what)
        if unknown is None:
            raise self._malformed(path, what)
        name = unknown[1]
        if _UNTELLABLE.search(name):
            raise self._malformed(path, "an unknown field whose name cannot be told")
        if (path, name) in self._names or len(self.unknown) == MAX_UNKNOWN_FIELDS:
            raise self._malformed(path, f"more than {MAX_UNKNOWN_FIELDS} unknown fields")
        try:
            kind = _type_at(body, at, name)
        except (LookupError, msgspec.DecodeError):  # the name is written like a place
            raise self._malformed(path, "an unknown field whose name cannot be told") from None
        self._names += ((path, name),)
        self.unknown[redact(f"{path}.{name}")[:200]] = kind
        self._decoder = _decoder(self._model, self._names)

    def _malformed(self, path: str, what: str) -> MalformedAnswer:
        return MalformedAnswer(self._provider, self._endpoint, f"{redact(path)[:200]}: {what}", status=200)


def _anywhere(path: str) -> str:
    """A path for every element of a list: `$.data[3].id` becomes `$.data[*].id`."""
    return re.sub(r"\[\d+\]", "[*]", path)


def _type_at(body: bytes, at: str, name: str) -> str:
    """The JSON type of one field, reached without building anything beside its way."""
    raw = msgspec.Raw(body)
    for step in [*re.findall(r"\.([^.\[]+)|\[(\d+)\]", at), (name, "")]:
        if step[1]:
            raw = msgspec.json.decode(raw, type=list[msgspec.Raw])[int(step[1])]
        else:
            raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[step[0]]
    first = bytes(memoryview(raw)[:1])
    return {b"{": "object", b"[": "array", b'"': "text", b"t": "boolean", b"f": "boolean", b"n": "null"}.get(
        first, "number"
    )


def _decoder(model: type[Wire], unknown: Names) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_struct(model, "$", unknown))


def _struct(model: type[BaseModel], path: str, unknown: Names) -> type[msgspec.Struct]:
    """A struct that refuses unknown fields, but for those of `unknown` that stand at `path`."""
    fields: list[Any] = []
    for name, info in model.model_fields.items():
        kind = _kind(info.annotation, info, f"{path}.{info.alias or name}", unknown)
        fields.append((name, kind) if info.is_required() else (name, kind, None))
    names = {name: info.alias or name for name, info in model.model_fields.items()}
    for number, (where, name) in enumerate(unknown):
        if where == path and name not in names.values():
            fields.append((f"unknown_{number}", msgspec.Raw, msgspec.Raw()))
            names[f"unknown_{number}"] = name
    return msgspec.defstruct(
        model.__name__.partition("[")[0], fields, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True
    )


def _kind(annotation: Any, info: FieldInfo | None, path: str, unknown: Names) -> Any:
    """The type msgspec shall expect where pydantic expects `annotation`. Raises TypeError for one nobody thought of."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return int | _Digits if DigitText in args[1:] else _kind(args[0], None, path, unknown)
    if info is not None and DigitText in info.metadata:
        return int | _Digits
    if origin in (Union, UnionType):
        return reduce(or_, (NoneType if part is NoneType else _kind(part, None, path, unknown) for part in args))
    if origin is list:
        return GenericAlias(list, _kind(args[0], None, f"{path}[*]", unknown))
    if origin is dict:
        return dict[str, msgspec.Raw]
    if origin is Literal or annotation in (str, bool):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation, path, unknown)
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    raise TypeError(f"{path}: no JSON type is known for {annotation}")
