"""Files dropped into the inbox of a home, and the nights that follow, by the real command."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.commands import tokenboard
from tokenboard_etl.providers.sandbox.operations import operations_csv
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings

DAY = "2026-06-10"


def nightly(settings: Settings, sandbox: RunningSandbox, *command: str) -> str:
    """Runs a command to its good end; returns all it said."""
    env = {"PATH": os.environ["PATH"], "HOME": str(settings.home.parent), "TOKENBOARD_NOW": settings.now.isoformat()}
    env |= {**sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": "", "TOKENBOARD_HOME": str(settings.home)}
    ended = tokenboard(*(command or ("nightly", "--from", DAY, "--to", DAY)), env=env, cwd=settings.home.parent)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def published(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    connection = duckdb.connect(settings.published_path, read_only=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.slow
def test_what_is_dropped_is_loaded_once_spread_and_published_without_a_candidate(
    sandbox: RunningSandbox, settings: Settings, tmp_path: Path
) -> None:
    tenants = tmp_path / "tenants.csv"
    tenants.write_text(sandbox.world.tenants_csv())
    nightly(settings, sandbox, "tenants", "import", str(tenants))
    inbox = settings.operations_inbox_path
    inbox.mkdir(parents=True)
    one, two = sandbox.world.tenants[:2]
    (inbox / "log.csv").write_text(operations_csv(1, [one], [date(2026, 6, 10)]))
    (inbox / "bad.jsonl").write_text('{"operation_id": "x"}\n')
    said = nightly(settings, sandbox)
    assert "operations_are_readable" in said
    assert "type is missing" in said

    jobs = published(settings, "FROM billing.job_costs WHERE part = 'operations' ORDER BY ALL")
    assert {row[1] for row in jobs} == {one.tenant_id}
    parts = "SELECT sum(cost_usd), sum(billed_usd) FROM billing.operation_costs WHERE tenant_id = $$TENANT$$"
    whole = "SELECT sum(cost_usd), sum(billed_usd) FROM billing.tenant_days WHERE tenant_id = $$TENANT$$"
    ((cost, billed),) = published(settings, whole.replace("TENANT", one.tenant_id))
    assert cost > 0
    assert published(settings, parts.replace("TENANT", one.tenant_id)) == [(cost, billed)]
    with_operations = published(
        settings, "SELECT count(*), min(cost_usd) FROM billing.operation_costs WHERE operation_id <> ''"
    )
    assert with_operations[0][0] == 3
    assert with_operations[0][1] > Decimal(0)

    (inbox / "log.csv").write_text(operations_csv(1, [two, one], [date(2026, 6, 10)]))  # other bytes, one tenant more
    (inbox / "again.csv").write_text(operations_csv(1, [one], [date(2026, 6, 10)]))
    (inbox / "bad.jsonl").unlink()
    nightly(settings, sandbox)
    of_one = f"FROM billing.job_costs WHERE part = 'operations' AND tenant_id = '{one.tenant_id}' ORDER BY ALL"
    assert published(settings, of_one) == jobs
    count = "SELECT count(*), count(DISTINCT operation_id) FROM billing.operation_costs WHERE operation_id <> ''"
    assert published(settings, count) == [(6, 6)]
    before = published(settings, "FROM billing.operation_costs ORDER BY ALL")
    nightly(settings, sandbox, "rebuild")
    assert published(settings, "FROM billing.operation_costs ORDER BY ALL") == before
    files = [path for path in settings.home.rglob("*") if path.is_file() and path.parent != inbox]
    assert {settings.published_path, settings.warehouse_path} < set(files)
    assert [path for path in files if b"A. Candidate" in path.read_bytes()] == []
