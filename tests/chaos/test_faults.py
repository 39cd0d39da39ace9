"""Providers out of order while a backfill runs: it gets the same tables, or says which endpoint kept it from that."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from chaos.command import SIXTY_DAYS, Home, home
from chaos.kills import Undisturbed
from chaos.report import Line, Report
from chaos.requests import PREFIXES
from chaos.tables import OF_THE_PAGES, OF_THE_RUN, differences
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.faults import Fault, Faults
from tokenboard_etl.providers.sandbox.server import RunningSandbox

PROBABILITY = 0.1
SLOW_S = 0.3
LAST_DAY = Window.of_days(SIXTY_DAYS.last, SIXTY_DAYS.last)
Endpoint = tuple[str, str]
"""Provider, and method with path."""


# --- faults that pass


def picked(seed: int, requests: int) -> dict[int, Fault]:
    """Which of so many requests the kind `any` breaks, and how: it depends on their number alone."""
    faults = Faults()
    faults.add({"kind": "any", "probability": PROBABILITY, "seed": seed})
    decided = ((number, faults.decide("")) for number in range(1, requests + 1))
    return {number: fault for number, fault in decided if fault}


def faults_of(seed: int, requests: int) -> Counter[str]:
    """How often each kind of fault is among them."""
    return Counter(map(_named, picked(seed, requests).values()))


def _named(fault: Fault) -> str:
    if fault.kind == "status":
        return f"{fault.status} with Retry-After" if fault.retry_after else str(fault.status)
    return f"{fault.kind} in the body" if fault.kind == "reset" and fault.where == "body" else fault.kind


def seeds(requests: int) -> Iterator[int]:
    """Seeds that each bring a fault the earlier ones did not, until every one has come; the busiest ones first."""
    kinds, met = set(faults_of(0, 10_000)), set[str]()
    for seed in sorted(range(1000), key=lambda seed: -faults_of(seed, requests).total()):
        if faults_of(seed, requests).keys() - met:
            yield seed
            met |= faults_of(seed, requests).keys()
        if met == kinds:
            return


def backfill_with_faults(
    seed: int, folder: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    """The command meets faults in ten of a hundred requests, and slow answers in ten others."""
    sandbox.add_fault("any", probability=PROBABILITY, seed=seed)
    sandbox.add_fault("slow", probability=PROBABILITY, seed=seed, delay=SLOW_S)
    place = home(folder, sandbox)
    end = place.nightly()
    any_of_them, slow = sandbox.sandbox.faults.rules
    sandbox.clear_faults()
    met = {**faults_of(seed, any_of_them.seen), "slow": slow.fired}
    found = differences(place, undisturbed.home)
    met_text = ", ".join(f"{kind} {count}" for kind, count in sorted(met.items()))
    report.append(Line(f"faults at 10 %, seed {seed}", 1, len(found) + (end.status != 0), met_text))
    assert (end.status, end.err) == (0, "")
    assert found == []
    assert any_of_them.fired > 1


@pytest.mark.slow
def test_a_backfill_gets_through_faults_at_a_tenth_of_its_requests(
    tmp_path: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    backfill_with_faults(next(seeds(undisturbed.counts["requests"])), tmp_path / "home", sandbox, undisturbed, report)


@pytest.mark.parametrize(
    "more", [pytest.param((), marks=pytest.mark.chaos), pytest.param(range(4), marks=pytest.mark.endurance)]
)
def test_a_backfill_gets_through_every_kind_of_fault_at_a_tenth_of_its_requests(
    tmp_path: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report, more: Collection[int]
) -> None:
    for seed in more or seeds(undisturbed.counts["requests"]):
        backfill_with_faults(seed, tmp_path / f"seed-{seed}", sandbox, undisturbed, report)


@pytest.mark.chaos
def test_answers_of_another_shape_end_a_run_and_the_same_command_gets_through_when_they_have_stopped(
    tmp_path: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    """These are not asked for again by themselves: whoever changed the shape may mean it.

    The first requests are for costs and usage, where every field is read; elsewhere one that nobody reads may change.
    """
    place, failed = home(tmp_path / "home", sandbox), 0
    seed = next(seed for seed in range(1000) if {2, 7} <= picked(seed, 8).keys())
    sandbox.add_fault("malformed", probability=PROBABILITY, seed=seed, times=3)
    while (end := place.nightly()).status == 1 and failed < 3:
        failed += 1
        assert "The answer is kept in " in end.err.splitlines()[-1]
        assert not place.published.exists()
    found = differences(place, undisturbed.home, OF_THE_RUN | OF_THE_PAGES)
    report.append(Line("malformed at 10 %", 1, len(found) + (end.status != 0), f"{failed} runs ended with it"))
    assert failed > 0
    assert (end.status, end.err) == (0, "")
    assert found == []


# --- faults that stay


def endpoints(undisturbed: Undisturbed) -> list[Endpoint]:
    """All the command asks, as its undisturbed run asked it, but for single projects: one that refuses is left out,
    with a warning, because it may have been archived meanwhile.
    """
    asked = {(question.provider, question.endpoint) for question in undisturbed.questions}
    return sorted((provider, endpoint) for provider, endpoint in asked if "/projects/" not in endpoint)


def break_for_good(sandbox: RunningSandbox, endpoint: Endpoint, status: int) -> None:
    provider, (method, _, path) = endpoint[0], endpoint[1].partition(" ")
    sandbox.add_fault("status", f"{method} {PREFIXES[provider]}{path}", status=status)


def state_of(file: Path) -> tuple[int, int, bytes]:
    """A file that was written again, even with the same bytes, is another one."""
    return file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes()


def a_fault_that_stays_is_named(place: Home, sandbox: RunningSandbox, endpoint: Endpoint, status: int) -> None:
    """Exit 1, the endpoint in the last line of stderr, and the published file is the old one."""
    before = state_of(place.published)
    break_for_good(sandbox, endpoint, status)
    end = place.nightly(LAST_DAY)
    sandbox.clear_faults()
    assert end.status == 1, (endpoint, end)
    provider, what = endpoint
    assert f"{provider} {what}: HTTP {status}" in end.err.splitlines()[-1]
    assert state_of(place.published) == before
    assert [path.name for path in place.published.parent.iterdir() if path.is_file()] == [place.published.name]


@pytest.fixture
def used(tmp_path: Path, undisturbed: Undisturbed, sandbox: RunningSandbox) -> Home:
    """A home in which the sixty days have been read."""
    shutil.copytree(undisturbed.home.path, tmp_path / "home")
    return home(tmp_path / "home", sandbox)


@pytest.mark.slow
def test_an_endpoint_that_stays_broken_is_named_and_nothing_is_published(
    used: Home, sandbox: RunningSandbox, undisturbed: Undisturbed
) -> None:
    a_fault_that_stays_is_named(used, sandbox, random.Random(5).choice(endpoints(undisturbed)), 400)


@pytest.mark.parametrize(
    "some", [pytest.param(3, marks=pytest.mark.chaos), pytest.param(None, marks=pytest.mark.endurance)]
)
def test_every_endpoint_that_stays_broken_is_named_and_nothing_is_published(
    used: Home, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report, some: int | None
) -> None:
    """Some are drawn."""
    known = endpoints(undisturbed)
    broken = known if some is None else random.Random(some).sample(known, some)
    for endpoint in broken:
        before = state_of(used.published)
        a_fault_that_stays_is_named(used, sandbox, endpoint, 400)
        end = used.nightly(LAST_DAY)
        assert (end.status, end.err) == (0, ""), endpoint
        assert state_of(used.published) != before
    names = ", ".join(" ".join(each) for each in broken)
    report.append(Line("an endpoint that stays broken", len(broken), 0, names))


@pytest.mark.endurance  # some two minutes of waiting
def test_an_endpoint_that_stays_overloaded_is_given_up_in_the_end(
    used: Home, sandbox: RunningSandbox, report: Report
) -> None:
    endpoint = ("openai", "GET /organization/costs")
    a_fault_that_stays_is_named(used, sandbox, endpoint, 500)
    assert used.nightly(LAST_DAY).status == 0
    report.append(Line("an endpoint that stays overloaded", 1, 0, " ".join(endpoint)))
