"""`tokenboard`: a thin face over the jobs. Commands that load or close run the Dagster job; no other imports it.

Exit status: 0 done; 1 a run or a check failed; 2 wrong use or configuration. Errors are a line or two on stderr.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import click
import typer
from rich import filesize

from tokenboard_etl.cli_accounts import tenants_adopt, unallocated, usage
from tokenboard_etl.cli_backup import backup, restore
from tokenboard_etl.cli_budgets import budgets_app
from tokenboard_etl.cli_connections import connect, vault_app
from tokenboard_etl.cli_export import export_app
from tokenboard_etl.cli_invoices import close, credit_note, prove
from tokenboard_etl.cli_life import tenants_offboard, tenants_resume, tenants_suspend
from tokenboard_etl.cli_models import models
from tokenboard_etl.cli_provisioning import key_app, provision, tenants_limit, tenants_rotate, tenants_show
from tokenboard_etl.cli_reading import breakdown, summary, trend
from tokenboard_etl.cli_reports import reports
from tokenboard_etl.connections import require_connections
from tokenboard_etl.errors import TokenboardError, WrongUse
from tokenboard_etl.logs import log_to, show_progress, show_warnings
from tokenboard_etl.periods import FIRST_DAY, Window, lookback_window, parse_day, utc_day
from tokenboard_etl.redaction import redact
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.terminal import err, out, plain, show_json, show_table, table_of

app = typer.Typer(
    name="tokenboard",
    help="What AI providers charge you, turned into what you charge your tenants.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
landing_app = typer.Typer(help="What arrived, as it arrived.", no_args_is_help=True)
app.add_typer(landing_app, name="landing")
tenants_app = typer.Typer(help="Who is billed, and for which accounts.", no_args_is_help=True)
app.add_typer(tenants_app, name="tenants")
app.add_typer(vault_app, name="vault")
app.add_typer(key_app, name="key")
app.add_typer(budgets_app, name="budgets")
app.add_typer(export_app, name="export")
for _command in (backup, connect, close, prove, provision, restore, summary, trend, breakdown, unallocated, usage):
    app.command()(_command)
app.command()(reports)
app.command()(models)
app.command("credit-note")(credit_note)
tenants_app.command("show")(tenants_show)
tenants_app.command("adopt")(tenants_adopt)
tenants_app.command("limit")(tenants_limit)
tenants_app.command("rotate")(tenants_rotate)
tenants_app.command("suspend")(tenants_suspend)
tenants_app.command("resume")(tenants_resume)
tenants_app.command("offboard")(tenants_offboard)

_INTERRUPTED = 130
"""What typer returns after a Ctrl-C."""

_debug = False


@app.callback()
def _options(debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False) -> None:
    global _debug
    _debug = debug


@app.command()
def nightly(
    from_: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First UTC day.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last UTC day; yesterday at the latest.")
    ] = None,
    accept_collapse: Annotated[
        str | None, typer.Option(metavar="REASON", help="Load although settled figures collapsed.")
    ] = None,
) -> None:
    """Extract, load, model, check, publish and report UTC days (default: yesterday and the days it re-reads)."""
    from tokenboard_etl.billing.policy_file import load_policy

    settings = load_settings()
    window = nightly_window(settings, from_, to)
    require_connections(settings)
    load_policy(settings)  # a policy that cannot be used is said before hours of reading
    with _at_work(settings):
        from assets.run import run_nightly  # Dagster costs seconds, so only here

        run_nightly(settings, window, accept_collapse=accept_collapse)
    out.print(f"Loaded {window}; published {settings.published_path}", highlight=False)


@app.command()
def rebuild() -> None:
    """Rebuild every derived table from landings, offline."""
    settings = load_settings()
    with _at_work(settings):
        from assets.run import run_rebuild

        run_rebuild(settings)
    out.print(f"Rebuilt from {settings.landing_path}; published {settings.published_path}", highlight=False)


@app.command()
def doctor() -> None:
    """Say what is configured, what is missing, and how long it can still be fetched."""
    from tokenboard_etl.doctor import examine
    from tokenboard_etl.findings import Level

    settings = load_settings()
    findings = examine(settings)
    table = table_of(None, ("level", "about", "finding"), names=("about", "finding"))
    for finding in findings:
        table.add_row(finding.level.name, *map(plain, (finding.about, finding.what)))
    show_table(table)
    raise typer.Exit(1 if any(finding.level is Level.error for finding in findings) else 0)


@landing_app.command("prune")
def landing_prune(
    keep_days: Annotated[int, typer.Option(min=0, max=10_000, help="Keep every load of so many days.")],
) -> None:
    """Remove landed bodies that were superseded; what any figure or invoice rests on stays."""
    from tokenboard_etl.closing import republish
    from tokenboard_etl.retention import prune
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        done = prune(warehouse, settings.landing_path, keep_days, settings.now)
        republish(warehouse, settings)
    out.print(f"Removed {done.loads} superseded load(s), {filesize.decimal(done.bytes)}", highlight=False)


@tenants_app.command("import")
def tenants_import(file: Annotated[Path, typer.Argument(metavar="FILE.csv")]) -> None:
    """Register tenants and bind their accounts from a CSV file, all of it or nothing."""
    from tokenboard_etl.closing import republish
    from tokenboard_etl.tenants.csv_import import import_tenants
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        done = import_tenants(warehouse, file, settings.now)
        republish(warehouse, settings)
    out.print(f"{done.tenants} tenant(s) new or changed, {done.bindings} account(s) bound", highlight=False)


@tenants_app.command("list")
def tenants_list(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List all tenants."""
    from tokenboard_etl.tenants.registry import tenants
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        found = tenants(warehouse)
    if as_json:
        show_json(found)
        return
    if not found:
        out.print("No tenants yet; `tokenboard tenants import FILE.csv` adds them.")
        return
    table = table_of(None, ("tenant_id", "name", "country", "currency", "status"), names=("name",))
    for tenant in found:
        table.add_row(*map(plain, (tenant.tenant_id, tenant.name, tenant.country, tenant.currency, tenant.status)))
    show_table(table)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8080,
    seed: Annotated[int, typer.Option(help="The world is made from it.")] = 1,
    scale: Annotated[int, typer.Option(min=1, max=1000, help="How many times larger than the usual world.")] = 1,
) -> None:
    """Run both providers locally until interrupted; prints what to set to talk to them."""
    from tokenboard_etl.providers.sandbox.server import serve, settings_for
    from tokenboard_etl.providers.sandbox.world import World

    for name, value in settings_for(World(seed, scale), port).items():
        out.print(f"export {name}={value}", highlight=False)
    try:
        serve(port=port, seed=seed, scale=scale, now=load_settings().simulated_now)
    except OSError as error:
        raise WrongUse(
            f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}). Choose another with --port."
        ) from error


@app.command()
def demo() -> None:
    """Run everything against the sandbox: import tenants, load two months, close one, publish."""
    from tokenboard_etl.demo import run_demo

    settings = load_settings()
    with _at_work(settings):
        summary = run_demo(settings)
    out.print(summary)


def nightly_window(settings: Settings, first: str | None, last: str | None) -> Window:
    """The days a nightly run reads; both ends are included."""
    from tokenboard_etl.rereads import nightly_days

    today = utc_day(settings.now)
    usual = lookback_window(today, settings.lookback_days)
    if first is None and last is None:
        usual = nightly_days(settings, today)
    end = usual.last if last is None else parse_day(last)
    start = min(end, usual.start) if first is None else parse_day(first)
    if end > usual.last:
        raise WrongUse(f"--to {end} is not over in UTC; the last day that can be read is {usual.last}.")
    if start > end:
        raise WrongUse(f"--from {start} is after --to {end}.")
    if start < FIRST_DAY:
        raise WrongUse(f"--from {start} is before {FIRST_DAY}, where this system begins.")
    return Window.of_days(start, end)


@contextmanager
def _at_work(settings: Settings) -> Iterator[None]:
    with log_to(settings.logs_path, settings.log_format), show_progress(out):
        yield


def main() -> None:
    """The script's entry: turns every error into a line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a name is no reason to fail
    try:
        status = app(standalone_mode=False)
    except TokenboardError as error:
        _fail(redact(str(error)), error.exit_status)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        said = " ".join(error.format_message().split())
        _fail(redact(f"{said} (see tokenboard --help)"), 2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last door: a defect of ours, said plainly
        _fail(f"A defect in this program: {redact(f'{type(error).__name__}: {error}')} (--debug shows where).", 1)
    if status == _INTERRUPTED:
        sys.stderr.write("tokenboard: Stopped. What was complete is kept; run the same command again to go on.\n")
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(1)  # everything of ours is closed; coroutines that were cut off would complain while torn down
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    if _debug:
        import traceback

        sys.stderr.write(redact(traceback.format_exc()))
    sys.stderr.write(f"tokenboard: {message}\n")
    sys.exit(status)
