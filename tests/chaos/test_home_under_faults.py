"""Whatever happens to a machine while it works: nothing half is visible, nothing is lost, and the next run mends it.

A night, a month's end, a new tenant and a publication, each disturbed in seven ways. After each disturbed run all
invariants are checked at once, its error is held to be clear, and the same command once more must leave the tables of
a home nobody disturbed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import duckdb
import pytest

from chaos.areas import AREAS, BUT, CLOSE, NOW, PROVISION, PUBLISH, READ_AT, Area, Scene, set_scene
from chaos.command import Ended, Home
from chaos.disturbances import (
    BROKEN,
    CLOCK,
    DISTURBANCES,
    FULL,
    KILL,
    POSTGRES,
    READ_ONLY,
    SLOW,
    Disturbed,
    Trial,
    can_mount,
)
from chaos.invariants import missing_files, wrong
from chaos.outcomes import stored_keys
from chaos.report import Line, Report
from chaos.stages import made_since
from chaos.tables import OF_ANOTHER_READING, differences
from deploy.services import Postgres, postgres, postgres_programs
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.settings import load_settings

SEED = 7
AT_LENGTH = {SLOW: 1, CLOCK: 4}
"""Trials; of the others two: some take turns."""

ALL = [(area, fault) for area in AREAS for fault in DISTURBANCES if area.asks_providers or fault not in (SLOW, BROKEN)]
SAMPLE = ((CLOSE, FULL, 1), (PROVISION, READ_ONLY, 0), (PUBLISH, KILL, 1))
"""By the number of the trial. Kills of a night, broken providers and kills of an issue have samples of their own."""

Play = Callable[[Area, str, Sequence[int]], list[str]]

MONEY = tuple(f"billing.{name}" for name in ("charges", "tenant_days", "invoice_drafts", "invoice_lines"))
"""What is the same whatever the clock said when it was read."""


@pytest.fixture(scope="module")
def providers() -> Iterator[RunningSandbox]:
    with running_sandbox(now=READ_AT, analytics_per_minute=None) as running:
        yield running


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    if postgres_programs() is None:
        pytest.skip("Postgres is not installed")
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def scene(providers: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return set_scene(providers, tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not can_mount(tmp_path_factory.mktemp("mounts") / "folder"):
        pytest.skip("mounting a small or a read-only file system is not allowed here")


@pytest.fixture
def played(scene: Scene, report: Report, request: pytest.FixtureRequest) -> Play:
    """Plays some trials of a fault and adds their line to the report; returns what was wrong."""

    def play_all(area: Area, fault: str, numbers: Sequence[int]) -> list[str]:
        if fault in (FULL, READ_ONLY):
            request.getfixturevalue("mounts")
        database = request.getfixturevalue("database") if fault == POSTGRES else None
        ends = [play(scene, area, fault, number, database) for number in numbers]
        failures = [each for _, found in ends for each in found]
        report.append(Line(f"{area}, {fault}", len(ends), len(failures), "; ".join(told for told, _ in ends)))
        return failures

    return play_all


def play(scene: Scene, area: Area, fault: str, number: int, database: Postgres | None) -> tuple[str, list[str]]:
    """One trial: what was done and how it ended, and what was wrong then."""
    drawn = random.Random(f"{SEED} {area.name} {fault} {number}")
    reference = scene.reference(area)
    with ExitStack() as last:
        trial = Trial(scene, area, number, drawn, f"{area.name}-{fault.replace(' ', '-')}-{number}", database, last)
        last.callback(shutil.rmtree, trial.path, ignore_errors=True)
        with DISTURBANCES[fault](trial) as disturbed:
            more = {**scene.env_of(area), **disturbed.env}
            end = disturbed.home.run(*area.command, first=disturbed.first, **more)
            known = area.publishes_once and not disturbed.clock_jumps
            versions = (scene.published, reference.published) if known else ()
            found = [*unclear(end, disturbed), *wrong(disturbed.home, scene.sandbox, versions)]
        found += not_mended(scene, area, disturbed, end)
    came = not disturbed.clock_jumps or disturbed.clock_jumps.exists()
    return f"{disturbed.point}{'' if came else ', which did not come'}: {end.status}", [
        f"seed {SEED}, trial {number}, {disturbed.point}: {each}" for each in found
    ]


def unclear(end: Ended, disturbed: Disturbed) -> Iterator[str]:
    """What a person could not understand: an error is one or two lines of ours that name what is wrong."""
    if end.status not in disturbed.statuses:
        yield f"it ended with {end.status}: {end.err}"
    elif end.status in (1, 2):
        lines = end.err.splitlines()
        if not (1 <= len(lines) <= 2 and lines[0].startswith("tokenboard: ")) or "A defect in this program" in end.err:
            yield f"it said {end.err!r}"
        yield from (f"{word!r} is not in {end.err!r}" for word in disturbed.says if word not in end.err)
    elif end.err:
        yield f"it ended with {end.status} and said {end.err!r}"
    if "Traceback" in end.out + end.err:
        yield f"a traceback: {end.out}{end.err}"


def not_mended(scene: Scene, area: Area, disturbed: Disturbed, end: Ended) -> Iterator[str]:
    """What is left of it after the same command once more, by a person who knows nothing of what happened.

    A run that said it was done is believed.
    """
    home, more, reference, but = disturbed.home, scene.env_of(area), scene.reference(area), BUT | area.but
    if end.status != 0 or disturbed.clock_jumps:
        again, but = home.run(*area.command, **more), but | OF_ANOTHER_READING
        if again.status == 2 and area.again:
            again = home.run(*area.again, **more)
        if (again.status, again.err) != (0, ""):
            yield f"once more it ended with {again.status}: {again.err}"
        yield from wrong(home, scene.sandbox)
    yield from differences(home, reference.home, but, MONEY if disturbed.clock_jumps else ())
    yield from missing_files(home)
    yield from lost_keys(home, scene.sandbox)


def lost_keys(home: Home, sandbox: RunningSandbox) -> Iterator[str]:
    """Every key made for a tenant is in the vault and on record, and no other can be used."""
    made = made_since(sandbox, READ_AT)
    live = {("openai", key) for project in made["projects"] for key in project.keys}
    live |= {("openrouter", key.hash) for key in made["keys"] if not key.is_disabled(NOW)}
    stored = {(provider, key_id) for _, provider, key_id in stored_keys(load_settings(**home.env))}
    with duckdb.connect(home.tables[1], read_only=True) as warehouse:
        on_record = warehouse.execute("SELECT provider, key_id FROM registry.keys WHERE retired_at IS NULL").fetchall()
    if not stored == live == set(on_record):
        yield f"keys that are stored {stored}, on record {on_record}, and that can be used {live}"
    if len(made["projects"]) > 1:
        yield f"{len(made['projects'])} projects"


@pytest.mark.slow
@pytest.mark.parametrize(("area", "fault", "number"), SAMPLE, ids=str)
def test_a_home_is_mended_by_the_next_run_after_some_faults(played: Play, area: Area, fault: str, number: int) -> None:
    assert played(area, fault, [number]) == []


@pytest.mark.chaos
@pytest.mark.parametrize(("area", "fault"), ALL, ids=str)
def test_a_home_is_mended_by_the_next_run_after_every_fault(played: Play, area: Area, fault: str) -> None:
    assert played(area, fault, [AREAS.index(area) + 3]) == []  # the clock jumps while a night is read


@pytest.mark.endurance
@pytest.mark.parametrize(("area", "fault"), ALL, ids=str)
def test_a_home_is_mended_by_the_next_run_after_every_fault_at_length(played: Play, area: Area, fault: str) -> None:
    assert played(area, fault, range(AT_LENGTH.get(fault, 2))) == []
