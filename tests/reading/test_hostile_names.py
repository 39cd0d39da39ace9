"""Whoever may name something at a provider, or in an application's log, named it to do harm: every page and file."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import duckdb
import pytest

from reading.conftest import CLOSED, READ_AT
from reading.tables import said_by
from tokenboard_etl.reading.focus import SIDES, export_focus
from tokenboard_etl.reading.tenant_export import export_tenant
from tokenboard_etl.reports import write_reports
from tokenboard_etl.settings import Settings, load_settings

pytestmark = pytest.mark.slow

EVIL = (
    """</td></svg><script>alert(1)</script><img onerror=y>"'{{ 7*7 }}{% x %}|=1+1;@SUM(1)\t-2\r\n';DROP TABLE x;--"""
    "\x1b[2J\x9b\x07\u202e\u2066\u200f&#60;`"
)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NAMES = {
    "registry.tenants": ["name"],
    "ops.accounts": ["name"],
    "ops.account_names": ["name"],
    "ops.told_names": ["name"],
    "billing.charges": ["line_item", "model", "category", "api_key_id", "account_id", "billed_account_id"],
    "billing.restatements": ["line_item", "account_id"],
    "billing.invoices": ["buyer_name", "buyer_country", "buyer_email", "reason", "accepted_reason", "accepted_by"],
    "billing.invoice_lines": ["description", "account_name", "line_item", "account_id"],
    "billing.category_costs": ["category"],
    "billing.job_costs": ["job_id", "job_title"],
    "billing.price_variance": ["model"],
}


@pytest.fixture(scope="module")
def home(world_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The world after such a night, with its reports."""
    folder = tmp_path_factory.mktemp("hostile")
    file = folder / "published" / "tokenboard.duckdb"
    file.parent.mkdir(parents=True)
    file.write_bytes((world_home / "published" / "tokenboard.duckdb").read_bytes())
    with duckdb.connect(file) as connection:
        for table, columns in NAMES.items():
            several = ", ".join(f"{column} = $1 || coalesce({column}, '')" for column in columns)
            connection.execute(f"UPDATE {table} SET {several}", [EVIL])
    here = "http://127.0.0.1:1/v1"
    settings = load_settings(
        TOKENBOARD_HOME=str(folder), TOKENBOARD_NOW=READ_AT.isoformat(), OPENAI_BASE_URL=here, OPENROUTER_BASE_URL=here
    )
    write_reports(settings)
    return settings


def test_no_name_is_anything_but_text_on_a_page(home: Settings) -> None:
    kinds = set()
    for path in home.reports_path.rglob("*.html"):
        said, text = said_by(path), path.read_text()
        kinds.add(path.name)
        assert not {"script", "img", "object", "iframe", "link", "base", "form", "input"} & set(said.tags), path
        assert [name for name, _ in said.attributes if name.startswith("on")] == [], path
        assert all(re.fullmatch(r"[\w./-]+\.(html|csv)|#[\w-]+", link) for link in said.links), path
        assert UNSEEN.search(text) is None, path
        assert "<script>alert(1)</script>" in said.text or path.name == "index.html", path
    assert kinds == {"index.html", "overview.html", "register.html", "reconciliation.html", "statement.html"}


def test_no_name_is_a_formula_or_a_row_of_the_csv(home: Settings) -> None:
    (path,) = home.reports_path.glob(f"{CLOSED}/*.csv")
    text = path.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {EVIL.split("|")[0] in row["tenant_name"] for row in rows} == {True, False}  # unallocated spend has none
    assert [part for part in re.split("[;,|\t\r\n]", text) if re.match(r"""["\s]*[=@+]""", part)] == []


def test_names_are_values_in_the_files_others_read(home: Settings, tmp_path: Path) -> None:
    paths = [path for path, _ in export_tenant(home.published_path, "contoso-retail", tmp_path)]
    paths += [export_focus(home.published_path, str(CLOSED), side, EVIL, tmp_path)[0] for side in SIDES]
    for path in paths:
        with duckdb.connect() as connection:
            rows = connection.execute("FROM read_parquet($1)", [str(path)]).fetchall()
        hostile = [value for row in rows for value in row if isinstance(value, str) and EVIL in value]
        assert hostile or path.name in ("documents.parquet", "taxes.parquet")
