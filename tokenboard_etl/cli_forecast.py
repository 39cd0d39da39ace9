"""What `tokenboard close --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tokenboard_etl.terminal import out, plain, show_table

if TYPE_CHECKING:
    from tokenboard_etl.billing.invoice import Invoice
    from tokenboard_etl.dry_run import DryRun, Forecast


HEADINGS = ("invoiced", "policy\nbefore", "policy\nnow", "policy\nchanges", "from\ninvoice")


def show_forecast(run: DryRun, *, lines: bool = False) -> None:
    """One row per tenant, net amounts; then what would be issued, `lines` and all; then what closing is refused for."""
    table = Table(title=f"{run.month}, net of tax", title_justify="left", padding=(0, 0))
    table.add_column("tenant", overflow="fold")
    table.add_column("invoice", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)  # an amount is never cut
    for each in run.forecasts:
        table.add_row(*map(plain, _row(each)))
    if run.forecasts:
        show_table(table)
    else:
        out.print(f"{run.month}: no tenant has charges.", highlight=False)
    if run.documents:
        _show_documents(run)
    if lines:
        for document in run.documents:
            _show_lines(document)
    out.print(
        "The policy differs from the one used last; what is invoiced stays as it was issued."
        if run.is_new_policy
        else "The policy is the one used last."
    )
    for obstacle in run.obstacles:
        out.print(plain(f"Closing would be refused: {obstacle}"), highlight=False)
    out.print("Nothing was written; figures are as they were last read.")


def _row(each: Forecast) -> tuple[str, ...]:
    from tokenboard_etl.money import format_minor

    amounts = (
        each.issued_minor,
        each.before_minor,
        each.now_minor,
        each.policy_difference_minor,
        each.issued_difference_minor,
    )
    shown = ("-" if minor is None else format_minor(minor, each.currency) for minor in amounts)
    return (each.tenant_id, each.invoice_number or "to be issued", *shown)


KINDS = {"usage": "usage", "fee": "fees", "minimum": "fees", "adjustment": "corrections", "credit": "credits"}


def _show_documents(run: DryRun) -> None:
    """What would be issued, by kind of line, with tax and total."""
    from tokenboard_etl.money import format_minor

    table = Table(title="To be issued", title_justify="left", padding=(0, 0))
    table.add_column("tenant", overflow="fold")
    columns = [*dict.fromkeys(KINDS.values()), "tax", "total"]
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for document in run.documents:
        sums = dict.fromkeys(columns, 0)
        for line in document.lines:
            sums[KINDS[line.kind]] += line.amount_minor
        sums |= {"tax": document.tax_minor, "total": document.total_minor}
        shown = (format_minor(minor, document.currency) if minor else "-" for minor in sums.values())
        table.add_row(plain(document.buyer.tenant_id), *shown)
    show_table(table)


def _show_lines(document: Invoice) -> None:
    """One document as it would be printed."""
    from tokenboard_etl.money import format_minor

    table = Table(title=f"{document.kind.replace('_', ' ')} for {document.buyer.tenant_id}", title_justify="left")
    table.add_column("line", overflow="fold")
    table.add_column(document.currency, justify="right", no_wrap=True)
    for line in document.lines:
        about = f" ({line.original_invoice})" if line.original_invoice else ""
        table.add_row(plain(line.description + about), format_minor(line.amount_minor, document.currency))
    for each in document.taxes:
        base = format_minor(each.base_minor, document.currency)
        table.add_row(plain(f"{each.tax.code} on {base}"), format_minor(each.tax_minor, document.currency))
    table.add_section()
    table.add_row("total", format_minor(document.total_minor, document.currency))
    show_table(table)
