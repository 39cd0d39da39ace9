"""Tables of an open warehouse, copied into the lake: the loaded ones, the records models read, and the models."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import duckdb

from tokenboard_etl.files import storage_errors
from tokenboard_etl.lake.stored import Edition, Lake
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.connection import driver_errors
from tokenboard_etl.warehouse.models import row_count
from tokenboard_etl.warehouse.sql_files import models_in_order, names_in, quoted, sources_of

log = logging.getLogger("tokenboard.lake")

_MONTH_OF = {
    "month": '"month"',
    "usage_date": "strftime(\"usage_date\", '%Y-%m')",
    "snapshot_date": "strftime(\"snapshot_date\", '%Y-%m')",
}
"""What tells a row's month, the first that is there."""


def input_tables() -> list[str]:
    """What was loaded, and every record that a model reads."""
    models = {model.name for model in models_in_order()}
    read = frozenset[str]().union(*(sources_of(name) for name in models))
    return sorted((read - models) | set(names_in("raw")))


def model_tables() -> list[str]:
    """The derived tables, in the order they are built."""
    return [model.name for model in models_in_order() if not model.is_view]


def partitions_of(table: str) -> dict[str, str]:
    """Folders a table's files are in, to what a row says of each; both are SQL that every engine understands.

    The files hold every column of the table all the same: a folder's name cannot tell NULL from ''.
    """
    columns = {column.name for column in catalog()[table].columns}
    month = next((sql for column, sql in _MONTH_OF.items() if column in columns), None)
    if month is None:
        return {}
    connection = {"partition_connection": '"connection_id"'} if "connection_id" in columns else {}
    return {"partition_month": month, **connection}


def keep(connection: duckdb.DuckDBPyConnection, lake: Lake, lock: Path) -> Edition:
    """Writes what the warehouse holds now, inputs and models; returns the models' edition.

    The connection must be the writer's and outside a transaction.
    """
    inputs = Edition.of_inputs()
    _copy(connection, lake, inputs, input_tables())
    lake.publish(inputs, lock)
    return keep_models(connection, lake, inputs, lock)


def keep_models(connection: duckdb.DuckDBPyConnection, lake: Lake, inputs: Edition, lock: Path) -> Edition:
    """Writes the models that DuckDB made from these inputs."""
    models = Edition.of_models(inputs, "duckdb")
    _copy(connection, lake, models, model_tables())
    lake.publish(models, lock)
    return models


def _copy(connection: duckdb.DuckDBPyConnection, lake: Lake, edition: Edition, tables: Iterable[str]) -> None:
    lake.reach(connection)
    for table in tables:
        folder = lake.make_folder(edition, table)
        partitions = partitions_of(table)
        columns = [f"{_stored(column.name, column.type)}" for column in catalog()[table].columns]
        columns += [f'{sql} AS "{name}"' for name, sql in partitions.items()]
        select = f"SELECT {', '.join(columns)} FROM {quoted(table)}"  # noqa: S608 - from our own files
        by = f", PARTITION_BY ({', '.join(partitions)})" if partitions else ""
        target = folder if partitions else f"{folder}/data_0.parquet"
        with storage_errors(Path(folder)), driver_errors(Path(folder)):
            connection.execute(f"COPY ({select}) TO '{_escaped(target)}' (FORMAT parquet, COMPRESSION zstd{by})")
        edition.rows[table] = row_count(connection, table)
    log.info("kept %d tables in %s as %s", len(edition.rows), lake.url, edition.name)


def _stored(column: str, kind: str) -> str:
    """Parquet has no 128-bit integers; DuckDB would write them as DOUBLE."""
    return f'CAST("{column}" AS DECIMAL(38, 0)) AS "{column}"' if kind == "HUGEINT" else f'"{column}"'


def _escaped(text: str) -> str:
    """COPY takes no parameters for its target."""
    return text.replace("'", "''")
