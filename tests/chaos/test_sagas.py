"""Whatever is done to a tenant, killed before and after every call and every commit, with the answer delivered or lost.

Whatever happened, the same command once more ends as if nothing had: one project, one service account and one live key
per provider, of which the stored ones are those, or none of it in use, and nothing else was made.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from chaos.outcomes import wrong
from chaos.report import Line, Report
from chaos.sagas import (
    AFTER,
    CALL,
    COMMIT,
    FILE,
    LANDED,
    LIMIT,
    MANY,
    OFFBOARD,
    PROVISION,
    PUSH,
    RESUME,
    ROTATE,
    SUSPEND,
    VAULT,
    WAYS,
    Point,
    Watch,
    act,
)
from chaos.stages import NOW, Stage, made_since
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.vault import read_vault

SAMPLE_SEED = 3
SAMPLE = {PROVISION: 2, ROTATE: 2}
"""Points by chance; of the others one."""

SCENARIOS = {
    PROVISION: {CALL, COMMIT, VAULT},
    ROTATE: {CALL, COMMIT, VAULT},
    LIMIT: {CALL, COMMIT},
    PUSH: {CALL, COMMIT},
    SUSPEND: {CALL, COMMIT, VAULT},
    RESUME: {CALL, COMMIT, VAULT},
    OFFBOARD: {CALL, COMMIT, VAULT, LANDED},
}
"""What each of them does."""

_PATIENCE = 20


@pytest.fixture(scope="module")
def providers() -> Iterator[RunningSandbox]:
    with running_sandbox(now=NOW, analytics_per_minute=None) as running:
        yield running


@pytest.fixture(params=SCENARIOS)
def stage(request: pytest.FixtureRequest, providers: RunningSandbox, tmp_path: Path) -> Stage:
    found = Stage(providers, tmp_path, request.param)
    found.set()
    return found


def is_mended(stage: Stage, point: Point, second: Point | None = None) -> list[str]:
    """Disturbs a saga at a point, perhaps a second time while it goes on from there, then lets it end."""
    home = stage.fresh("trial")
    ends = [stage.try_at(each, home) for each in (point, second) if each is not None]
    stage.again(home)
    found = list(wrong(stage, home))
    if point.way != "answer lost" and ends[0] != -9:
        found.append(f"was to be killed and ended with {ends[0]}")
    return [f"{point}, {second}: {each}" for each in found]


def trial(stage: Stage, chosen: list[tuple[Point, Point | None]], report: Report, name: str) -> None:
    failures, ways = list[str](), Counter[str]()
    for point, second in chosen:
        failures += is_mended(stage, point, second)
        ways[f"{point.kind} {point.way}"] += 1
    told = ", ".join(f"{way} {count}" for way, count in sorted(ways.items()))
    report.append(Line(f"{stage.scenario}, {name}", len(chosen), len(failures), told))
    assert failures == []


@pytest.mark.slow
def test_a_saga_killed_at_some_points_ends_as_if_it_had_not_been(stage: Stage, report: Report) -> None:
    """After each creation, where most is at stake, and at some points by chance."""
    found = stage.all_points()
    done = {(kind, way) for kind in SCENARIOS[stage.scenario] for way in WAYS[kind]}
    assert {(each.kind, each.way) for each in found} == done
    created = re.compile(r"POST (/organization/projects|.*/service_accounts|/keys)")
    chosen = [each for each in found if each.way == AFTER and created.fullmatch(each.what)]
    assert len(chosen) == {PROVISION: 3, ROTATE: 2, RESUME: 1}.get(stage.scenario, 0)
    chosen += random.Random(SAMPLE_SEED).sample(found, SAMPLE.get(stage.scenario, 1))
    trial(stage, [(each, None) for each in chosen], report, "a sample")


@pytest.mark.parametrize(
    "every", [pytest.param(8, marks=pytest.mark.chaos), pytest.param(1, marks=pytest.mark.endurance)]
)
def test_a_saga_killed_at_every_point_ends_as_if_it_had_not_been(stage: Stage, report: Report, every: int) -> None:
    """Every eighth, or each of them."""
    chosen = [(each, None) for each in stage.all_points()[::every]]
    trial(stage, chosen, report, "every point" if every == 1 else f"every {every}th point")


@pytest.mark.parametrize(
    "trials", [pytest.param(4, marks=pytest.mark.chaos), pytest.param(40, marks=pytest.mark.endurance)]
)
def test_a_saga_killed_again_while_it_goes_on_ends_as_if_it_had_not_been(
    stage: Stage, report: Report, trials: int
) -> None:
    """A second disturbance, at another point."""
    found, drawn = stage.all_points(), random.Random(trials)
    chosen = [(drawn.choice(found), drawn.choice(found)) for _ in range(trials)]
    trial(stage, chosen, report, "two points each")


@pytest.mark.endurance
@pytest.mark.parametrize("stage", [SUSPEND], indirect=True)
def test_a_suspension_killed_at_every_point_is_taken_back_by_resuming(stage: Stage, report: Report) -> None:
    """Another command than the one that was interrupted."""
    failures, found = list[str](), stage.all_points()
    for point in found:
        home = stage.fresh("trial")
        stage.try_at(point, home)
        stage.sandbox.clear_faults()
        act(stage.settings(home), RESUME, Watch(None, ""))
        failures += [f"{point}: {each}" for each in wrong(replace(stage, scenario=RESUME), home)]
    report.append(Line("suspend, then resume", len(found), len(failures), "every point"))
    assert failures == []


def many_are_provisioned(stage: Stage, tenants: int, kills: int, report: Report) -> None:
    """All tenants of a file, through faults at 10 % of the requests, killed some times and then run until done."""
    names = [f"Tenant {number}" for number in range(tenants)]
    (stage.before / FILE).write_text("name,limit_usd\n" + "".join(f"{name},10\n" for name in names))
    home, drawn = stage.fresh("many"), random.Random(SAMPLE_SEED)
    stage.sandbox.add_fault("any", probability=0.1, seed=SAMPLE_SEED)
    killed = [stage.try_at(Point(drawn.randrange(10 * tenants), CALL, "any"), home) for _ in range(kills)]
    assert killed == [-9] * kills
    for _ in range(_PATIENCE):
        act(stage.settings(home), MANY, Watch(None, ""))
        if not pending(stage, home):
            break
    stage.sandbox.clear_faults()
    made = made_since(stage.sandbox)
    failures = pending(stage, home) + made["elsewhere"]
    failures += [] if sorted(p.given_name for p in made["projects"]) == sorted(names) else ["projects"]
    failures += [] if sorted(key.name for key in made["keys"]) == sorted(names) else ["keys"]
    failures += [p.given_name for p in made["projects"] if (len(p.accounts), len(p.keys)) != (1, 1)]
    live = {key for p in made["projects"] for key in p.keys} | {key.hash for key in made["keys"]}
    with read_vault(stage.settings(home).vault_path, KeyRing(stage.settings(home).encryption_keys)) as vault:
        stored = {each.secret_id.rpartition("/")[2] for each in vault.secrets()}
    failures += sorted(stored ^ live)
    report.append(Line(f"{tenants} tenants of a file", tenants, len(failures), f"{kills} kills, 10 % faults"))
    assert failures == []


def pending(stage: Stage, home: Path) -> list[str]:
    with duckdb.connect(stage.settings(home).warehouse_path) as warehouse:
        rows = warehouse.execute("SELECT tenant_id FROM registry.provisioning WHERE state <> 'ready'").fetchall()
    return [tenant_id for (tenant_id,) in rows]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [MANY], indirect=True)
def test_some_tenants_of_a_file_are_provisioned_through_faults_and_a_kill(stage: Stage, report: Report) -> None:
    many_are_provisioned(stage, 10, 1, report)


@pytest.mark.parametrize("stage", [MANY], indirect=True)
@pytest.mark.parametrize(
    ("tenants", "kills"),
    [pytest.param(40, 2, marks=pytest.mark.chaos), pytest.param(200, 3, marks=pytest.mark.endurance)],
)
def test_many_tenants_of_a_file_are_provisioned_through_faults_and_kills(
    stage: Stage, report: Report, tenants: int, kills: int
) -> None:
    many_are_provisioned(stage, tenants, kills, report)
