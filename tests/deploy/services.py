"""The services of deploy/compose.yaml as plain processes: the same commands and settings, without an engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PASSWORD = "made-up-for-one-test"

T = TypeVar("T")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def postgres_programs() -> Path | None:
    """Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(what: str, seen: Callable[[], T | None], seconds: float, every: float = 0.1) -> T:
    """Waits for real processes; what comes of it must not be None or False."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            if found := seen():
                return found
        time.sleep(every)
    raise AssertionError(f"{what} did not come within {seconds:.0f} s")


@dataclass
class Postgres:
    """A server of one test on loopback; `env` are the variables deploy/dagster.yaml reads."""

    folder: Path
    programs: Path
    user: str | None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        return {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_DB": "postgres",
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
        }

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        of_the_superuser = ["-U", "dagster", "--pwfile", password, "--auth", "scram-sha-256"]
        subprocess.run(
            [self.programs / "initdb", "-D", self.folder / "data", *of_the_superuser],
            user=self.user,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def start(self) -> None:
        where = ["-D", self.folder / "data", "-k", self.folder, "-p", str(self.port)]
        self.process = subprocess.Popen(
            [self.programs / "postgres", *where, "-c", "fsync=off"],
            user=self.user,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        until("Postgres", lambda: socket.create_connection(("127.0.0.1", self.port), 1), 30).close()

    def stop(self) -> None:
        """Cuts every connection."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh server that is up."""
    programs = postgres_programs()
    assert programs is not None
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # beside pytest's folders, which nobody else may enter
    server = Postgres(folder, programs, user)
    if user:
        shutil.chown(folder, user)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Services:
    """The services that are up, and the one page they are asked through. `keys` go to the code server alone."""

    folder: Path
    storage: Mapping[str, str]
    keys: Mapping[str, str]
    ports: Mapping[str, int] = field(default_factory=lambda: {"code": free_port(), "webserver": free_port()})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        shutil.copyfile(DEPLOY / "dagster.yaml", self.folder / "dagster.yaml")
        workspace = (DEPLOY / "workspace.yaml").read_text().replace("host: code", "host: 127.0.0.1")
        (self.folder / "workspace.yaml").write_text(workspace.replace("4000", str(self.ports["code"])))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A service of the compose file, by its command there."""
        self.running[name] = self._run(name, compose()["services"][name]["command"])
        return self.running[name]

    def are_healthy(self) -> bool:
        """What the health checks of the compose file say, asked all at once."""
        checks = {
            name: compose()["services"][name]["healthcheck"]["test"] for name in self.running if name != "prepare"
        }
        assert all(check[0] == "CMD" for check in checks.values())
        asked = [self._run(name, check[1:]) for name, check in checks.items()]
        return [process.wait(60) for process in asked] == [0] * len(asked)

    def kill(self, name: str) -> None:
        """SIGKILL for the service and everything it started."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def said(self) -> str:
        """Everything the services wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['webserver']}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    def _run(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [self._here(word) for word in command],
                cwd=self.folder,
                env={
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                    "HOME": str(self.folder),
                    "DAGSTER_HOME": str(self.folder),
                    **self.storage,
                    **(self.keys if name == "code" else {}),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _here(self, word: str) -> str:
        """A word of a command with the addresses of this machine."""
        for there, here in (("4000", self.ports["code"]), ("3000", self.ports["webserver"]), ("0.0.0.0", "127.0.0.1")):
            word = word.replace(there, str(here))
        return word
