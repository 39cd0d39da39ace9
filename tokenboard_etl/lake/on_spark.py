"""The models on Apache Spark over the lake: the same SELECTs, translated, in the same order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tokenboard_etl.errors import ConfigurationError, EngineFailed
from tokenboard_etl.lake.keeping import model_tables, partitions_of
from tokenboard_etl.lake.portable import CREATE_QUOTIENT, on_spark, sql_on_spark, table_on_spark, type_on_spark
from tokenboard_etl.lake.stored import Edition, Lake
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.sql_files import models_in_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("tokenboard.lake")

SETTINGS = {
    "spark.sql.ansi.enabled": "true",  # what overflows is an error, as on DuckDB
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # by default a product loses digits without a word
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""What figures depend on. Everything else (memory, executors, catalogs) is the cluster's own configuration."""


@contextmanager
def spark_session(remote: str | None, master: str | None) -> Iterator[SparkSession]:
    """A session on a Spark Connect server or a master, stopped afterwards.

    Raises ConfigurationError where pyspark or both are missing, and EngineFailed for what Spark itself cannot do.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigurationError("pyspark is not installed; it is the extra `spark` of this package.") from None
    if remote is None and master is None:
        raise ConfigurationError("Neither SPARK_REMOTE nor TOKENBOARD_SPARK_MASTER says where Spark is.")
    builder = SparkSession.builder.appName("tokenboard models")
    try:
        session = (builder.remote(remote) if remote else builder.master(str(master))).getOrCreate()
        try:
            for name, value in SETTINGS.items():
                session.conf.set(name, value)
            session.sql(CREATE_QUOTIENT)
            yield session
        finally:
            session.stop()
    except (PySparkException, Py4JError) as error:
        raise EngineFailed(f"Apache Spark failed, and nothing was published: {_first_line(error)}") from error


def build_on_spark(lake: Lake, session: SparkSession, lock: Path) -> Edition:
    """Builds every model from the newest inputs and writes them back; returns their edition."""
    inputs = lake.newest("inputs")
    made = Edition.of_models(inputs, "spark")
    for table, rows in inputs.rows.items():
        _read(session, lake, inputs, table, rows).createOrReplaceTempView(table_on_spark(table))
    tables = set(model_tables())
    for model in models_in_order():
        result = session.sql(on_spark(model))
        if model.name in tables:
            _write(result, lake, made, model.name)
            result = _read(session, lake, made, model.name, rows=1)
            made.rows[model.name] = result.count()
            log.info("built %s: %d rows", model.name, made.rows[model.name])
        result.createOrReplaceTempView(table_on_spark(model.name))
    lake.publish(made, lock)
    return made


def _read(session: SparkSession, lake: Lake, edition: Edition, table: str, rows: int) -> DataFrame:
    """A table of the lake. One without a row has no file: there its columns are known from the catalog alone."""
    columns = {column.name: type_on_spark(column.type) for column in catalog()[table].columns}
    if not rows:
        return session.range(0).selectExpr(*(f"CAST(NULL AS {kind}) AS `{name}`" for name, kind in columns.items()))
    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    # Every column is in the files; what the folders' names say is for readers who want only some of them.
    return session.read.schema(schema).option("recursiveFileLookup", "true").parquet(lake.folder(edition, table))


def _write(result: DataFrame, lake: Lake, edition: Edition, table: str) -> None:
    partitions = partitions_of(table)
    columns = [
        *(f"CAST(`{c.name}` AS {type_on_spark(c.type)}) AS `{c.name}`" for c in catalog()[table].columns),
        *(f"{sql_on_spark(sql)} AS `{name}`" for name, sql in partitions.items()),
    ]
    writer = result.selectExpr(*columns).write.option("compression", "zstd")
    (writer.partitionBy(*partitions) if partitions else writer).parquet(lake.folder(edition, table))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
