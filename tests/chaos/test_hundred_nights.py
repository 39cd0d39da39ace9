"""Nights that are missed, killed, refused and run twice come to what nights without a fault come to."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from chaos.command import home
from chaos.growth import compact, told
from chaos.nights import FIRST_NIGHT, MISSED, Nights
from chaos.report import Line, Report
from chaos.tables import OF_THE_RUN, differences, tables_of
from tokenboard_etl.providers.sandbox.server import RunningSandbox

NIGHTS = 100
SEED = 7

OF_THE_READS = OF_THE_RUN
"""What says how often and when something was read."""


@pytest.mark.chaos
@pytest.mark.parametrize("nights", [NIGHTS])
def test_a_hundred_disturbed_nights_come_to_the_same_as_undisturbed_ones(
    tmp_path: Path, sandbox: RunningSandbox, report: Report, nights: int
) -> None:
    disturbed = Nights(home(tmp_path / "disturbed" / "home", sandbox, FIRST_NIGHT), sandbox, nights, SEED)
    disturbed.run()
    print(*told(disturbed.growth), sep="\n")
    with dg.DagsterInstance.ephemeral() as instance:
        twin = Nights(
            home(tmp_path / "undisturbed" / "home", sandbox, FIRST_NIGHT), sandbox, nights, instance=instance
        )
        twin.run()
    print(*told(twin.growth), sep="\n")
    found = [*disturbed.failures, *twin.failures, *differences(disturbed.place, twin.place, OF_THE_READS)]
    did = ", ".join(f"{kind} {count}" for kind, count in sorted(disturbed.did.items()))
    report.append(Line(f"{nights} nights, seed {SEED}", nights, len(found), did))
    assert found == []


_ = compact, MISSED, tables_of
