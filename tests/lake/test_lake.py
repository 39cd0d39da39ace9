"""The lake: everything a model needs and makes, exact, as Parquet, and whole editions only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from assets.publishing import published
from assets.resources import Surroundings
from lake.tables import rows_in, rows_of
from tokenboard_etl.errors import ConfigurationError, WrongUse
from tokenboard_etl.lake.keeping import input_tables, keep, model_tables
from tokenboard_etl.lake.on_duckdb import build_on_duckdb
from tokenboard_etl.lake.stored import KEPT, Edition, Lake
from tokenboard_etl.periods import Window
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.models import build_models

NOW = datetime(2026, 6, 3, 2, tzinfo=UTC)
SETTLE_DAYS = 4
LARGE = 2**53 + 1
"""The first whole number that a DOUBLE has not."""

Night = Callable[..., Settings]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lake.lock"


def editions(lake: Lake, shelf: str) -> list[str]:
    return sorted(path.name for path in (Path(lake.url) / shelf).iterdir() if path.is_dir())


def test_duckdb_makes_the_same_models_of_the_lake_alone(
    warehouse: duckdb.DuckDBPyConnection, night: Night, lake: Lake, lock: Path, tmp_path: Path
) -> None:
    night(NOW, Window.of_days(date(2026, 5, 31), date(2026, 6, 1)), "openai", {"costs", "completions"})
    largest = "input_tokens = (SELECT max(input_tokens) FROM raw.openai_completions)"
    warehouse.execute(f"UPDATE raw.openai_completions SET input_tokens = $1 WHERE {largest}", [LARGE])
    warehouse.execute("UPDATE raw.openai_costs SET quantity_unit = '' WHERE quantity_unit IS NULL AND api_key_id <> ''")
    warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-05'), ('2026-06')")
    build_models(warehouse, NOW, SETTLE_DAYS)
    kept = keep(warehouse, lake, lock)
    inputs = lake.newest("inputs")
    for table in input_tables():
        assert rows_in(lake, inputs, table) == rows_of(warehouse, table), table
    again = build_on_duckdb(lake, tmp_path / "warehouse.duckdb", lock)
    assert (again.inputs, lake.newest("models")) == (inputs.name, again)
    assert again.rows == kept.rows
    assert again.rows["billing.charges"] > 500
    assert again.rows["usage.completions"] > 100
    for table in model_tables():
        assert rows_in(lake, kept, table) == rows_in(lake, again, table) == rows_of(warehouse, table), table
    assert [path.name for path in tmp_path.glob(".scratch*")] == []
    charges = Path(lake.folder(kept, "billing.charges"))
    assert {str(path.relative_to(charges).parent) for path in charges.glob("**/*.parquet")} == {
        f"partition_month={month}/partition_connection=openai" for month in ("2026-05", "2026-06")
    }
    exact = duckdb.sql(f"SELECT max(input_tokens) FROM '{lake.folder(inputs, 'raw.openai_completions')}/**/*.parquet'")
    assert exact.fetchall() == [(LARGE,)]


def test_an_edition_that_was_not_finished_is_never_met_and_goes(
    warehouse: duckdb.DuckDBPyConnection, lake: Lake, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_models(warehouse, NOW, SETTLE_DAYS)
    first = keep(warehouse, lake, lock)
    with monkeypatch.context() as broken:
        broken.setattr("tokenboard_etl.lake.keeping.model_tables", lambda: [*model_tables()[:3], "billing.nonsense"])
        with pytest.raises(KeyError):
            keep(warehouse, lake, lock)
    assert lake.newest("models") == first
    assert len(editions(lake, "models")) == 2
    last = [keep(warehouse, lake, lock) for _ in range(KEPT + 1)]
    assert editions(lake, "models") == [each.name for each in last]
    assert len(editions(lake, "inputs")) == KEPT + 1


def test_models_of_older_inputs_do_not_take_the_place_of_newer_ones(
    warehouse: duckdb.DuckDBPyConnection, lake: Lake, lock: Path
) -> None:
    build_models(warehouse, NOW, SETTLE_DAYS)
    keep(warehouse, lake, lock)
    slow = Edition.of_models(lake.newest("inputs"), "spark")
    newer = keep(warehouse, lake, lock)
    assert lake.publish(replace(slow, name=f"9{slow.name}"), lock) is False
    assert lake.newest("models") == newer


def test_any_file_system_that_fsspec_knows_will_do(
    warehouse: duckdb.DuckDBPyConnection, lock: Path, tmp_path: Path
) -> None:
    build_models(warehouse, NOW, SETTLE_DAYS)
    lake = Lake("memory://bucket/lake")
    try:
        kept = keep(warehouse, lake, lock)
        assert rows_in(lake, kept, "ops.settle_times") == rows_of(warehouse, "ops.settle_times")
        assert build_on_duckdb(lake, tmp_path / "warehouse.duckdb", lock).rows == kept.rows
        keep(warehouse, lake, lock)
        keep(warehouse, lake, lock)
        assert not lake.files.exists(lake.folder(kept, "ops.settle_times"))
    finally:
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]


def test_what_a_run_publishes_it_also_keeps_where_a_lake_is_set(tmp_path: Path, lake: Lake) -> None:
    home = {"TOKENBOARD_HOME": str(tmp_path / "home")}
    settings = load_settings(**home, TOKENBOARD_LAKE_URL=lake.url)
    with open_warehouse(settings.warehouse_path) as warehouse:
        build_models(warehouse, NOW, SETTLE_DAYS)
    result = published(Surroundings(settings))
    kept = lake.newest("models")
    assert (result.metadata["lake"], kept.engine) == (kept.name, "duckdb")
    assert "lake" not in published(Surroundings(load_settings(**home))).metadata
    assert lake.newest("models") == kept


def test_a_lake_nobody_wrote_to_says_so(lake: Lake) -> None:
    with pytest.raises(WrongUse, match=r"nothing in .* yet; `tokenboard nightly` writes it"):
        lake.newest("inputs")


@pytest.mark.parametrize("url", ["s3://who:secret@bucket/lake", "nonsense://bucket/lake"])
def test_an_address_that_cannot_be_meant_is_refused_without_its_secret(url: str) -> None:
    def use() -> Any:
        return Lake(str(load_settings(TOKENBOARD_LAKE_URL=url).lake_url))

    with pytest.raises(ConfigurationError, match="TOKENBOARD_LAKE_URL") as refused:
        use()
    assert "secret" not in str(refused.value)
