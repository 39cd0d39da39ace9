"""The deployment's files, read as an engine would read them: nothing there that does not exist, nothing too open."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config, dagster_instance_config_schema

from deploy.services import DEPLOY, ROOT, compose
from tokenboard_etl.settings import Settings

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SAMPLES = sorted((DEPLOY / "samples").glob("*.yaml"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

OURS = {
    str(alias)
    for info in Settings.model_fields.values()
    for alias in getattr(info.validation_alias, "choices", [info.validation_alias])
}
STORAGE = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text()))
OF_OTHERS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def example() -> dict[str, str]:
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Sections of a unit; systemd lets a name stand several times, which configparser alone does not."""

    class Many(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, [*self[key], *value] if isinstance(value, list) and key in self else value)

    parser = configparser.RawConfigParser(strict=False, dict_type=Many)
    parser.optionxform = str
    parser.read(path)
    return {
        section: [(name, line) for name, value in parser.items(section) for line in value.splitlines()]
        for section in parser.sections()
    }


def service(path: Path, name: str) -> list[str]:
    return [value for key, value in unit(path)["Service"] if key == name]


# --- variables


def test_every_variable_that_is_named_exists() -> None:
    services = compose()["services"]
    named = {name for each in services.values() for name in each.get("environment", {})}
    named |= set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    named |= set(re.findall(r"(\w+)=", re.findall(r"^ENV (.*(?:\\\n.*)*)", DOCKERFILE, re.MULTILINE)[0]))
    named |= example().keys()
    for path in UNITS:
        named |= {pair.split("=")[0] for value in service(path, "Environment") for pair in value.split()}
    for path in SAMPLES:
        named |= set(re.findall(r"\b([A-Z]+_[A-Z_]+)\b", path.read_text()))
    assert named - OURS - STORAGE - OF_OTHERS == set()


def test_the_services_that_need_the_database_are_given_all_of_it() -> None:
    for name, each in compose()["services"].items():
        if name != "postgres":
            assert each["environment"].keys() >= STORAGE, name
    assert STORAGE & example().keys() == {"DAGSTER_POSTGRES_PASSWORD"}


def test_keys_and_state_are_the_code_servers_alone() -> None:
    services = compose()["services"]
    assert [name for name, each in services.items() if "env_file" in each] == ["code"]
    assert [name for name, each in services.items() if "tokenboard:/data" in each.get("volumes", [])] == ["code"]
    assert [path.stem for path in UNITS if "/etc/tokenboard/keys.env" in service(path, "EnvironmentFile")] == [
        "tokenboard-code"
    ]


def test_the_example_holds_no_key() -> None:
    assert {name for name, value in example().items() if value} == {
        "TOKENBOARD_SETTLE_DAYS",
        "TOKENBOARD_LOOKBACK_DAYS",
        "TOKENBOARD_LOG_FORMAT",
    }


# --- images


def test_images_are_pinned_and_built_from_the_lock() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"python:${PYTHON}"}
    [tag] = re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    images = {each["image"] for each in compose()["services"].values()} | {f"python:{tag}"}
    images |= set(re.findall(r"image: (\S+)", "".join(path.read_text() for path in SAMPLES)))
    for image in images:
        name, _, version = image.partition(":")
        assert re.match(r"\d+\.?\d*", version), image
        assert name != "tokenboard-etl" or version == VERSION
    assert "--no-deps --require-hashes -r /build/requirements.lock" in DOCKERFILE
    assert "pip install" not in DOCKERFILE.replace("pip install --no-cache-dir --no-deps", "")


def test_the_image_has_the_versions_that_were_tested_and_no_tool_of_development() -> None:
    pin = re.compile(r"^([a-z0-9_.-]+(?:\[[a-z0-9,-]+\])?==\S+)", re.MULTILINE)
    image = set(pin.findall((DEPLOY / "requirements.lock").read_text()))
    tested = set(pin.findall((ROOT / "requirements.lock").read_text()))
    assert image < tested
    names = {each.partition("==")[0] for each in image}
    assert {"dagster", "dagster-webserver", "dagster-postgres", "duckdb"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "uv"}
    assert re.findall(r"https?://|--index-url", (DEPLOY / "requirements.lock").read_text()) == []


def test_what_the_image_copies_exists_and_the_context_holds_it() -> None:
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text()
    assert "deploy/.env\n" in ignored
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"\n!{source.split('/')[0]}\n" in ignored, source


def test_nothing_runs_as_root_or_gains_rights() -> None:
    final = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.findall(r"^USER (\S+)", final, re.MULTILINE) == ["10001"]
    for name, each in compose()["services"].items():
        assert not each.get("privileged"), name
        if name != "postgres":
            assert (each["cap_drop"], each["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
    for path in UNITS:
        assert service(path, "User") == ["tokenboard"]
        assert service(path, "NoNewPrivileges") == ["true"]
        assert service(path, "ProtectSystem") == ["strict"]
        assert service(path, "UMask") == ["0077"]


def test_only_this_machine_can_reach_the_page() -> None:
    """It has no login of its own."""
    ports = [port for each in compose()["services"].values() for port in each.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]
    for path in UNITS:
        assert "0.0.0.0" not in path.read_text()


def test_every_lasting_service_has_a_health_check_and_starts_again() -> None:
    for name, each in compose()["services"].items():
        if name == "prepare":
            assert each["restart"] == "on-failure:5"
            continue
        assert each["restart"] == "unless-stopped", name
        assert each["healthcheck"]["test"][0] == "CMD", name
    assert all(service(path, "Restart") == ["on-failure"] for path in UNITS)


def test_compose_names_only_what_it_defines() -> None:
    file = compose()
    for name, each in file["services"].items():
        assert set(each.get("depends_on", {})) <= set(file["services"]), name
        for volume in each.get("volumes", []):
            assert volume.partition(":")[0] in file["volumes"], name


def test_the_units_run_what_the_services_run() -> None:
    """The same programs with the same arguments, but for addresses and folders."""
    services = compose()["services"]
    for path in UNITS:
        name = path.stem.removeprefix("tokenboard-")
        [started] = service(path, "ExecStart")
        said = (
            started.replace("/opt/tokenboard/bin/", "").replace("/etc/tokenboard/", "").replace("127.0.0.1", "0.0.0.0")
        )
        assert said.split() == services[name]["command"]
    prepared = service(DEPLOY / "systemd" / "tokenboard-code.service", "ExecStartPre")
    assert [each.replace("/opt/tokenboard/bin/", "") for each in prepared] == (
        services["prepare"]["command"][2].split(" && ")
    )


# --- Dagster's own settings


@pytest.mark.parametrize("path", [DEPLOY / "dagster.yaml", *SAMPLES], ids=lambda path: path.name)
def test_dagsters_settings_are_what_dagster_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STORAGE:
        monkeypatch.setenv(name, "5432")
    result = process_config(dagster_instance_config_schema(), yaml.safe_load(path.read_text()))
    assert result.success, result.errors


def test_the_deployments_settings_load_as_an_instance_would(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STORAGE:
        monkeypatch.setenv(name, "5432")
    loaded, _custom = dagster_instance_config(str(DEPLOY))
    assert loaded["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert loaded["telemetry"] == {"enabled": False}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_launchers_settings_are_what_the_launcher_takes(path: Path) -> None:
    """Where its package is at hand; it is no dependency of ours."""
    launcher = yaml.safe_load(path.read_text())["run_launcher"]
    if importlib.util.find_spec(launcher["module"]) is None:
        pytest.skip(f"{launcher['module']} is not installed")
    kind = getattr(importlib.import_module(launcher["module"]), launcher["class"])
    result = process_config(kind.config_type(), launcher["config"])
    assert result.success, result.errors
