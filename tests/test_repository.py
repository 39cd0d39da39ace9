"""Promises of the repository itself: the lock, the layers, the documents."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from assets.definitions import defs
from tokenboard_etl.cli import app
from tokenboard_etl.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("lock", "at_least"),
    [
        ("requirements.lock", 80),
        ("tests/reading/validator/requirements.lock", 30),
        ("tests/lake/spark/requirements.lock", 10),
        ("benchmarks/peers/requirements.lock", 30),
    ],
)
def test_the_lock_pins_and_hashes_everything_and_names_no_host(lock: str, at_least: int) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"https?://|--index-url|--find-links|file:", text) == []
    pins = re.findall(r"^([A-Za-z0-9_.\[\],-]+)==\S+(.*)$((?:\n    --hash=sha256:[0-9a-f]{64}.*)*)", text, re.MULTILINE)
    assert len(pins) > at_least
    assert all("--hash=sha256:" in hashes for _, _, hashes in pins)


def test_the_lock_holds_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    locks = [
        ROOT / "requirements.lock",
        ROOT / "tests" / "lake" / "spark" / "requirements.lock",
    ]  # of the extra `spark`
    locked = {name.lower() for lock in locks for name in re.findall(r"^([A-Za-z0-9_.-]+)", lock.read_text(), re.M)}
    missing = [d for d in declared if re.match(r"[A-Za-z0-9_.-]+", d)[0].lower().replace("_", "-") not in locked]
    assert missing == []


def test_npm_locks_name_no_address() -> None:
    for lock in ROOT.glob("tests/*/package-lock.json"):
        assert '"resolved"' not in lock.read_text()


def test_no_second_lock_is_kept() -> None:
    assert not (ROOT / "uv.lock").exists()


def test_the_library_never_imports_dagster() -> None:
    for path in (ROOT / "tokenboard_etl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "dagster" for name in names), path


def test_the_linter_refuses_dagster_in_the_library_and_allows_it_in_assets() -> None:
    ruff = Path(__import__("sys").executable).parent / "ruff"
    code = "import dagster\n\nprint = dagster\n"
    for folder, refused in (("tokenboard_etl", True), ("assets", False)):
        result = subprocess.run(
            [ruff, "check", "--select", "TID251", "--stdin-filename", f"{folder}/new.py", "-"],
            input=code,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert ("TID251" in result.stdout) is refused, result.stdout


def test_the_code_unpickles_and_evaluates_nothing_and_starts_no_shell() -> None:
    """Pickle, marshal, eval, exec, YAML with tags, a shell, HTML that is not escaped: no comment excuses one."""
    ruff = Path(__import__("sys").executable).parent / "ruff"
    rules = "S102,S301,S302,S307,S506,S602,S604,S605,S701"
    told = [ruff, "check", "--isolated", "--ignore-noqa", "--select", rules, "tokenboard_etl", "assets"]
    result = subprocess.run(told, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout


def test_httpx_has_one_importer() -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tokenboard_etl").rglob("*.py")
        if re.search(r"^\s*(import|from) httpx\b", path.read_text(), re.MULTILINE)
    }
    assert importers == {"tokenboard_etl/http.py"}


def test_only_settings_reads_the_environment() -> None:
    for package in ("tokenboard_etl", "assets"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "settings.py":
                assert not re.search(r"os\.environ|os\.getenv", path.read_text()), path


def test_providers_and_warehouse_never_import_each_other() -> None:
    for one, other in (("providers", "warehouse"), ("warehouse", "providers"), ("providers", "billing")):
        for path in (ROOT / "tokenboard_etl" / one).rglob("*.py"):
            assert f"tokenboard_etl.{other}" not in path.read_text(), path


def test_the_readme_leads_with_the_two_commands() -> None:
    start = README[:1500]
    assert start.index("make demo") < start.index("make test")


def test_the_readme_names_every_variable_command_job_and_dependency() -> None:
    for info in Settings.model_fields.values():
        for name in getattr(info.validation_alias, "choices", [info.validation_alias]):
            assert f"`{name}`" in README, name
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    further = [
        "tenants import",
        "tenants list",
        "tenants show",
        "tenants limit",
        "tenants rotate",
        "tenants suspend",
        "tenants resume",
        "tenants offboard",
        "tenants adopt",
        "budgets push",
        "key reveal",
        "vault rotate",
    ]
    for command in [*commands, *further]:
        assert f"`tokenboard {command}" in README, command
    for job in (
        "nightly",
        "intraday",
        "month_close",
        "provision_tenant",
        "provision_pending",
        "rebuild",
        "land_connection",
    ):
        assert defs.resolve_job_def(job)
        assert f"`{job}`" in README
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"].values()
    for dependency in [*project["dependencies"], *(each for extra in optional for each in extra)]:
        name = re.match(r"[A-Za-z0-9_-]+", dependency)[0]
        assert re.search(rf"\b{re.escape(name)}\b", README), name


def test_what_the_readme_names_exists() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"`make ([a-z]+)`", README):
        assert target in targets, target
    known = {
        str(n)
        for i in Settings.model_fields.values()
        for n in getattr(i.validation_alias, "choices", [i.validation_alias])
    }
    for name in re.findall(r"`((?:TOKENBOARD|OPENAI|OPENROUTER|DAGSTER|PROFIT)_[A-Z_]+)`", README):
        assert name in known, name


@pytest.mark.parametrize("pattern", [r"/(work|root|home/\w+)/", r"p[y]pi\.org|pythonhoste[d]|n[p]mjs\.|deb\.debia[n]"])
def test_no_tracked_file_names_a_machine_or_a_package_host(pattern: str) -> None:
    found = subprocess.run(["git", "grep", "-nIE", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == ""
