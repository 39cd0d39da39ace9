"""Landed bodies as a relation: DuckDB reads the compressed files itself."""

from __future__ import annotations

import json

import duckdb

from tokenboard_etl.landing import Landing

LEAST_BUFFER_BYTES = 1024 * 1024


def expose_pages(connection: duckdb.DuckDBPyConnection, landing: Landing) -> None:
    """Makes the bodies readable as the table `landed` (page_no, path, received_at, context, body), read by DuckDB.

    What is known of a page is looked up by its file, not joined: a join may keep all bodies in memory at once.
    """
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE landed_page (
            file VARCHAR, page_no BIGINT, path VARCHAR, received_at TIMESTAMPTZ, context JSON
        )
        """
    )
    files = []
    for page in landing.pages:
        file = str(landing.folder / page.file)
        files.append(file)
        path = json.loads(page.request)[1]
        context = json.dumps(page.context, ensure_ascii=False)
        connection.execute(
            "INSERT INTO landed_page VALUES ($1, $2, $3, $4, $5)",
            [file, page.number, path, page.received_at, context],
        )
    if not files:
        connection.execute(
            """
            CREATE OR REPLACE TEMP VIEW landed AS
            SELECT page_no, path, received_at, context, NULL::JSON AS body FROM landed_page
            """
        )
        return
    connection.execute("SET VARIABLE landed_files = $1", [files])
    connection.execute(
        """
        SET VARIABLE landed_pages = (
            SELECT map(list(file), list(row(page_no, path, received_at, context))) FROM landed_page)
        """
    )
    buffer = max(LEAST_BUFFER_BYTES, max(page.bytes for page in landing.pages) + 1)  # each thread takes it twice
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW landed AS
        SELECT page[1] AS page_no, page[2] AS path, page[3] AS received_at, page[4] AS context, body
        FROM (
            SELECT json AS body, getvariable('landed_pages')[filename] AS page
            FROM read_json_objects(getvariable('landed_files'), format = 'unstructured', compression = 'zstd',
                filename = true, maximum_object_size = {buffer})
        )
        """  # noqa: S608 - a number of ours
    )
