"""What must be true of a home at any time, whatever happened to its last run. Everything else is named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import localcontext

import duckdb

from chaos.areas import BUT, MONTH, NOW, READ_AT
from chaos.command import Home
from chaos.outcomes import altered_keys
from chaos.tables import Rows, tables_of
from tests.figures import expected_days
from tokenboard_etl.billing.issued import altered_rows
from tokenboard_etl.errors import VaultError
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.rendering.invoices import document_path
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.checks import blocking_failures, run_checks
from tokenboard_etl.warehouse.connection import configure

_DAYS = """
SELECT usage_date, connection_id, allocated_cost_usd, unallocated_cost_usd, provider_cost_usd, difference_usd
FROM billing.reconciliation
"""

_DOCUMENTS = """
SELECT invoice_number, series, series_number, tenant_id, month, sha256 FROM billing.documents
ORDER BY series, series_number
"""


def wrong(home: Home, sandbox: RunningSandbox, versions: Sequence[dict[str, Rows]] = ()) -> Iterator[str]:
    """Checks all of it at once. `versions` are what the published file may hold, if that is known."""
    try:
        published = tables_of(home.published, BUT)
    except duckdb.Error as error:
        yield f"the published file does not open, or a table of it does not read: {error}"
        return
    if versions and published not in versions:
        nearest = min((_unlike(published, each) for each in versions), key=len)
        yield f"the published file is neither the old one nor the new one: {', '.join(nearest)}"
    for file in home.tables:
        with duckdb.connect(file, read_only=True) as connection:
            configure(connection)
            yield from (f"{file.name}: {each}" for each in _wrong_days(connection, sandbox))
    with duckdb.connect(home.tables[1], read_only=True) as warehouse:
        configure(warehouse)
        yield from blocking_failures(run_checks(warehouse))
        yield from _partial_loads(warehouse)
        yield from _wrong_numbers(home, warehouse)
    try:
        yield from altered_keys(load_settings(**home.env), sandbox)
    except VaultError as error:
        yield str(error)


def _unlike(here: dict[str, Rows], there: dict[str, Rows]) -> list[str]:
    return [table for table in sorted(here.keys() | there.keys()) if here.get(table) != there.get(table)]


def _wrong_days(connection: duckdb.DuckDBPyConnection, sandbox: RunningSandbox) -> Iterator[str]:
    """Each day is what the provider says of it as of one of the two readings, reckoned with Python's Decimal.

    Of a day to come, which only a clock that was ahead asks for, it says that nothing was spent.
    """
    rows = connection.execute(_DAYS).fetchall()
    if not rows:
        yield "no day is reconciled"
    window = Window.of_days(min(row[0] for row in rows), max(row[0] for row in rows))
    readings = [expected_days(sandbox.world, window, each) for each in (READ_AT, NOW)]
    with localcontext(prec=80):
        for day, connection_id, allocated, unallocated, total, difference in rows:
            if difference or allocated + unallocated != total:
                yield f"{day} {connection_id}: the parts are not the total"
            elif (allocated, unallocated) not in [each.get((day, connection_id), (0, 0)) for each in readings]:
                yield f"{day} {connection_id}: {allocated} and {unallocated} are not the provider's"


def _partial_loads(warehouse: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Of each report's newest load every row is there, and no row is of a load that is not on record."""
    counted = Counter[str]()
    for (table,) in warehouse.execute(
        "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'raw' AND column_name = 'load_id'"
    ).fetchall():
        counted.update(
            dict(warehouse.execute(f"SELECT load_id, count(*) FROM raw.{table} GROUP BY load_id").fetchall())
        )
    newest, known = dict[tuple[str, str], tuple[str, int]](), set[str]()
    for load_id, connection_id, report, rows in warehouse.execute(
        "SELECT load_id, connection_id, report, rows FROM ops.loads WHERE result = 'loaded' ORDER BY started_at, 1"
    ).fetchall():
        newest[connection_id, report] = (load_id, rows)
        known.add(load_id)
    for (connection_id, report), (load_id, rows) in newest.items():
        if counted[load_id] != rows:
            yield f"{connection_id} {report}: {counted[load_id]} of {rows} rows"
    if counted.keys() - known:
        yield f"rows of loads nobody knows: {sorted(counted.keys() - known)}"


def _wrong_numbers(home: Home, warehouse: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """From 1, without a gap or a duplicate; one document per tenant; rows and files say what was issued."""
    yield from (f"the rows of {number} were altered" for number in altered_rows(warehouse))
    documents = warehouse.execute(_DOCUMENTS).fetchall()
    positions = dict[str, list[int]]()
    for number, series, position, tenant_id, month, sha256 in documents:
        positions.setdefault(series, []).append(position)
        file = document_path(home.path / "reports", month, tenant_id, number)
        if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            yield f"{file.name} is not what was issued"
    for series, found in positions.items():
        if found != list(range(1, len(found) + 1)):
            yield f"{series}: {found}"
    for what, column in (("number", 0), ("tenant", 3)):
        twice = [each for each, count in Counter(row[column] for row in documents).items() if count > 1]
        if twice:
            yield f"more than one document of {what} {twice}"


def missing_files(home: Home) -> list[str]:
    """Documents of the month that are on record and not in the folder."""
    with duckdb.connect(home.tables[1], read_only=True) as warehouse:
        documents = warehouse.execute(_DOCUMENTS).fetchall()
    return [
        number
        for number, _, _, tenant_id, month, _ in documents
        if month == MONTH and not document_path(home.path / "reports", month, tenant_id, number).exists()
    ]
