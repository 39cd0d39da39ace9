"""`tokenboard demo`: the whole way once, against the sandbox, in a folder of its own."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tokenboard_etl.files import write_atomically
from tokenboard_etl.money import exact, format_usd
from tokenboard_etl.periods import Month, Window, utc_day
from tokenboard_etl.providers.sandbox.operations import operations_csv
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.reading.published import open_published
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

_NOTHING_OF_THE_OPERATORS = {
    "OPENAI_ORG_ID": None,
    "OPENAI_API_KEY": None,
    "OPENAI_PERSONAL_KEY": None,
    "DAGSTER_HOME": None,
    "TOKENBOARD_PRICES_URL": None,
}


def run_demo(outer: Settings) -> Group:
    """Loads the two last complete months and the current one, closes the older, publishes; returns what to show.

    Everything lies in TOKENBOARD_HOME/demo, apart from real data; no process is left behind.
    """
    from assets.run import run_month_close, run_nightly  # Dagster costs seconds, so only here

    with running_sandbox(now=outer.simulated_now) as sandbox:
        settings = load_settings(**sandbox.env(), **_NOTHING_OF_THE_OPERATORS, TOKENBOARD_HOME=str(outer.home / "demo"))
        today = utc_day(settings.now)
        closing = Month.of(today).previous().previous()
        _import_tenants(sandbox, settings)
        _drop_operations(sandbox, settings, closing)
        run_nightly(settings, Window(closing.first, today))
        run_month_close(settings, closing)
    return _summary(settings, closing)


def _import_tenants(sandbox: RunningSandbox, settings: Settings) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_warehouse(settings.warehouse_path) as warehouse,
    ):
        path = Path(folder) / "tenants.csv"
        path.write_text(sandbox.world.tenants_csv())
        import_tenants(warehouse, path, settings.now)


def _drop_operations(sandbox: RunningSandbox, settings: Settings, month: Month) -> None:
    """What an application would have left in the inbox: a week's operations of two tenants."""
    world = sandbox.world
    week = [month.first + timedelta(days=number) for number in range(7)]
    text = operations_csv(world.seed, world.tenants[:2], week)
    write_atomically(settings.operations_inbox_path / "demo.csv", text.encode())


def _summary(settings: Settings, closed: Month) -> Group:
    """The figures as the analysts' file has them, and where to look."""
    with open_published(settings.published_path) as published:
        rows = published.execute(
            """
            SELECT tenant_id, sum(cost_usd), sum(billed_usd), sum(margin_usd)
            FROM billing.tenant_months GROUP BY tenant_id ORDER BY tenant_id = 'unallocated', tenant_id
            """
        ).fetchall()
        invoices = published.execute("SELECT count(*) FROM billing.invoices").fetchall()[0][0]
    table = Table("tenant", title="Cost, billed and margin in USD, last three months", title_justify="left")
    for heading in ("cost", "billed", "margin"):
        table.add_column(heading, justify="right")
    for tenant_id, cost, billed, margin in rows:
        shown = "-" if tenant_id == "unallocated" else format_usd(margin)
        table.add_row(tenant_id, format_usd(cost), format_usd(billed), shown)
    with exact():
        cost, billed, margin = (sum((row[i] for row in rows), Decimal(0)) for i in (1, 2, 3))
    table.add_section()
    table.add_row("all", *map(format_usd, (cost, billed, margin)))
    where = Text(
        f"{invoices} invoices   {settings.reports_path / str(closed)}\n"
        f"Reports   {settings.reports_path / 'index.html'}\n"
        f"DuckDB file   {settings.published_path}\n"
        f'Look inside:  {Path(".venv/bin")}/python -c "import duckdb; '
        f"print(duckdb.connect('{settings.published_path}', read_only=True).sql('FROM billing.tenant_months'))\""
    )
    return Group(table, where)
