"""A copy of a DuckDB file that holds no byte of the tables it is not to have.

A table that is dropped leaves its bytes in the file, in blocks that are free from then on. So these blocks are not
copied in the first place, nor those that were free already: there the copy has holes, which read as zeros. DuckDB gives
each table blocks of its own and tells which they are; the catalog and the statistics of all tables share blocks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import duckdb

from tokenboard_etl.warehouse.sql_files import quoted

log = logging.getLogger("tokenboard.publish")

_HEADERS_BYTES = 3 * 4096
"""What stands before the first block: https://duckdb.org/docs/stable/internals/storage"""


def copy_blocks(
    connection: duckdb.DuckDBPyConnection, source: Path, copy: Path, is_copied: Callable[[str, str], bool]
) -> None:
    """Copies the connection's file with the bytes of those tables alone of which `is_copied(schema, table)` is true.

    All tables are in the copy's catalog; the others are to be dropped there and cannot be read. The connection must be
    the only one and right after a checkpoint.
    """
    ((block_bytes, total, used),) = connection.execute(
        """
        SELECT block_size, total_blocks, used_blocks FROM pragma_database_size()
        WHERE database_name = current_database()
        """
    ).fetchall()
    catalog = {block for (block,) in connection.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()}
    blocks = _blocks_of_tables(connection)
    wanted = catalog.union(*(found for (schema, table), found in blocks.items() if is_copied(schema, table)))
    known = catalog.union(*blocks.values())
    if len(known) != used:
        log.warning("%d blocks of %s are in use for what is not known; all are copied", used - len(known), source)
        wanted = set(range(total))
    with source.open("rb") as reading, copy.open("wb") as writing:
        writing.write(reading.read(_HEADERS_BYTES))
        for block in sorted(wanted):
            for file in (reading, writing):
                file.seek(_HEADERS_BYTES + block * block_bytes)
            writing.write(reading.read(block_bytes))
        writing.truncate(os.fstat(reading.fileno()).st_size)


def _blocks_of_tables(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], set[int]]:
    """The blocks of each table that has any; in one query, because there are many small tables."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    query = "SELECT {0} AS number, list_append(additional_block_ids, block_id) AS ids FROM pragma_storage_info(${1})"
    segments = " UNION ALL ".join(query.format(number, number + 1) for number in range(len(tables)))
    rows = connection.execute(
        f"SELECT DISTINCT number, unnest(ids) AS block FROM ({segments}) AS segments",  # noqa: S608 - numbers only
        [quoted(f"{schema}.{table}") for schema, table in tables],
    ).fetchall()
    found: dict[tuple[str, str], set[int]] = {}
    for number, block in rows:
        if block >= 0:  # a segment that is one value all through needs none
            found.setdefault(tables[number], set()).add(block)
    return found
