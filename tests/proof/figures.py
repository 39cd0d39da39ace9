"""A sandbox fed with figures that a document states, and what it states read out of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from tokenboard_etl.providers.sandbox.meters import Readings
from tokenboard_etl.providers.sandbox.openai_spend import CostRow, OpenAISpend
from tokenboard_etl.providers.sandbox.router_spend import RouterSpend, SpendRow, Spent, total_of
from tokenboard_etl.providers.sandbox.world import World

Row = dict[str, str]


def tables(document: str) -> dict[str, list[Row]]:
    """The tables of a Markdown document by the heading they stand under, rows by their columns' names."""
    found: dict[str, list[Row]] = {}
    heading, columns = "", list[str]()
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif set(line) - set("|-: "):
            found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


@dataclass(frozen=True)
class Cost:
    """What a provider says a day cost; from an instant on, until another figure of the same day is to be seen."""

    day: date
    tenant_id: str
    provider: str
    line_item: str
    usd: Decimal
    seen_from: date


def costs_in(document: str) -> list[Cost]:
    """The costs and restatements a document states."""
    stated = tables(document)
    return [
        Cost(
            date.fromisoformat(row["UTC day"]),
            row["tenant"],
            row["provider"],
            row["line item"],
            Decimal(row["cost in USD"]),
            date.fromisoformat(row.get("seen from", row["UTC day"])),
        )
        for heading in ("What the providers charge", "A restatement")
        for row in stated[heading]
    ]


def visible(costs: Sequence[Cost], provider: str, day: date, seen_at: datetime) -> list[Cost]:
    """Of each line item of a day the figure that is to be seen."""
    newest: dict[tuple[str, str], Cost] = {}
    for cost in costs:
        if (
            (cost.provider, cost.day) == (provider, day)
            and cost.day < seen_at.date()
            and cost.seen_from <= seen_at.date()
        ):
            known = newest.setdefault((cost.tenant_id, cost.line_item), cost)
            if known.seen_from <= cost.seen_from:
                newest[cost.tenant_id, cost.line_item] = cost
    return list(newest.values())


class StatedCosts(OpenAISpend):
    """OpenAI's costs are those stated, by organization and tenant's project; no usage is told."""

    def __init__(self, costs: Sequence[Cost], projects: dict[str, dict[str, str]], world: World) -> None:
        silent = tuple(replace(org, text_streams=(), tool_streams=()) for org in world.organizations)
        super().__init__(world.seed, Readings(world.seed), silent)
        self._costs, self._projects = costs, projects

    def costs(self, org_id: str, day: date, seen_at: datetime) -> tuple[CostRow, ...]:
        return tuple(
            CostRow(day, self._projects[org_id][cost.tenant_id], cost.line_item, None, None, cost.usd, None, None)
            for cost in visible(self._costs, "openai", day, seen_at)
        )


class StatedSpend(RouterSpend):
    """OpenRouter's spend is that stated, a request for each cost."""

    def __init__(self, costs: Sequence[Cost], keys: dict[str, str], workspace_id: str) -> None:
        self._costs, self._keys, self._workspace_id = costs, keys, workspace_id

    def rows(self, day: date, seen_at: datetime, key_hash: str | None = None) -> list[SpendRow]:
        return [
            SpendRow(
                day, self._keys[cost.tenant_id], self._workspace_id, cost.line_item, cost.line_item, "Stated", "stated",
                False, cost.usd, Decimal(0), 1, 0, 0, 0, 0,
            )
            for cost in visible(self._costs, "openrouter", day, seen_at)
            if key_hash in (None, self._keys[cost.tenant_id])
        ]  # fmt: skip

    def spent(self, key_hash: str | None, first: date, seen_at: datetime) -> Spent:
        days = {cost.day for cost in self._costs if cost.day >= first}
        return total_of([row for day in sorted(days) for row in self.rows(day, seen_at, key_hash)])

    def spent_by_all(self, seen_at: datetime) -> Spent:
        return self.spent(None, date.min, seen_at)


@dataclass(frozen=True)
class Accounts:
    """Which project and which key is whose."""

    projects: dict[str, str]
    keys: dict[str, str]


def feed(world: World, costs: Sequence[Cost]) -> Accounts:
    """Has a world answer with stated costs; each tenant gets a project and a key of it."""
    names = sorted({cost.tenant_id for cost in costs})
    projects = [project for project in world.organizations[0].projects if project.archived_on is None]
    keys = [key for key in world.account.keys if key.disabled_on is None]
    found = Accounts(
        {name: project.id for name, project in zip(names, projects, strict=False)},
        {name: key.hash for name, key in zip(names, keys, strict=False)},
    )
    world.openai = StatedCosts(costs, {world.organizations[0].id: found.projects}, world)
    world.openrouter = StatedSpend(costs, found.keys, world.default_workspace_id)
    return found


def operations_csv(path: Path, operations: Sequence[Row]) -> None:
    """The log of an application that did the operations a document states."""
    columns = "operation_id,type,occurred_at,tenant_id,job_id,job_title,tokens,quantity,unit,success"
    lines = [
        f'{row["operation"]},{row["type"]},{row["UTC day"]}T12:00:00Z,{row["tenant"]},{row["job"]},"{row["title"]}",'
        f"{row['tokens']},{row['quantity']},{row['unit']},true"
        for row in operations
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([columns, *lines]) + "\n")


def tenants_csv(path: Path, tenants: Sequence[Row], accounts: Accounts) -> Path:
    """The import file of the tenants a document states."""
    columns = "tenant_id,name,industry,country,currency,billing_email,openai_project_id,openrouter_key_hash,valid_from"
    lines = [
        f"{row['tenant']},{row['name']},,{row['country']},{row['currency']},billing@{row['tenant']}.example,"
        f"{accounts.projects[row['tenant']]},{accounts.keys[row['tenant']]},2026-01-01"
        for row in tenants
    ]
    path.write_text("\n".join([columns, *lines]) + "\n")
    return path
