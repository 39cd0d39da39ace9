"""Commands about issued documents: `close`, `credit-note` and `prove`."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenboard_etl.cli_forecast import show_forecast
from tokenboard_etl.errors import CheckFailed, WrongUse
from tokenboard_etl.logs import log_to, show_progress, show_warnings
from tokenboard_etl.periods import Month
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import err, out, plain

_SHOWN = 8
"""How many failures of a proof are told; where an input is another, every line may be."""


def close(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    accept_provisional: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Close although days are missing or provisional, a check fails, or it is too early."
        ),
    ] = None,
    accepted_by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who accepts that; default: the login name. Printed.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only say what would be issued, and what a changed policy makes of it; with --tenant line by line. "
            "A month that is not over is a preview.",
        ),
    ] = False,
) -> None:
    """Issue the month's invoices."""
    from tokenboard_etl.billing.obstacles import refuse_early_close
    from tokenboard_etl.billing.policy_file import load_policy
    from tokenboard_etl.dry_run import dry_run as forecast

    settings = load_settings()
    parsed = Month.parse(month)
    if dry_run:
        with show_warnings(err):
            show_forecast(forecast(settings, parsed, tenant_id=tenant), lines=tenant is not None)
        return
    reason, name = _said(accept_provisional, "--accept-provisional"), _said(accepted_by, "--accepted-by")
    if name and not reason:
        raise WrongUse("--accepted-by says who accepts; say what is accepted with --accept-provisional REASON.")
    waiting_days = load_policy(settings).policy.waiting_days
    refuse_early_close(parsed, settings.now, waiting_days, reason)
    with log_to(settings.logs_path), show_progress(out):
        from assets.run import run_month_close

        run_month_close(settings, parsed, tenant_id=tenant, accepted_reason=reason, accepted_by=name)
    out.print(f"Closed {parsed}; invoices are in {settings.reports_path / str(parsed)}", highlight=False)


def credit_note(
    invoice: Annotated[str, typer.Argument(metavar="INVOICE", help="Number of the invoice to credit.")],
    reason: Annotated[str, typer.Option(metavar="REASON", help="Why; printed on the credit note.")],
    line: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Credit this line only; may be given several times.")
    ] = None,
    amount_minor: Annotated[
        int | None, typer.Option(metavar="X", help="Credit so many minor units (cents), net of tax.")
    ] = None,
) -> None:
    """Reverse an issued invoice: all that is left of it, some of its lines, or an amount."""
    from tokenboard_etl.closing import credit
    from tokenboard_etl.money import format_minor
    from tokenboard_etl.rendering.invoices import document_path
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    said = _said(reason, "--reason")
    if said is None:
        raise WrongUse("A credit note needs a --reason.")
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        note = credit(warehouse, settings, invoice, reason=said, line_nos=tuple(line or ()), amount_minor=amount_minor)
    path = document_path(settings.reports_path, str(note.month), note.buyer.tenant_id, note.number)
    total = format_minor(note.total_minor, note.currency)
    out.print(plain(f"{note.number} credits {invoice}: {total}; it is in {path}"), highlight=False)


def prove(invoice: Annotated[str, typer.Argument(metavar="INVOICE", help="Number of the document.")]) -> None:
    """Derive an issued document again from all it rests on, and compare."""
    from tokenboard_etl.money import format_minor
    from tokenboard_etl.proof.prove import prove as derive

    settings = load_settings()
    with show_warnings(err):
        proof = derive(settings, invoice)
    if proof.failures:
        more = len(proof.failures) - _SHOWN
        told = [*proof.failures[:_SHOWN], *([f"{more} more follow."] if more > 0 else [])]
        raise CheckFailed(f"{invoice} is not proved. {' '.join(told)}")
    document, evidence, noted = proof.document, proof.evidence, proof.noted
    accepted = document.accepted
    amounts = [format_minor(each, document.currency) for each in (noted.net_minor, noted.tax_minor, noted.total_minor)]
    loads = {(share.load_id, share.report, share.connection_id): share.sha256 for share in evidence.shares}
    days = sum(len(share.days) for share in evidence.shares)
    unknown = evidence.unknown_manifests
    manifests = f"the manifests of {unknown} were not kept" if unknown else "every manifest as it was loaded"
    out.print(f"{invoice} is proved: what it rests on gives its rows and its bytes again.", highlight=False)
    for about, what in (
        ("document", f"{len(document.lines)} lines, net {amounts[0]}, tax {amounts[1]}, total {amounts[2]}"),
        ("issued", f"{evidence.issued_at:%Y-%m-%d %H:%M} UTC, issue {evidence.issue_no}, {proof.path}"),
        *((("accepted", f"{accepted.reason}, says {accepted.by}"),) if accepted else ()),
        ("landings", f"{days} source days of {len(loads)} loads, every body as it arrived, {manifests}"),
        *((f"  {report}", f"{load_id} sha256 {sha256}") for (load_id, report, _), sha256 in sorted(loads.items())),
        ("policy", f"sha256 {evidence.policy_sha256}"),
        ("registry", f"sha256 {evidence.registry_sha256}"),
        ("prices", f"sha256 {evidence.prices_sha256}"),
        ("template", f"{noted.template} sha256 {noted.template_sha256}"),
        ("rows", f"sha256 {noted.rows_sha256}"),
        ("file", f"sha256 {noted.sha256}"),
    ):
        out.print(plain(f"{about:<18}{what}"), highlight=False, soft_wrap=True)


def _said(text: str | None, option: str) -> str | None:
    """What is printed on a document: some words, that can be printed."""
    if text is None:
        return None
    words = text.strip()
    if not words or len(words) > 500 or not words.isprintable():
        raise WrongUse(f"{option} needs one to 500 characters that can be printed.")
    return words
