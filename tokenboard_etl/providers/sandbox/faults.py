"""Failures on request: rules that say which requests fail, how, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokenboard_etl.providers.sandbox.draws import draw

KINDS = ("status", "reset", "slow", "truncated", "cut_json", "malformed", "crash_after_create", "later")
_ANY = "any"
_MILLION = 1_000_000
_ANY_KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 429, "retry_after": None},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "reset"},
    {"kind": "reset", "where": "body"},
    {"kind": "truncated"},
    {"kind": "cut_json"},
)


class UnknownFaultError(ValueError):
    """A rule that cannot be meant."""


@dataclass(slots=True)
class Fault:
    """One way to fail.

    `status` and `retry_after` (seconds, None for no header) belong to kind status; `delay` (seconds) to slow;
    `where` (start or body) to reset: before an answer, or in the middle of one; `variant` (text, type, no_key or
    milliseconds) to malformed: no JSON at all, one field of a wrong type, an empty key, a time in the wrong unit;
    `hours` to later: a stopped clock has moved on by so much when the answer is made, and with it every figure that
    is still growing.
    """

    kind: str
    status: int = 500
    retry_after: int | None = None
    delay: float = 0.05
    where: str = "start"
    variant: str = "type"
    hours: int = 1


@dataclass(slots=True)
class Rule:
    """`match` is searched in "METHOD path"; `times` ends the rule; `per_million` of the matching requests fail.

    The kind `any` takes each of the recoverable failures in turn, by the same draw.
    """

    match: str
    fault: Fault
    times: int | None = None
    per_million: int = _MILLION
    seed: int = 0
    seen: int = 0
    fired: int = 0

    def decide(self, line: str) -> Fault | None:
        """The failure for this request, or None. Which requests fail depends on their number alone."""
        if self.match not in line or (self.times is not None and self.fired >= self.times):
            return None
        self.seen += 1
        bits = draw("fault", self.seed, self.match, self.seen)
        if bits % _MILLION >= self.per_million:
            return None
        self.fired += 1
        return Fault(**_ANY_KINDS[(bits >> 32) % len(_ANY_KINDS)]) if self.fault.kind == _ANY else self.fault


@dataclass(slots=True)
class Faults:
    """All rules in force; the first that fires decides."""

    rules: list[Rule] = field(default_factory=list)

    def add(self, rule: dict[str, Any]) -> None:
        """Adds a rule given as JSON: match, kind, times, probability (0 to 1), seed, and the kind's own fields."""
        given = dict(rule)
        match, times, seed = given.pop("match", ""), given.pop("times", None), given.pop("seed", 0)
        per_million = round(given.pop("probability", 1) * _MILLION)
        if given.get("kind") not in (*KINDS, _ANY):
            raise UnknownFaultError(f"kind must be one of {', '.join((*KINDS, _ANY))}")
        try:
            self.rules.append(Rule(match, Fault(**given), times, per_million, seed))
        except TypeError as exc:
            raise UnknownFaultError(str(exc)) from exc

    def decide(self, line: str) -> Fault | None:
        for rule in self.rules:
            fault = rule.decide(line)
            if fault is not None:
                return fault
        return None
