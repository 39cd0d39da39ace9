"""Every field of every answer, made from the wire models: a new report is covered without a new test."""

from __future__ import annotations

import asyncio
import copy
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from tokenboard_etl.connections import accounts
from tokenboard_etl.errors import MalformedAnswer
from tokenboard_etl.extraction import REPORTS, Undertaking, extract_all, parse
from tokenboard_etl.landing import Landing, read_body
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.answers import ANSWERS, Answers
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.shapes import MAX_UNKNOWN_FIELDS, Shape
from tokenboard_etl.providers.wire import Request, Wire, WireAmount, WireCount, read
from tokenboard_etl.settings import Settings, load_settings

Step = str | int
Path_ = tuple[Step, ...]


def example(annotation: Any) -> Any:
    """A value the contract allows."""
    if get_origin(annotation) in (Union, UnionType):
        return example(next(part for part in get_args(annotation) if part is not NoneType))
    if get_origin(annotation) is Literal:
        return get_args(annotation)[0]
    if get_origin(annotation) is list:
        return [example(get_args(annotation)[0]), example(get_args(annotation)[0])]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: example(info.annotation) for name, info in annotation.model_fields.items()}
    return {str: "text", int: 7, bool: True, Decimal: "1.25"}.get(base(annotation), "text")


def base(annotation: Any) -> Any:
    """The type under Annotated and Optional."""
    if get_origin(annotation) in (Union, UnionType):
        return base(next(part for part in get_args(annotation) if part is not NoneType))
    return base(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else annotation


def fields(model: type[BaseModel], at: Path_ = ()) -> Iterator[tuple[Path_, FieldInfo]]:
    """Every field below a model, in the second element of each list."""
    for name, info in model.model_fields.items():
        here: Path_ = (*at, name)
        yield here, info
        kind = base(info.annotation)
        while get_origin(kind) is list:
            kind, here = get_args(kind)[0], (*here, 1)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, here)


def objects(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        yield at
        for name, inner in value.items():
            yield from objects(inner, (*at, name))
    elif isinstance(value, list):
        yield from objects(value[1], (*at, 1))


def shown(path: Path_) -> str:
    return "$" + "".join("[*]" if isinstance(step, int) else f".{step}" for step in path)


def changed(body: Any, path: Path_, value: Any = ...) -> bytes:
    """A copy with another value at a path, or without it."""
    whole = copy.deepcopy(body)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(whole).encode()


def nullable(info: FieldInfo) -> bool:
    return NoneType in get_args(info.annotation)


def is_count(info: FieldInfo) -> bool:
    return any("_parse_count" in repr(part) for part in (*info.metadata, *get_args(info.annotation)))


def wrong_values(info: FieldInfo) -> list[Any]:
    kind = base(info.annotation)
    wrong: list[Any] = {
        str: [7, True, {}, []],
        bool: [0, "true", {}],
        Decimal: [True, "many", "", "1,5", {}, []],
        int: [1.5, 12.0, True, "1.5", "", {}, [], *([] if is_count(info) else ["12"])],
    }.get(kind, [7, "text"])
    return [*wrong, *([] if nullable(info) else [None])]


CASES = [
    pytest.param(where, path, info, id=f"{where[1]} {shown(path)}")
    for where, model in ANSWERS.items()
    for path, info in fields(model)
]
MODELS = pytest.mark.parametrize("where", list(ANSWERS), ids=lambda where: " ".join(where))


def shape(where: tuple[str, str]) -> Shape:
    return Shape(where[0], f"GET {where[1]}", ANSWERS[where])


def refused(where: tuple[str, str], body: bytes) -> MalformedAnswer:
    """Refused by the shape and by the model alike."""
    request = Request(*where)
    with pytest.raises(MalformedAnswer):
        read(ANSWERS[where], request, parse(request, body))
    with pytest.raises(MalformedAnswer) as raised:
        shape(where).check(body)
    return raised.value


@MODELS
def test_what_the_contract_allows_is_allowed(where: tuple[str, str]) -> None:
    checked, body = shape(where), example(ANSWERS[where])
    checked.check(json.dumps(body).encode())
    for path, info in fields(ANSWERS[where]):
        if nullable(info):
            checked.check(changed(body, path, None))
        if not info.is_required():
            checked.check(changed(body, path))
        if base(info.annotation) is Decimal:
            for value in (0, -1.5, 10**30, "0E-6176", "-0.000000000000000001"):
                checked.check(changed(body, path, value))
        if is_count(info):
            checked.check(changed(body, path, "214"))
    assert checked.unknown == {}


@pytest.mark.parametrize(("where", "path", "info"), CASES)
def test_a_field_of_a_wrong_type_is_refused_with_its_path(where: Any, path: Path_, info: FieldInfo) -> None:
    body = example(ANSWERS[where])
    for value in wrong_values(info):
        error = refused(where, changed(body, path, value))
        assert error.detail.startswith(f"{shown(path)}: "), (value, error.detail)
        assert (error.provider, error.endpoint) == (where[0], f"GET {where[1]}")


@pytest.mark.parametrize(("where", "path", "info"), CASES)
def test_a_required_field_that_is_missing_is_refused_with_its_path(where: Any, path: Path_, info: FieldInfo) -> None:
    if info.is_required():
        error = refused(where, changed(example(ANSWERS[where]), path))
        assert error.detail == f"{shown(path)}: a required field is missing"


@MODELS
def test_every_unknown_field_is_listed_with_its_path_and_type(where: tuple[str, str]) -> None:
    body, checked, expected = example(ANSWERS[where]), shape(where), {}
    values = {"object": {"a": 1}, "array": [1], "text": "x", "number": -1.5, "boolean": False, "null": None}
    whole = copy.deepcopy(body)
    for at in objects(body):
        inner = whole
        for step in at:
            inner = inner[step]
        for kind, value in values.items():
            inner[f"new {kind}"] = value
            expected[f"{shown(at)}.new {kind}"] = kind
    checked.check(json.dumps(whole).encode())
    checked.check(json.dumps(body).encode())
    assert checked.unknown == expected


def test_a_name_from_outside_cannot_imitate_a_path() -> None:
    class Small(Wire):
        id: str

    checked = Shape("openai", "GET /x", Small)
    names = ["$", "a.b[0]", "", "é`", "a - at `$.x`", "x" * 10_000]
    checked.check(json.dumps({"id": "1", **dict.fromkeys(names, 1)}).encode())
    assert list(checked.unknown) == [f"$.{name}"[:200] for name in names]
    for name in ("a` - at `$.id", "line\nbreak", 'quo"te', "back\\slash"):
        with pytest.raises(MalformedAnswer, match="cannot be told"):
            Shape("openai", "GET /x", Small).check(json.dumps({"id": "1", name: 1}).encode())
    many = {f"field {number}": 1 for number in range(MAX_UNKNOWN_FIELDS + 1)}
    with pytest.raises(MalformedAnswer, match="more than 200 unknown fields"):
        Shape("openai", "GET /x", Small).check(json.dumps({"id": "1", **many}).encode())


def test_a_field_that_is_documented_and_read_is_read() -> None:
    class Small(Wire):
        id: str

    checked = Shape("openai", "GET /x", Small, (("$", "id"), ("$", "more"), ("$", "more")))
    checked.check(b'{"id": "1", "more": 1}')
    with pytest.raises(MalformedAnswer, match=r"\$\.id"):
        checked.check(b'{"id": 1}')


@pytest.mark.parametrize("name", ["x` - at `$", "x` - at `$.y", "x` - at `$[0]", "` - at `$.rows[0]"])
def test_a_name_in_a_row_cannot_imitate_a_path(name: str) -> None:
    class Row(Wire):
        y: dict[str, int] | None = None

    class Small(Wire):
        rows: list[Row]

    for body in ({"rows": [{name: 1}]}, {"rows": [{}, {name: 1, "y": {"x": 1}}]}):
        checked = Shape("openai", "GET /x", Small)
        checked.check(json.dumps(body).encode())
        assert checked.unknown == {f"$.rows[*].{name}": "number"}


def test_rows_may_have_a_name_of_their_own() -> None:
    class Row(Wire):
        id: str

    class Small(Wire):
        rows: list[Row] = Field(alias="data")

    checked = Shape("openai", "GET /x", Small)
    checked.check(b'{"data": [{"id": "1"}, {"id": "2", "more": 3}]}')
    assert checked.unknown == {"$.data[*].more": "number"}
    with pytest.raises(MalformedAnswer, match=r"\$\.data\[\*\]\.id: Expected"):
        checked.check(b'{"data": [{"id": 1}]}')


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"id": NaN}', b'{"id": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    class Small(Wire):
        id: str

    with pytest.raises(MalformedAnswer):
        Shape("openai", "GET /x", Small).check(body)


def test_an_integer_beyond_64_bits_is_refused() -> None:
    class Small(Wire):
        exact: int
        counted: WireCount
        amount: WireAmount

    checked = Shape("openai", "GET /x", Small)
    checked.check(b'{"exact": 9223372036854775807, "counted": "999999999999999999", "amount": 9223372036854775808}')
    with pytest.raises(MalformedAnswer, match=r"\$\.exact"):
        checked.check(b'{"exact": 9223372036854775808, "counted": 1, "amount": 1}')


def test_a_type_nobody_thought_of_is_an_error_of_ours() -> None:
    class Odd(Wire):
        when: date

    with pytest.raises(TypeError, match=r"\$\.when"):
        Shape("openai", "GET /x", Odd)


def test_rows_are_checked_without_a_page_of_them_in_memory() -> None:
    """Kept all at once they take three times their page."""
    where = ("openai", "/organization/costs")
    bucket, checked = example(ANSWERS[where])["data"][0], shape(where)
    bucket["results"] *= 10_000
    body = json.dumps({"data": [bucket], "has_more": False, "next_page": None}).encode()
    tracemalloc.start()
    try:
        checked.check(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(body)


def test_the_sandbox_sends_nothing_that_is_not_known(sandbox: RunningSandbox, settings: Settings) -> None:
    """Every report of both providers: each landed page has a model, and holds what the contracts name."""
    about = Undertaking(Window(date(2026, 6, 10), date(2026, 6, 14)), settings.landing_path, lambda: settings.now)
    personal = load_settings(**sandbox.env(), OPENAI_PERSONAL_KEY=next(iter(sandbox.world.session_tokens.values())))
    outcomes = asyncio.run(extract_all(accounts(personal), tuple(REPORTS.values()), about))
    assert len(outcomes) >= len(REPORTS)
    assert {unknown for landed in outcomes for unknown in unknown_in(landed)} == set()


def unknown_in(landed: Any) -> set[tuple[str, str]]:
    assert isinstance(landed, Landing), landed
    answers = Answers(landed.provider)
    for page in landed.pages:
        method, path, *_ = json.loads(page.request)
        answers.check(method, path, read_body(Path(landed.folder), page))
    return set(answers.unknown)
