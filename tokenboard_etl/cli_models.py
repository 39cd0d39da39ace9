"""`tokenboard models`: the models once more over the lake, on another engine if wanted."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import out, plain, show_table, table_of


def models(
    engine: Annotated[Literal["duckdb", "spark"], typer.Option(help="What builds them.")] = "duckdb",
    lint: Annotated[bool, typer.Option(help="Build nothing; list what in them another engine would not take.")] = False,
) -> None:
    """Build every derived table from the lake's Parquet and write it back there."""
    if lint:
        _lint()
        return
    from tokenboard_etl.lake.stored import Lake

    settings = load_settings()
    if settings.lake_url is None:
        raise ConfigurationError("TOKENBOARD_LAKE_URL is not set: there is no lake to read from and write to.")
    lake = Lake(settings.lake_url)
    if engine == "spark":
        from tokenboard_etl.lake.on_spark import build_on_spark, spark_session

        remote = settings.spark_remote.get_secret_value() if settings.spark_remote else None
        with spark_session(remote, settings.spark_master) as session:
            made = build_on_spark(lake, session, settings.lake_lock_path)
    else:
        from tokenboard_etl.lake.on_duckdb import build_on_duckdb

        made = build_on_duckdb(lake, settings.warehouse_path, settings.lake_lock_path)
    out.print(
        f"{len(made.rows)} tables, {sum(made.rows.values())} rows   {lake.url}/models/{made.name}",
        highlight=False,
        markup=False,
    )


def _lint() -> None:
    from tokenboard_etl.lake.portable import not_portable
    from tokenboard_etl.warehouse.sql_files import models_in_order

    checked = models_in_order()
    found = [each for model in checked for each in not_portable(model)]
    if not found:
        out.print(f"{len(checked)} models, each one SELECT that every engine understands alike", highlight=False)
        return
    table = table_of(None, ("model", "in it", "why"), names=("model",))
    for each in found:
        table.add_row(*map(plain, (each.model, each.sql, each.why)))
    show_table(table)
    raise typer.Exit(1)
