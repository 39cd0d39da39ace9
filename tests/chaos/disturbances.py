"""What can happen to a machine and its providers while a command runs."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

from chaos.areas import NOW, Area, Scene
from chaos.clock import Clock
from chaos.command import Home
from chaos.watch import Watch, a_moment, while_it_asks
from deploy.services import DEPLOY, Postgres
from tokenboard_etl.providers.sandbox.app import OPENAI_PREFIX, OPENROUTER_PREFIX

KILL, FULL, READ_ONLY, CLOCK = "kill -9", "disk full", "read-only", "clock jump"
SLOW, BROKEN, POSTGRES = "slow provider", "broken provider", "Postgres restart"

_DISK_MIB = 512
"""Of memory, at most: an empty one takes none."""

_FOLDERS = (".", "landing", "published", "reports", "dagster", "logs", "running")
_JUMPS = (timedelta(days=-3), timedelta(days=31), timedelta(hours=-11), timedelta(days=31))
"""To a day before the last reading, into the month after, and to the day before by less than is refused; the last jump
comes while the command is at work."""

_BRIEFLY_S = 0.5
_DOWN_S = (1, 14)
"""By turns; Dagster asks again for some ten seconds."""


@dataclass
class Trial:
    """One disturbed run and what comes after. `last` ends when all was looked at; `postgres` is up if it is needed."""

    scene: Scene
    area: Area
    number: int
    drawn: random.Random
    name: str
    postgres: Postgres | None
    last: ExitStack

    @property
    def path(self) -> Path:
        return self.scene.folder / self.name

    def home(self) -> Home:
        return self.scene.fresh(self.name)

    def moment_told(self) -> Path:
        return self.scene.folder / f"{self.name}.json"


@dataclass(frozen=True)
class Disturbed:
    """A home in which something is wrong, or will be: where, for the report. `says` are words an error has to have."""

    home: Home
    point: str
    env: Mapping[str, str] = field(default_factory=dict)
    first: Callable[[], None] | None = None
    statuses: tuple[int, ...] = (0, 1)
    says: tuple[str, ...] = ()
    clock_jumps: Path | None = None
    """The file that tells it has. Such a run goes by a clock of its own, so its instants are no others'."""


Disturbance = Callable[[Trial], AbstractContextManager[Disturbed]]


@contextmanager
def kill_9(trial: Trial) -> Iterator[Disturbed]:
    home, moment = trial.home(), a_moment(trial.drawn, trial.scene.reference(trial.area).seen)
    point = f"{moment.delay_s:.3f} s after {moment.sign} {moment.count}"
    yield Disturbed(home, point, first=Watch(home.path, trial.moment_told(), moment), statuses=(-9, 0))


@contextmanager
def disk_full(trial: Trial) -> Iterator[Disturbed]:
    """The home is a file system of its own, with so little left that something of the run does not fit."""
    growth_kib = trial.scene.reference(trial.area).growth_kib
    left_kib = round(16 * (growth_kib / 16) ** trial.drawn.random())
    trial.path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", trial.path)
    trial.last.callback(_unmount, trial.path)
    home = trial.home()
    used_kib = shutil.disk_usage(home.path).used // 1024
    _mount("-o", f"remount,size={used_kib + left_kib}k", home.path)
    yield Disturbed(home, f"{left_kib} KiB left", says=("disk is full", str(home.path)))
    _mount("-o", f"remount,size={_DISK_MIB}m", home.path)


@contextmanager
def read_only(trial: Trial) -> Iterator[Disturbed]:
    """A mount: modes do not keep root from writing."""
    home, name = trial.home(), trial.drawn.choice(_FOLDERS)
    folder = home.path / name
    folder.mkdir(exist_ok=True)
    _mount("--bind", folder, folder)
    try:
        _mount("-o", "remount,bind,ro", folder)
        yield Disturbed(home, name, says=("read-only", str(home.path)))
    finally:
        _unmount(folder)


@contextmanager
def clock_jump(trial: Trial) -> Iterator[Disturbed]:
    """The machine's own clock, and right again for the next run; the providers' clocks are right, and they date."""
    home, jump, watch, when = trial.home(), _JUMPS[trial.number % len(_JUMPS)], None, "from the start"
    jumped = trial.scene.folder / f"{trial.name}.jumped"
    if trial.number % len(_JUMPS) == len(_JUMPS) - 1:
        moment = a_moment(trial.drawn, while_it_asks(trial.scene.reference(trial.area).seen))
        watch, when = partial(Watch, home.path, trial.moment_told(), moment), f"after {moment.sign} {moment.count}"
    trial.scene.sandbox.set_clock(NOW, dated=True)
    try:
        yield Disturbed(
            home,
            f"{jump.total_seconds() / 3600:+.0f} hours {when}",
            env={"TOKENBOARD_NOW": ""},
            first=Clock(NOW, jump, jumped, watch),
            statuses=(0, 1, 2),
            clock_jumps=jumped,
        )
    finally:
        trial.scene.sandbox.set_clock(NOW)


@contextmanager
def slow_provider(trial: Trial) -> Iterator[Disturbed]:
    home, seed = trial.home(), trial.drawn.randrange(1000)
    trial.scene.sandbox.add_fault("slow", probability=0.2, seed=seed, delay=_BRIEFLY_S)
    yield Disturbed(home, f"one in five takes {_BRIEFLY_S} s, seed {seed}", statuses=(0,))
    trial.scene.sandbox.clear_faults()


@contextmanager
def broken_provider(trial: Trial) -> Iterator[Disturbed]:
    """By turns: one is down all the time; both break off some of their answers."""
    home, seed, sandbox = trial.home(), trial.drawn.randrange(1000), trial.scene.sandbox
    if trial.number % 2 == 0:
        provider, prefix = trial.drawn.choice((("openai", OPENAI_PREFIX), ("openrouter", OPENROUTER_PREFIX)))
        sandbox.add_fault("status", f" {prefix}/", status=503, retry_after=0)
        yield Disturbed(home, f"{provider} is down", says=(provider, "503"))
    else:
        sandbox.add_fault("truncated", probability=0.1, seed=seed)
        yield Disturbed(home, f"one in ten is cut, seed {seed}", says=("broke off",))
    sandbox.clear_faults()


@contextmanager
def postgres_restart(trial: Trial) -> Iterator[Disturbed]:
    """Dagster's records are in Postgres, which goes down at some moment and is back soon."""
    assert trial.postgres is not None
    home, folder = trial.home(), trial.scene.folder / "dagster"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(DEPLOY / "dagster.yaml", folder / "dagster.yaml")
    moment = a_moment(trial.drawn, trial.scene.reference(trial.area).seen)
    due = multiprocessing.get_context("forkserver").Event()
    down_s = _DOWN_S[trial.number % len(_DOWN_S)]
    restart = threading.Thread(target=_restart, args=(trial.postgres, due, down_s))
    restart.start()
    env = {"DAGSTER_HOME": str(folder), **trial.postgres.env}
    try:
        point = f"{moment.delay_s:.3f} s after {moment.sign} {moment.count}, for {down_s} s"
        watch = Watch(home.path, trial.moment_told(), moment, due.set)
        yield Disturbed(home, point, env=env, first=watch, says=("Postgres",))
    finally:
        due.set()
        restart.join()


def _restart(server: Postgres, due: Event, down_s: int) -> None:
    due.wait()
    server.stop()
    time.sleep(down_s)
    server.start()


DISTURBANCES: Mapping[str, Disturbance] = {
    KILL: kill_9,
    FULL: disk_full,
    READ_ONLY: read_only,
    CLOCK: clock_jump,
    SLOW: slow_provider,
    BROKEN: broken_provider,
    POSTGRES: postgres_restart,
}


def can_mount(folder: Path) -> bool:
    """Whether file systems can be made full or read-only here."""
    folder.mkdir()
    if shutil.which("mount") is None or subprocess.run(["mount", "--bind", folder, folder], check=False).returncode:
        return False
    _unmount(folder)
    return True


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)
