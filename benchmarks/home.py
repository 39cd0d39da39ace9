"""A home of our own system over a served world, and our command as a process in it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.serving import World
from tokenboard_etl.tenants.csv_import import COLUMNS

COMMAND = [sys.executable, "-c", "from tokenboard_etl.cli import main; main()"]


def prepare_home(world: World, home: Path) -> None:
    """A home in which every organization is connected and every project is a tenant of its own; nothing is read yet."""
    home.mkdir(parents=True)
    with (home / "tenants.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for size in world.sizes:
            for number in range(size.projects):
                tenant = {"name": f"Tenant {size.organization} {number}", "country": "DE", "currency": "USD"}
                account = {"openai_project_id": size.project(number), "valid_from": size.first_day}
                writer.writerow({**tenant, **account})
    told = environment(world, home)
    tokenboard(["tenants", "import", str(home / "tenants.csv")], told, home)
    for size in world.sizes[1:]:
        tokenboard(["connect", "--provider", "openai"], told, home, size.admin_key)


def environment(world: World, home: Path, now: datetime | None = None) -> dict[str, str]:
    """What our command is told: by default it is the night after the world's last day."""
    return {
        **os.environ,
        "OPENAI_ADMIN_KEY": world.sizes[0].admin_key,
        "OPENAI_BASE_URL": world.base_url,
        "OPENROUTER_MANAGEMENT_KEY": "sk-or-v1-benchmark",
        "OPENROUTER_BASE_URL": f"http://127.0.0.1:{world.port}/router",
        "TOKENBOARD_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "TOKENBOARD_HOME": str(home),
        "TOKENBOARD_NOW": (now or world.sizes[0].night).isoformat(),
    }


def tokenboard(arguments: Sequence[str], told: Mapping[str, str], home: Path, given: str = "") -> None:
    """Our command, unmeasured; ends the benchmark with its words if it fails."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *arguments], input=given, env=told, cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\ntokenboard {arguments[0]} failed with status {done.returncode}")
