"""Nights that are missed, killed, refused and run twice come to what nights without a fault come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from chaos.command import Home, home
from chaos.few_tenants import sandbox_of_few_tenants
from chaos.growth import Growth, compact, told
from chaos.nights import CAUGHT_UP, EARLY, FIRST_NIGHT, Nights
from chaos.report import Line, Report
from chaos.tables import OF_THE_RUN, tables_of

NIGHTS, SEED = 100, 7
COMPARED_EVERY = 10
MONTHS = ("2026-04", "2026-05", "2026-06")

RECORDS_OF_READS = frozenset({"ops.loads", "ops.load_days", "ops.settle_times", "billing.restatements"})
"""How often something was read, and the values on the way to the last one: a night that was missed saw none of them."""

SNAPSHOTS = frozenset(
    {
        *("raw.openai_admin_keys", "raw.openai_project_keys", "raw.openai_projects", "raw.openai_service_accounts"),
        *("raw.openai_spend_limits", "raw.openrouter_credits", "raw.openrouter_keys"),
        *("ops.spend_limits", "usage.openrouter_keys", "credits.balances"),
    }
)
"""How things stood at an instant: there is none of a night that was missed."""

OF_THE_READS = OF_THE_RUN | {
    *(f"ops.source_days.{column}" for column in ("loads", "first_loaded_at", "last_loaded_at", "settled_at")),
    *("ops.accounts.first_seen", "ops.account_names.seen_from", "ops.told_names.seen_from"),
    *("billing.issue_source_days.sha256", "billing.issues.evidence_sha256"),
    *("credits.balances.used_delta_usd", "credits.balances.span_days"),
}
"""When something was first seen and last read, since when a balance has moved, and the checksums of bodies that tell of
other days as well."""


def unlike(disturbed: Home, twin: Home) -> Iterator[str]:
    """What should be equal and is not, a line per table."""
    for ours, theirs in zip(disturbed.tables, twin.tables, strict=True):
        here, there = tables_of(ours, OF_THE_READS), tables_of(theirs, OF_THE_READS)
        for table in sorted((here.keys() | there.keys()) - RECORDS_OF_READS):
            counted, expected = Counter(map(repr, here.get(table, []))), Counter(map(repr, there.get(table, [])))
            if counted != expected and not (table in SNAPSHOTS and counted and counted <= expected):
                yield f"{ours.name} {table}: {(counted - expected).total()} rows of {counted.total()} are its own"


def documents(place: Home) -> dict[str, bytes]:
    """Every issued document, byte for byte."""
    return {
        str(path.relative_to(place.path)): path.read_bytes()
        for path in place.path.glob("reports/*/*/*.html")
        if re.match(r"INV-|CN-", path.name)
    }


def overgrown(nights: Nights, folder: Path) -> Iterator[str]:
    """What grows faster in the last third of the nights than in the one before, or holds more air than data."""
    third = len(nights.growth) // 3
    before, middle, last = (nights.growth[at - 1] for at in (len(nights.growth) - 2 * third, -third, 0))
    for part in (each.name for each in fields(Growth)):
        first_bytes, then_bytes = (
            getattr(later, part) - getattr(earlier, part) for earlier, later in ((before, middle), (middle, last))
        )
        allowed = max(first_bytes * 1.25, getattr(before, part) * 0.1)
        if then_bytes > allowed:
            yield f"{part} grew by {then_bytes} in the last {third} nights, by {first_bytes} in those before"
    warehouse = nights.place.tables[1]
    size, data = nights.growth[-1].warehouse, compact(warehouse, folder)
    if size > 3 * data:
        yield f"{warehouse.name} takes {size} bytes, and what is in it {data}"


@pytest.mark.chaos
def test_a_hundred_disturbed_nights_come_to_the_same_as_undisturbed_ones(tmp_path: Path, report: Report) -> None:
    found, due = list[str](), False
    with sandbox_of_few_tenants(FIRST_NIGHT) as sandbox:
        disturbed = Nights(home(tmp_path / "disturbed", sandbox, FIRST_NIGHT), sandbox, NIGHTS, SEED)
        twin = Nights(home(tmp_path / "undisturbed", sandbox, FIRST_NIGHT), sandbox, NIGHTS)
        for number in range(NIGHTS):
            became, _ = disturbed.night(number), twin.night(number)
            due = due or number % COMPARED_EVERY == 0
            if due and became in CAUGHT_UP:
                due = False
                found += [f"after {number + 1} nights: {each}" for each in unlike(disturbed.place, twin.place)]
                print(f"{number + 1} nights: {len(found)} difference(s)", flush=True)
    found += [*disturbed.failures, *twin.failures, *unlike(disturbed.place, twin.place)]
    found += [*overgrown(disturbed, tmp_path), *overgrown(twin, tmp_path)]
    did = ", ".join(f"{kind} {count}" for kind, count in sorted(disturbed.did.items()))
    report.append(Line(f"{NIGHTS} nights, seed {SEED}", NIGHTS, len(found), did))
    print("disturbed, MB on disk", *told(disturbed.growth), sep="\n")
    print("undisturbed, MB on disk", *told(twin.growth), sep="\n")
    assert found == []
    issued = documents(twin.place)
    assert documents(disturbed.place) == issued
    assert {name.split("/")[1] for name in issued} == set(MONTHS)
    adjustments = [
        row
        for row in tables_of(twin.place.published, OF_THE_READS)["billing.invoice_lines"]
        if "adjustment" in map(str, row)
    ]
    assert adjustments, f"{', '.join(map(str, EARLY))} was closed before it had settled"
