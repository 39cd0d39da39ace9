"""The published file as a reader opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WarehouseError, WrongUse
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.warehouse.connection import configure, driver_errors

UNALLOCATED = "unallocated"
"""The tenant_id of spend nobody is bound to."""


@contextmanager
def open_published(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The analysts' file, read-only. What is open stays as it is while a newer file is put in its place.

    Raises WrongUse where nothing is published yet, WarehouseError where the file is of another version.
    """
    if not path.exists():
        raise WrongUse(f"Nothing is published at {path} yet; `tokenboard nightly` does it.")
    with driver_errors(path):
        connection = duckdb.connect(path, read_only=True)
        try:
            configure(connection)
            yield connection
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise WarehouseError(
                f"{path} was published by another version of this program ({str(error).splitlines()[0]}); "
                "`tokenboard rebuild` publishes it anew."
            ) from error
        finally:
            connection.close()


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the file holds schema.table."""
    schema, _, table = name.partition(".")
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = $1 AND table_name = $2", [schema, table]
    ).fetchall()
    return bool(found[0][0])


def require_tenant(connection: duckdb.DuckDBPyConnection, tenant_id: str) -> tuple[str | None, str | None]:
    """A tenant's name and status, two times None for unallocated spend; raises WrongUse if nobody is called so."""
    if tenant_id == UNALLOCATED:
        return None, None
    rows = connection.execute("SELECT name, status FROM registry.tenants WHERE tenant_id = $1", [tenant_id]).fetchall()
    if not rows:
        raise WrongUse(f"There is no tenant {tenant_id!r}; `tokenboard tenants list` shows them.")
    return rows[0]


def known_days(connection: duckdb.DuckDBPyConnection) -> Window:
    """From the first to the last day there are figures about; raises WrongUse where there are none."""
    ((first, last),) = connection.execute(
        """
        SELECT min(usage_date), max(usage_date)
        FROM (
            SELECT usage_date FROM ops.source_days WHERE gates_closing AND state NOT IN ('missing', 'lost')
            UNION ALL
            SELECT usage_date FROM billing.tenant_days
        ) AS days
        """
    ).fetchall()
    if first is None:
        raise WrongUse("The published file holds no day's figures yet; `tokenboard nightly` reads them.")
    return Window.of_days(first, last)


def require_month(connection: duckdb.DuckDBPyConnection, text: str | None) -> Month:
    """A month there are figures about, the newest by default; raises WrongUse for any other."""
    days = known_days(connection)
    if text is None:
        return Month.of(days.last)
    month = Month.parse(text)
    if month.window.last < days.start or days.last < month.first:
        raise WrongUse(f"Nothing is known about {month}; the published figures reach from {days.start} to {days.last}.")
    return month
