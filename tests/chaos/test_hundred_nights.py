"""Nights that are missed, killed, refused and run twice come to what nights without a fault come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from chaos.command import Home, home
from chaos.few_tenants import sandbox_of_few_tenants
from chaos.growth import compact, told
from chaos.nights import CAUGHT_UP, EARLY, FIRST_NIGHT, Nights
from chaos.report import Line, Report
from chaos.tables import OF_THE_RUN, tables_of
from test_nights import expected_days
from tokenboard_etl.periods import Window
from tokenboard_etl.proof.prove import prove
from tokenboard_etl.settings import load_settings

NIGHTS, SEED = 100, 7
COMPARED_EVERY = 10
RUN_BYTES = 4_000_000
"""What Dagster may record of a run; assets/history.py says how many are kept."""

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
    *("billing.invoice_inputs", "billing.issue_source_days.sha256", "billing.issues.evidence_sha256"),
    *("credits.balances.used_delta_usd", "credits.balances.span_days"),
}
"""When something was first seen and last read, since when a balance has moved, and the checksums of bodies that tell of
other days as well. That each document follows from what it rests on is proved instead."""


def unlike(disturbed: Home, twin: Home) -> Iterator[str]:
    """What should be equal and is not, a line per table."""
    for ours, theirs in zip(disturbed.tables, twin.tables, strict=True):
        here, there = tables_of(ours, OF_THE_READS), tables_of(theirs, OF_THE_READS)
        for table in sorted((here.keys() | there.keys()) - RECORDS_OF_READS):
            counted, expected = Counter(map(repr, here.get(table, []))), Counter(map(repr, there.get(table, [])))
            if counted != expected and not (table in SNAPSHOTS and counted and counted <= expected):
                yield f"{ours.name} {table}: {(counted - expected).total()} rows of {counted.total()} are its own"


def pages(place: Home) -> dict[str, bytes]:
    """Every issued document, statement, register, overview and index, byte for byte.

    Not what a kill left half written, which the first night an hour later takes away; and no reconciliation: it shows
    the values on the way to the last one, and when a day had settled, like RECORDS_OF_READS.
    """
    files = (path for path in place.path.glob("reports/**/[!.]*") if path.is_file())
    return {str(each.relative_to(place.path)): each.read_bytes() for each in files if each.stem != "reconciliation"}


def overgrown(twin: Nights, disturbed: Nights, folder: Path) -> Iterator[str]:
    """What grows faster from third to third of the nights, holds more air than data, or grows by being disturbed."""
    third = len(twin.growth) // 3
    before, middle, last = (twin.growth[at - 1] for at in (len(twin.growth) - 2 * third, -third, 0))
    for part in ("landing", "warehouse", "published", "reports", "files"):
        first, then = (getattr(middle, part) - getattr(before, part)), (getattr(last, part) - getattr(middle, part))
        if then > max(1.25 * first, 0.1 * getattr(middle, part)):
            yield f"{part} grew by {first} in {third} nights and by {then} in the next"
        if getattr(disturbed.growth[-1], part) > 1.25 * getattr(last, part):
            yield f"{part} grew to {getattr(disturbed.growth[-1], part)}, undisturbed to {getattr(last, part)}"
    warehouse = disturbed.place.tables[1]
    size, data = disturbed.growth[-1].warehouse, compact(warehouse, folder)
    if size > 3 * data:
        yield f"{warehouse.name} takes {size} bytes, and what is in it {data}"
    per_run = disturbed.growth[-1].dagster // len(disturbed.place.runs())
    if per_run > RUN_BYTES:
        yield f"Dagster's records take {per_run} bytes a run"


def reconciled(place: Home) -> dict[tuple[date, str], tuple[Decimal, Decimal]]:
    """(day, connection) -> (tenants' cost, nobody's cost), as published."""
    with duckdb.connect(place.published, read_only=True) as connection:
        rows = connection.execute(
            "SELECT usage_date, connection_id, allocated_cost_usd, unallocated_cost_usd FROM billing.reconciliation"
        ).fetchall()
    return {(day, account): (ours, nobodys) for day, account, ours, nobodys in rows}


@pytest.mark.endurance
def test_a_hundred_disturbed_nights_come_to_the_same_as_undisturbed_ones(tmp_path: Path, report: Report) -> None:
    found, due, last_night = list[str](), False, FIRST_NIGHT + timedelta(days=NIGHTS - 1)
    with sandbox_of_few_tenants(FIRST_NIGHT) as sandbox:
        disturbed = Nights(home(tmp_path / "disturbed", sandbox, FIRST_NIGHT), sandbox, NIGHTS, SEED)
        twin = Nights(home(tmp_path / "undisturbed", sandbox, FIRST_NIGHT), sandbox, NIGHTS)
        for number in range(NIGHTS):
            became, _ = disturbed.night(number), twin.night(number)
            due = due or number % COMPARED_EVERY == 0
            if due and became in CAUGHT_UP:
                due = False
                now = [f"after {number + 1} nights: {each}" for each in unlike(disturbed.place, twin.place)]
                found += now
                print(f"{number + 1} nights: {len(now)} difference(s)", *now, sep="\n", flush=True)
    found += [*disturbed.failures, *twin.failures, *unlike(disturbed.place, twin.place)]
    found += overgrown(twin, disturbed, tmp_path)
    did = ", ".join(f"{kind} {count}" for kind, count in sorted(disturbed.did.items()))
    *_, sizes = told(disturbed.growth)
    size = ", ".join(
        f"{name} {mb}" for name, mb in zip(next(told(disturbed.growth)).split(), sizes.split(), strict=True)
    )
    report.append(Line(f"{NIGHTS} nights, seed {SEED}", NIGHTS, len(found), f"{did}; MB on disk at the end: {size}"))
    print(*found, "disturbed, MB on disk", *told(disturbed.growth), sep="\n")
    print("undisturbed, MB on disk", *told(twin.growth), sep="\n")
    assert found == []
    days = Window.of_days(FIRST_NIGHT.date() - timedelta(days=5), last_night.date() - timedelta(days=1))
    assert reconciled(disturbed.place) == expected_days(sandbox.world, days, last_night)
    written = pages(twin.place)
    assert sorted(pages(disturbed.place)) == sorted(written)
    assert [name for name, content in pages(disturbed.place).items() if content != written[name]] == []
    issued = [name for name in written if re.match(r"INV-|CN-", Path(name).name) and name.endswith(".html")]
    assert {name.split("/")[1] for name in issued} == set(MONTHS)
    settings = load_settings(**{**disturbed.place.env, "TOKENBOARD_NOW": last_night.isoformat()})
    proofs = [prove(settings, Path(name).stem) for name in issued]
    assert [failure for proof in proofs for failure in proof.failures] == []
    adjustments = [
        row
        for row in tables_of(twin.place.published, OF_THE_READS)["billing.invoice_lines"]
        if "adjustment" in map(str, row)
    ]
    assert adjustments, f"{', '.join(map(str, EARLY))} was closed before it had settled"
