"""Schema drift: every landed body is held against what its provider's answers look like before it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

import duckdb

from tokenboard_etl.errors import LoadRefused, MalformedAnswer
from tokenboard_etl.landing import Landing, Page

Field = tuple[str, str]
"""An endpoint, and a JSON path in its answer."""


class Contract(Protocol):
    """What one provider's answers look like; the caller knows providers, the warehouse does not."""

    def check(self, method: str, path: str, body: bytes) -> None:
        """Raises MalformedAnswer with the JSON path of a field that is missing or of a wrong type."""

    @property
    def unknown(self) -> Mapping[Field, str]:
        """The unknown fields met so far, with the JSON type of the first value."""


def check_page(landing: Landing, page: Page, body: bytes, contract: Contract) -> None:
    """Every field of every row of one body; raises LoadRefused."""
    method, path, *_ = json.loads(page.request)
    try:
        contract.check(method, path, body)
    except MalformedAnswer as error:
        raise LoadRefused(
            f"{error.provider} {error.endpoint} ({landing.window}): {error.detail} in "
            f"{landing.folder / page.file}. Nothing of it was loaded, and it will not be tried again; the provider "
            "has changed its API, or sent this once: run the same command again to read the days anew."
        ) from error


def record_unknown(connection: duckdb.DuckDBPyConnection, landing: Landing, contract: Contract) -> None:
    """Notes the unknown fields of a load."""
    for (endpoint, path), example_type in contract.unknown.items():
        field = [landing.provider, endpoint, path]
        known = connection.execute(
            """
            UPDATE ops.unknown_fields
            SET first_seen_at = least(first_seen_at, $4), last_seen_at = greatest(last_seen_at, $4)
            WHERE provider = $1 AND endpoint = $2 AND path = $3
            """,
            [*field, landing.started_at],
        ).fetchall()[0][0]
        if not known:
            connection.execute(
                "INSERT INTO ops.unknown_fields VALUES ($1, $2, $3, $4, $5, $5, $6)",
                [*field, example_type, landing.started_at, landing.load_id],
            )
