"""Numbered SQL files for tables that hold records; each is applied once, in one transaction with its own record."""

from __future__ import annotations

import duckdb

from tokenboard_etl.errors import SchemaTooNew
from tokenboard_etl.warehouse.sql_files import SQL_ROOT


def migrate(connection: duckdb.DuckDBPyConnection, folder: str = "migrations") -> None:
    """Brings the file to this version's schema, the SQL files of `folder`; refuses a file of newer code."""
    known = {path.stem: path for path in sorted((SQL_ROOT / folder).glob("*.sql"))}
    applied = _applied(connection)
    if unknown := sorted(applied - known.keys()):
        raise SchemaTooNew(
            f"The file was written by a newer version (migration {unknown[-1]}). Install that version or newer."
        )
    for name in sorted(known.keys() - applied):
        connection.begin()
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS main.migrations (name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL)"
            )
            connection.execute(known[name].read_text())
            connection.execute("INSERT INTO main.migrations VALUES ($1, now())", [name])
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _applied(connection: duckdb.DuckDBPyConnection) -> set[str]:
    exists = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = 'migrations'"
    ).fetchall()[0][0]
    if not exists:
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM main.migrations").fetchall()}
