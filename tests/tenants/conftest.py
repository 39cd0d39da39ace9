"""A desk at which tenants are provisioned, with both providers as they were made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenants.desk import Desk
from tokenboard_etl.providers.sandbox.server import RunningSandbox


@pytest.fixture
def desk(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Desk]:
    sandbox.reset()
    yield Desk(sandbox, tmp_path / "home")
    sandbox.reset()
