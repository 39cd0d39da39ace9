"""Everything is changed and run again: what was issued stays as it is to the last byte, and is still proved.

An issued row that was changed all the same stops the night.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import reports
from proof.conftest import DOCUMENT, Worked, night
from proof.figures import Cost, costs_in, feed
from tests.billing.conftest import offered
from tests.conftest import PriceServer
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.connection import open_warehouse

SCRIPT = Path(sys.executable).parent / "tokenboard"
ISSUED = [
    *("billing.documents", "billing.invoice_lines", "billing.invoice_taxes", "billing.credit_uses", "billing.invoices"),
    "billing.invoice_appendix",
    *("billing.issues", "billing.issue_source_days", "billing.issue_states", "billing.kept_states"),
    *("billing.invoice_inputs", "billing.closed_months", "registry.binding_versions"),
]
NUMBERS = [f"INV-2026-0000{number}" for number in (1, 2, 3, 4)]


@pytest.fixture
def restated(worked: Worked) -> Iterator[None]:
    """From 15 July on OpenAI says something else about a day in May and one in June."""
    more = [
        Cost(date(2026, month, day), tenant, "openai", "gpt-4o, input", Decimal(usd), date(2026, 7, 15))
        for month, day, tenant, usd in ((5, 3, "acme", "42.5"), (6, 9, "beta", "31.25"))
    ]
    feed(worked.sandbox.world, [*costs_in(DOCUMENT), *more])
    yield
    feed(worked.sandbox.world, costs_in(DOCUMENT))


def issued(settings: Settings) -> dict[str, str]:
    """A hash of every issued row, by table and row, and of every file."""
    found = {str(path): path.read_bytes() for path in settings.reports_path.rglob("INV-*")}
    with open_warehouse(settings.warehouse_path) as warehouse:
        for table in ISSUED:
            for place, row in enumerate(warehouse.execute(f"FROM {table} ORDER BY ALL").fetchall()):
                found[f"{table} {place}"] = repr(row).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


@pytest.mark.usefixtures("restated")
def test_nothing_issued_changes_and_all_of_it_is_proved(
    copied: Callable[[], Worked], tmp_path: Path, price_server: PriceServer
) -> None:
    home = copied()
    before = issued(home.at(night(7, 20)))
    assert len([name for name in before if name.endswith(".html")]) == len(NUMBERS)

    text = home.policy.read_text()
    home.policy.write_text(text.replace("percent: 20,", "percent: 90,").replace("0.9213", "2").replace("49.00", "77"))
    csv = tmp_path / "renamed.csv"
    csv.write_text(home.tenants.read_text().replace("Acme GmbH", "Umbrella AG").replace("EUR", "USD"))
    price_server.offer(offered({"gpt-4o": {"input_cost_per_token": "0.5"}}))
    templates = tmp_path / "path" / "reports"
    shutil.copytree(Path(reports.__file__).parent, templates)
    template = templates / "templates" / "invoice" / "v2.html"
    template.with_name("v3.html").write_text("<p>a newer version</p>")
    settings = home.at(night(7, 20), TOKENBOARD_PRICES_URL=price_server.url)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {
            **home.sandbox.env(),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(templates.parent), os.environ.get("PYTHONPATH", "")]),
            "TOKENBOARD_HOME": str(home.home),
            "TOKENBOARD_NOW": settings.now.isoformat(),
            "TOKENBOARD_POLICY": str(home.policy),
            "TOKENBOARD_PRICES_URL": price_server.url,
        }
        return subprocess.run([SCRIPT, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)

    for arguments in (
        ("tenants", "import", str(csv)),
        ("nightly", "--from", "2026-05-03", "--to", "2026-06-09"),
        ("rebuild",),
        ("close", "2026-05"),
        ("close", "2026-06"),
    ):
        ended = run(*arguments)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    with open_warehouse(settings.warehouse_path) as warehouse:
        due = warehouse.execute("SELECT tenant_id, month FROM billing.corrections_due ORDER BY ALL").fetchall()
        assert due == [("acme", "2026-05"), ("beta", "2026-06")]
        prices = "SELECT count(*) FROM policy.prices WHERE model = 'gpt-4o' AND version_id LIKE 'litellm-%'"
        assert warehouse.execute(prices).fetchall()[0][0] > 0
        names = warehouse.execute("SELECT name, currency FROM registry.tenants ORDER BY tenant_id LIMIT 1").fetchall()
        assert names == [("Umbrella AG", "USD")]
    assert issued(settings) == before
    for number in NUMBERS[::3]:
        assert run("prove", number).returncode == 0

    frame = template.parents[1] / "document" / template.name
    frame.write_text(frame.read_text().replace("<h1>", "<h1 class=new>"))
    for arguments in (("nightly", "--from", "2026-07-18", "--to", "2026-07-19"), ("close", "2026-06")):
        assert run(*arguments).returncode == 0
    assert issued(settings) == before

    with open_warehouse(settings.warehouse_path) as warehouse:
        warehouse.execute(
            "UPDATE billing.invoice_lines SET description = 'something else' "
            "WHERE invoice_number = 'INV-2026-00003' AND line_no = 2"
        )
    refused = run("nightly", "--from", "2026-07-18", "--to", "2026-07-19")
    assert refused.returncode == 1
    assert "the stored rows of INV-2026-00003 are not what was issued" in refused.stderr
