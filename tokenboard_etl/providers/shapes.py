"""Every field of every row against the wire models, fast enough for bodies that are never built as rows.

The models of pydantic are the one source; here each becomes a struct of msgspec, which reads 1 M rows a second where
DuckDB's JSON functions, asked for the type of each field, read 0.2 M. Unlike the models, a struct also says which
fields it does not know. Rows are built one after the other: getting memory for all of a page's takes longer than
reading them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
        self._reader = _Reader(model, documented)

    def check(self, body: bytes) -> None:
        """Raises MalformedAnswer with the JSON path of the first field that is missing or of a wrong type."""
        while True:
            try:
                self._reader.check(body)
            except _Misfit as misfit:
                self._learn_or_refuse(misfit, body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self._malformed("$", f"no JSON ({error})") from None
            else:
                return

    def _learn_or_refuse(self, misfit: _Misfit, body: bytes) -> None:
        what, at = misfit.what, misfit.at
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
        except (LookupError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # it is written like a place
            raise self._malformed(path, "an unknown field whose name cannot be told") from None
        self._names += ((path, name),)
        self.unknown[redact(f"{path}.{name}")[:200]] = kind
        self._reader = _Reader(self._model, self._names)

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


class _Misfit(Exception):
    """What msgspec says against an answer, and the place of it."""

    def __init__(self, error: msgspec.ValidationError, within: str = "$", of: str = "$") -> None:
        """`of` is how msgspec names the place that is `within` in the answer."""
        placed = _PLACE.fullmatch(str(error))
        self.what, self.at = (placed[1], within + placed[2].removeprefix(of)) if placed else (str(error), within)


@dataclass(frozen=True)
class _Rows:
    """The fields that lead to rows, through the elements of any list on the way."""

    fields: Sequence[str]
    decoder: msgspec.json.Decoder[Any]

    def misfit(self, row: msgspec.Raw, at: str) -> _Misfit:
        """What is wrong with a row. In a list, because of what stands at its root msgspec tells no place: one that a
        field's name imitates would be taken for it.
        """
        try:
            msgspec.json.decode(b"[%b]" % bytes(row), type=GenericAlias(list, self.decoder.type))
        except msgspec.ValidationError as error:
            return _Misfit(error, at, "$[0]")
        raise AssertionError("a row is wrong alone and right in a list")


class _Reader:
    """Reads an answer into structs; of its rows, the innermost objects of lists, one at a time."""

    def __init__(self, model: type[Wire], unknown: Names) -> None:
        self._unknown = unknown
        self._rows: list[_Rows] = []
        self._decoder = msgspec.json.Decoder(self._struct(model, "$"))

    def check(self, body: bytes) -> None:
        """Raises _Misfit for the first field that is missing, unknown or of a wrong type; msgspec's errors."""
        try:
            answer = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _Misfit(error) from None
        for rows in self._rows:
            decode = rows.decoder.decode
            for path, found in _lists(answer, rows.fields, "$"):
                for number, row in enumerate(found):
                    try:
                        decode(row)
                    except msgspec.ValidationError:
                        raise rows.misfit(row, f"{path}[{number}]") from None

    def _struct(self, model: type[BaseModel], path: str) -> type[msgspec.Struct]:
        """A struct that refuses unknown fields, but for those of `unknown` that stand at `path`."""
        fields: list[Any] = []
        for name, info in model.model_fields.items():
            sent = info.alias or name
            kind = self._kind(info.annotation, info, f"{path}.{sent}")
            fields.append((sent, kind) if info.is_required() else (sent, kind, None))
        known, names = {field for field, *_ in fields}, dict[str, str]()
        for number, (where, name) in enumerate(self._unknown):
            if where == path and name not in known:
                fields.append((f"unknown_{number}", msgspec.Raw, msgspec.Raw()))
                names[f"unknown_{number}"] = name
                known.add(name)
        return msgspec.defstruct(
            model.__name__.partition("[")[0], fields, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True
        )

    def _kind(self, annotation: Any, info: FieldInfo | None, path: str) -> Any:
        """The type msgspec shall expect where pydantic expects `annotation`; TypeError for one nobody thought of."""
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return int | _Digits if DigitText in args[1:] else self._kind(args[0], None, path)
        if info is not None and DigitText in info.metadata:
            return int | _Digits
        if origin in (Union, UnionType):
            return reduce(or_, (NoneType if part is NoneType else self._kind(part, None, path) for part in args))
        if origin is list:
            return GenericAlias(list, self._element(args[0], path))
        if origin is dict:
            return dict[str, msgspec.Raw]
        if origin is Literal or annotation in (str, bool):
            return annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._struct(annotation, path)
        if annotation in _LEAVES:
            return _LEAVES[annotation]
        raise TypeError(f"{path}: no JSON type is known for {annotation}")

    def _element(self, annotation: Any, path: str) -> Any:
        before = len(self._rows)
        kind = self._kind(annotation, None, f"{path}[*]")
        is_row = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and len(self._rows) == before
        if not is_row:
            return kind
        self._rows.append(_Rows(path.replace("[*]", "").split(".")[1:], msgspec.json.Decoder(kind)))
        return msgspec.Raw


def _lists(found: Any, fields: Sequence[str], path: str) -> Iterator[tuple[str, Sequence[msgspec.Raw]]]:
    """The lists of rows below a value, each with its path."""
    if found is None:
        return
    if not fields:
        yield path, found
    elif isinstance(found, list):
        for number, each in enumerate(found):
            yield from _lists(each, fields, f"{path}[{number}]")
    else:
        yield from _lists(getattr(found, fields[0]), fields[1:], f"{path}.{fields[0]}")
