"""Everything one running sandbox knows: the world, the clock, and what requests have changed."""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime

from starlette.requests import Request

from tokenboard_etl.providers.sandbox.faults import Faults
from tokenboard_etl.providers.sandbox.openai_state import OrganizationState
from tokenboard_etl.providers.sandbox.openrouter_state import AccountState
from tokenboard_etl.providers.sandbox.recorder import Recorder
from tokenboard_etl.providers.sandbox.world import World

ANALYTICS_QUERIES_PER_MINUTE = 64


class Sandbox:
    """`now` fixes the clock; None follows the machine's. A reset forgets all changes but not the clock.

    `dated`: whether answers are dated by this clock, and not by the machine's.
    `analytics_include_end`: whether the end of a time range belongs to it, which the provider does not document.
    """

    def __init__(
        self, world: World, now: datetime | None = None, analytics_per_minute: int | None = ANALYTICS_QUERIES_PER_MINUTE
    ) -> None:
        self.world = world
        self.fixed_now = now
        self.dated = False
        self.analytics_per_minute = analytics_per_minute
        self.analytics_include_end = False
        self.reset()

    def reset(self) -> None:
        self.organizations = {org.id: OrganizationState(self.world.seed, org) for org in self.world.organizations}
        self.account = AccountState(self.world.seed, self.world.account)
        self.faults = Faults()
        self.recorder = Recorder()
        self.analytics_queries: deque[float] = deque()

    def now(self) -> datetime:
        return self.fixed_now or datetime.now(UTC)

    def today(self) -> date:
        return self.now().astimezone(UTC).date()


def sandbox_of(request: Request) -> Sandbox:
    """The sandbox an incoming request talks to."""
    sandbox = request.app.state.sandbox
    if not isinstance(sandbox, Sandbox):
        raise TypeError("the application was built without a sandbox")
    return sandbox
