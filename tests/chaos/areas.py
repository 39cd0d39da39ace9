"""What a home does in a month, and the home it is done in: a night, a month's end, a new tenant, a publication."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.command import Ended, Home
from chaos.sagas import REGISTRATION
from chaos.stages import ENCRYPTION_KEY, copied, snapshot
from chaos.tables import OF_THE_PAGES, OF_THE_RUN, Rows, tables_of
from chaos.watch import Seen, Watch, signs_in
from tokenboard_etl.providers.sandbox.server import RunningSandbox

READ_AT, NOW = datetime(2026, 6, 3, 2, tzinfo=UTC), datetime(2026, 6, 5, 2, tzinfo=UTC)
"""May was read before its last days had settled; two days later it can be closed, and is read once more for that."""

MONTH = "2026-05"

BUT = OF_THE_RUN | OF_THE_PAGES | {"registry.audit.request_id", "billing.issues.evidence_sha256"}
"""What two runs may differ in: besides the names of loads, and what is made of them, the names of requests."""

POLICY = """
margins:
  - {id: dearer, percent: 40, provider: openai, from: 2026-05-01}
"""
"""Makes a publication differ from the one before."""


@dataclass(frozen=True)
class Area:
    """A command. `again` is what a person runs where the same command is refused, because it had been begun.

    `publishes_once`: what it publishes is all or nothing of what it does; a tenant may have one provider and wait
    for the other.
    """

    name: str
    command: tuple[str, ...]
    again: tuple[str, ...] = ()
    with_policy: bool = False
    publishes_once: bool = True
    asks_providers: bool = True
    but: frozenset[str] = frozenset()
    """What a disturbed run may do another way than an undisturbed one."""

    def __str__(self) -> str:
        return self.name


NIGHT = Area("nightly", ("nightly",))
CLOSE = Area("close", ("close", MONTH))
PROVISION = Area(
    "provisioning",
    ("provision", REGISTRATION.name, "--limit", str(REGISTRATION.limit_usd)),
    again=("provision", "--pending"),
    publishes_once=False,
    but=frozenset(
        {
            *("registry.audit", "registry.accounts.account_id"),
            *("registry.keys.key_id", "registry.keys.service_account_id", "registry.keys.label"),
        }
    ),  # a key that got lost on its way to the vault is deleted and made anew
)
PUBLISH = Area("publishing", ("rebuild",), with_policy=True, asks_providers=False)
AREAS = (NIGHT, CLOSE, PROVISION, PUBLISH)


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run left: its home, its published tables, and what it did on the way."""

    home: Home
    published: dict[str, Rows]
    seen: Sequence[Seen]
    growth_kib: int


@dataclass
class Scene:
    """A home in which a month was read, and both providers as they were then; each trial begins with copies."""

    sandbox: RunningSandbox
    folder: Path
    before: Home
    known: dict[str, Any]
    published: dict[str, Rows]
    references: dict[Area, Reference] = field(default_factory=dict)

    def fresh(self, name: str) -> Home:
        """A home for a trial; its folder may be there, empty."""
        state = self.sandbox.sandbox
        self.sandbox.clear_faults()
        state.organizations, state.account = copied(self.known["organizations"], self.known["account"])
        path = self.folder / name
        shutil.copytree(self.before.path, path, symlinks=True, dirs_exist_ok=True)
        return Home(path, {**self.before.env, "TOKENBOARD_HOME": str(path), "TOKENBOARD_NOW": NOW.isoformat()})

    def env_of(self, area: Area) -> dict[str, str]:
        return {"TOKENBOARD_POLICY": str(self.folder / "policy.yaml")} if area.with_policy else {}

    def reference(self, area: Area) -> Reference:
        """Made when it is asked for first."""
        if area not in self.references:
            home, told = self.fresh(f"undisturbed-{area.name}"), self.folder / f"{area.name}.json"
            before_kib = _kib_in(home.path)
            well(home.run(*area.command, first=Watch(home.path, told), **self.env_of(area)))
            published, growth_kib = tables_of(home.published, BUT), _kib_in(home.path) - before_kib
            self.references[area] = Reference(home, published, signs_in(told), growth_kib)
        return self.references[area]


def set_scene(sandbox: RunningSandbox, folder: Path, **more: str) -> Scene:
    """Tenants are registered and a month is read."""
    sandbox.reset()
    sandbox.set_clock(READ_AT)
    path, csv = folder / "before", folder / "tenants.csv"
    now = {"TOKENBOARD_HOME": str(path), "TOKENBOARD_NOW": READ_AT.isoformat()}
    before = Home(path, {**sandbox.env(), **now, "TOKENBOARD_ENCRYPTION_KEY": ENCRYPTION_KEY, **more})
    csv.write_text(sandbox.world.tenants_csv())
    (folder / "policy.yaml").write_text(POLICY)
    well(before.run("tenants", "import", str(csv)))
    well(before.run("nightly", "--from", f"{MONTH}-01"))
    sandbox.set_clock(NOW)
    return Scene(sandbox, folder, before, snapshot(sandbox.sandbox), tables_of(before.published, BUT))


def well(end: Ended) -> Ended:
    """A run that nobody disturbed."""
    if (end.status, end.err) != (0, ""):
        raise AssertionError(f"an undisturbed command ended with {end.status}: {end.err}")
    return end


def _kib_in(path: Path) -> int:
    return sum(each.stat().st_blocks for each in path.rglob("*") if not each.is_symlink()) // 2
