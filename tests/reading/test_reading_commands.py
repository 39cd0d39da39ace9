"""`summary`, `trend` and `breakdown` as people, pipes and programs meet them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import CLOSED, LAST_DAY, READ_AT, TREE, Run
from tokenboard_etl.money import format_usd
from tokenboard_etl.reading.tenant_figures import breakdown
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.connection import open_warehouse

pytestmark = pytest.mark.slow

SCRIPT = Path(sys.executable).parent / "tokenboard"
BUSY = "northwind-analytics"
MEANT_HARM = "1-1-formula-labs"


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
    arguments = ["breakdown", MEANT_HARM, "--month", str(CLOSED), "--by", "project"]
    shown, narrow = (on_a_terminal(arguments, world_home, columns) for columns in (90, 60))
    assert "\x1b[" in shown
    assert "─" in shown
    assert "─" not in narrow  # there names would be a letter wide
    assert f"{total_of(published):,.2f}" in shown
    assert f"{total_of(published):,.2f}" in narrow


def total_of(published: Path) -> Decimal:
    return breakdown(published, MEANT_HARM, str(CLOSED), "project").total.billed_usd.quantize(Decimal("0.01"))


def on_a_terminal(arguments: list[str], home: Path, columns: int = 60) -> str:
    """What the script writes to a terminal of so many columns."""
    leader, follower = pty.openpty()
    env = {**TREE, "TERM": "xterm-256color", "COLUMNS": str(columns), "TOKENBOARD_HOME": str(home)}
    process = subprocess.Popen([SCRIPT, *arguments], env=env, cwd=home, stdout=follower, stderr=follower)
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


def test_what_a_provider_was_not_read_of_is_unknown_in_its_column(run: Run, copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        of_the_day = f"usage_date = '{LAST_DAY}' AND provider = 'openrouter'"
        connection.execute(f"DELETE FROM billing.tenant_days WHERE {of_the_day}")
        connection.execute(f"UPDATE ops.source_days SET state = 'missing' WHERE {of_the_day}")
    *_, last = run("trend", BUSY, home=copy.parents[1]).stdout.splitlines()
    day, openai, openrouter, *amounts, state = last.split()
    assert (day, openrouter, state) == (str(LAST_DAY), "unknown", "missing")
    assert openai == amounts[1]


@pytest.fixture
def evil_home(copy: Path) -> Path:
    """A home where everybody who may name something named it EVIL."""
    home = copy.parents[1]
    with open_warehouse(home / "warehouse.duckdb") as warehouse:
        save_tenant(warehouse, Tenant(MEANT_HARM, "x", None, "DE", "USD", None), {}, READ_AT)
        warehouse.execute("UPDATE registry.tenants SET name = $1, industry = $1, address = $1", [EVIL])
        warehouse.execute("UPDATE registry.tenant_names SET name = $1", [EVIL])
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE ops.accounts SET name = $1", [EVIL])
    return home


@pytest.mark.parametrize("arguments", [["unallocated"], ["tenants", "list"], ["tenants", "show", MEANT_HARM]])
def test_lists_are_whole_in_a_pipe_and_names_in_them_mean_nothing(
    run: Run, evil_home: Path, arguments: list[str]
) -> None:
    piped, shown = run(*arguments, home=evil_home), on_a_terminal(arguments, evil_home)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert not set("│┃─━╇…\x1b") & set(piped.stdout)
    for sign in ("\x07", "\x9b", "\u202e", "\x1b[31m", "\x1b[2J", "\x1b]8", "🐛"):
        assert sign not in piped.stdout + shown
    assert "[bold]x[/bold] :bug:" in piped.stdout
    told = run(*arguments, "--json", home=evil_home).stdout
    assert told.isascii()
    assert EVIL in names_in(json.loads(told))
    if arguments == ["unallocated"]:
        lines = piped.stdout.splitlines()
        for each in json.loads(told):
            cost = format_usd(Decimal(each["cost_usd"]))
            assert [line for line in lines if each["account_id"] in line and line.endswith(f" {cost}")]
            assert each["account_id"] in shown  # which has no room for a table


def names_in(told: Any) -> set[str]:
    """Every text somewhere in JSON."""
    if isinstance(told, (list, dict)):
        return {name for each in (told.values() if isinstance(told, dict) else told) for name in names_in(each)}
    return {told} if isinstance(told, str) else set()


def test_what_the_doctor_finds_is_whole_in_a_pipe(run: Run, tmp_path: Path) -> None:
    lines = run("doctor", home=tmp_path / "new").stdout.splitlines()
    assert lines[0].split() == ["level", "about", "finding"]
    assert any("Set OPENAI_ADMIN_KEY (sk-admin-...) or OPENROUTER_MANAGEMENT_KEY." in line for line in lines)


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
        (["trend", BUSY, "--from", "2026-06-02", "--to", "9999-12-31"], "has not begun"),
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
