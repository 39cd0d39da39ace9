"""What `tokenboard close --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tokenboard_etl.terminal import out, plain

if TYPE_CHECKING:
    from tokenboard_etl.dry_run import DryRun, Forecast


HEADINGS = ("invoiced", "policy\nbefore", "policy\nnow", "policy\nchanges", "from\ninvoice")


def show_forecast(run: DryRun) -> None:
    """One row per tenant, net amounts; below it what closing would be refused for."""
    table = Table(title=f"{run.month}, net of tax", title_justify="left", padding=(0, 0))
    table.add_column("tenant", overflow="fold")
    table.add_column("invoice", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)  # an amount is never cut
    for each in run.forecasts:
        table.add_row(*map(plain, _row(each)))
    out.print(table if run.forecasts else f"{run.month}: no tenant has charges.", highlight=False)
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
