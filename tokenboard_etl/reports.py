"""The reports of TOKENBOARD_HOME/reports, made from the published file: what analysts see is what they say.

    index.html  overview.html  <month>/register.{html,csv}  <month>/reconciliation.html  <month>/<tenant>/statement.html

Beside the statements lie the issued documents, which are not touched here. Pages are put in place together; one that
says the same as before is left alone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.files import storage_errors, written_together
from tokenboard_etl.periods import Month, utc_day
from tokenboard_etl.reading.overview_figures import Overview, overview
from tokenboard_etl.reading.published import UNALLOCATED, open_published
from tokenboard_etl.reading.reconciliation_figures import reconciliation
from tokenboard_etl.reading.register_figures import Register, register
from tokenboard_etl.reading.statement_figures import statements
from tokenboard_etl.rendering.overview import render_overview
from tokenboard_etl.rendering.pages import render_page
from tokenboard_etl.rendering.pdf import write_pdf
from tokenboard_etl.rendering.reconciliation import render_reconciliation
from tokenboard_etl.rendering.register import register_csv, render_register
from tokenboard_etl.rendering.statements import render_statement
from tokenboard_etl.settings import Settings

log = logging.getLogger("tokenboard.reports")

STATEMENT, REGISTER, RECONCILIATION, OVERVIEW, INDEX = "statement", "register", "reconciliation", "overview", "index"
KINDS = (STATEMENT, REGISTER, RECONCILIATION, OVERVIEW, INDEX)

RECENT = timedelta(days=7)
"""Documents younger than this have registers made anew: they may be about an old month, or correct one."""


@dataclass(frozen=True)
class Page:
    """A file that is in place; `is_changed` is whether it was not, or not so, before."""

    kind: str
    path: Path
    sha256: str
    is_changed: bool


@dataclass(frozen=True)
class KnownMonth:
    """A month there are figures or documents of; `state` is that of the tenant least is known of, or no usage."""

    month: Month
    state: str
    documents: int


@dataclass(frozen=True)
class Written:
    """What is in place now, by kind in KINDS' order; `removed` are statements of tenants that have none any more."""

    months: tuple[Month, ...]
    pages: tuple[Page, ...]
    removed: tuple[Path, ...]
    registers: tuple[Register, ...]
    overview: Overview | None

    def of(self, kind: str) -> list[Page]:
        return [page for page in self.pages if page.kind == kind]


def write_reports(settings: Settings, months: Collection[Month] | None = None) -> Written:
    """Writes every report of some months, of all by default, with the overview and the index.

    Raises WrongUse for a month there is nothing about.
    """
    today = utc_day(settings.now)
    pages: list[Page] = []
    with open_published(settings.published_path) as connection, written_together() as put:
        known = known_months(connection)
        wanted = tuple(each.month for each in known if months is None or each.month in months)
        _refuse_unknown(months, wanted)
        registers = [register(connection, month) for month in wanted]
        for month, entries in zip(wanted, registers, strict=True):
            pages += _write_statements(connection, settings, month, put)
            folder = settings.reports_path / str(month)
            reconciled = render_reconciliation(reconciliation(connection, month))
            pages.append(_page(put, REGISTER, folder / "register.html", render_register(entries)))
            pages.append(_page(put, REGISTER, folder / "register.csv", register_csv(entries)))
            pages.append(_page(put, RECONCILIATION, folder / "reconciliation.html", reconciled))
        newest = overview(connection) if known else None
        if newest:
            pages.append(_page(put, OVERVIEW, settings.reports_path / "overview.html", render_overview(newest, today)))
        index = render_page("index/v1.html", months=known, today=today)
        pages.append(_page(put, INDEX, settings.reports_path / "index.html", index))
    removed = _remove_others(settings.reports_path, wanted, {page.path for page in pages})
    _drop_old_pdfs(pages)
    changed = sum(page.is_changed for page in pages)
    log.info("reports of %d month(s): %d page(s), %d changed", len(wanted), len(pages), changed)
    return Written(wanted, tuple(pages), tuple(removed), tuple(registers), newest)


def write_statements_of(settings: Settings, tenant_id: str, months: Collection[Month] | None = None) -> list[Page]:
    """Writes a tenant's statements of some months, of all there is anything about by default; nothing else."""
    if tenant_id == UNALLOCATED:
        raise WrongUse("Unallocated spend belongs to no tenant, so there is nobody to make a statement for.")
    pages: list[Page] = []
    with open_published(settings.published_path) as connection, written_together() as put:
        known = [each.month for each in known_months(connection)]
        _refuse_unknown(months, known)
        for month in known if months is None else months:
            pages += _write_statements(connection, settings, month, put, tenant_id)
    _drop_old_pdfs(pages)
    return pages


def write_pdfs(pages: Iterable[Page]) -> list[Path]:
    """PDFs of pages for paper, and of the issued documents beside the statements; one that is there stays.

    Raises ConfigurationError where what makes them is not installed.
    """
    found = dict.fromkeys(page.path for page in pages if page.kind != INDEX and page.path.suffix == ".html")
    folders = dict.fromkeys(path.parent for path in found if path.name == "statement.html")
    found |= dict.fromkeys(path for folder in folders for path in sorted(folder.glob("*.html")))
    return [write_pdf(path) for path in found if not path.with_suffix(".pdf").exists()]


def months_due(settings: Settings, read: Iterable[Month]) -> list[Month]:
    """What a night has to write: what it read, the newest, what young documents are of or correct, what is missing.

    Everything older says the same as it did; `tokenboard reports` writes it anew all the same.
    """
    with open_published(settings.published_path) as connection:
        known = [each.month for each in known_months(connection)]
        issued = connection.execute(
            """
            SELECT month FROM billing.invoices WHERE issued_at > $1
            UNION
            SELECT line.service_month FROM billing.invoice_lines AS line
            JOIN billing.invoices AS document ON document.invoice_number = line.invoice_number
            WHERE document.issued_at > $1
            """,
            [settings.now - RECENT],
        ).fetchall()
    due = {*read, *known[:1], *(Month.parse(month) for (month,) in issued)}
    folder = settings.reports_path
    return [each for each in known if each in due or not (folder / str(each) / "register.html").exists()]


def known_months(connection: duckdb.DuckDBPyConnection) -> list[KnownMonth]:
    """Every month there are figures or documents of, the newest first."""
    rows = connection.execute(
        """
        WITH states AS (
            SELECT month, min(CASE state WHEN 'open' THEN 0 WHEN 'settled' THEN 1 ELSE 2 END) AS least
            FROM billing.tenant_months GROUP BY month
        ),
        documents AS (SELECT month, count(*) AS documents FROM billing.invoices GROUP BY month),
        months AS (
            SELECT month FROM states
            UNION SELECT month FROM documents
            UNION SELECT DISTINCT strftime(usage_date, '%Y-%m') FROM billing.reconciliation
            UNION SELECT DISTINCT strftime(usage_date, '%Y-%m') FROM billing.tenant_days
        )
        SELECT months.month, states.least, coalesce(documents.documents, 0)
        FROM months
        LEFT JOIN states ON states.month = months.month
        LEFT JOIN documents ON documents.month = months.month
        ORDER BY months.month DESC
        """
    ).fetchall()
    names = ("open", "settled", "closed")
    return [
        KnownMonth(Month.parse(month), "no usage" if least is None else names[least], documents)
        for month, least, documents in rows
    ]


def _refuse_unknown(months: Collection[Month] | None, known: Collection[Month]) -> None:
    for month in sorted(months or ()):
        if month not in known:
            raise WrongUse(f"Nothing is known about {month}; `tokenboard nightly --from {month.first}` reads it.")


Put = Callable[[Path, bytes], bool]


def _write_statements(
    connection: duckdb.DuckDBPyConnection, settings: Settings, month: Month, put: Put, tenant_id: str | None = None
) -> list[Page]:
    found = statements(connection, settings.intraday_path, utc_day(settings.now), month, tenant_id)
    return [
        _page(put, STATEMENT, statement_path(settings, month, each.tenant_id), render_statement(each)) for each in found
    ]


def statement_path(settings: Settings, month: Month, tenant_id: str) -> Path:
    """reports/<month>/<tenant_id>/statement.html, beside the tenant's documents of the month."""
    return settings.reports_path / str(month) / tenant_id / "statement.html"


def _page(put: Put, kind: str, path: Path, content: bytes) -> Page:
    return Page(kind, path, hashlib.sha256(content).hexdigest(), put(path, content))


def _remove_others(reports: Path, months: Collection[Month], written: Collection[Path]) -> list[Path]:
    """Statements of tenants that have none in the month any more: bound elsewhere, or restored without."""
    found = [path for month in months for path in sorted((reports / str(month)).glob("*/statement.html"))]
    stale = [path for path in found if path not in written]
    for path in stale:
        with storage_errors(path):
            path.with_suffix(".pdf").unlink(missing_ok=True)
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
    return stale


def _drop_old_pdfs(pages: Iterable[Page]) -> None:
    """A PDF of what a page no longer says."""
    for page in pages:
        if page.is_changed:
            with storage_errors(page.path):
                page.path.with_suffix(".pdf").unlink(missing_ok=True)
