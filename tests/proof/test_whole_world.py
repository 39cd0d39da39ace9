"""Proofs of the sandbox's whole world: many accounts, margins by category, a key that is gone, a close in two steps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import duckdb
import httpx
import pytest

from assets.run import run_month_close, run_nightly
from tests.conftest import NOW
from tokenboard_etl.periods import Month
from tokenboard_etl.proof.prove import prove
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

MAY = Month(2026, 5)
POLICY = """
margins:
  - {id: all, percent: 20, from: 2026-01-01}
  - {id: parsing, category: cv-parsing, percent: 45, from: 2026-01-01}
  - {id: questions, category: question-generation, percent: 35, from: 2026-05-09}
"""


@pytest.fixture
def openrouter(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client to delete keys with; the sandbox is made new afterwards."""
    headers = {"Authorization": f"Bearer {sandbox.world.management_key}"}
    with httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers) as client:
        yield client
    sandbox.reset()


@pytest.mark.slow
def test_every_document_of_the_sandboxs_may_is_proved(
    sandbox: RunningSandbox, openrouter: httpx.Client, tmp_path: Path
) -> None:
    policy, names = tmp_path / "policy.yaml", tmp_path / "tenants.csv"
    policy.write_text(POLICY)
    names.write_text(sandbox.world.tenants_csv())
    key = next(each for each in sandbox.world.account.keys if each.tenant_id and not each.disabled_on)
    with dg.DagsterInstance.ephemeral() as instance:
        for now in (NOW, NOW + timedelta(days=1)):
            sandbox.set_clock(now)
            settings = load_settings(
                **sandbox.env(),
                TOKENBOARD_HOME=str(tmp_path / "home"),
                TOKENBOARD_NOW=now.isoformat(),
                TOKENBOARD_POLICY=str(policy),
            )
            if now == NOW:
                with open_warehouse(settings.warehouse_path) as warehouse:
                    import_tenants(warehouse, names, now)
            run_nightly(settings, MAY.window, instance)
            assert openrouter.delete(f"keys/{key.hash}").status_code == (200 if now == NOW else 404)
        run_month_close(settings, MAY, instance, tenant_id=key.tenant_id)
        run_month_close(settings, MAY, instance)
    with duckdb.connect(settings.published_path, read_only=True) as published:
        numbers = published.execute("SELECT invoice_number FROM billing.invoices ORDER BY 1").fetchall()
        rules = published.execute("SELECT DISTINCT margin_rule_id FROM billing.invoice_lines ORDER BY 1").fetchall()
        gone = published.execute("SELECT count(*) FROM ops.gone_key_days WHERE key_hash = $1", [key.hash]).fetchall()
        lines = published.execute(
            "SELECT count(*) FROM billing.invoice_lines WHERE account_id = $1", [key.hash]
        ).fetchall()
    assert {rule for (rule,) in rules} == {"all", "parsing", "questions"}
    assert gone[0][0] > 0
    assert lines[0][0] > 0
    assert len(numbers) > 3
    proofs = [prove(settings, number) for (number,) in numbers[:3]]
    assert [proof.failures for proof in proofs] == [()] * 3
    assert any(share.of_gone_keys for proof in proofs for share in proof.evidence.shares)
    assert {share.report for share in proofs[0].evidence.shares} > {"costs", "analytics", "completions"}
    told = [{row.key for row in proof.document.appendix if row.part == "category"} for proof in proofs]
    assert any(each - {"uncategorised"} for each in told), "no appendix rests on the usage of a month"
