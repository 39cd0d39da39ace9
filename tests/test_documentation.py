"""docs/operations.md against the code: what it names exists, and what an operator may meet is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from assets.definitions import defs
from assets.extraction import LANDED_WHOLE
from tokenboard_etl import errors
from tokenboard_etl.cli import app
from tokenboard_etl.logs import FIELDS
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.checks import all_checks

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def table(heading: str) -> dict[str, list[str]]:
    """The first table below a heading: the cells of each row, by the first one without its backticks."""
    rows: dict[str, list[str]] = {}
    for line in PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name.strip("`")] = cells
    return rows


def classes(of: type = errors.TokenboardError) -> Iterator[type[errors.TokenboardError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from classes(kind)


def test_every_check_is_explained_and_said_to_block_or_not() -> None:
    kinds = {check.name: check.severity for check in all_checks() if not check.name.endswith("_key_is_unique")} | {
        LANDED_WHOLE: "blocking",
        "issued_documents_unchanged": "blocking",
    }
    assert {name: cells[0] for name, cells in table("Checks").items()} == kinds
    assert "charges_key_is_unique" in {check.name for check in all_checks()}


def test_every_error_is_explained_and_said_to_pass_or_not() -> None:
    bases = {"ProviderError"}  # never raised as such
    known = {kind.__name__: "yes" if kind.retryable else "no" for kind in classes()}
    assert {name: cells[0] for name, cells in table("Errors").items()} == {
        name: again for name, again in known.items() if name not in bases
    }


def test_every_schedule_sensor_and_service_is_named() -> None:
    repository = defs.get_repository_def()
    automation = {each.name for each in (*repository.schedule_defs, *repository.sensor_defs)}
    assert table("What runs when").keys() == automation - {"default_automation_condition_sensor"}
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert table("Starting it").keys() == services.keys()


def test_every_command_that_is_named_exists_with_its_options() -> None:
    group = typer.main.get_command(app)
    for said in re.findall(r"tokenboard ((?:[a-z]+ ?)+)((?: ?--[a-z-]+| [A-Z][A-Z-]*\b| \.\.\.)*)", PAGE):
        command = group
        for word in said[0].split():
            found = getattr(command, "commands", {}).get(word)
            if found is None:
                break
            command = found
        assert command is not group, said
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", said[1])) <= known, said


def test_every_table_that_is_named_exists() -> None:
    named = re.findall(r"`((?:raw|staging|usage|credits|ops|registry|policy|billing)\.\w+)`", PAGE)
    assert named
    for name in named:
        assert name in catalog(), name


def test_every_variable_that_is_named_exists() -> None:
    known = {
        str(alias)
        for info in Settings.model_fields.values()
        for alias in getattr(info.validation_alias, "choices", [info.validation_alias])
    }
    for name in re.findall(r"\b((?:TOKENBOARD|OPENAI|OPENROUTER)_[A-Z_]+)\b", PAGE):
        assert name in known, name


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_link_exists(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:tokenboard_etl|assets|tests|deploy|docs|benchmarks)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_a_log_record_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE.partition("\n## Logs\n")[2]


def test_every_test_the_threat_model_rests_on_exists() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "threat-model.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
