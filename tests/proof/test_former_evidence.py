"""Documents issued before migration 0023: the newest name of each account was kept with them, whoever gave it."""

from __future__ import annotations

import json
from collections.abc import Callable

import duckdb
import pytest

from proof.conftest import Worked, night
from tokenboard_etl.billing.evidence import evidence_checksum
from tokenboard_etl.billing.kept_states import checksum_of
from tokenboard_etl.proof.prove import prove
from tokenboard_etl.warehouse.connection import configure

ALL = [f"INV-2026-0000{number}" for number in (1, 2, 3, 4)]


def leave_as_before(home: Worked, renamed: str | None = None) -> None:
    """Puts the names that every issue rests on into the form of then, with all checksums over it."""
    with duckdb.connect(home.home / "warehouse.duckdb") as connection:
        configure(connection)
        rows = connection.execute(
            """
            SELECT provider, connection_id, kind, account_id, coalesce($1, name), CAST(last_seen AS VARCHAR)
            FROM ops.accounts
            """,
            [renamed],
        ).fetchall()
        columns = ["provider", "connection_id", "kind", "account_id", "name", "last_seen"]
        content = json.dumps({"columns": columns, "rows": rows})
        sha256 = checksum_of(content)
        connection.execute("INSERT INTO billing.kept_states VALUES ($1, 'ops.accounts', $2)", [sha256, content])
        connection.execute(
            """
            UPDATE billing.issue_states SET table_name = 'ops.accounts', sha256 = $1
            WHERE table_name IN ('ops.told_names', 'ops.accounts')
            """,
            [sha256],
        )
        for issue_no, *facts, _ in connection.execute("FROM billing.issues").fetchall():
            connection.execute(
                "UPDATE billing.issues SET evidence_sha256 = $1 WHERE issue_no = $2",
                [evidence_checksum(connection, issue_no, facts), issue_no],
            )


@pytest.mark.slow
def test_they_are_proved_by_the_names_that_were_kept(copied: Callable[[], Worked]) -> None:
    home = copied()
    leave_as_before(home)
    assert [prove(home.at(night(7, 20)), number).failures for number in ALL] == [()] * len(ALL)
    leave_as_before(home, renamed="another name")
    (said, *_) = prove(home.at(night(7, 20)), ALL[0]).failures
    assert "another name · gpt-4o, input comes out" in said
