"""What was recorded when a document was issued, read back and held against its own checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from tokenboard_etl.billing.evidence import evidence_checksum
from tokenboard_etl.billing.kept_states import checksum_of
from tokenboard_etl.billing.known_operations import OPERATIONS, operations_checksum
from tokenboard_etl.errors import CheckFailed


@dataclass(frozen=True)
class Share:
    """The days of a load that an issue rests on; `of_gone_keys`: only its rows of keys that were gone later.

    `manifest_sha256` is None for a load from before it was kept.
    """

    connection_id: str
    report: str
    load_id: str
    sha256: str
    manifest_sha256: str | None
    of_gone_keys: bool
    days: tuple[date, ...]


@dataclass(frozen=True)
class Evidence:
    """What an issuing transaction rested on. `states` has tables as they were then, `policies` versions by checksum.

    `told_months`: what applications had told of these months by then counts. None for issues from before it did.
    `altered` says in sentences what is not as it was recorded.
    """

    issue_no: int
    month: str
    issued_at: datetime
    policy_sha256: str
    registry_sha256: str
    prices_sha256: str
    request: Mapping[str, Any]
    states: Mapping[str, str]
    policies: Mapping[str, str]
    shares: tuple[Share, ...]
    told_months: tuple[str, ...]
    altered: tuple[str, ...]

    @property
    def unknown_manifests(self) -> int:
        """Loads of which it was not kept what their manifest was."""
        unknown = (each for each in self.shares if each.manifest_sha256 is None)
        return len({(each.connection_id, each.report, each.load_id) for each in unknown})


def evidence_of(kept: duckdb.DuckDBPyConnection, number: str) -> Evidence:
    """The evidence of the issue a document is from. Raises CheckFailed where too little of it was kept."""
    rows = kept.execute(
        """
        SELECT issue.*, document.rows_sha256
        FROM billing.issues AS issue JOIN billing.documents AS document ON document.issue_no = issue.issue_no
        WHERE document.invoice_number = $1
        """,
        [number],
    ).fetchall()
    if not rows:
        raise CheckFailed(f"{number} cannot be proved: the record of its issue is gone (billing.issues).")
    issue_no, *facts, sealed_as, rows_sha256 = rows[0]
    month, issued_at, policy_sha256, registry_sha256, prices_sha256, _, request = facts
    if sealed_as is None and rows_sha256 is not None:
        raise CheckFailed(
            f"{number} cannot be proved: the checksum over the record of its issue was removed (billing.issues)."
        )
    if sealed_as is None:
        raise CheckFailed(
            f"{number} cannot be proved: when it was issued, on {issued_at:%Y-%m-%d}, the registry, prices and names "
            "it rests on were not kept with it yet (billing.issues has no evidence). Only its file is held against its "
            "checksum, every night."
        )
    found = _states(kept, issue_no)
    named = [name for name in sorted(found) if name.startswith(f"{OPERATIONS} ")]
    told = {name.removeprefix(f"{OPERATIONS} "): found.pop(name)[0] for name in named}
    states = {table: content for table, (sha256, content) in found.items() if checksum_of(content) == sha256}
    policies = _policies(kept, {policy_sha256, *_of_closed_months(states)})
    altered = []
    if evidence_checksum(kept, issue_no, facts) != sealed_as:
        request = "{}"  # nothing is derived by it
        altered.append(
            f"The record of what issue {issue_no} rests on was altered (billing.issues, billing.issue_source_days or "
            "billing.issue_states)."
        )
    altered += [
        f"The state of {table} that was kept was altered (billing.kept_states {sha256[:12]})."
        for table, (sha256, _) in found.items()
        if table not in states
    ]
    altered += [
        f"The policy version {sha256[:12]} was altered (policy.versions)."
        for sha256, content in policies.items()
        if hashlib.sha256(content.encode()).hexdigest() != sha256
    ]
    altered += [
        f"The operations of {each} that were known then were altered ({OPERATIONS})."
        for each, sha256 in told.items()
        if operations_checksum(kept, issue_no, each) != sha256
    ]
    return Evidence(
        issue_no,
        month,
        issued_at,
        policy_sha256,
        registry_sha256,
        prices_sha256,
        json.loads(request, parse_float=Decimal),
        states,
        policies,
        tuple(_shares(kept, issue_no)),
        tuple(told),
        tuple(altered),
    )


def _states(kept: duckdb.DuckDBPyConnection, issue_no: int) -> dict[str, tuple[str, str]]:
    rows = kept.execute(
        """
        SELECT named.table_name, named.sha256, coalesce(max(state.content), '{"columns": [], "rows": []}')
        FROM billing.issue_states AS named LEFT JOIN billing.kept_states AS state USING (sha256)
        WHERE named.issue_no = $1 GROUP BY named.table_name, named.sha256 ORDER BY ALL
        """,
        [issue_no],
    ).fetchall()
    return {table: (sha256, content) for table, sha256, content in rows}


def _of_closed_months(states: Mapping[str, str]) -> Iterator[str]:
    """The versions of the policy that earlier months were closed with."""
    state = json.loads(states.get("billing.closed_months", '{"columns": [], "rows": []}'), parse_float=Decimal)
    for row in state["rows"]:
        yield dict(zip(state["columns"], row, strict=True))["policy_sha256"]


def _policies(kept: duckdb.DuckDBPyConnection, wanted: set[str]) -> dict[str, str]:
    rows = kept.execute(
        """
        SELECT wanted.sha256, coalesce(version.content, 'gone')
        FROM (SELECT unnest($1::VARCHAR[]) AS sha256) AS wanted
        LEFT JOIN policy.versions AS version ON version.policy_sha256 = wanted.sha256
        ORDER BY ALL
        """,
        [sorted(wanted)],
    ).fetchall()
    return dict(rows)


def _shares(kept: duckdb.DuckDBPyConnection, issue_no: int) -> Iterator[Share]:
    rows = kept.execute(
        """
        WITH ranked AS (
            SELECT
                connection_id, report, load_id, sha256, manifest_sha256, usage_date,
                row_number() OVER (
                    PARTITION BY connection_id, report, usage_date ORDER BY load_id DESC
                ) > 1 AS of_gone_keys
            FROM billing.issue_source_days WHERE issue_no = $1
        )
        SELECT
            connection_id, report, load_id, sha256, manifest_sha256, of_gone_keys, list(usage_date ORDER BY usage_date)
        FROM ranked GROUP BY ALL ORDER BY of_gone_keys, load_id, connection_id, report
        """,
        [issue_no],
    ).fetchall()
    for connection_id, report, load_id, sha256, manifest_sha256, of_gone_keys, days in rows:
        yield Share(connection_id, report, load_id, sha256, manifest_sha256, of_gone_keys, tuple(days))
