"""`tokenboard prove`: whether an issued document still follows from everything it rests on, and if not, what changed.

Nothing is written: the records are read from a copy, and all is derived in an empty warehouse that is thrown away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import jinja2

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issued import issued_document
from tokenboard_etl.billing.numbers import number_at
from tokenboard_etl.billing.policy_versions import policy_in_use
from tokenboard_etl.billing.records import rows_checksum
from tokenboard_etl.periods import utc_day
from tokenboard_etl.proof.comparison import differences
from tokenboard_etl.proof.derivation import derived, earlier_documents, fill, landings_of, uses_of_nobody
from tokenboard_etl.proof.evidence import Evidence, evidence_of
from tokenboard_etl.proof.records_now import altered_since
from tokenboard_etl.rendering.environment import template_checksum
from tokenboard_etl.rendering.invoices import document_path, render_invoice
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.scratch import empty_warehouse, scratch_warehouse


@dataclass(frozen=True)
class Noted:
    """What is recorded of a document beside what it says."""

    net_minor: int
    tax_minor: int
    total_minor: int
    series: str
    series_number: int
    policy_sha256: str
    template: str
    template_sha256: str
    sha256: str
    rows_sha256: str


@dataclass(frozen=True)
class Proof:
    """A document and what it was derived from; `failures` are sentences, empty where it is proved."""

    document: Invoice
    noted: Noted
    evidence: Evidence
    path: Path
    failures: tuple[str, ...]


def prove(settings: Settings, number: str) -> Proof:
    """Derives an issued document again. Raises WrongUse for a number nobody issued, CheckFailed without evidence."""
    with scratch_warehouse(settings.warehouse_path) as kept:
        issued = issued_document(kept, number)
        noted, evidence = _noted(kept, number), evidence_of(kept, number)
        path = document_path(settings.reports_path, str(issued.month), issued.buyer.tenant_id, number)
        landings, altered = landings_of(evidence, settings.landing_path)
        failures = [*evidence.altered, *altered, *_template(noted)]
        if not evidence.altered and not altered:
            with empty_warehouse(settings.warehouse_path) as scratch:
                failures += fill(scratch, kept, evidence, landings)
                failures += altered_since(scratch, kept, evidence, issued.buyer.tenant_id)
                failures += _earlier(scratch, issued)
                lines = list(_lines(scratch, evidence, issued, noted, renders=not failures))
                failures += [*lines, *(_unknown(evidence) if lines else ())]
        failures += [*_stored(issued, noted, evidence), *_file(path, noted, number)]
    return Proof(issued, noted, evidence, path, tuple(dict.fromkeys(failures)))


def _noted(kept: duckdb.DuckDBPyConnection, number: str) -> Noted:
    rows = kept.execute(
        """
        SELECT
            net_minor, tax_minor, total_minor, series, series_number, policy_sha256, template, template_sha256, sha256,
            rows_sha256
        FROM billing.documents WHERE invoice_number = $1
        """,
        [number],
    ).fetchall()
    return Noted(*rows[0])


def _template(noted: Noted) -> Iterator[str]:
    try:
        if template_checksum(noted.template) != noted.template_sha256:
            yield f"The template {noted.template} was altered."
    except jinja2.TemplateNotFound:
        yield f"The template {noted.template} is missing."


def _earlier(scratch: duckdb.DuckDBPyConnection, issued: Invoice) -> Iterator[str]:
    for document, rows_sha256 in earlier_documents(scratch, issued.buyer.tenant_id):
        if rows_sha256 is not None and rows_checksum(document) != rows_sha256:
            yield f"The stored rows of {document.number}, an earlier document of the tenant, were altered."
    for number, credit_id in uses_of_nobody(scratch, issued.buyer.tenant_id):
        yield f"The use of the credit {credit_id} by {number} was altered: no such document of the tenant used it."


def _lines(
    scratch: duckdb.DuckDBPyConnection, evidence: Evidence, issued: Invoice, noted: Noted, *, renders: bool
) -> Iterator[str]:
    """Where the stored document is not what comes out; `renders`: nothing is altered that its bytes are made of."""
    number = number_at(policy_in_use(scratch).policy, utc_day(evidence.issued_at), noted.series_number)
    if number != (issued.number, noted.series, noted.series_number):
        yield f"{issued.number} is stored as number {noted.series_number} of {noted.series}, which is not that number."
    document = derived(scratch, evidence, issued)
    if document is None:
        yield f"Nothing is billed to {issued.buyer.tenant_id} by what {issued.number} rests on."
        return
    yield from differences(issued, document)
    if renders and render_invoice(document, noted.template).sha256 != noted.sha256:
        yield (
            f"What comes out does not render to the bytes of {issued.number} (SHA-256 {noted.sha256[:12]}): they were "
            "another, or a library that renders has changed."
        )


def _unknown(evidence: Evidence) -> Iterator[str]:
    if loads := evidence.unknown_manifests:
        yield f"Of {loads} load(s) it was not kept what their manifest was, so one that was altered is not named."


def _stored(issued: Invoice, noted: Noted, evidence: Evidence) -> Iterator[str]:
    if rows_checksum(issued) != noted.rows_sha256:
        yield (
            f"The stored rows of {issued.number} were altered (billing.documents, billing.invoice_lines, "
            "billing.invoice_taxes, billing.credit_uses or billing.invoice_appendix)."
        )
    if (noted.net_minor, noted.tax_minor, noted.total_minor) != (
        issued.net_minor,
        issued.tax_minor,
        issued.total_minor,
    ):
        yield f"The stored totals of {issued.number} are not the sums of its stored lines and taxes."
    if noted.policy_sha256 != evidence.policy_sha256:
        yield f"{issued.number} names another policy version than the one it was issued under."


def _file(path: Path, noted: Noted, number: str) -> Iterator[str]:
    if not path.exists():
        yield f"The file {path} is missing."
    elif hashlib.sha256(path.read_bytes()).hexdigest() != noted.sha256:
        yield f"The file {path} is not {number} as it was issued."
