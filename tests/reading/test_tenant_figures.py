"""`summary`, `trend` and `breakdown`: the world's own figures, from the published file alone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import CLOSED, LAST_DAY, READ_AT, RUNNING, SCRIPT, TREE, Run, Spent, total
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.periods import Window
from tokenboard_etl.reading.tenant_figures import DIMENSIONS, Amounts, breakdown, summary, trend

pytestmark = pytest.mark.slow

BUSY = "northwind-analytics"
MEANT_HARM = "1-1-formula-labs"
NOWHERE = Path("nowhere.duckdb")
TODAY = READ_AT.date()


def amounts_of(rows: list[Spent]) -> Amounts:
    cost, billed = total(row.cost_usd for row in rows), total(row.billed_usd for row in rows)
    margin = total([*(row.billed_usd for row in rows), *(-row.cost_usd for row in rows)])
    return Amounts(cost, billed, margin, Decimal(0))


# --- the figures


@pytest.mark.parametrize("month", [CLOSED, RUNNING])
def test_a_summary_is_what_the_world_spent_to_the_last_digit(published: Path, spent: list[Spent], month: Any) -> None:
    for tenant_id in sorted({row.tenant_id for row in spent}):
        rows = [row for row in spent if (row.tenant_id, row.month) == (tenant_id, str(month))]
        found = summary(published, NOWHERE, TODAY, tenant_id, str(month))
        assert found.total == amounts_of(rows)
        assert {each.provider: each.amounts for each in found.providers} == {
            provider: amounts_of([row for row in rows if row.provider == provider])
            for provider in {row.provider for row in rows}
        }


def test_a_summary_is_of_the_newest_month_and_names_state_and_invoice(published: Path) -> None:
    newest, closed = (summary(published, NOWHERE, TODAY, BUSY, month) for month in (None, str(CLOSED)))
    assert (newest.month, newest.last_day, newest.invoices) == (RUNNING, LAST_DAY, ())
    assert {each.state for each in newest.providers} == {"open"}
    assert {each.state for each in closed.providers} == {"closed"}
    assert [(each.kind, each.status, each.currency) for each in closed.invoices] == [("invoice", "issued", "USD")]


def test_a_budget_is_told_and_none_is_not_zero(copy: Path) -> None:
    assert summary(copy, NOWHERE, TODAY, BUSY, None).budget is None
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            INSERT INTO billing.budgets BY NAME SELECT '2026-06' AS month, $1 AS tenant_id, 100 AS budget_usd,
                60 AS spent_usd, 40 AS remaining_usd, 110 AS forecast_usd, 50 AS threshold_reached
            """,
            [BUSY],
        )
    budget = summary(copy, NOWHERE, TODAY, BUSY, None).budget
    assert budget is not None
    assert (budget.remaining_usd, budget.threshold_reached, budget.threshold_forecast) == (40, 50, None)


def test_today_is_unknown_until_it_was_read_and_where_a_price_is_missing(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "intraday.duckdb"
    assert summary(published, file, TODAY, BUSY, None).today.estimated_billed_usd is None
    with duckdb.connect(file) as connection:
        connection.execute(
            """
            CREATE SCHEMA usage;
            CREATE TABLE usage.intraday AS
            SELECT DATE '2026-06-10' AS usage_date, TIMESTAMPTZ '2026-06-10 01:50:00+00' AS minute_at,
                'somebody' AS tenant_id, CAST(NULL AS DECIMAL(38, 24)) AS estimated_billed_usd
            UNION ALL SELECT '2026-06-10', TIMESTAMPTZ '2026-06-10 01:30:00+00', 'acme-b-robotics-b', 1.25
            UNION ALL SELECT '2026-06-09', TIMESTAMPTZ '2026-06-09 23:30:00+00', 'northwind-analytics', 7
            """
        )
    shown = {tenant: summary(published, file, TODAY, tenant, None).today for tenant in (BUSY, "acme-b-robotics-b")}
    assert shown[BUSY].estimated_billed_usd == 0
    assert shown["acme-b-robotics-b"].estimated_billed_usd == Decimal("1.25")
    assert shown[BUSY].as_of is not None
    assert f"{shown[BUSY].as_of:%H:%M}" == "01:50"
    with duckdb.connect(file) as connection:
        connection.execute("UPDATE usage.intraday SET tenant_id = 'northwind-analytics' WHERE tenant_id = 'somebody'")
    assert summary(published, file, TODAY, BUSY, None).today.estimated_billed_usd is None
    assert summary(published, file, TODAY + timedelta(days=1), BUSY, None).today.as_of is None


def test_a_trend_has_every_day_of_its_window_and_tells_zero_from_unknown(published: Path, spent: list[Spent]) -> None:
    window = Window(date(2026, 4, 28), date(2026, 6, 12))
    found = {day.usage_date: day for day in trend(published, "tailspin-toys", window)}
    assert list(found) == list(window.days())
    for day in window.days():
        rows = [row for row in spent if (row.usage_date, row.tenant_id) == (day, "tailspin-toys")]
        if CLOSED.first <= day <= LAST_DAY:
            assert found[day].amounts == amounts_of(rows)
        else:
            assert (found[day].amounts, found[day].state) == (None, "missing")
    assert found[date(2026, 5, 1)].state == "closed"
    assert found[LAST_DAY].state == "provisional"


def test_a_day_that_was_read_and_cost_nothing_is_zero(copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("DELETE FROM billing.tenant_days WHERE tenant_id = $1 AND usage_date = $2", [BUSY, LAST_DAY])
    (day,) = trend(copy, BUSY, Window.of_days(LAST_DAY, LAST_DAY))
    assert (day.amounts, day.state) == (Amounts(*[Decimal(0)] * 4), "provisional")


def test_a_trend_without_a_window_is_of_the_last_thirty_days(published: Path) -> None:
    days = [day.usage_date for day in trend(published, BUSY, None)]
    assert (len(days), days[-1]) == (30, LAST_DAY)


@pytest.mark.parametrize("by", [each for each in DIMENSIONS if each != "job"])
def test_the_parts_of_a_breakdown_are_the_worlds_and_add_up_to_the_month(
    published: Path, spent: list[Spent], by: Any
) -> None:
    column = {"project": "account_id", "api_key": "api_key_id", "line_item": "line_item"}.get(by)
    for tenant_id in (BUSY, MEANT_HARM, "unallocated"):
        rows = [row for row in spent if (row.tenant_id, row.month) == (tenant_id, str(CLOSED))]
        found = breakdown(published, tenant_id, str(CLOSED), by)
        assert found.total == amounts_of(rows)
        amounts = [(part.amounts.billed_usd, part.amounts.cost_usd) for part in found.parts]
        assert amounts == sorted(amounts, reverse=True)
        if column:
            expected: dict[tuple[str, str], list[Spent]] = defaultdict(list)
            for row in rows:
                expected[row.provider, getattr(row, column)].append(row)
            assert {(part.provider, part.key): part.amounts for part in found.parts} == {
                key: amounts_of(each) for key, each in expected.items()
            }


def test_accounts_have_the_names_their_owners_gave_them(published: Path) -> None:
    parts = breakdown(published, MEANT_HARM, str(CLOSED), "project").parts
    names = [part.name for part in parts]
    assert "=1+1 Formula Labs" in names
    assert all(names)


def test_jobs_come_from_their_table_or_are_refused(copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("DROP TABLE IF EXISTS billing.job_costs")
    with pytest.raises(WrongUse, match="no costs by job"):
        breakdown(copy, BUSY, str(CLOSED), "job")
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            CREATE TABLE billing.job_costs AS
            SELECT '2026-05' AS month, 'northwind-analytics' AS tenant_id, 'job-1' AS job_id, 'operations' AS part,
                'Baker' AS job_title, 1.5 AS total_cost_usd, 2.25 AS total_billed_usd
            UNION ALL SELECT '2026-05', 'northwind-analytics', '', 'rest', NULL, 3, 4
            UNION ALL SELECT '2026-05', 'acme-b-robotics-b', 'job-2', 'operations', 'Welder', 5, 6
            """
        )
    found = breakdown(copy, BUSY, str(CLOSED), "job")
    assert [(part.key, part.name, part.amounts.billed_usd) for part in found.parts] == [
        ("", "what no operation explains", Decimal(4)),
        ("job-1", "Baker", Decimal("2.25")),
    ]
    assert found.total.margin_usd == Decimal("1.75")


# --- the commands


def test_json_is_exact_text_and_nothing_but_ascii(run: Run, published: Path) -> None:
    ended = run("breakdown", BUSY, "--month", str(CLOSED), "--by", "model", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.isascii()
    told = json.loads(ended.stdout)
    exactly = breakdown(published, BUSY, str(CLOSED), "model")
    assert (told["month"], told["total"]["billed_usd"]) == ("2026-05", format(exactly.total.billed_usd, "f"))
    assert [part["amounts"]["cost_usd"] for part in told["parts"]] == [
        format(part.amounts.cost_usd, "f") for part in exactly.parts
    ]
    assert json.loads(run("summary", BUSY, "--json").stdout)["budget"] is None
    assert json.loads(run("trend", BUSY, "--json").stdout)[-1]["usage_date"] == str(LAST_DAY)


def test_a_pipe_gets_aligned_lines_and_nothing_is_cut_or_framed(run: Run, published: Path) -> None:
    ended = run("breakdown", MEANT_HARM, "--month", str(CLOSED), "--by", "project")
    assert (ended.returncode, ended.stderr) == (0, "")
    _, head, *lines = ended.stdout.splitlines()
    parts = breakdown(published, MEANT_HARM, str(CLOSED), "project").parts
    assert len(lines) == len(parts) + 1
    ends = [head.index(heading) + len(heading) for heading in ("cost", "billed")]
    for line, part in zip(lines, parts, strict=False):
        assert part.key
        assert part.key in line
        assert all(line[end - 1].isdigit() and line[end : end + 1] == " " for end in ends)
    assert not set("│┃─━╇\x1b") & set(ended.stdout)


def test_a_terminal_gets_a_table_and_whole_amounts(world_home: Path, published: Path) -> None:
    shown = on_a_terminal(["breakdown", MEANT_HARM, "--month", str(CLOSED), "--by", "project"], world_home)
    assert "\x1b[" in shown
    assert "─" in shown
    assert f"{total_of(published):,.2f}" in shown


def total_of(published: Path) -> Decimal:
    return breakdown(published, MEANT_HARM, str(CLOSED), "project").total.billed_usd.quantize(Decimal("0.01"))


def on_a_terminal(arguments: list[str], home: Path) -> str:
    """What the script writes to a terminal of 60 columns."""
    leader, follower = pty.openpty()
    env = {**TREE, "TERM": "xterm-256color", "COLUMNS": "60", "TOKENBOARD_HOME": str(home)}
    process = subprocess.Popen([str(SCRIPT), *arguments], env=env, cwd=home, stdout=follower, stderr=follower)
    os.close(follower)
    found = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        found += part
    os.close(leader)
    assert process.wait(60) == 0, found
    return found.decode()


EVIL = "\x1b[31mred\x07\x9b2J\u202egnp.exe [bold]x[/bold] :bug: \\[link=file:///x]y <b> =1+1\r\n;--"


@pytest.mark.parametrize("terminal", [False, True])
def test_names_have_no_meaning_to_a_terminal(run: Run, copy: Path, terminal: bool) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE ops.accounts SET name = $1", [EVIL])
        connection.execute("UPDATE billing.charges SET line_item = $1 WHERE provider = 'openai'", [EVIL])
        connection.execute("UPDATE registry.tenants SET name = $1 WHERE tenant_id = $2", [EVIL, MEANT_HARM])
    home = copy.parents[1]
    for arguments in (
        ["summary", MEANT_HARM],
        *(["breakdown", MEANT_HARM, "--by", by] for by in ("project", "line_item")),
    ):
        text = on_a_terminal(arguments, home) if terminal else run(*arguments, home=home).stdout
        for sign in ("\x07", "\x9b", "\u202e", "\x1b[31m", "\x1b[2J", "\x1b]8", "🐛"):
            assert sign not in text
        flat = "".join(text.split())
        for kept in ("[bold]", "[/bold]", ":bug:", "[link=file:///x]"):
            assert terminal or kept in flat, kept
    told = run("breakdown", MEANT_HARM, "--by", "project", "--json", home=home).stdout
    assert told.isascii()
    assert {part["name"] for part in json.loads(told)["parts"]} == {EVIL}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["summary", "nobody\x1b[2J"], "There is no tenant 'nobody\\x1b[2J'"),
        (["breakdown", "nobody", "--by", "model"], "There is no tenant 'nobody'"),
        (["summary", BUSY, "--month", "2026-04"], "Nothing is known about 2026-04"),
        (["summary", BUSY, "--month", "2026-07"], "the published figures reach from 2026-05-01 to 2026-06-09"),
        (["summary", BUSY, "--month", "May"], "is not a month"),
        (["trend", BUSY, "--from", "2026-06-02", "--to", "2026-06-01"], "is after"),
        (["trend", BUSY, "--from", "2026-06-02"], "Give both --from and --to"),
        (["trend", BUSY, "--from", "2023-01-01", "--to", "2026-06-01"], "is before 2024-01-01"),
        (["breakdown", BUSY, "--by", "colour"], "--by"),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_line(run: Run, arguments: list[str], words: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["summary"], ["trend"], ["breakdown", "--by", "model"]])
def test_before_anything_is_published_it_says_what_publishes(run: Run, tmp_path: Path, command: list[str]) -> None:
    ended = run(*command, BUSY, home=tmp_path / "new")
    assert ended.returncode == 2
    assert "`tokenboard nightly`" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_file_of_another_version_is_no_defect_of_the_program(run: Run, copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("ALTER TABLE billing.tenant_days DROP COLUMN margin_usd")
    ended = run("trend", BUSY, home=copy.parents[1])
    assert ended.returncode == 1
    assert "published by another version" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2


def test_reading_waits_for_no_lock_and_starts_no_dagster(run: Run, world_home: Path, tmp_path: Path) -> None:
    with duckdb.connect(world_home / "warehouse.duckdb"):
        assert run("summary", BUSY).returncode == 0
    code = (
        "import sys; from tokenboard_etl.cli import main\n"
        "try: main()\n"
        "finally: print('dagster' in sys.modules, file=sys.stderr)"
    )
    env = {**TREE, "TOKENBOARD_HOME": str(world_home)}
    command = [sys.executable, "-c", code, "breakdown", BUSY, "--by", "model"]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stderr == "False\n"
