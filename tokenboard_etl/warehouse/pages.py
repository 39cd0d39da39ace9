"""Landed bodies as a relation: DuckDB reads the compressed files itself."""

from __future__ import annotations

import json

import duckdb

from tokenboard_etl.landing import Landing

MAX_BODY_BYTES = 512 * 1024 * 1024


def expose_pages(connection: duckdb.DuckDBPyConnection, landing: Landing) -> None:
    """Makes the bodies readable as the table `landed` (page_no, path, received_at, context, body), read by DuckDB."""
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
        f"""
        CREATE OR REPLACE TEMP VIEW landed AS
        SELECT page_no, path, received_at, context, json AS body
        FROM read_json_objects(getvariable('landed_files'), format = 'unstructured', compression = 'zstd',
            filename = true, maximum_object_size = {MAX_BODY_BYTES}) AS object
        JOIN landed_page ON landed_page.file = object.filename
        """  # noqa: S608 - a number of ours
    )
