"""A connection that got another key must still be the same account: else its figures would replace another's."""

from __future__ import annotations

import logging
from pathlib import Path

from tokenboard_etl.connections import Connection
from tokenboard_etl.errors import ConfigurationError, KeyRefused, ProviderRejected
from tokenboard_etl.extraction.asking import asking
from tokenboard_etl.extraction.bodies import replay
from tokenboard_etl.http import Client
from tokenboard_etl.landing import newest_landing
from tokenboard_etl.providers import openai_entities, openrouter
from tokenboard_etl.providers.wire import Fetch

log = logging.getLogger("tokenboard.extract")

_LISTS = {
    "openai": ("projects", "projects", "OPENAI_ADMIN_KEY"),
    "openrouter": ("keys", "workspaces", "OPENROUTER_MANAGEMENT_KEY"),
}
"""By provider: the report that lists what no other account has, what that is, and the variable with the key."""


async def refuse_another_account(connection: Connection, client: Client, root: Path) -> None:
    """Holds the account's list of projects, or workspaces, against the newest one landed; asks only if the key is new.

    Raises ConfigurationError if they have nothing in common. Where no list is to be had it is let pass,
    with a warning.
    """
    if connection.mode != "organization" or connection.connected:  # `connect` has seen to that
        return
    report, objects, variable = _LISTS[connection.provider]
    before = newest_landing(root, connection.connection_id, report)
    if before is None or before.unavailable or before.account == connection.fingerprint:
        return
    known = await _account_ids(replay(before), connection.provider)
    try:
        found = await _account_ids(asking(client), connection.provider)
    except (KeyRefused, ProviderRejected) as refusal:
        log.warning(
            "%s has a new key, and whether of the same account cannot be known: %s", connection.connection_id, refusal
        )
        return
    if known and not known & found:
        raise ConfigurationError(
            f"The key in {variable} is of another {connection.provider} account than the one read so far: none of its "
            f"{len(found)} {objects} is known. Nothing was read with it, and nothing is replaced. Put the earlier "
            f"account's key back, and give this one to `tokenboard connect --provider {connection.provider}`."
        )


async def _account_ids(fetch: Fetch, provider: str) -> frozenset[str]:
    if provider == "openrouter":
        return frozenset(workspace.id for workspace in await openrouter.workspaces(fetch))
    return frozenset(project.id for project in await openai_entities.projects(fetch))
