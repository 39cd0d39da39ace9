"""However many pages a report comes in, it is the same report.

Page sizes are constants of the provider modules and no setting, because nobody should have to choose them. So they
are replaced here, the one thing that is, and the walk runs in this process.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from assets.run import run_nightly
from chaos.command import NOW, Home, home
from chaos.report import Line, Report
from chaos.requests import asked
from chaos.tables import OF_THE_PAGES, OF_THE_RUN, differences
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers import openai_buckets, openrouter
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import load_settings

FORTY_DAYS = Window(utc_day(NOW) - timedelta(days=40), utc_day(NOW))
COSTS, COMPLETIONS, ANALYTICS = (
    "GET /organization/costs",
    "GET /organization/usage/completions",
    "POST /analytics/query",
)


class Pages(NamedTuple):
    """What one request may bring: days of OpenAI, and days, keys and rows of OpenRouter's analytics."""

    days: int
    keys: int
    rows: int


ONE_DAY, SEVEN_DAYS = Pages(1, 50, 10_000), Pages(7, 7, 150)


def at_most(days: int) -> Callable[..., Request]:
    """OpenAI's requests with no more buckets a page than this."""
    original = openai_buckets.BucketReport.request
    return lambda report, start, end, buckets: original(report, start, end, min(buckets, days))


def walk(place: Home, sandbox: RunningSandbox, pages: Pages | None) -> dict[str, int]:
    """Forty days in pages of a size, or of the greatest; returns how often each paged endpoint was asked."""
    before = asked(sandbox)
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        if pages:
            patch.setattr(openai_buckets.BucketReport, "request", at_most(pages.days))
            patch.setattr(openrouter, "QUERY_DAYS", pages.days)
            patch.setattr(openrouter, "ROW_LIMIT", pages.rows)
            patch.setattr(openrouter.groups_with_distinct_names, "__defaults__", (pages.keys,))  # KEYS_PER_QUERY
        run_nightly(load_settings(**place.env), FORTY_DAYS, instance)
    counts = {COSTS: 0, COMPLETIONS: 0, ANALYTICS: 0}
    for question, count in (asked(sandbox) - before).items():
        if question.endpoint in counts:
            counts[question.endpoint] += count
    return counts


def walks_agree(sizes: tuple[Pages, ...], folder: Path, sandbox: RunningSandbox, report: Report) -> None:
    greatest = home(folder / "greatest", sandbox)
    fewest = walk(greatest, sandbox, None)
    for pages in sizes:
        place = home(folder / str(pages.days), sandbox)
        requests = walk(place, sandbox, pages)
        found = differences(place, greatest, OF_THE_RUN | OF_THE_PAGES)
        walks = ", ".join(f"{endpoint} {fewest[endpoint]} -> {count}" for endpoint, count in requests.items())
        report.append(Line(f"pages of {pages.days} day(s)", 1, len(found), walks))
        assert all(requests[endpoint] > count for endpoint, count in fewest.items())
        assert found == []


@pytest.mark.chaos
def test_three_walks_in_pages_of_three_sizes_give_the_same_tables(
    tmp_path: Path, sandbox: RunningSandbox, report: Report
) -> None:
    walks_agree((ONE_DAY, SEVEN_DAYS), tmp_path, sandbox, report)
