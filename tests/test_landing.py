"""Landings: the bytes that arrived, the manifest last, and interrupted loads that go on where they stopped."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tokenboard_etl.connections import Connection
from tokenboard_etl.errors import LandingDamaged, MalformedAnswer, ProviderUnavailable, StorageFailed
from tokenboard_etl.extraction import extract, replay
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import (
    RESUMABLE_FOR,
    OpenLanding,
    begin,
    complete_landings,
    newest_landing,
    read_body,
    read_landing,
)
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openrouter
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
WINDOW = Window(date(2026, 6, 1), date(2026, 6, 4))
DAYS = frozenset(WINDOW.days())

CHILD = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.wire import Request

root, pages = Path(sys.argv[1]), int(sys.argv[2])
now = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
opened = begin(root, "openai", "openai", "costs", Window(date(2026, 6, 1), date(2026, 6, 4)), now)
print(opened.folder, flush=True)
for number in range(pages):
    request = Request("openai", "/organization/costs", (("page", str(number)),))
    opened.add(request, Answer(200, b'{"page":%d,"pad":"%s"}' % (number, str(number).encode() * 5000), None), now)
    print(number, flush=True)
sys.stdin.read()
"""


def body_of(number: int) -> bytes:
    return b'{"page":%d,"pad":"%s"}' % (number, str(number).encode() * 5000)


def asking(number: int) -> Request:
    return Request("openai", "/organization/costs", (("page", str(number)),))


def started(root: Path, *, window: Window = WINDOW, now: datetime = NOW, report: str = "costs") -> OpenLanding:
    return begin(root, "openai", "openai", report, window, now)


def land(opened: OpenLanding, *numbers: int) -> None:
    for number in numbers:
        opened.add(asking(number), Answer(200, body_of(number), f"req_{number}"), NOW)


def child(root: Path, pages: int) -> subprocess.Popen[str]:
    """A real second process that lands pages and then holds on to its folder."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(pages)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], *, kill: bool = True) -> None:
    if kill:
        process.kill()
    process.communicate()


@pytest.fixture
def _leaks_are_not_the_point() -> Iterator[None]:
    """A journal that cannot be read stays open when the error leaves; here only the error counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


# --- what is kept ---------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
def test_bodies_are_kept_byte_for_byte(bodies: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as home:
        opened = started(Path(home))
        for number, body in enumerate(bodies):
            opened.add(asking(number), Answer(200, body, None), NOW)
            assert opened.find(asking(number)) == body
        landing = opened.complete(DAYS, NOW)
        for page, body in zip(landing.pages, bodies, strict=True):
            raw = (landing.folder / page.file).read_bytes()
            assert zstandard.ZstdDecompressor().decompress(raw, max_output_size=len(body) + 1) == body
            assert read_body(landing.folder, page) == body
            assert (page.bytes, page.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        landing.verify()


def test_a_load_exists_only_once_its_manifest_is_written(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1, 2)
    assert not (opened.folder / "manifest.json").exists()
    assert list(complete_landings(tmp_path, "openai", "costs")) == []
    assert newest_landing(tmp_path, "openai", "costs") is None
    landing = opened.complete(DAYS, NOW + timedelta(seconds=9))
    assert list(complete_landings(tmp_path, "openai", "costs")) == [landing]
    assert newest_landing(tmp_path, "openai", "costs") == landing
    assert sorted(path.name for path in landing.folder.iterdir()) == [
        "manifest.json",
        "page-00001.json.zst",
        "page-00002.json.zst",
    ]


def test_the_manifest_tells_what_was_asked_and_when(tmp_path: Path) -> None:
    opened = started(tmp_path)
    request = Request("openai", "/organization/costs", (("limit", "7"),), context={"name": "\u00e4 \u2028 <b>"})
    opened.add(request, Answer(200, b"{}", "req_1"), NOW + timedelta(seconds=1))
    landing = opened.complete(frozenset({date(2026, 6, 3), date(2026, 6, 1)}), NOW + timedelta(seconds=2))
    assert landing == read_landing(landing.folder)
    assert (landing.load_id, landing.connection_id, landing.provider, landing.report) == (
        landing.folder.name,
        "openai",
        "openai",
        "costs",
    )
    assert landing.days == (date(2026, 6, 1), date(2026, 6, 3))
    assert (landing.window, landing.started_at, landing.finished_at) == (WINDOW, NOW, NOW + timedelta(seconds=2))
    (page,) = landing.pages
    assert page.context == {"name": "\u00e4 \u2028 <b>"}
    assert (page.request, page.status, page.request_id) == (request.fingerprint, 200, "req_1")
    assert datetime.fromisoformat(page.received_at) == NOW + timedelta(seconds=1)
    assert landing.sha256 == hashlib.sha256(hashlib.sha256(b"{}").hexdigest().encode()).hexdigest()


def test_loads_come_in_the_order_they_began_and_known_ones_are_left_out(tmp_path: Path) -> None:
    made = []
    for hours in (5, 1, 3):
        opened = started(tmp_path, now=NOW + timedelta(hours=hours))
        made.append(opened.complete(DAYS, NOW + timedelta(hours=9)))
    found = list(complete_landings(tmp_path, "openai", "costs"))
    assert [landing.started_at.hour for landing in found] == [3, 5, 7]
    assert list(complete_landings(tmp_path, "openai", "costs", without={found[1].load_id})) == [found[0], found[2]]
    assert list(complete_landings(tmp_path, "openrouter", "costs")) == []
    assert list(complete_landings(tmp_path, "openai", "completions")) == []
    assert newest_landing(tmp_path, "openai", "costs") == made[0]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "openai").write_text("a file where a folder must be")
    with pytest.raises(StorageFailed, match="Cannot write"):
        started(tmp_path)


# --- damage ---------------------------------------------------------------------------------------------------------


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.write_bytes(raw)


def _other_body(path: Path) -> None:
    path.write_bytes(zstandard.compress(b'{"page":1,"pad":"2"}'))


DAMAGE: list[Callable[[Path], object]] = [
    _flip,
    _other_body,
    Path.unlink,
    lambda path: path.write_bytes(path.read_bytes()[:-3]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"{}"),
    lambda path: path.write_bytes(zstandard.compress(b"x" * 10_000_000)),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_page_is_never_read(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    opened = started(tmp_path)
    land(opened, 1, 2)
    landing = opened.complete(DAYS, NOW)
    landing.verify()
    damage(landing.folder / landing.pages[1].file)
    with pytest.raises(LandingDamaged, match="page-00002"):
        landing.verify()
    with pytest.raises(LandingDamaged, match="Restore it from a backup"):
        asyncio.run(replay(landing)(asking(2)))


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_interrupted_load_does_not_go_on_from_a_damaged_page(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    opened.close()
    damage(opened.folder / "page-00001.json.zst")
    again = started(tmp_path)
    assert again.folder == opened.folder
    with pytest.raises(LandingDamaged):
        again.find(asking(1))
    again.close()


def test_swapped_pages_are_noticed(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1, 2)
    landing = opened.complete(DAYS, NOW)
    one, two = (landing.folder / page.file for page in landing.pages)
    one.rename(tmp_path / "x")
    two.rename(one)
    (tmp_path / "x").rename(two)
    with pytest.raises(LandingDamaged, match="checksum differs"):
        landing.verify()


def test_a_replay_without_an_answer_says_so(tmp_path: Path) -> None:
    landing = started(tmp_path).complete(DAYS, NOW)
    with pytest.raises(LandingDamaged, match="holds no answer to GET /organization/costs"):
        asyncio.run(replay(landing)(asking(1)))


@pytest.mark.parametrize("manifest", ["", "{", "{}", "[]", '{"load_id": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, manifest: str) -> None:
    landing = started(tmp_path).complete(DAYS, NOW)
    (landing.folder / "manifest.json").write_text(manifest)
    with pytest.raises(LandingDamaged, match=r"manifest\.json"):
        list(complete_landings(tmp_path, "openai", "costs"))


# --- going on -------------------------------------------------------------------------------------------------------


def test_an_interrupted_load_is_continued_in_its_folder(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1, 2)
    opened.close()
    again = started(tmp_path, now=NOW + timedelta(hours=1))
    assert (again.folder, again.load_id, again.started_at) == (opened.folder, opened.load_id, NOW)
    assert [again.find(asking(number)) for number in (1, 2, 3)] == [body_of(1), body_of(2), None]
    land(again, 3)
    landing = again.complete(DAYS, NOW + timedelta(hours=1))
    assert [page.number for page in landing.pages] == [1, 2, 3]
    assert [read_body(landing.folder, page) for page in landing.pages] == [body_of(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("cut", [1, 2, 40, -1])
def test_a_journal_line_that_was_cut_off_is_dropped(tmp_path: Path, cut: int) -> None:
    opened = started(tmp_path)
    land(opened, 1, 2)
    opened.close()
    journal = opened.folder / "pages.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:cut])
    again = started(tmp_path)
    assert again.find(asking(1)) == body_of(1)
    assert again.find(asking(2)) is None
    land(again, 2)
    again.close()
    assert [json.loads(line)["number"] for line in journal.read_text().splitlines()[1:]] == [1, 2]
    once_more = started(tmp_path)
    assert once_more.find(asking(2)) == body_of(2)
    once_more.complete(DAYS, NOW).verify()


@pytest.mark.usefixtures("_leaks_are_not_the_point")
def test_a_journal_cut_inside_a_letter_is_repaired(tmp_path: Path) -> None:
    opened = started(tmp_path)
    request = Request("openai", "/organization/costs", context={"name": "\u00e4"})
    opened.add(asking(1), Answer(200, body_of(1), None), NOW)
    opened.add(request, Answer(200, b"{}", None), NOW)
    opened.close()
    journal = opened.folder / "pages.jsonl"
    raw = journal.read_bytes()
    journal.write_bytes(raw[: raw.index("\u00e4".encode()) + 1])
    again = started(tmp_path)
    assert (again.find(asking(1)), again.find(request)) == (body_of(1), None)
    again.close()


@pytest.mark.usefixtures("_leaks_are_not_the_point")
@pytest.mark.parametrize(
    "separator",
    [
        "\u2028",
        "\u2029",
        "\x85",
        "\x0c",
        "\x1c",
        "\r",
        "\n",
    ],
)
def test_a_name_with_a_line_separator_does_not_break_the_journal(tmp_path: Path, separator: str) -> None:
    opened = started(tmp_path)
    request = Request("openrouter", "/analytics/query", method="POST", context={"key_names": {f"a{separator}b": "h"}})
    opened.add(request, Answer(200, b"{}", None), NOW)
    opened.close()
    again = started(tmp_path)
    assert again.find(request) == b"{}"
    assert dict(again.complete(DAYS, NOW).pages[0].context) == {"key_names": {f"a{separator}b": "h"}}


@pytest.mark.parametrize(
    "other",
    [
        Window(WINDOW.start, WINDOW.end + timedelta(days=1)),
        Window(WINDOW.start - timedelta(days=1), WINDOW.end),
        Window(WINDOW.start + timedelta(days=1), WINDOW.end),
    ],
)
def test_a_load_of_another_window_is_not_continued_and_stays(tmp_path: Path, other: Window) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    opened.close()
    another = started(tmp_path, window=other)
    assert another.folder != opened.folder
    assert another.find(asking(1)) is None
    another.close()
    again = started(tmp_path)
    assert again.folder == opened.folder
    again.close()


@pytest.mark.parametrize("age", [RESUMABLE_FOR + timedelta(seconds=1), timedelta(days=30), -timedelta(seconds=1)])
def test_a_load_that_is_too_old_or_of_the_future_is_begun_anew(tmp_path: Path, age: timedelta) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    opened.close()
    again = started(tmp_path, now=NOW + age)
    assert again.folder != opened.folder
    assert again.find(asking(1)) is None
    assert not opened.folder.exists()
    again.close()


def test_a_load_of_six_hours_ago_is_still_continued(tmp_path: Path) -> None:
    opened = started(tmp_path)
    opened.close()
    again = started(tmp_path, now=NOW + RESUMABLE_FOR)
    assert again.folder == opened.folder
    again.close()


def test_a_load_of_another_report_or_connection_is_not_continued(tmp_path: Path) -> None:
    opened = started(tmp_path)
    opened.close()
    for other in (
        started(tmp_path, report="completions"),
        begin(tmp_path, "second", "openai", "costs", WINDOW, NOW),
    ):
        assert other.folder != opened.folder
        other.close()


def test_a_complete_load_is_never_continued(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    landing = opened.complete(DAYS, NOW)
    again = started(tmp_path)
    assert again.folder != landing.folder
    again.close()
    landing.verify()


def test_a_load_that_stopped_between_its_manifest_and_the_journals_removal_is_complete(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    journal = (opened.folder / "pages.jsonl").read_bytes()
    landing = opened.complete(DAYS, NOW)
    (landing.folder / "pages.jsonl").write_bytes(journal)
    again = started(tmp_path)
    assert again.folder != landing.folder
    again.close()
    assert not (landing.folder / "pages.jsonl").exists()
    assert list(complete_landings(tmp_path, "openai", "costs")) == [landing]


def test_a_load_that_is_set_aside_is_not_loaded(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    aside = opened.reject()
    assert aside.name.endswith(".rejected")
    assert not opened.folder.exists()
    assert (aside / "page-00001.json.zst").exists()
    assert list(complete_landings(tmp_path, "openai", "costs")) == []
    assert newest_landing(tmp_path, "openai", "costs") is None


def test_a_load_that_is_set_aside_is_not_continued(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    aside = opened.reject()
    with closing(started(tmp_path)) as again:
        assert again.find(asking(1)) is None
        assert again.folder != aside


def test_a_load_that_is_set_aside_stays_for_a_person_to_look_at(tmp_path: Path) -> None:
    opened = started(tmp_path)
    land(opened, 1)
    aside = opened.reject()
    started(tmp_path, now=NOW + timedelta(days=2)).close()
    assert (aside / "page-00001.json.zst").exists()


# --- other processes ------------------------------------------------------------------------------------------------


def test_two_processes_never_share_a_folder(tmp_path: Path) -> None:
    process = child(tmp_path, 1)
    try:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert process.stdout.readline().strip() == "0"
        ours = started(tmp_path)
        assert ours.folder != folder
        assert ours.find(asking(0)) is None
        too_late = started(tmp_path, now=NOW + timedelta(days=9))
        assert folder.exists(), "a folder somebody works on is not cleared away"
        too_late.close()
    finally:
        end(process)
    ours.close()
    shutil.rmtree(ours.folder)
    shutil.rmtree(too_late.folder, ignore_errors=True)
    theirs = started(tmp_path)
    assert theirs.folder == folder
    assert theirs.find(asking(0)) == body_of(0)
    theirs.close()


def test_two_loads_of_one_process_never_share_a_folder(tmp_path: Path) -> None:
    one, two = started(tmp_path), started(tmp_path)
    assert one.folder != two.folder
    one.close()
    two.close()


@pytest.mark.parametrize("after", [0, 1, 2, 7, 19, 38])
def test_a_load_killed_at_any_page_goes_on_without_asking_again(tmp_path: Path, after: int) -> None:
    pages = 40
    process = child(tmp_path, pages)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    for _ in range(after):
        process.stdout.readline()
    process.kill()
    told = after + len(process.stdout.read().split())
    end(process, kill=False)
    on_disk = len((folder / "pages.jsonl").read_bytes().split(b"\n")) - 2

    opened = started(tmp_path)
    assert opened.folder == folder
    asked = []
    for number in range(pages):
        if opened.find(asking(number)) is None:
            asked.append(number)
            land(opened, number)
    assert asked == list(range(on_disk, pages))
    assert told <= on_disk <= told + 1
    landing = opened.complete(DAYS, NOW)
    landing.verify()
    assert [read_body(landing.folder, page) for page in landing.pages] == [body_of(number) for number in range(pages)]
    assert [page.number for page in landing.pages] == list(range(1, pages + 1))


# --- through the extraction -----------------------------------------------------------------------------------------


@pytest.fixture
def openrouter_connection(sandbox: RunningSandbox) -> Connection:
    key = SecretStr(sandbox.env()["OPENROUTER_MANAGEMENT_KEY"])
    return Connection("openrouter", "openrouter", sandbox.openrouter_base_url, key)


@pytest.fixture
def openai_connection(sandbox: RunningSandbox) -> Connection:
    key = SecretStr(sandbox.env()["OPENAI_ADMIN_KEY"])
    return Connection("openai", "openai", sandbox.openai_base_url, key)


def extracted(connection: Connection, report: str, root: Path) -> Any:
    return asyncio.run(extract(connection, report, WINDOW, root, lambda: NOW))


def test_after_a_failure_whole_pages_are_not_asked_for_again(
    sandbox: RunningSandbox, openrouter_connection: Connection, tmp_path: Path
) -> None:
    whole = extracted(openrouter_connection, "keys", tmp_path / "undisturbed")
    before = {part: sandbox.request_count(f"GET /openrouter/api/v1/{part}") for part in ("workspaces", "keys")}
    sandbox.add_fault("status", "GET /openrouter/api/v1/keys", status=503, retry_after=0, times=8)
    with pytest.raises(ProviderUnavailable):
        extracted(openrouter_connection, "keys", tmp_path)
    assert list(complete_landings(tmp_path, "openrouter", "keys")) == []
    landing = extracted(openrouter_connection, "keys", tmp_path)
    assert sandbox.request_count("GET /openrouter/api/v1/workspaces") == before["workspaces"] + 1
    assert sandbox.request_count("GET /openrouter/api/v1/keys") == before["keys"] + 8 + 3
    assert [page.sha256 for page in landing.pages] == [page.sha256 for page in whole.pages]
    assert landing.sha256 == whole.sha256


def test_a_landing_holds_what_the_provider_sent_and_replays_it(
    sandbox: RunningSandbox, openrouter_connection: Connection, tmp_path: Path
) -> None:
    landing = extracted(openrouter_connection, "keys", tmp_path)
    before = sandbox.request_count()
    keys = asyncio.run(openrouter.keys(replay(landing)))
    assert sandbox.request_count() == before
    assert {key.hash for key in keys} == {key.hash for key in sandbox.world.account.keys if key.created_at <= NOW}


def test_an_answer_that_cannot_be_understood_is_set_aside_and_the_message_names_it(
    sandbox: RunningSandbox, openai_connection: Connection, tmp_path: Path
) -> None:
    sandbox.add_fault("malformed", "/organization/costs", variant="type", times=1)
    with pytest.raises(MalformedAnswer) as raised:
        extracted(openai_connection, "costs", tmp_path)
    (aside,) = (tmp_path / "openai" / "costs").glob("*.rejected")
    assert aside.name.endswith(".rejected")
    assert str(aside) in str(raised.value)
    assert (aside / "page-00001.json.zst").exists()
    landed_as = [json.loads(line).get("request_id") for line in (aside / "rejected.jsonl").read_text().splitlines()]
    assert raised.value.request_id is not None
    assert raised.value.request_id in landed_as
    assert f"(request id {raised.value.request_id})" in str(raised.value)


def test_after_an_answer_that_could_not_be_understood_the_next_try_asks_again(
    sandbox: RunningSandbox, openai_connection: Connection, tmp_path: Path
) -> None:
    sandbox.add_fault("malformed", "/organization/costs", variant="type", times=1)
    with pytest.raises(MalformedAnswer):
        extracted(openai_connection, "costs", tmp_path)
    landing = extracted(openai_connection, "costs", tmp_path)
    assert set(landing.days) == DAYS
    landing.verify()


def test_no_key_is_written_into_a_landing(openai_connection: Connection, tmp_path: Path) -> None:
    landing = extracted(openai_connection, "projects", tmp_path)
    key = openai_connection.key.get_secret_value().encode()
    assert all(key not in path.read_bytes() for path in landing.folder.iterdir())
    assert key.decode() not in repr(openai_connection)
