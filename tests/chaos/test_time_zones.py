"""The host's time zone and its change of clocks move no figure to another day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chaos.command import NOW, SIXTY_DAYS, home
from chaos.report import Line, Report
from chaos.tables import differences
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox

ST_JOHNS, KATHMANDU = "America/St_Johns", "Asia/Kathmandu"
FORWARD = (NOW, SIXTY_DAYS)
"""On 8 March 2026 St. John's loses an hour."""

BACK = (datetime(2025, 11, 20, 2, tzinfo=UTC), Window(date(2025, 10, 20), date(2025, 11, 20)))
"""On 2 November 2025 it has one twice."""

WITHIN_THE_SECOND_HOUR = (datetime(2025, 11, 2, 4, 45, tzinfo=UTC), Window(date(2025, 10, 20), date(2025, 11, 2)))
"""It is 01:15 in St. John's, for the second time this night."""


@pytest.mark.parametrize(
    ("now", "window"),
    [
        pytest.param(*FORWARD, marks=pytest.mark.endurance, id="forward"),
        pytest.param(*BACK, marks=pytest.mark.endurance, id="back"),
        pytest.param(*WITHIN_THE_SECOND_HOUR, marks=pytest.mark.chaos, id="within_the_second_hour"),
    ],
)
def test_hosts_in_three_time_zones_give_the_same_tables(
    tmp_path: Path, sandbox: RunningSandbox, report: Report, now: datetime, window: Window
) -> None:
    sandbox.set_clock(now)
    utc, *others = [
        home(tmp_path / f"host-{number}", sandbox, now, TZ=zone)
        for number, zone in enumerate(("UTC", KATHMANDU, ST_JOHNS))
    ]
    ends = [place.nightly(window) for place in (utc, *others)]
    assert [(end.status, end.err) for end in ends] == [(0, "")] * 3
    found = [f"{place.env['TZ']}: {each}" for place in others for each in differences(place, utc)]
    report.append(Line(f"UTC, {KATHMANDU}, {ST_JOHNS}", 3, len(found), f"{window}, now {now:%Y-%m-%d %H:%M}Z"))
    assert found == []
