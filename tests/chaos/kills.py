"""Kill -9 at random moments of a backfill, until it ends by itself; then its tables and its requests are judged.

One campaign serves `make test`, `make chaos` and `make endurance`: its number of kills differs.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from chaos.command import DONE, START, Home, ended, home, kill, steps_of
from chaos.requests import Question, asked, landed
from chaos.tables import differences
from tokenboard_etl.providers.sandbox.server import RunningSandbox

LIFE, REQUESTS = "life", "requests"
PAGES, RECORDS = "pages", "records of a run"
FILES = {
    PAGES: "landing/*/*/*/page-*.json.zst",
    "manifests": "landing/*/*/*/manifest.json",
    "databases of Dagster": "dagster/**/*.db",
    RECORDS: "dagster/history/runs/*-*.db",
}
"""What a run makes on disk on its way."""

_LINGER_S = {RECORDS: 0.5}
"""A run is recorded some time before it starts; after other files so short a time matters less."""

STAGES = ("start", "land", "load", "models", "identities", "published")
"""First parts of the names of a run's steps, and START."""

_LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Undisturbed:
    """A backfill nobody interrupted: what it leaves, what it asks, and what there is to interrupt.

    `seconds` are the durations of its steps in order; START is all before the first one, LIFE everything.
    `counts` are the requests it sends and the files of each kind it makes.
    """

    home: Home
    questions: Counter[Question]
    seconds: dict[str, float]
    counts: dict[str, int]


@dataclass(frozen=True)
class Moment:
    """When to kill a process: `delay_s` after `sign` has been seen `count` times since it was started."""

    sign: str
    count: int
    delay_s: float


@dataclass
class Kills:
    """What a campaign did, and what it found wrong. `steps` counts the kills by the step they fell into.

    It begins with the `first` kinds of moments, and has had enough after so many kills, if each stage was hit.
    """

    seed: int
    enough: int
    first: Collection[str] = ()
    stages: Collection[str] = ()
    rounds: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        hit = {step.partition("_")[0] for step in self.steps}
        return self.steps.total() >= self.enough and hit.issuperset(self.stages)

    def add(self, failures: Iterable[str]) -> None:
        self.failures += [f"round {self.rounds}, {self.steps.total()} kills: {each}" for each in failures]


def run_undisturbed(path: Path, sandbox: RunningSandbox) -> Undisturbed:
    """The run all others are held against."""
    place, before, began = home(path, sandbox), asked(sandbox), datetime.now(UTC)
    end = place.nightly()
    if end.status != 0:
        raise AssertionError(f"the undisturbed backfill ended with {end.status}: {end.err}")
    [run] = place.runs()
    begins = [(START, began), *((step, at) for step, at in steps_of(run).items() if step != START)]
    seconds = {step: (until - since).total_seconds() for (step, since), (_, until) in pairwise(begins)}
    questions = asked(sandbox) - before
    counts = {REQUESTS: questions.total(), **{name: place.count(files) for name, files in FILES.items()}}
    return Undisturbed(place, questions, {**seconds, LIFE: sum(seconds.values())}, counts)


def moments(seed: int, undisturbed: Undisturbed, first: Iterable[str] = ()) -> Iterator[Moment]:
    """Endlessly many, each kind as often as every other: within each step, after so many requests, or files.

    `first` are the kinds to begin with.
    """
    drawn, deck = random.Random(seed), list(first)
    while True:
        for sign in deck:
            if sign in undisturbed.seconds:
                yield Moment(sign, 1, drawn.uniform(0, undisturbed.seconds[sign]))
            else:
                count, linger_s = undisturbed.counts[sign], _LINGER_S.get(sign, 0.02)
                yield Moment(sign, drawn.randint(1, count), drawn.uniform(0, linger_s))
        deck = [*undisturbed.seconds, *undisturbed.counts]
        drawn.shuffle(deck)


def run_campaign(kills: Kills, folder: Path, sandbox: RunningSandbox, undisturbed: Undisturbed) -> None:
    """Kills backfills until there were enough kills; each has a fresh home and is repeated until it is done."""
    coming = moments(kills.seed, undisturbed, kills.first)
    while not kills.is_over:
        kills.rounds += 1
        place = home(folder / f"round-{kills.rounds}", sandbox)
        while not _is_done(kills, coming, place, sandbox, undisturbed):
            pass
        kills.add(differences(place, undisturbed.home))


def kill_at(moment: Moment, process: subprocess.Popen[str], place: Home, sandbox: RunningSandbox) -> bool:
    """Kills a process that was started just now; False if it ended before the moment came."""
    came = _came(moment, _Watch(process, place, sandbox))
    if came:
        kill(process)
    return came


def _is_done(
    kills: Kills, coming: Iterator[Moment], place: Home, sandbox: RunningSandbox, undisturbed: Undisturbed
) -> bool:
    """One process and its end. A run that was recorded as done before it was killed is done."""
    moment = None if kills.is_over else next(coming)
    on_disk, asked_before, runs_before = landed(place), asked(sandbox), place.runs()
    process = place.start()
    if moment is not None and _came(moment, _Watch(process, place, sandbox)):
        kill(process)
        step = _last_step(place.runs() - runs_before)
        kills.steps[step] += 1
        done = step == DONE
    else:
        end, done = ended(process), True
        if end.status != 0:
            kills.add([f"exit {end.status}: {end.err.strip()}"])
    again = (asked(sandbox) - asked_before) - (undisturbed.questions - on_disk)
    if again:
        kills.add([f"{again.total()} requests were sent again, one is {next(iter(again))}"])
    return done


class _Watch:
    """Counts the signs a running process gives, from when it was started."""

    def __init__(self, process: subprocess.Popen[str], place: Home, sandbox: RunningSandbox) -> None:
        self.process, self._home, self._sandbox = process, place, sandbox
        self._runs = place.runs()
        self._already = {sign: self._so_far(sign) for sign in (REQUESTS, *FILES)}

    def count(self, sign: str) -> int:
        if sign in (START, LIFE):
            return 1
        if sign in self._already:
            return self._so_far(sign) - self._already[sign]
        return sum(sign in steps_of(run) for run in self._home.runs() - self._runs)

    def _so_far(self, sign: str) -> int:
        return self._sandbox.request_count() if sign == REQUESTS else self._home.count(FILES[sign])


def _came(moment: Moment, watch: _Watch) -> bool:
    """Waits for a moment; False if the process ended before it."""
    due = None
    while watch.process.poll() is None:
        now = time.monotonic()
        if due is None and watch.count(moment.sign) >= moment.count:
            due = now + moment.delay_s
        if due is not None and now >= due:
            return True
        with suppress(subprocess.TimeoutExpired):
            watch.process.wait(_LOOK_EVERY_S)
    return False


def _last_step(runs: set[Path]) -> str:
    """The step a killed process had begun last."""
    steps = [step for run in runs for step in steps_of(run)]
    return steps[-1] if steps else START
