"""Provisioning and rotation, killed before and after every call and every commit, with the answer delivered or lost.

Whatever happened, the same command once more ends with exactly one project, one service account and one live key per
provider, the stored key is the live one, and nothing else was made.
"""

from __future__ import annotations

import base64
import copy
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chaos.report import Line, Report
from chaos.sagas import (
    AFTER,
    CALL,
    FILE,
    MANY,
    PROVISION,
    REGISTRATION,
    ROTATE,
    TENANT_ID,
    WAYS,
    Point,
    Watch,
    act,
    points,
    run,
)
from tokenboard_etl.errors import RegistryError
from tokenboard_etl.providers.sandbox.draws import code
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.providers.sandbox.state import Sandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.tenant_keys import read_key
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 5, 2, 2, tzinfo=UTC)
ENCRYPTION_KEY = base64.b64encode(bytes([5]) * 32).decode()
SAMPLE, TWICE, SAMPLE_SEED = 5, 40, 3
_PATIENCE = 20
RETIRED = "provider = 'openrouter' AND retired_at IS NOT NULL"


@dataclass
class Stage:
    """A home and what the providers know, as they are before a scenario; each trial begins with copies of both."""

    sandbox: RunningSandbox
    folder: Path
    scenario: str
    known: dict[str, Any] = field(default_factory=dict)

    def env(self, home: Path) -> dict[str, str]:
        now = NOW.isoformat()
        more = {"TOKENBOARD_HOME": str(home), "TOKENBOARD_NOW": now, "TOKENBOARD_ENCRYPTION_KEY": ENCRYPTION_KEY}
        return {**self.sandbox.env(), **more}

    def settings(self, home: Path) -> Settings:
        return load_settings(**self.env(home))

    @property
    def before(self) -> Path:
        return self.folder / "before"

    def set(self) -> None:
        self.sandbox.reset()
        with open_warehouse(self.settings(self.before).warehouse_path):
            pass
        if self.scenario == ROTATE:
            act(self.settings(self.before), PROVISION, Watch(None, ""))
        self.known = snapshot(self.sandbox.sandbox)

    def fresh(self, name: str) -> Path:
        """A home for a trial, with both providers as they were."""
        state = self.sandbox.sandbox
        self.sandbox.clear_faults()
        state.organizations, state.account = copied(self.known["organizations"], self.known["account"])
        home = self.folder / name
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.before, home)
        return home

    def try_at(self, point: Point | None, home: Path) -> int:
        told = self.folder / "points.json"
        return run(self.env(home), self.scenario, point, self.sandbox.base_url, told)

    def all_points(self) -> list[Point]:
        """Found by a run that is only watched."""
        assert self.try_at(None, self.fresh("counted")) == 0
        return points(self.folder / "points.json")

    def again(self, home: Path) -> None:
        """The same command once more, by a person who knows nothing of what happened; refused if it had been done."""
        self.sandbox.clear_faults()
        with suppress(RegistryError):
            act(self.settings(home), self.scenario, Watch(None, ""))


def snapshot(state: Sandbox) -> dict[str, Any]:
    organizations, account = copied(state.organizations, state.account)
    return {"organizations": organizations, "account": account}


def copied(organizations: Any, account: Any) -> tuple[Any, Any]:
    """What requests can change; the world itself is shared."""
    kept: list[Any] = [account.account]
    for each in organizations.values():
        kept += [each.org, *each.org.projects, *each.org.people]
    memo = {id(each): each for each in kept}
    return copy.deepcopy(organizations, memo), copy.deepcopy(account, memo)


def made_since(stage: Stage) -> dict[str, list[Any]]:
    """Everything both providers have that they did not have in an empty world."""
    world = stage.sandbox.world
    empty = Sandbox(world, NOW)
    state = stage.sandbox.sandbox
    org_id = world.organizations[0].id
    projects, old = state.organizations[org_id].projects, empty.organizations[org_id].projects
    return {
        "projects": [each for name, each in projects.items() if name not in old],
        "keys": [each for name, each in state.account.keys.items() if name not in empty.account.keys],
        "elsewhere": [
            name
            for name, each in projects.items()
            if name in old
            and (each.accounts.keys(), each.keys.keys()) != (old[name].accounts.keys(), old[name].keys.keys())
        ],
    }


def wrong(stage: Stage, home: Path) -> Iterator[str]:
    """Everything that is not as it must be after a scenario that ended well."""
    made = made_since(stage)
    if len(made["projects"]) != 1:
        yield f"{len(made['projects'])} projects"
        return
    (project,) = made["projects"]
    live = [key for key in made["keys"] if not key.is_disabled(NOW)]
    expected = {
        "name": (project.given_name, REGISTRATION.name),
        "archived": (project.archived_at, None),
        "service accounts": (len(project.accounts), 1),
        "project keys": ([key.account_id for key in project.keys.values()], list(project.accounts)),
        "limit": (project.budget.limit_cents, 20_000),
        "alerts": (sorted(a.threshold_cents for a in project.budget.alerts.values()), [10_000, 16_000, 20_000]),
        "live keys": (len(live), 1),
        "router limits": (
            {(k.name, k.limit, k.limit_reset) for k in live},
            {(REGISTRATION.name, Decimal(200), "monthly")},
        ),
        "elsewhere": (made["elsewhere"], []),
    }
    yield from (f"{what}: {is_} is not {must}" for what, (is_, must) in expected.items() if is_ != must)
    if len(live) == len(project.keys) == 1:
        disabled = {key.hash for key in made["keys"]} - {live[0].hash}
        yield from wrong_here(stage, home, next(iter(project.keys)), live[0].hash, project.id, disabled)


def wrong_here(
    stage: Stage, home: Path, key_id: str, key_hash: str, project_id: str, disabled: set[str]
) -> Iterator[str]:
    settings = stage.settings(home)
    with read_vault(settings.vault_path, KeyRing(settings.encryption_keys)) as vault:
        if len(vault.secrets()) != 2:
            yield f"the vault holds {[each.secret_id for each in vault.secrets()]}"
        stored = read_key(vault, TENANT_ID, "openai", key_id).get_secret_value()
        if stored != f"sk-svcacct-SANDBOX-{code(40, key_id)}":
            yield "the stored key of OpenAI is not the live one"
        found = stage.sandbox.sandbox.account.by_value(
            read_key(vault, TENANT_ID, "openrouter", key_hash).get_secret_value()
        )
        if found is None or found.hash != key_hash:
            yield "the stored key of OpenRouter is not the live one"
    with duckdb.connect(settings.warehouse_path) as warehouse:
        for what, query, must in (
            ("keys", "SELECT key_id FROM registry.keys WHERE retired_at IS NULL", {(key_id,), (key_hash,)}),
            ("retired", f"SELECT key_id FROM registry.keys WHERE {RETIRED}", {(each,) for each in disabled}),
            ("states", "SELECT DISTINCT state, replaces_key_id FROM registry.provisioning", {("ready", None)}),
            ("open actions", "SELECT action FROM registry.audit WHERE result IN ('begun', 'lost')", set()),
            ("tenants", "SELECT tenant_id FROM registry.tenants", {(TENANT_ID,)}),
            ("project", "SELECT account_id FROM registry.accounts WHERE kind = 'project'", {(project_id,)}),
            ("bound key", f"SELECT 1 FROM registry.accounts WHERE account_id = '{key_hash}'", {(1,)}),
        ):
            if (found := set(warehouse.execute(query).fetchall())) != must:
                yield f"{what}: {found} is not {must}"


@pytest.fixture(scope="module")
def providers() -> Iterator[RunningSandbox]:
    with running_sandbox(now=NOW, analytics_per_minute=None) as running:
        yield running


@pytest.fixture(params=[PROVISION, ROTATE])
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
    assert {(each.kind, each.way) for each in found} == {(kind, way) for kind, ways in WAYS.items() for way in ways}
    created = re.compile(r"POST (/organization/projects|.*/service_accounts|/keys)")
    chosen = [each for each in found if each.way == AFTER and created.fullmatch(each.what)]
    assert len(chosen) >= 2
    chosen += random.Random(SAMPLE_SEED).sample(found, SAMPLE)
    trial(stage, [(each, None) for each in chosen], report, "a sample")


@pytest.mark.chaos
def test_a_saga_killed_at_every_point_ends_as_if_it_had_not_been(stage: Stage, report: Report) -> None:
    trial(stage, [(each, None) for each in stage.all_points()], report, "every point")


@pytest.mark.chaos
def test_a_saga_killed_again_while_it_goes_on_ends_as_if_it_had_not_been(stage: Stage, report: Report) -> None:
    """A second disturbance, at another point."""
    found, drawn = stage.all_points(), random.Random(SAMPLE_SEED)
    chosen = [(drawn.choice(found), drawn.choice(found)) for _ in range(TWICE)]
    trial(stage, chosen, report, "two points each")


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
    made = made_since(stage)
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


@pytest.mark.chaos
@pytest.mark.parametrize("stage", [MANY], indirect=True)
def test_200_tenants_of_a_file_are_provisioned_through_faults_and_kills(stage: Stage, report: Report) -> None:
    many_are_provisioned(stage, 200, 3, report)
