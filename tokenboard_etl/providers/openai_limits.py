"""OpenAI's monthly spend limit and spend alerts of a project: setting them. All amounts are whole cents.

| call | endpoint | if sent twice |
|---|---|---|
| set_spend_limit | POST /organization/projects/{id}/spend_limit | the same limit |
| spend_alerts | GET /organization/projects/{id}/spend_alerts | |
| create_spend_alert | POST /organization/projects/{id}/spend_alerts | two alerts: it is sent once |
| change_spend_alert | POST /organization/projects/{id}/spend_alerts/{id} | the same alert |
| delete_spend_alert | DELETE /organization/projects/{id}/spend_alerts/{id} | gone is gone |

The limit stops spending, an alert only writes e-mail. The limit is read by `openai_accounts.spend_limit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tokenboard_etl.providers.openai_accounts import SpendLimit
from tokenboard_etl.providers.openai_buckets import PROVIDER
from tokenboard_etl.providers.openai_lists import Identified, ListPage, listed
from tokenboard_etl.providers.wire import Fetch, Request, Wire, delete, read


class NotificationChannel(Wire):
    recipients: list[str]
    subject_prefix: str | None = None


class SpendAlert(Identified):
    """`threshold_amount` is in whole cents of `currency`."""

    threshold_amount: int
    currency: str
    notification_channel: NotificationChannel


async def set_spend_limit(fetch: Fetch, project_id: str, limit_cents: int) -> SpendLimit:
    """Sets or replaces the project's monthly hard limit, at least one cent."""
    request = Request(PROVIDER, _path(project_id, "spend_limit"), method="POST", body=_monthly(limit_cents))
    return read(SpendLimit, request, await fetch(request))


async def spend_alerts(fetch: Fetch, project_id: str) -> list[SpendAlert]:
    """The project's alerts, whoever made them."""
    return await listed(
        fetch, Request(PROVIDER, _path(project_id, "spend_alerts"), (("limit", "100"),)), ListPage[SpendAlert]
    )


async def create_spend_alert(
    fetch: Fetch, project_id: str, threshold_cents: int, recipients: Sequence[str], subject_prefix: str
) -> SpendAlert:
    """Has an e-mail sent once a month's spend reaches the threshold. Never repeated: a second call makes a second."""
    body = _alert(threshold_cents, recipients, subject_prefix)
    request = Request(PROVIDER, _path(project_id, "spend_alerts"), method="POST", body=body, repeatable=False)
    return read(SpendAlert, request, await fetch(request))


async def change_spend_alert(
    fetch: Fetch, project_id: str, alert_id: str, threshold_cents: int, recipients: Sequence[str], subject_prefix: str
) -> SpendAlert:
    """Gives an alert another threshold or other recipients."""
    body = _alert(threshold_cents, recipients, subject_prefix)
    request = Request(PROVIDER, _path(project_id, "spend_alerts", alert_id), method="POST", body=body)
    return read(SpendAlert, request, await fetch(request))


async def delete_spend_alert(fetch: Fetch, project_id: str, alert_id: str) -> bool:
    """False if it was gone already."""
    return await delete(fetch, Request(PROVIDER, _path(project_id, "spend_alerts", alert_id), method="DELETE"))


def _monthly(threshold_cents: int) -> dict[str, Any]:
    return {"threshold_amount": threshold_cents, "currency": "USD", "interval": "month"}


def _alert(threshold_cents: int, recipients: Sequence[str], subject_prefix: str) -> dict[str, Any]:
    channel = {"type": "email", "recipients": list(recipients), "subject_prefix": subject_prefix}
    return {**_monthly(threshold_cents), "notification_channel": channel}


def _path(project_id: str, *parts: str) -> str:
    return "/".join(("/organization/projects", *(quote(part, safe="") for part in (project_id, *parts))))
