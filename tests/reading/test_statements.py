"""Statements against the world they are about, read from the pages as a browser would."""

from __future__ import annotations

import shutil
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from reading.conftest import CLOSED, LAST_DAY, READ_AT, RUNNING, Spent, total
from reading.tables import Said, cents, column, said_by
from tokenboard_etl.periods import Month
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.reading.statement_figures import LISTED
from tokenboard_etl.reports import write_reports
from tokenboard_etl.settings import Settings, load_settings

pytestmark = pytest.mark.slow

TENANTS = {tenant.tenant_id: tenant for tenant in World().tenants}
NAMES = {"openai": "OpenAI", "openrouter": "OpenRouter"}
CENT = Decimal("0.01")
UNKNOWN_DAY, HALF_KNOWN_DAY = date(2026, 6, 3), date(2026, 6, 5)

LATE, LIMITED, SILENT, LIVELY = "quoted-media", "contoso-retail", "tailspin-toys", "helios-energy"
"""Whose last day is an estimate; who has a budget; of whom a day is not known; who works today."""
IDLE, HEIR = "idle", "Somebody Else Inc"
"""Who has spent nothing at all; who got the accounts of LIMITED since and put a name on them."""
HOSTILE = "<script>alert(1)</script> =2+2"


def to_cents(amounts: list[Fraction]) -> Decimal:
    return total(amounts).quantize(CENT, ROUND_HALF_UP)


def shown(amount: Decimal) -> str:
    return f"${amount:,.2f}" if amount >= 0 else f"-${-amount:,.2f}"


WHAT_IT_LACKS = (
    f"UPDATE billing.charges SET source = 'estimated' WHERE tenant_id = '{LATE}' AND usage_date = '{LAST_DAY}'",
    f"""
    UPDATE billing.tenant_days SET estimated_billed_usd = billed_usd, billed_usd = 0, cost_usd = 0, margin_usd = 0
    WHERE tenant_id = '{LATE}' AND usage_date = '{LAST_DAY}'
    """,
    f"""
    INSERT INTO billing.budgets
    VALUES ('{RUNNING}', '{LIMITED}', 1000, 1234.565, 0, -234.565, 4000, 100, 100, 'rule')
    """,
    f"DELETE FROM billing.tenant_days WHERE tenant_id = '{SILENT}' AND usage_date = '{UNKNOWN_DAY}'",
    f"UPDATE ops.source_days SET state = 'missing' WHERE usage_date = '{UNKNOWN_DAY}' AND gates_closing",
    f"DELETE FROM billing.tenant_days WHERE provider = 'openrouter' AND usage_date = '{HALF_KNOWN_DAY}'",
    f"""
    UPDATE ops.source_days SET state = 'missing'
    WHERE usage_date = '{HALF_KNOWN_DAY}' AND gates_closing AND provider = 'openrouter'
    """,
    f"""
    INSERT INTO registry.tenants BY NAME
    SELECT
        '{IDLE}' AS tenant_id, 'Idle' AS name, 'x' AS description, 'USD' AS currency, 'active' AS status,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' AS created_at
    """,
    f"""
    INSERT INTO ops.told_names BY NAME
    SELECT DISTINCT tenant_id, provider, account_id, '{HEIR}' AS name, DATE '{LAST_DAY}' + 1 AS seen_from
    FROM ops.told_names WHERE tenant_id = '{LIMITED}'
    """,
    f"""
    UPDATE ops.accounts SET name = '{HEIR}'
    WHERE account_id IN (SELECT account_id FROM billing.charges WHERE tenant_id = '{LIMITED}')
    """,
    f"""
    INSERT INTO billing.own_account_costs BY NAME
    SELECT
        '{LIVELY}' AS tenant_id, DATE '{LAST_DAY}' AS usage_date, 'openai' AS provider, 'theirs' AS connection_id,
        12.345 AS cost_usd
    """,
    f"""
    INSERT INTO billing.job_costs BY NAME
    SELECT
        '{RUNNING}' AS month, '{LIVELY}' AS tenant_id, 'j-1' AS job_id, 'operations' AS part,
        $${HOSTILE}$$ AS job_title, 1 AS total_cost_usd, 2.5 AS total_billed_usd
    """,
)


@pytest.fixture(scope="module")
def home(world_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same past, and what it lacks: an estimate, a budget, a day nobody read, today, jobs, an own account."""
    folder = tmp_path_factory.mktemp("statements") / "home"
    file = folder / "published" / "tokenboard.duckdb"
    file.parent.mkdir(parents=True)
    shutil.copyfile(world_home / "published" / "tokenboard.duckdb", file)
    with duckdb.connect(file) as connection:
        for statement in WHAT_IT_LACKS:
            connection.execute(statement)
    with duckdb.connect(folder / "published" / "intraday.duckdb") as connection:
        connection.execute("CREATE SCHEMA usage")
        connection.execute(
            f"""
            CREATE TABLE usage.intraday AS
            SELECT * FROM (VALUES
                (TIMESTAMPTZ '2026-06-10 01:58:00+00', DATE '2026-06-10', '{LIVELY}', 3.2149),
                (TIMESTAMPTZ '2026-06-10 01:57:00+00', DATE '2026-06-10', '{LIVELY}', 1.0),
                (TIMESTAMPTZ '2026-06-10 01:50:00+00', DATE '2026-06-10', '{LATE}', NULL),
                (TIMESTAMPTZ '2026-06-09 23:59:00+00', DATE '2026-06-09', '{LIMITED}', 99.0)
            ) AS minutes(minute_at, usage_date, tenant_id, estimated_billed_usd)
            """
        )
    here = "http://127.0.0.1:1/v1"
    settings = load_settings(
        TOKENBOARD_HOME=str(folder), TOKENBOARD_NOW=READ_AT.isoformat(), OPENAI_BASE_URL=here, OPENROUTER_BASE_URL=here
    )
    write_reports(settings)
    return settings


def page(home: Settings, tenant_id: str, month: Month = RUNNING) -> Said:
    return said_by(home.reports_path / str(month) / tenant_id / "statement.html")


def spent_by_tenant(spent: list[Spent], tenant_id: str, month: Month) -> list[Spent]:
    return [row for row in spent if (row.tenant_id, row.month) == (tenant_id, str(month))]


def is_read(row: Spent) -> bool:
    """Whether the file still has it."""
    gone = (row.tenant_id, row.usage_date) == (SILENT, UNKNOWN_DAY)
    return not gone and (row.provider, row.usage_date) != ("openrouter", HALF_KNOWN_DAY)


@pytest.mark.parametrize("month", [CLOSED, RUNNING], ids=str)
@pytest.mark.parametrize("tenant_id", sorted(TENANTS))
def test_days_are_the_world_s(home: Settings, spent: list[Spent], tenant_id: str, month: Month) -> None:
    days: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    for row in spent_by_tenant(spent, tenant_id, month):
        if is_read(row):
            for who in (NAMES[row.provider], "All"):
                days[f"{row.usage_date:%b} {row.usage_date.day}", who].append(row.billed_usd)
                days["Month", who].append(row.billed_usd)
    head, *rows = page(home, tenant_id, month).tables["Days"]
    assert len(rows) == (LAST_DAY if month == RUNNING else month.window.last).day + 1
    for row in rows:
        for provider, cell in zip(head[1:-1], row[1:-1], strict=True):
            if cell == "unknown":
                assert row[0] in ("Jun 3", "Jun 5")
                assert provider == "All" or not days[row[0], provider]
            else:
                assert (row[0], provider) != ("Jun 5", "OpenRouter")
                assert cents(cell) == to_cents(days[row[0], provider])


@pytest.mark.parametrize(
    ("heading", "part_of"),
    [("By project", "billed_account_id"), ("By line item", "line_item"), ("By API key", "api_key_id")],
)
@pytest.mark.parametrize("tenant_id", sorted(TENANTS))
def test_parts_are_the_world_s(home: Settings, spent: list[Spent], tenant_id: str, heading: str, part_of: str) -> None:
    mine = spent_by_tenant(spent, tenant_id, CLOSED)
    parts: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    for row in mine:
        parts[row.provider, getattr(row, part_of)].append(row.billed_usd)
    amounts = sorted(map(to_cents, parts.values()), reverse=True)
    table = page(home, tenant_id, CLOSED).tables[heading]
    charged = list(map(cents, column(table, "Charged")))
    assert charged[:LISTED] == amounts[:LISTED]
    if len(amounts) > LISTED:
        assert table[-1][0] == f"{len(amounts) - LISTED} more"
    assert abs(sum(charged) - to_cents([row.billed_usd for row in mine])) <= len(charged) * CENT


@pytest.mark.parametrize("tenant_id", sorted(TENANTS))
def test_names_do_nothing_and_nothing_is_loaded_or_run(home: Settings, tenant_id: str) -> None:
    said = page(home, tenant_id, CLOSED)
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "h1", "h2", "p", "em", "br"),
        *("dl", "dt", "dd", "div", "span", "bdi", "a", "i", "ul", "li", "figure"),
        *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "svg", "rect", "line", "text"),
    }
    assert set(said.tags) <= allowed
    assert TENANTS[tenant_id].name in said.text
    assert not [name for name, _ in said.attributes if name.startswith("on")]
    assert all(link.endswith(".html") and "/" not in link for link in said.links)


def test_an_estimate_is_marked_wherever_it_counts(home: Settings, spent: list[Spent]) -> None:
    said = page(home, LATE)
    last = to_cents([row.billed_usd for row in spent if (row.tenant_id, row.usage_date) == (LATE, LAST_DAY)])
    assert f"of which {shown(last)} estimated" in said.text
    for heading in ("By project", "By line item", "By model", "By API key", "By category"):
        estimated = [cents(cell) for cell in column(said.tables[heading], "Estimated")]
        assert abs(sum(estimated) - last) <= len(estimated) * CENT
    newest = said.tables["Days"][1]
    assert newest[0] == f"{LAST_DAY:%b} {LAST_DAY.day}"
    assert newest[-1] == "estimate"
    drawn = [value for name, value in said.attributes if name == "class" and value and value.endswith(" estimate")]
    assert sorted(drawn) == ["openai estimate", "openrouter estimate"]
    assert "no estimate in it" in page(home, LIMITED).text


def test_a_day_nobody_has_read_is_unknown_and_not_zero(home: Settings) -> None:
    said = page(home, SILENT)
    assert ["Jun 3", "unknown", "unknown", "not read yet"] in said.tables["Days"]
    assert ("class", "gap") in said.attributes
    assert ("class", "gap") not in page(home, SILENT, CLOSED).attributes


def test_what_one_provider_has_not_told_is_unknown_beside_what_the_other_has(
    home: Settings, spent: list[Spent]
) -> None:
    said = page(home, LATE)
    day = [each for each in spent if (each.tenant_id, each.usage_date) == (LATE, HALF_KNOWN_DAY)]
    told = shown(to_cents([each.billed_usd for each in day if each.provider == "openai"]))
    assert ["Jun 5", told, "unknown", "unknown", "not read yet"] in said.tables["Days"]
    assert "not known and not in it" in said.text
    assert "not known and not in it" not in page(home, LATE, CLOSED).text


def test_who_spent_nothing_has_a_statement_that_does_not_say_so_of_days_nobody_read(home: Settings) -> None:
    assert "Nothing was spent." in page(home, IDLE, CLOSED).text
    said = page(home, IDLE)
    assert "Nothing is known to be spent." in said.text
    assert ["Jun 5", "unknown", "not read yet"] in said.tables["Days"]
    assert ["Jun 6", "$0.00", "preliminary"] in said.tables["Days"]


def test_the_budget_its_rest_and_the_forecast(home: Settings) -> None:
    said = page(home, LIMITED)
    assert "-$234.57of $1,000.00; 100 % reached" in "".join(said.text.split("\n"))
    assert "Forecast for the month$4,000.00more than the budget" in "".join(said.text.split("\n"))
    assert "budget of $1,000.00 spread over the month's days" in said.text
    assert ("class", "line") in said.attributes
    assert "no budget is set" in page(home, LIVELY).text
    assert ("class", "line") not in page(home, LIVELY).attributes


@pytest.mark.parametrize(("tenant_id", "amount"), [(LIVELY, "$4.21"), (LATE, "unknown"), (LIMITED, "$0.00")])
def test_today_is_an_estimate_as_of_a_minute(home: Settings, tenant_id: str, amount: str) -> None:
    said = "".join(page(home, tenant_id).text.split("\n"))
    assert f"Today so far (estimate){amount}as of Jun 10, 2026 01:58 UTC" in said
    assert "Today so far" not in page(home, tenant_id, CLOSED).text


def test_own_accounts_and_jobs(home: Settings) -> None:
    said = page(home, LIVELY)
    assert said.tables["On your own provider accounts"][1] == ["OpenAI", "$12.35"]
    assert [f"{HOSTILE} j-1", "$2.50"] in said.tables["By job"]
    assert "By job" not in page(home, LIMITED).tables


def test_an_account_has_the_name_it_had_while_it_was_the_tenants(home: Settings, published: Path) -> None:
    with duckdb.connect(published, read_only=True) as connection:
        names = connection.execute(
            """
            SELECT DISTINCT name FROM ops.accounts WHERE account_id IN
            (SELECT account_id FROM billing.charges WHERE tenant_id = $1 AND usage_date >= DATE '2026-06-01')
            """,
            [LIMITED],
        ).fetchall()
    for month in (CLOSED, RUNNING):
        assert HEIR not in page(home, LIMITED, month).text
    assert names
    assert all(name in page(home, LIMITED).text for (name,) in names)


def test_documents_are_named_and_linked_beside(home: Settings, world_home: Path) -> None:
    said = page(home, LIMITED, CLOSED)
    numbers = {path.stem for path in (world_home / "reports" / str(CLOSED) / LIMITED).glob("INV-*.html")}
    assert numbers
    assert {row[0] for row in said.tables["Documents of the month"][1:]} == numbers
    assert said.links == [f"{number}.html" for number in sorted(numbers)]
