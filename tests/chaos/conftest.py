"""A sandbox without limits for the campaigns, and the run they are held against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.command import NOW
from chaos.kills import Undisturbed, run_undisturbed
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def _server() -> Iterator[RunningSandbox]:
    with running_sandbox(now=NOW, analytics_per_minute=None) as running:
        yield running


@pytest.fixture
def sandbox(_server: RunningSandbox) -> Iterator[RunningSandbox]:
    """Both providers at NOW, as fast as the client asks."""
    yield _server
    _server.clear_faults()
    _server.set_clock(NOW)


@pytest.fixture(scope="session")
def undisturbed(_server: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Sixty days, backfilled without a disturbance."""
    return run_undisturbed(tmp_path_factory.mktemp("undisturbed") / "home", _server)
