"""Which OpenRouter keys a window is asked for, and the activity of each: the provider's 64 queries a minute are dear.

A key's lifetime counters (`usage`, `byok_usage`) only change when something is spent or corrected. A key that stands
in two lists with equal counters spent nothing between them. If the older list was whole before the window's first
instant and the newer one began after its last, the key spent nothing in the window: its rows are known to be none
and are not asked for. It is asked for when the counters differ, when the older list did not hold it, and when there
is no such list.

What could still slip through stays visible. The account's own total is always read, so spend of a key that was not
asked for (a counter that is hours behind analytics, two corrections that cancel out, an amount too small for the
counter's binary double) stands as a row with account_id '' until the next night or the next full read finds it.
Windows over FULL_READ_DAYS (the weekly re-read, backfills) read the costs of every key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.periods import Window, start_of
from tokenboard_etl.providers.openrouter import PROVIDER, KeyRef, confirmed, days_of_activity
from tokenboard_etl.providers.openrouter_wire import ActivityAnswer, Key
from tokenboard_etl.providers.together import side_by_side
from tokenboard_etl.providers.wire import Fetch, Request, read

FULL_READ_DAYS = 7
MAX_KEYS_OF_ACTIVITY = 500


def is_short(window: Window) -> bool:
    """Whether keys that spent nothing may be left out of a window."""
    return (window.end - window.start).days <= FULL_READ_DAYS


def moved(now: Mapping[str, Key], listed_at: datetime, before: Mapping[str, Key], window: Window) -> list[KeyRef]:
    """The keys of the list `now` that may have spent in the window; see above.

    `before` is a list that was whole when the window began. Every key moved if the list `now`, begun at `listed_at`,
    is from before the window's end: what was spent after it, it cannot know.
    """
    if listed_at < start_of(window.end):
        before = {}
    return [KeyRef(key.hash, key.name) for key in now.values() if _counters(before.get(key.hash)) != _counters(key)]


def _counters(key: Key | None) -> object:
    return key and (key.usage, key.byok_usage)


async def activity_by_key(fetch: Fetch, window: Window, now: datetime, wanted: Sequence[KeyRef]) -> frozenset[date]:
    """Usage per model and endpoint of each wanted key: a cross-check of analytics from another endpoint.

    One request per key, AT_A_TIME at once. For more than MAX_KEYS_OF_ACTIVITY keys none is asked for and no
    day confirmed: then only the account's total is held against analytics.
    """
    covered = days_of_activity(window, now)
    if len(wanted) > MAX_KEYS_OF_ACTIVITY:
        return frozenset()
    if covered:
        await side_by_side(_ask(fetch, key_hash) for key_hash in sorted(key.hash for key in wanted))
    return confirmed(covered, now, ())  # the oldest may have left the answers between two keys


async def _ask(fetch: Fetch, key_hash: str) -> None:
    """One answer for all 30 days. Its rows name no key, so the landing does."""
    request = Request(PROVIDER, "/activity", (("api_key_hash", key_hash),), context={"key_hash": key_hash})
    try:
        read(ActivityAnswer, request, await fetch(request))
    except ProviderRejected as error:
        if error.status != 404:  # 404: the key was deleted since it was listed
            raise
