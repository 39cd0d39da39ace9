"""A document derived again in an empty warehouse, from what was kept of its time and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb

from tokenboard_etl.billing.compose import documents_of
from tokenboard_etl.billing.credit_notes import credit_note_of, credit_notes_over
from tokenboard_etl.billing.drafts import inputs_of_month
from tokenboard_etl.billing.evidence import registry_checksum
from tokenboard_etl.billing.invoice import Acceptance, Invoice
from tokenboard_etl.billing.issued import issued_document
from tokenboard_etl.billing.kept_states import restore
from tokenboard_etl.billing.known_operations import KNOWN_OPERATIONS, OPERATIONS
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_versions import policy_in_use, record_policy
from tokenboard_etl.errors import LandingDamaged
from tokenboard_etl.landing import Landing, read_landing
from tokenboard_etl.periods import Month
from tokenboard_etl.proof.evidence import Evidence, Share
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.gone_keys import leave_gone_keys
from tokenboard_etl.warehouse.load import raw_table, stage
from tokenboard_etl.warehouse.models import build_models, build_with_sources
from tokenboard_etl.warehouse.pages import exposed
from tokenboard_etl.warehouse.sql_files import names_in, quoted

_NAMES = "ops.told_names"
_ISSUED = ("documents", "invoice_lines", "invoice_taxes", "credit_uses", "invoice_appendix")
_RATED = ("billing.invoice_drafts", "billing.category_costs", "billing.job_costs")
_SETTLE_DAYS = 0
"""Says only which days are final, which no line depends on."""


def landings_of(evidence: Evidence, root: Path) -> tuple[list[tuple[Share, Landing]], list[str]]:
    """The landings an issue rests on, every body held against what arrived; and sentences for those that changed."""
    found, altered = [], []
    for share in evidence.shares:
        folder = root / share.connection_id / share.report / share.load_id
        try:
            landing = read_landing(folder)
            landing.verify()
        except FileNotFoundError:
            altered.append(f"The landing {folder} is missing.")
            continue
        except LandingDamaged as error:
            altered.append(f"A landing was altered: {error}")
            continue
        if share.manifest_sha256 not in (None, landing.manifest_sha256) or not _is_of(landing, share):
            altered.append(f"The manifest of the landing {folder} was altered: it is not that which was loaded.")
        if landing.sha256 != share.sha256:
            altered.append(f"The landing {folder} was altered: its bodies are not those the document rests on.")
        found.append((share, landing))
    return found, list(dict.fromkeys(altered))


def _is_of(landing: Landing, share: Share) -> bool:
    """Whether a landing says of itself what was recorded; providers have no report in common."""
    said = (landing.connection_id, landing.report, landing.load_id)
    known = raw_table(landing.provider, landing.report) in names_in("raw")
    return known and said == (share.connection_id, share.report, share.load_id)


def fill(
    scratch: duckdb.DuckDBPyConnection,
    kept: duckdb.DuckDBPyConnection,
    evidence: Evidence,
    landings: list[tuple[Share, Landing]],
) -> list[str]:
    """Puts everything of that time into an empty warehouse and rates it; returns sentences for what was altered."""
    build_models(scratch, evidence.issued_at, _SETTLE_DAYS)
    others = sorted(evidence.policies.keys() - {evidence.policy_sha256})
    for sha256 in (*others, evidence.policy_sha256):
        record_policy(
            scratch, parse_policy(evidence.policies[sha256].encode(), f"policy {sha256[:12]}"), evidence.issued_at
        )
    for table, content in evidence.states.items():
        restore(scratch, table, content)
    if _NAMES not in evidence.states:
        _tell_newest_names(scratch)
    copy_rows(scratch, kept, "billing.former_lines", "FROM billing.former_lines")
    bindings = "SELECT * EXCLUDE (registry_sha256) FROM registry.binding_versions WHERE registry_sha256 = $1"
    copy_rows(scratch, kept, "registry.accounts", bindings, evidence.registry_sha256)
    for table in _ISSUED:
        earlier = f"""
            SELECT * FROM billing.{table} WHERE invoice_number IN (
                SELECT invoice_number FROM billing.documents WHERE issue_no < $1)
        """  # noqa: S608 - our own names
        copy_rows(scratch, kept, f"billing.{table}", earlier, evidence.issue_no)
    if evidence.with_operations:
        copy_rows(scratch, kept, OPERATIONS, KNOWN_OPERATIONS, evidence.issue_no, evidence.month)
    for share, landing in landings:
        _stage(scratch, share, landing)
        _record_days(scratch, share, landing)
    build_with_sources(scratch, *_RATED)
    if registry_checksum(scratch) != evidence.registry_sha256:
        return [f"The registry's bindings {evidence.registry_sha256[:12]} were altered (registry.binding_versions)."]
    return []


def derived(scratch: duckdb.DuckDBPyConnection, evidence: Evidence, issued: Invoice) -> Invoice | None:
    """What the document says by a warehouse that was filled; None where none comes out of it."""
    policy = policy_in_use(scratch).policy
    if credited := evidence.request.get("credits"):
        note = credit_note_of(
            issued_document(scratch, credited),
            credit_notes_over(scratch, credited),
            policy,
            evidence.issued_at,
            evidence.request["reason"],
            evidence.request["line_nos"],
            evidence.request["amount_minor"],
        )
        return replace(note, number=issued.number)
    accepted = evidence.request["accepted"]
    inputs = inputs_of_month(
        scratch,
        Month.parse(evidence.month),
        evidence.issued_at,
        policy,
        issued.buyer.tenant_id,
        Acceptance(*accepted) if accepted else None,
        with_parts=evidence.with_operations,
    )
    documents = (replace(each, number=issued.number) for one in inputs for each in documents_of(one))
    return next((each for each in documents if each.currency == issued.currency), None)


def earlier_documents(scratch: duckdb.DuckDBPyConnection, tenant_id: str) -> Iterator[tuple[Invoice, str | None]]:
    """The tenant's documents of before with their checksums: corrections, credits and credit notes count on them."""
    rows = scratch.execute(
        """
        SELECT invoice_number, rows_sha256 FROM billing.documents
        WHERE tenant_id = $1 ORDER BY issue_no, series_number
        """,
        [tenant_id],
    ).fetchall()
    for number, rows_sha256 in rows:
        yield issued_document(scratch, number), rows_sha256


def uses_of_nobody(scratch: duckdb.DuckDBPyConnection, tenant_id: str) -> list[tuple[str, str]]:
    """Number and credit of uses that lessen a credit of the tenant's and stand on no document of it."""
    return scratch.execute(
        """
        SELECT entry.invoice_number, entry.credit_id FROM billing.credit_uses AS entry
        WHERE entry.tenant_id = $1 AND NOT EXISTS (
            SELECT 1 FROM billing.documents AS document
            WHERE document.invoice_number = entry.invoice_number
                AND document.issue_no = entry.issue_no
                AND document.tenant_id = entry.tenant_id)
        ORDER BY ALL
        """,
        [tenant_id],
    ).fetchall()


def copy_rows(
    scratch: duckdb.DuckDBPyConnection, kept: duckdb.DuckDBPyConnection, table: str, query: str, *values: object
) -> None:
    """Adds what a query finds in one database to a table of the other, exactly."""
    scratch.register("copied", kept.sql(query, params=list(values)).to_arrow_table())
    scratch.execute(f"INSERT INTO {quoted(table)} BY NAME FROM copied")
    scratch.unregister("copied")


def _tell_newest_names(scratch: duckdb.DuckDBPyConnection) -> None:
    """Documents issued before migration 0023 called an account by its newest name, whoever gave it."""
    scratch.execute(
        f"""
        INSERT INTO {_NAMES} BY NAME
        SELECT
            tenant_id, provider, account_id, max(coalesce(known.name, account_id)) AS name,
            DATE '1970-01-01' AS seen_from
        FROM ops.accounts AS known CROSS JOIN registry.tenants
        GROUP BY tenant_id, provider, account_id
        """  # noqa: S608 - our own name
    )


def _stage(scratch: duckdb.DuckDBPyConnection, share: Share, landing: Landing) -> None:
    with transaction(scratch), exposed(scratch, landing):
        stage(scratch, raw_table(landing.provider, share.report), landing, "usage_date", share.days)
        if share.of_gone_keys:
            leave_gone_keys(scratch, landing, share.days)


def _record_days(scratch: duckdb.DuckDBPyConnection, share: Share, landing: Landing) -> None:
    """Which days were read: what was not is estimated, and read and empty is not the same."""
    scratch.execute(
        "INSERT INTO ops.load_days SELECT $1, $2, $3, $4, unnest($5::DATE[]), $6, $7, 0, NULL",
        [
            share.load_id,
            share.connection_id,
            landing.provider,
            share.report,
            list(share.days),
            landing.started_at,
            landing.finished_at,
        ],
    )
