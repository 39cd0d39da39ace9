"""Pages for tenants, finance and operators, made from the published file at the end of a night and of a closing."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.partitions import days_of_run
from assets.publishing import PUBLISHED
from assets.resources import Surroundings
from assets.tables import sha256_of
from tokenboard_etl.money import format_usd
from tokenboard_etl.periods import Month
from tokenboard_etl.reports import (
    INDEX,
    OVERVIEW,
    RECONCILIATION,
    REGISTER,
    STATEMENT,
    Written,
    months_due,
    write_reports,
)

_DESCRIPTIONS = {
    STATEMENT: "One page per tenant and month: prices, budget, trend and parts. No cost, no margin, nobody else's.",
    REGISTER: "One page and one CSV file per month for finance: every document, with cost, billed and margin.",
    RECONCILIATION: "One page per month: provider against tenants and unallocated by day, restatements, usage x price.",
    OVERVIEW: "The operator's page: spend, margin, budgets, unallocated accounts, freshness, credits.",
    INDEX: "The page that leads to all others.",
}
_SHOWN = 12


def report_key(kind: str) -> dg.AssetKey:
    """reports/overview, reports/statements and so on."""
    return dg.AssetKey(["reports", f"{kind}s" if kind == STATEMENT else kind])


REPORTS = tuple(map(report_key, _DESCRIPTIONS))


@dg.multi_asset(
    name="reports",
    specs=[
        dg.AssetSpec(
            report_key(kind),
            deps=[PUBLISHED],
            group_name="reports",
            kinds={"html", "jinja"},
            owners=["team:finance"],
            description=description,
        )
        for kind, description in _DESCRIPTIONS.items()
    ],
)
def reports(
    context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Writes the pages of the months this run was about, and of those that can have changed besides."""
    settings, days = surroundings.settings(), days_of_run(context.run)
    read = {Month.of(day) for day in days.days()} if days else set[Month]()
    written = write_reports(settings, months_due(settings, read))
    previews = {STATEMENT: _months(written), REGISTER: _registers(written), OVERVIEW: _tenants(written)}
    for kind in _DESCRIPTIONS:
        pages = written.of(kind)
        preview = {"preview": dg.MetadataValue.md(previews[kind])} if kind in previews else {}
        yield dg.MaterializeResult(
            asset_key=report_key(kind),
            metadata={
                "path": dg.MetadataValue.path(str(pages[0].path if len(pages) == 1 else settings.reports_path)),
                "files": len(pages),
                "changed": sum(page.is_changed for page in pages),
                "sha256": sha256_of([page.sha256 for page in pages]),
                **preview,
            },
        )


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown; cells are ids, months and amounts, never a name."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _months(written: Written) -> str:
    counts = dict.fromkeys(written.months, 0)
    for page in written.of(STATEMENT):
        counts[Month.parse(page.path.parent.parent.name)] += 1
    return _table(("month", "statements"), list(counts.items())[:_SHOWN])


def _registers(written: Written) -> str:
    rows = [
        (
            each.month,
            sum(of.documents for of in each.totals),
            *map(format_usd, (each.cost_usd, each.billed_usd, each.margin_usd)),
        )
        for each in written.registers[:_SHOWN]
    ]
    return _table(("month", "documents", "cost", "billed", "margin"), rows)


def _tenants(written: Written) -> str:
    tenants = written.overview.tenants[:_SHOWN] if written.overview else ()
    rows = [(each.tenant_id, *map(format_usd, (each.cost_usd, each.billed_usd, each.margin_usd))) for each in tenants]
    return _table(("tenant", "cost", "billed", "margin"), rows)
