"""`tokenboard reports`: pages for tenants, finance and operators, from the published file."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenboard_etl.periods import Month
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import out


def reports(
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="By default every month with figures.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="TENANT_ID", help="This tenant's statements alone.")] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also as PDF, with the documents of the same tenants and months.")
    ] = False,
) -> None:
    """Write statements, register, reconciliation, overview and index; what says the same as before is left alone."""
    from tokenboard_etl.reports import KINDS, write_pdfs, write_reports, write_statements_of

    settings = load_settings()
    months = None if month is None else [Month.parse(month)]
    pages = write_statements_of(settings, tenant, months) if tenant else write_reports(settings, months).pages
    for kind in KINDS:
        of_kind = [page for page in pages if page.kind == kind]
        if of_kind:
            changed = sum(page.is_changed for page in of_kind)
            out.print(f"{kind}: {len(of_kind)} file(s), {changed} changed", highlight=False)
    if pdf:
        out.print(f"PDF: {len(write_pdfs(pages))} file(s) written", highlight=False)
    shown = settings.reports_path / "index.html" if not tenant else settings.reports_path
    out.print(f"Reports   {shown}", highlight=False, markup=False)
