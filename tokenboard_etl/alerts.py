"""What somebody wants to hear of without looking, as one message a webhook takes: generic JSON, with Slack's `text`.

Names come from providers and tenants, so a message names ids and escapes even those: nothing in it can be a mention, a
link or a control character, and redaction.py blots out what looks like a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tokenboard_etl.http import post_json
from tokenboard_etl.money import format_usd
from tokenboard_etl.periods import Month
from tokenboard_etl.reading.overview_figures import budget_alerts, unallocated_of
from tokenboard_etl.reading.published import known_days, open_published
from tokenboard_etl.redaction import redact

RUN_FAILED, BUDGET, UNALLOCATED = "run_failed", "budget_threshold", "unallocated_spend"

_LINES = 20
"""So many events are told in words; all of them are in the message's `events`."""


@dataclass(frozen=True)
class Event:
    """Something that is told once. `id` tells it from every other; `text` is a sentence, not escaped yet."""

    kind: str
    id: str
    text: str


def run_failed(job: str, run_id: str) -> Event:
    """A run that ended with an error, by Dagster's record."""
    return Event(RUN_FAILED, run_id, f"The job {job} failed (run {run_id[:8]}). Dagster's page of the run says why.")


def standing_events(published: Path) -> list[Event]:
    """Of the newest month: thresholds that budgets reached, and accounts with spend nobody is bound to.

    Nothing while nothing is published, or no day is known.
    """
    if not published.exists():
        return []
    with open_published(published) as connection:
        ((days,),) = connection.execute("SELECT count(*) FROM billing.tenant_days").fetchall()
        if not days:
            return []
        month = Month.of(known_days(connection).last)
        budgets, loose = budget_alerts(connection, month), unallocated_of(connection, month)
    return [
        *(
            Event(
                BUDGET,
                f"{month} {each.tenant_id} {each.reached}",
                f"{each.tenant_id} has reached {each.reached} % of its budget for {month}: "
                f"{format_usd(each.spent_usd)} of {format_usd(each.budget_usd)}.",
            )
            for each in budgets
            if each.reached is not None
        ),
        *(
            Event(
                UNALLOCATED,
                f"{month} {each.connection_id} {each.account_id}",
                f"Nobody is bound to {each.account_id or 'what no account explains'} of {each.connection_id}: "
                f"{format_usd(each.cost_usd)} in {month} so far.",
            )
            for each in loose
        ),
    ]


def send(webhook: SecretStr, events: Sequence[Event]) -> None:
    """Posts events as one message; raises AlertNotSent unless the other side answers with success."""
    post_json(webhook, message(events))


def message(events: Sequence[Event]) -> dict[str, Any]:
    """`text` for people, one line an event, and `events` for programs, all in words that mean nothing to a reader."""
    escaped = [Event(*map(_inert, asdict(event).values())) for event in events]
    lines = [event.text for event in escaped[:_LINES]]
    if len(escaped) > _LINES:
        lines.append(f"And {len(escaped) - _LINES} more.")
    return {"text": "\n".join(lines), "events": [asdict(event) for event in escaped]}


def _inert(text: str) -> str:
    """Slack's three escapes, on one line; a mention or a link needs a bracket."""
    one_line = " ".join(redact(text).split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
