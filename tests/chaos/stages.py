"""Where a saga plays: a home and both providers, which each trial finds as they were before the scenario."""

from __future__ import annotations

import base64
import copy
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.sagas import EARLIER, Point, Watch, act, points, run
from tokenboard_etl.errors import RegistryError
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.sandbox.state import Sandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 5, 2, 2, tzinfo=UTC)
COUNTED = "counted"
"""The home of a run that is only watched."""

ENCRYPTION_KEY = base64.b64encode(bytes([5]) * 32).decode()


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
        for earlier in EARLIER[self.scenario]:
            act(self.settings(self.before), earlier, Watch(None, ""))
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
        assert self.try_at(None, self.fresh(COUNTED)) == 0
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


def made_since(sandbox: RunningSandbox, now: datetime = NOW) -> dict[str, list[Any]]:
    """Everything both providers have that they did not have in an empty world."""
    world, state = sandbox.world, sandbox.sandbox
    empty = Sandbox(world, now)
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
