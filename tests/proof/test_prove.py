"""`tokenboard prove`: what follows is proved, and whatever was altered is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import zstandard

import reports
from assets.run import run_nightly
from proof.conftest import DOCUMENT, JUNE, Worked, night
from proof.figures import Cost, costs_in, feed
from tokenboard_etl.billing.issued import altered_rows
from tokenboard_etl.billing.records import rows_checksum
from tokenboard_etl.closing import bring_up_to_date, close, credit
from tokenboard_etl.errors import CheckFailed, LandingDamaged, WrongUse
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.proof.prove import prove
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.retention import prune
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.rebuild import rebuild

ACME_MAY, BETA_MAY, ACME_JUNE, BETA_JUNE = (f"INV-2026-0000{number}" for number in (1, 2, 3, 4))
ALL = (ACME_MAY, BETA_MAY, ACME_JUNE, BETA_JUNE)
SCRIPT = Path(sys.executable).parent / "tokenboard"
LATER = night(7, 20)


def failures(home: Worked, number: str) -> str:
    return " ".join(prove(home.at(LATER), number).failures)


def alter(home: Worked, statement: str, *values: Any) -> None:
    """Changes records behind the back of everything."""
    connection = duckdb.connect(home.home / "warehouse.duckdb")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        (changed,) = connection.execute(statement, values).fetchall()
        assert changed[0] >= 1
    finally:
        connection.close()


def costs_of_may(home: Worked) -> Path:
    """The landing of OpenAI's costs that May was invoiced from; the restated ones came later."""
    return min((home.home / "landing" / "openai" / "costs").iterdir())


@pytest.fixture
def july(worked: Worked) -> Iterator[Month]:
    """A month with a cost on its second day, beside the document's."""
    more = Cost(date(2026, 7, 2), "acme", "openai", "gpt-4o, input", Decimal("12.345678"), date(2026, 7, 2))
    feed(worked.sandbox.world, [*costs_in(DOCUMENT), more])
    yield Month(2026, 7)
    feed(worked.sandbox.world, costs_in(DOCUMENT))


@pytest.mark.parametrize("number", ALL)
def test_what_was_issued_is_proved(worked: Worked, number: str) -> None:
    proof = prove(worked.at(LATER), number)
    assert proof.failures == ()
    assert ("adjustment" in {line.kind for line in proof.document.lines}) == (number in (ACME_JUNE, BETA_JUNE))
    assert {share.report for share in proof.evidence.shares} >= {"costs", "analytics"}
    assert bool(proof.document.appendix) == (number != BETA_JUNE)


def test_a_proof_writes_nothing(copied: Callable[[], Worked]) -> None:
    home = copied()

    def everything() -> dict[str, str]:
        files = (path for path in home.home.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = everything()
    assert failures(home, ACME_MAY) == ""
    assert everything() == before


def test_an_altered_landing_is_named(copied: Callable[[], Worked]) -> None:
    home = copied()
    page = next(costs_of_may(home).glob("page-*.zst"))
    body = zstandard.decompress(page.read_bytes())
    assert b"41.237651" in body
    page.write_bytes(zstandard.compress(body.replace(b"41.237651", b"41.237652")))
    said = failures(home, ACME_MAY)
    assert str(page) in said
    assert "landing was altered" in said


def rewritten(folder: Path, old: bytes, new: bytes) -> str:
    """Alters a landing and its manifest so that they agree; returns the checksum the load would then have."""
    page = next(folder.glob("page-*.zst"))
    body = zstandard.decompress(page.read_bytes())
    assert old in body
    body = body.replace(old, new)
    page.write_bytes(zstandard.compress(body))
    manifest = json.loads((folder / "manifest.json").read_text())
    for each in manifest["pages"]:
        if each["file"] == page.name:
            each["sha256"] = hashlib.sha256(body).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return hashlib.sha256("".join(sorted(each["sha256"] for each in manifest["pages"])).encode()).hexdigest()


def test_a_landing_altered_together_with_its_manifest_is_named(copied: Callable[[], Worked]) -> None:
    home = copied()
    folder = costs_of_may(home)
    rewritten(folder, b"41.237651", b"41.237652")
    assert f"The landing {folder} was altered" in failures(home, ACME_MAY)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"provider": "openai"', '"provider": "openrouter"'))
    assert f"The manifest of the landing {folder} was altered" in failures(home, ACME_MAY)


def keys_exchanged(home: Worked, folder: Path) -> None:
    """Has the manifest of a landing of OpenRouter's costs say of each tenant's key that it is the other's."""
    with open_warehouse(home.home / "warehouse.duckdb") as warehouse:
        rows = warehouse.execute("SELECT account_id FROM registry.accounts WHERE kind = 'key'").fetchall()
    one, other = (key for (key,) in rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    for page in manifest["pages"]:
        for name, key in page["context"].get("key_names", {}).items():
            page["context"]["key_names"][name] = {one: other, other: one}.get(key, key)
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1))


def test_a_manifest_that_says_of_a_key_that_it_is_another_is_named(copied: Callable[[], Worked]) -> None:
    """Its bodies are as they arrived. A rebuild is refused as well: it would give the spend to another tenant."""
    home = copied()
    landings = home.home / "landing" / "openrouter" / "analytics"
    folder = min(landings.iterdir())
    keys_exchanged(home, folder)
    assert failures(home, ACME_MAY) == (
        f"The manifest of the landing {folder} was altered: it is not that which was loaded."
    )
    settings = home.at(LATER)
    keys_exchanged(home, max(landings.iterdir()))
    with (
        open_warehouse(settings.warehouse_path) as warehouse,
        pytest.raises(LandingDamaged, match=r"manifest .* is not that which was loaded"),
    ):
        rebuild(warehouse, settings.landing_path, LATER, settings.settle_days)


def test_of_loads_from_before_manifests_were_kept_it_is_said_that_none_can_be_named(
    copied: Callable[[], Worked],
) -> None:
    """May as a version before migration 0022 left it."""
    home = copied()
    alter(home, "UPDATE billing.issue_source_days SET manifest_sha256 = NULL WHERE issue_no = 1")
    assert "The record of what issue 1 rests on was altered" in failures(home, ACME_MAY)
    alter(home, "UPDATE billing.issues SET evidence_sha256 = $1 WHERE issue_no = 1", sealed(home, 1))
    proof = prove(home.at(LATER), ACME_MAY)
    assert (proof.failures, proof.evidence.unknown_manifests) == ((), 4)
    keys_exchanged(home, min((home.home / "landing" / "openrouter" / "analytics").iterdir()))
    said = failures(home, ACME_MAY)
    assert f"of {ACME_MAY} is stored with" in said
    assert "Of 4 load(s) it was not kept what their manifest was, so one that was altered is not named." in said


def test_a_landing_altered_with_every_record_of_its_checksum_gives_other_lines(copied: Callable[[], Worked]) -> None:
    """Whoever rewrites manifest, ledger and evidence still cannot have the invoice come out."""
    home = copied()
    folder = costs_of_may(home)
    sha256 = rewritten(folder, b"41.237651", b"41.337651")
    manifest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    recorded = "UPDATE billing.issue_source_days SET sha256 = $1, manifest_sha256 = $2 WHERE load_id = $3"
    alter(home, recorded, sha256, manifest, folder.name)
    said = failures(home, ACME_MAY)
    assert "issue_source_days" in said
    seal = "UPDATE billing.issues SET evidence_sha256 = $1 WHERE issue_no = 1"
    alter(home, seal, sealed(home, 1))
    said = failures(home, ACME_MAY)
    assert "issue_source_days" not in said
    assert f"Line 1 of {ACME_MAY} is stored with amount_minor 5388, and 5399 comes out." in said


def sealed(home: Worked, issue_no: int) -> str:
    from tokenboard_etl.billing.evidence import evidence_checksum

    with open_warehouse(home.home / "warehouse.duckdb") as warehouse:
        ((_, *facts, _),) = warehouse.execute("SELECT * FROM billing.issues WHERE issue_no = $1", [issue_no]).fetchall()
        return evidence_checksum(warehouse, issue_no, facts)


def test_a_missing_landing_is_named(copied: Callable[[], Worked]) -> None:
    home = copied()
    shutil.rmtree(costs_of_may(home))
    assert f"The landing {costs_of_may(home).parent}" in failures(home, ACME_MAY)


OF_THE_EVIDENCE = [
    ("UPDATE policy.versions SET content = replace(content, 'percent: 20', 'percent: 21')", "The policy version"),
    (
        "UPDATE billing.kept_states SET content = replace(content, 'gpt-4o', 'gpt-4x') "
        "WHERE table_name = 'policy.prices'",
        "The state of policy.prices that was kept was altered",
    ),
    (
        "UPDATE billing.kept_states SET content = replace(content, 'Acme', 'Acne') "
        "WHERE table_name = 'registry.tenants'",
        "The state of registry.tenants that was kept was altered",
    ),
    (
        "UPDATE billing.kept_states SET content = 'no JSON' WHERE table_name = 'billing.closed_months'",
        "The state of billing.closed_months that was kept was altered",
    ),
    (
        "UPDATE billing.issues SET request = 'no JSON' WHERE issue_no = 1",
        "The record of what issue 1 rests on was altered",
    ),
]
OF_THE_ISSUE = [
    (
        "UPDATE billing.issues SET default_margins = '[]' WHERE issue_no = 1",
        "The record of what issue 1 rests on was altered",
    )
]
OF_THE_BINDINGS_THEN = [
    ("UPDATE registry.binding_versions SET tenant_id = 'beta' WHERE tenant_id = 'acme'", "The registry's bindings"),
    ("UPDATE policy.margins SET multiplier = 1.21 WHERE rule_id = 'openai-20'", "The margin openai-20"),
]
OF_THE_RECORDS_NOW = [
    (
        "UPDATE registry.accounts SET tenant_id = 'beta' WHERE tenant_id = 'acme' AND kind = 'project'",
        "The registry's binding of the openai project",
    ),
    ("DELETE FROM registry.accounts WHERE kind = 'key'", "The registry's binding of the openrouter key"),
    (
        "UPDATE policy.prices SET usd_per_token = 2 * usd_per_token WHERE model = 'gpt-4o'",
        "The price of gpt-4o (default, input)",
    ),
]
OF_THE_DOCUMENT = [
    (
        f"UPDATE billing.invoice_lines SET amount_minor = 5389 WHERE invoice_number = '{ACME_MAY}' AND line_no = 1",
        f"Line 1 of {ACME_MAY} is stored with amount_minor 5389, and 5388 comes out.",
    ),
    (
        "UPDATE billing.invoice_lines SET billed_exact = billed_exact + 0.000000000000000000000001 "
        f"WHERE invoice_number = '{ACME_MAY}' AND line_no = 4",
        f"Line 4 of {ACME_MAY} is stored with billed_exact 13.666666653000000000000001",
    ),
    (
        f"DELETE FROM billing.invoice_lines WHERE invoice_number = '{ACME_MAY}' AND line_no = 6",
        f"Line 6 of {ACME_MAY} (Promotional credit) comes out and is not stored.",
    ),
    (
        f"UPDATE billing.invoice_taxes SET tax_minor = 2123 WHERE invoice_number = '{ACME_MAY}'",
        f"{ACME_MAY} is stored with taxes",
    ),
    (f"UPDATE billing.documents SET total_minor = 1 WHERE invoice_number = '{ACME_MAY}'", "The stored totals"),
    (
        f"UPDATE billing.documents SET buyer_name = 'X' WHERE invoice_number = '{ACME_MAY}'",
        f"{ACME_MAY} is stored with buyer",
    ),
    (
        f"UPDATE billing.documents SET series_number = 7 WHERE invoice_number = '{ACME_MAY}'",
        f"{ACME_MAY} is stored as number 7 of INV-2026-#, which is not that number.",
    ),
    ("UPDATE billing.credit_uses SET used = 1", f"{ACME_MAY} is stored with credit_uses"),
]


@pytest.mark.parametrize(
    "changes",
    [OF_THE_EVIDENCE, OF_THE_ISSUE, OF_THE_BINDINGS_THEN, OF_THE_RECORDS_NOW, OF_THE_DOCUMENT],
    ids=["the evidence", "the issue", "bindings of then", "records of now", "the document"],
)
def test_each_altered_record_is_named(copied: Callable[[], Worked], changes: list[tuple[str, str]]) -> None:
    """Those that hide no other are altered together: a proof takes seconds."""
    home = copied()
    for statement, _ in changes:
        alter(home, statement)
    said = failures(home, ACME_MAY)
    assert [named for _, named in changes if named not in said] == []


def test_rules_closings_and_whose_a_credit_is_are_named_as_well(copied: Callable[[], Worked]) -> None:
    """A closed month is rated again by these when it is corrected; a use under another tenant frees the credit."""
    home = copied()
    alter(home, "UPDATE policy.categories SET category = 'other' WHERE rule_id = 'default-cv-parsing'")
    alter(home, "UPDATE policy.default_margins SET valid_until = '2026-05-02' WHERE provider = 'openai'")
    alter(home, "UPDATE policy.default_margins SET multiplier = 2 WHERE provider = 'openrouter'")
    alter(home, "UPDATE billing.closed_months SET policy_sha256 = 'another' WHERE month = '2026-05'")
    alter(home, "UPDATE billing.credit_uses SET tenant_id = 'beta' WHERE invoice_number = $1", ACME_MAY)
    alter(home, "UPDATE billing.invoice_taxes SET tax = 'VAT 7%' WHERE invoice_number = $1", BETA_MAY)
    said = failures(home, ACME_MAY)
    assert "The category default-cv-parsing of the policy version" in said
    assert "The margin default-openai was altered (policy.default_margins)." in said
    assert "The margin default-openrouter was altered (policy.default_margins)." in said
    assert "The record of how 2026-05 was closed was altered (billing.closed_months)." in said
    assert f"The stored rows of {ACME_MAY} were altered" in said
    with open_warehouse(home.home / "warehouse.duckdb") as warehouse:
        assert list(altered_rows(warehouse)) == [ACME_MAY, BETA_MAY]


def test_an_altered_appendix_and_altered_operations_are_named(copied: Callable[[], Worked]) -> None:
    """Operations that came later, or are of another month, are no matter: the late one is altered first."""
    home = copied()
    alter(home, "UPDATE ops.operations SET job_id = 'J-9' WHERE operation_id = 'op-6'")
    alter(home, "UPDATE billing.invoice_appendix SET amount_minor = 1515 WHERE amount_minor = 1514")
    alter(home, "DELETE FROM billing.invoice_appendix WHERE part = 'rest' AND invoice_number = $1", ACME_MAY)
    said = failures(home, ACME_MAY)
    assert f"Row 2 of the appendix of {ACME_MAY} is stored with amount_minor 1515, and 1514 comes out." in said
    assert f"Row 4 of the appendix of {ACME_MAY} (rest) comes out and is not stored." in said
    assert f"The stored rows of {ACME_MAY} were altered" in said
    assert failures(home, BETA_MAY) == ""
    with open_warehouse(home.home / "warehouse.duckdb") as warehouse:
        assert list(altered_rows(warehouse)) == [ACME_MAY]
    alter(home, "UPDATE ops.operations SET tokens = tokens + 1 WHERE operation_id = 'op-1'")
    assert "The operations of 2026-05 that were known then were altered (ops.operations)." in failures(home, BETA_MAY)


def test_an_invoice_from_before_there_were_appendices_is_still_proved(copied: Callable[[], Worked]) -> None:
    """May as a version before migration 0024 left it: no appendix, no word of operations, and the old template."""
    home = copied()
    alter(home, "DELETE FROM billing.issue_states WHERE table_name LIKE 'ops.operations %' AND issue_no = 1")
    alter(home, "UPDATE billing.issues SET evidence_sha256 = $1 WHERE issue_no = 1", sealed(home, 1))
    alter(home, "UPDATE ops.operations SET after_issue = NULL")
    alter(home, "DELETE FROM billing.invoice_appendix WHERE invoice_number <> $1", ACME_JUNE)
    for number in (ACME_MAY, BETA_MAY):
        proof = prove(home.at(LATER), number)
        document, before = proof.document, render_invoice(proof.document, "invoice/v1.html")
        assert document.appendix == ()
        proof.path.write_bytes(before.html)
        alter(
            home,
            "UPDATE billing.documents SET template = $2, template_sha256 = $3, sha256 = $4, rows_sha256 = $5 "
            "WHERE invoice_number = $1",
            *(number, before.template, before.template_sha256, before.sha256, rows_checksum(document)),
        )
    assert [failures(home, number) for number in (ACME_MAY, BETA_MAY, ACME_JUNE, BETA_JUNE)] == [""] * 4


def test_an_altered_line_of_an_earlier_document_is_named(copied: Callable[[], Worked]) -> None:
    home = copied()
    alter(home, "UPDATE billing.invoice_lines SET amount_minor = 5389 WHERE amount_minor = 5388")
    assert f"The stored rows of {ACME_MAY}, an earlier document of the tenant, were altered." in failures(
        home, ACME_JUNE
    )
    assert failures(home, BETA_JUNE) == ""


def test_a_use_of_a_credit_that_stands_on_no_document_of_the_tenant_is_named(copied: Callable[[], Worked]) -> None:
    """It would lessen what is left of the credit, and no document's rows are other than they were."""
    home = copied()
    alter(
        home,
        "INSERT INTO billing.credit_uses SELECT $1, issue_no, tenant_id, credit_id, currency, granted, 0.01, 1 "
        "FROM billing.credit_uses WHERE invoice_number = $2",
        BETA_MAY,
        ACME_MAY,
    )
    with open_warehouse(home.home / "warehouse.duckdb") as warehouse:
        assert list(altered_rows(warehouse)) == []
        (finding,) = run_checks(warehouse, [each for each in all_checks() if each.name == "credits_are_used_once"])
    assert BETA_MAY in str(finding)
    assert f"by {BETA_MAY} was altered: no such document of the tenant used it." in failures(home, ACME_JUNE)


def test_an_altered_file_is_named(copied: Callable[[], Worked]) -> None:
    home = copied()
    path = prove(home.at(LATER), ACME_MAY).path
    assert b"53,88" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"53,88", b"35,88"))
    assert failures(home, ACME_MAY) == f"The file {path} is not {ACME_MAY} as it was issued."
    path.unlink()
    assert failures(home, ACME_MAY) == f"The file {path} is missing."
    assert failures(home, BETA_MAY) == ""


def command(home: Worked, number: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose packages come from `path` first."""
    settings = home.at(LATER)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, [*path, *filter(None, [os.environ.get("PYTHONPATH")])])),
        "TOKENBOARD_HOME": str(settings.home),
    }
    ended = [SCRIPT, "prove", number]
    return subprocess.run(ended, env=env, cwd=home.home.parent, capture_output=True, text=True, check=False)


def with_templates(folder: Path) -> Path:
    """A copy of the package of templates."""
    shutil.copytree(Path(reports.__file__).parent, folder / "reports")
    return folder / "reports" / "templates" / "invoice" / "v2.html"


def test_an_altered_template_is_named_and_a_newer_one_beside_it_is_no_matter(
    copied: Callable[[], Worked], tmp_path: Path
) -> None:
    home = copied()
    template = with_templates(tmp_path / "path")
    template.with_name("v3.html").write_text("<p>another invoice</p>")
    proved = command(home, ACME_MAY, tmp_path / "path")
    assert (proved.returncode, proved.stderr) == (0, "")
    frame = template.parents[1] / "document" / template.name
    frame.write_text(frame.read_text().replace("<h1>", "<h1 >"))
    refused = command(home, ACME_MAY, tmp_path / "path")
    assert refused.returncode == 1
    assert refused.stderr == f"tokenboard: {ACME_MAY} is not proved. The template invoice/v2.html was altered.\n"


def test_the_command_prints_what_it_went_through(worked: Worked) -> None:
    ended = command(worked, ACME_JUNE)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *facts = ended.stdout.splitlines()
    assert first.startswith(f"{ACME_JUNE} is proved")
    proof = prove(worked.at(LATER), ACME_JUNE)
    said = dict(line.split(maxsplit=1) for line in facts)
    assert said["document"] == "4 lines, net €71.66, tax €13.62, total €85.28"
    assert said["policy"] == f"sha256 {hashlib.sha256(worked.policy.read_bytes()).hexdigest()}"
    assert said["file"] == f"sha256 {hashlib.sha256(proof.path.read_bytes()).hexdigest()}"
    assert said["landings"].endswith("loads, every body as it arrived, every manifest as it was loaded")
    assert set(said) > {"registry", "prices", "template", "costs", "analytics", "rows", "issued"}


def test_what_was_issued_before_its_evidence_was_kept_is_refused_and_what_came_later_is_proved(
    copied: Callable[[], Worked],
) -> None:
    """May as a version before migration 0018 left it."""
    home = copied()
    alter(home, "UPDATE billing.issues SET request = NULL, evidence_sha256 = NULL WHERE month = '2026-05'")
    alter(home, "UPDATE billing.documents SET rows_sha256 = NULL, template_sha256 = NULL WHERE month = '2026-05'")
    refused = command(home, ACME_MAY)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"tokenboard: {ACME_MAY} cannot be proved: when it was issued, on 2026-06-10, the registry, prices and names "
        "it rests on were not kept with it yet (billing.issues has no evidence). Only its file is held against its "
        "checksum, every night.\n"
    )
    assert failures(home, ACME_JUNE) == ""
    alter(home, "UPDATE billing.documents SET rows_sha256 = 'x' WHERE month = '2026-05'")
    with pytest.raises(CheckFailed, match="the checksum over the record of its issue was removed"):
        failures(home, ACME_MAY)


def test_nothing_is_issued_upon_rows_that_were_changed(copied: Callable[[], Worked]) -> None:
    """May's invoice is changed by a cent: no credit note is made of it, and no month closed."""
    home = copied()
    alter(home, f"UPDATE billing.credit_uses SET used = used - 0.01 WHERE invoice_number = '{ACME_MAY}'")
    now = home.at(night(8, 2))
    with open_warehouse(now.warehouse_path) as warehouse:
        for issue in (lambda: credit(warehouse, now, BETA_MAY, reason="agreed"), lambda: close(warehouse, now, JUNE)):
            with pytest.raises(CheckFailed, match=f"the stored rows of {ACME_MAY} are not what was issued"):
                issue()
        numbers = warehouse.execute("SELECT invoice_number FROM billing.documents ORDER BY 1").fetchall()
    assert numbers == [(number,) for number in ALL]


def test_a_month_that_was_closed_by_a_persons_word_is_proved_with_it(copied: Callable[[], Worked], july: Month) -> None:
    """Days are missing; the word stands on the file, in the rows, and in what prove prints."""
    home = copied()
    now = home.at(night(8, 2))
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(now, Window(july.first, date(2026, 7, 4)), instance)
    with open_warehouse(now.warehouse_path) as warehouse:
        with pytest.raises(CheckFailed, match="source day"):
            close(warehouse, now, july)
        closed = close(warehouse, now, july, accepted_reason="agreed <b>with Ann</b>", accepted_by="Bo")
    invoice = next(each for each in closed.issued if each.buyer.tenant_id == "acme")
    assert {line.kind for line in invoice.lines} >= {"usage", "fee"}
    html = prove(now, invoice.number).path.read_text()
    assert "agreed &lt;b&gt;with Ann&lt;/b&gt;" in html
    assert [prove(now, each.number).failures for each in closed.issued] == [()] * len(closed.issued)
    ended = command(home, invoice.number)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "accepted          agreed <b>with Ann</b>, says Bo" in ended.stdout.splitlines()
    alter(home, "UPDATE billing.documents SET accepted_by = 'Cy' WHERE invoice_number = $1", invoice.number)
    assert f"{invoice.number} is stored with accepted" in failures(home, invoice.number)


def test_a_number_nobody_issued_is_wrong_use(worked: Worked) -> None:
    with pytest.raises(WrongUse, match="no document 'INV-1'"):
        prove(worked.at(LATER), "INV-1")


def test_landings_that_documents_rest_on_survive_pruning(copied: Callable[[], Worked]) -> None:
    home = copied()
    settings = home.at(LATER)
    with open_warehouse(settings.warehouse_path) as warehouse:
        assert prune(warehouse, settings.landing_path, 0, LATER).loads > 0
    assert [failures(home, number) for number in ALL] == [""] * 4


@pytest.mark.parametrize(
    "asked", [{}, {"line_nos": (1, 2)}, {"amount_minor": 500}], ids=["all of it", "lines", "an amount"]
)
def test_a_credit_note_is_proved_and_one_that_was_altered_is_not(
    copied: Callable[[], Worked], asked: dict[str, Any]
) -> None:
    home = copied()
    settings: Settings = home.at(LATER)
    with open_warehouse(settings.warehouse_path) as warehouse:
        note = credit(
            warehouse, settings, ACME_MAY if not asked.get("amount_minor") else BETA_JUNE, reason="agreed", **asked
        )
        bring_up_to_date(warehouse, settings)
    assert [failures(home, number) for number in (*ALL, note.number)] == [""] * 5
    alter(
        home, "UPDATE billing.invoice_lines SET amount_minor = amount_minor - 1 WHERE invoice_number = $1", note.number
    )
    assert f"Line 1 of {note.number} is stored with amount_minor" in failures(home, note.number)
