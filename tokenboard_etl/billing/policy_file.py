"""Reads a policy file; every error names the file, the line and the rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_checks import Place, Problem, problems_of
from tokenboard_etl.billing.policy_yaml import Document, YamlProblem, read_yaml
from tokenboard_etl.errors import PolicyError
from tokenboard_etl.settings import Settings


class PolicyFile(NamedTuple):
    """A version of the policy: `sha256` is that of the file's bytes, `content` their text."""

    sha256: str
    content: str
    policy: Policy


def load_policy(settings: Settings) -> PolicyFile:
    """The policy of TOKENBOARD_POLICY, or the built-in one, which is what an empty file means.

    Raises PolicyError for a file that cannot be used or contradicts TOKENBOARD_SETTLE_DAYS.
    """
    path = settings.policy_path
    if path is None:
        return parse_policy(b"", "built-in policy")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"The policy file {path} (TOKENBOARD_POLICY) cannot be read: {error.strerror}.") from None
    file = parse_policy(content, str(path))
    if file.policy.settle_days not in (None, settings.settle_days):
        raise PolicyError(
            f"{path} says settle_days: {file.policy.settle_days}, and TOKENBOARD_SETTLE_DAYS is "
            f"{settings.settle_days}. Set TOKENBOARD_SETTLE_DAYS (and TOKENBOARD_LOOKBACK_DAYS) to "
            f"{file.policy.settle_days}, or leave settle_days out."
        )
    return file


def parse_policy(content: bytes, name: str) -> PolicyFile:
    """Reads a policy file's bytes; `name` is what errors call it."""
    try:
        document = read_yaml(content)
    except YamlProblem as problem:
        raise PolicyError(f"{name}, line {problem.line}: {problem}.") from None
    try:
        policy = Policy.model_validate(document.data)
        problems = list(problems_of(policy))
    except ValidationError as error:
        problems = list(_problems_in(error))
    if problems:
        raise PolicyError(_told(problems, document, name))
    return PolicyFile(hashlib.sha256(content).hexdigest(), content.decode("utf-8"), policy)


def _told(problems: Iterable[Problem], document: Document, name: str) -> str:
    """The first problem in the order of lines, and how many follow."""
    first, *others = sorted(problems, key=lambda problem: (_line(problem.place, document), problem.message))
    place = f"{name}, line {_line(first.place, document)}"
    if rule := _rule(first.place, document.data):
        place += f", {rule}"
    if first.other:
        place += f" (and line {_line(first.other, document)})"
    more = f" {len(others)} more problem(s) follow." if others else ""
    end = "" if first.message.endswith("?") else "."
    return f"{place}: {first.message}{end}{more}"


def _line(place: Place, document: Document) -> int:
    """The line of a place, or of the nearest thing around it that is in the file."""
    while place and place not in document.lines:
        place = place[:-1]
    return document.lines.get(place, 1)


def _rule(place: Place, data: Any) -> str:
    """The rule a place is in, as people call it: margins 'acme-gpt'."""
    if len(place) < 2 or not isinstance(place[1], int):
        return ""
    try:
        rule_id = data[place[0]][place[1]]["id"]
    except (KeyError, IndexError, TypeError):
        return f"{place[0]}, entry {place[1] + 1}"
    return f"{place[0]} {str(rule_id)[:64]!r}"


def _problems_in(error: ValidationError) -> Iterator[Problem]:
    for each in error.errors(include_url=False):
        place = each["loc"]
        key = str(place[-1]) if place else ""
        if each["type"] == "extra_forbidden":
            yield Problem(place, _unknown(key, _model_at(place[:-1])))
        elif each["type"] == "missing":
            yield Problem(place, f"{key!r} is missing")
        else:
            named = place and isinstance(place[-1], str)
            yield Problem(place, f"{key}: {_worded(each)}" if named else _worded(each))


def _worded(each: ErrorDetails) -> str:
    shown = repr(each["input"])[:40] if isinstance(each["input"], str) else ""
    if each["type"] in ("string_pattern_mismatch", "literal_error", "bool_parsing"):
        return f"{shown} is not understood; {each['msg'][0].lower()}{each['msg'][1:]}"
    if each["type"] in ("model_type", "model_attributes_type"):
        return "this must be a block of `key: value` lines"
    if each["type"] == "tuple_type":
        return "this must be a list, each entry after a dash"
    return each["msg"].removeprefix("Value error, ").rstrip(".")


def _unknown(key: str, model: type[BaseModel] | None) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    near = get_close_matches(key, known, n=1)
    return f"there is no {key[:40]!r} here" + (
        f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
    )


def _model_at(place: Place) -> type[BaseModel] | None:
    """The model that a place in the file is read into."""
    model: type[BaseModel] = Policy
    for step in place:
        if isinstance(step, int):
            continue
        annotation = next((f.annotation for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        found = next(_models_in(annotation), None)
        if found is None:
            return None
        model = found
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
