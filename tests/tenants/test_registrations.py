"""The inbox of registrations: each id becomes one tenant, whatever is dropped, however often, and under what name."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.definitions import definitions
from assets.provisioning import registration_inbox
from assets.resources import Surroundings
from tenants.desk import NOW, Desk
from tokenboard_etl.tenants.provisioning.registering import Registration, register
from tokenboard_etl.tenants.registrations import MAX_BYTES, MAX_FILES, RegistrationFile, read_registration
from tokenboard_etl.warehouse.connection import open_warehouse

GUIDE = (Path(__file__).parents[2] / "docs" / "registrations.md").read_text()
ONE = {"registration_id": "r-1", "name": "Nimbus", "limit_usd": "12.50", "providers": ["openrouter"]}


@dataclass
class Inbox:
    """Looks as Dagster's daemon does, runs what is requested, and remembers run keys as Dagster does."""

    desk: Desk
    instance: dg.DagsterInstance
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.run_keys = set[str]()

    @property
    def folder(self) -> Path:
        return self.desk.settings.registrations_inbox_path

    def drop(self, name: str = "one.json", content: object = None) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content or ONE).encode())
        return path

    def look(self) -> list[Any]:
        """The run requests of one look."""
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            found = list(registration_inbox(context))
            self.cursor = context.cursor
        return [each for each in found if isinstance(each, dg.RunRequest) and each.run_key not in self.run_keys]

    def run(self) -> list[bool]:
        """Looks, and runs what is requested; whether each run succeeded."""
        job = definitions(Surroundings(self.desk.settings)).resolve_job_def("provision_tenant")
        ended = []
        for request in self.look():
            self.run_keys.add(request.run_key)
            ended.append(
                job.execute_in_process(
                    run_config=request.run_config, instance=self.instance, raise_on_error=False
                ).success
            )
        return ended

    def files(self) -> dict[str, list[str]]:
        return {
            place: sorted(path.name for path in (self.folder / place).glob("*") if not path.is_dir())
            for place in ("", "done", "rejected")
        }

    def reason(self, name: str) -> str:
        return (self.folder / "rejected" / f"{name}.reason.txt").read_text()

    def tenants(self) -> list[str]:
        return [name for (name,) in self.desk.ask("SELECT name FROM registry.tenants ORDER BY name")]


@pytest.fixture
def inbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with dg.DagsterInstance.ephemeral() as instance:
        for name, value in {**desk.env, **desk.variables}.items():
            monkeypatch.setenv(name, str(value))
        yield Inbox(desk, instance)


def test_a_dropped_file_becomes_a_tenant_once_and_is_put_to_the_done_ones(inbox: Inbox) -> None:
    assert inbox.look() == []
    inbox.drop()
    assert inbox.run() == [True]
    assert inbox.files() == {"": [], "done": ["one.json"], "rejected": []}
    assert inbox.tenants() == ["Nimbus"]
    assert [str(key.limit) for key in inbox.desk.router_keys("Nimbus")] == ["12.5"]
    inbox.drop(
        content=b'{"name": "Nimbus", "limit_usd": 12.50, "providers": ["openrouter"],\n "registration_id": "r-1"}'
    )
    inbox.drop("two.json")
    assert inbox.run() == [True, True]
    assert inbox.files() == {"": [], "done": ["one.json", "one.json.2", "two.json"], "rejected": []}
    assert len(inbox.desk.router_keys("Nimbus")) == 1
    assert inbox.desk.ask("SELECT registration_id, tenant_id FROM registry.registrations") == [("r-1", "nimbus")]


def test_a_file_is_asked_for_once_while_its_run_has_not_begun(inbox: Inbox) -> None:
    inbox.drop()
    (first,), (second,) = inbox.look(), inbox.look()
    assert first.run_key == second.run_key  # of which Dagster takes one
    os.utime(inbox.drop(), ns=(1, 1))
    (touched,) = inbox.look()
    assert touched.run_key != first.run_key


def test_an_id_with_other_content_and_a_name_that_is_taken_are_rejected(inbox: Inbox) -> None:
    inbox.drop()
    inbox.run()
    inbox.drop("other.json", {**ONE, "name": "Other"})
    inbox.drop("taken.json", {**ONE, "registration_id": "r-2", "name": "NIMBUS"})
    inbox.drop("land.json", {**ONE, "registration_id": "r-3", "name": "Land", "country": "Germany"})
    assert inbox.run() == [False, False, False]
    assert "became the tenant nimbus already, with other content" in inbox.reason("other.json")
    assert "belongs to the tenant nimbus" in inbox.reason("taken.json")
    assert "country code" in inbox.reason("land.json")
    assert inbox.tenants() == ["Nimbus"]
    assert inbox.files()[""] == []


def test_names_that_would_do_harm_elsewhere_are_data_and_one_in_another_form_is_taken(inbox: Inbox) -> None:
    names = ["<img src=x onerror=alert(1)>", "'; DROP TABLE registry.tenants; --", "../../Caf\u00e9"]
    for number, name in enumerate([*names, "../../cafe\u0301"]):
        inbox.drop(f"{number}.json", {**ONE, "registration_id": f"r-{number}", "name": name})
    assert inbox.run() == [True, True, True, False]
    assert inbox.tenants() == sorted(names)
    assert [len(inbox.desk.router_keys(name)) for name in names] == [1, 1, 1]
    assert inbox.files()["rejected"] == ["3.json", "3.json.reason.txt"]
    assert "belongs to the tenant caf (" in inbox.reason("3.json")


def test_a_half_written_file_is_left_until_it_is_whole_or_stays_as_it_is(inbox: Inbox) -> None:
    whole = json.dumps(ONE).encode()
    for length in range(0, len(whole), 7):
        inbox.drop(content=whole[:length])
        assert inbox.look() == []
        assert inbox.files()["rejected"] == []
    inbox.drop(content=whole)
    assert len(inbox.look()) == 1
    inbox.drop("cut.json", whole[:40])
    inbox.look()
    assert "cut.json" in inbox.files()[""]
    inbox.look()
    assert inbox.files()["rejected"] == ["cut.json", "cut.json.reason.txt"]
    assert inbox.reason("cut.json") == "it is not JSON in UTF-8\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "the file"),
        (b"{}", "registration_id: Field required"),
        (json.dumps({**ONE, "nmae": "x"}).encode(), "nmae: Extra inputs"),
        (json.dumps({**ONE, "registration_id": "../../x"}).encode(), "registration_id"),
        (json.dumps({**ONE, "name": "a\u202eb"}).encode(), "U+202E"),
        (json.dumps({**ONE, "name": "\ud800"}).encode(), "surrogate"),
        (json.dumps({**ONE, "industry": "\udfff"}).encode(), "surrogate"),
        (json.dumps({**ONE, "name": ""}).encode(), "empty"),
        (json.dumps({**ONE, "name": "x" * 300}).encode(), "300 characters"),
        (json.dumps({**ONE, "name": "a\nb"}).encode(), "U+000A"),
        (json.dumps({**ONE, "name": "a\u200fb"}).encode(), "U+200F"),
        (json.dumps({**ONE, "name": "a\0b"}).encode(), "U+0000"),
        (json.dumps({**ONE, "limit_usd": True}).encode(), "limit_usd"),
        (json.dumps({**ONE, "limit_usd": -1}).encode(), "cannot be meant"),
        (b'{"registration_id": "r", "name": "a", "limit_usd": 1e99999999999}', "limit_usd: is beyond"),
        (b'{"registration_id": "r", "name": "a", "limit_usd": 1e-99999999999}', "limit_usd: is beyond"),
        (b'{"registration_id": "r", "name": "a", "limit_usd": NaN}', "NaN is no JSON number"),
        (b'{"registration_id": "r", "name": "a", "name": "b"}', "same name twice"),
        (b"{" + b" " * MAX_BYTES + b"}", "larger than 64 KB"),
        (b'{"name":' + b"[" * 30_000, None),
    ],
)
def test_what_cannot_be_meant_is_rejected_with_the_reason_and_nobody_is_asked(
    inbox: Inbox, content: bytes, reason: str | None
) -> None:
    before = inbox.desk.sandbox.request_count()
    inbox.drop(content=content)
    assert inbox.look() == []
    if reason is None:  # it may be half written
        assert inbox.look() == []
        reason = "not JSON"
    assert reason in inbox.reason("one.json")
    assert inbox.files()[""] == []
    assert inbox.desk.sandbox.request_count() == before


def test_names_of_files_do_no_harm(inbox: Inbox) -> None:
    outside = inbox.desk.home / "secret.json"
    inbox.drop(".hidden.json")
    inbox.drop("part.json.tmp")
    inbox.drop("a\nb.json")
    inbox.drop("x" * 245 + ".json", b"[]")
    outside.write_text(json.dumps({**ONE, "registration_id": "r-9", "name": "Outside"}))
    (inbox.folder / "link.json").symlink_to(outside)
    (inbox.folder / "folder.json").mkdir()
    os.mkfifo(inbox.folder / "pipe.json")
    (inbox.folder / os.fsdecode(b"\xff.json")).write_text(json.dumps(ONE))
    assert inbox.look() == []
    assert inbox.files()[""] == [".hidden.json", "part.json.tmp"]
    assert outside.exists()
    reasons = {path.read_text() for path in (inbox.folder / "rejected").glob("*.reason.txt")}
    assert len(reasons) == 4
    assert inbox.tenants() == []


def test_a_run_that_died_before_the_file_was_moved_makes_nothing_twice(inbox: Inbox) -> None:
    """All of it was done but the moving; the file is touched, and tried again."""
    inbox.drop()
    inbox.run()
    (inbox.folder / "done" / "one.json").rename(inbox.folder / "one.json")
    os.utime(inbox.folder / "one.json", ns=(7, 7))
    assert inbox.run() == [True]
    assert inbox.tenants() == ["Nimbus"]
    assert len(inbox.desk.router_keys("Nimbus")) == 1


def test_another_file_under_the_same_name_is_not_put_away_with_the_first(inbox: Inbox) -> None:
    """Some senders always write one name: what was read is not what is there when its run ends."""
    job = definitions(Surroundings(inbox.desk.settings)).resolve_job_def("provision_tenant")
    for number, first in enumerate((ONE, {**ONE, "country": "Germany"})):
        inbox.drop(content={**first, "registration_id": f"a-{number}", "name": f"First {number}"})
        (request,) = inbox.look()
        inbox.drop(content={**ONE, "registration_id": f"b-{number}", "name": f"Second {number}"})
        job.execute_in_process(run_config=request.run_config, instance=inbox.instance, raise_on_error=False)
        (second,) = inbox.look()
        assert second.run_config["ops"]["make_tenant"]["config"]["name"] == f"Second {number}"
    assert inbox.tenants() == ["First 0"]
    assert inbox.files() == {"": ["one.json"], "done": [], "rejected": []}


def test_a_rejected_file_that_is_put_back_is_tried_again(inbox: Inbox) -> None:
    """Moving keeps the time of modification, and so does copying with it."""
    with open_warehouse(inbox.desk.settings.warehouse_path) as warehouse:
        register(warehouse, Registration("Nimbus"), NOW)
    file = inbox.drop("taken.json", {**ONE, "name": "NIMBUS"})
    shutil.copy2(file, inbox.folder / "twin.json")
    assert inbox.run() == [False, False]
    assert inbox.files()[""] == []
    inbox.desk.ask("UPDATE registry.tenants SET name = 'Renamed'")
    (inbox.folder / "rejected" / "taken.json").rename(inbox.folder / "taken.json")
    assert inbox.run() == [True]
    assert inbox.tenants() == ["NIMBUS", "Renamed"]


def test_files_whose_runs_died_keep_no_others_waiting(inbox: Inbox) -> None:
    for number in range(MAX_FILES):
        inbox.drop(f"{number:03}.json", {**ONE, "registration_id": f"r-{number}", "name": f"Tenant {number}"})
    requests = inbox.look()
    assert len(requests) == MAX_FILES
    inbox.drop("new.json")
    assert inbox.look()[0].run_config["ops"]["make_tenant"]["config"]["inbox_file"] == "new.json"


def test_what_cannot_be_moved_keeps_no_others_waiting(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    inbox.drop("a.json", b"[]")
    inbox.drop("b.json")
    (inbox.folder / "rejected").write_text("not a folder")
    assert [each.run_config["ops"]["make_tenant"]["config"]["inbox_file"] for each in inbox.look()] == ["b.json"]
    assert "a.json cannot be rejected" in caplog.text


def test_a_provider_that_fails_leaves_the_tenant_pending_and_the_file_done(inbox: Inbox) -> None:
    inbox.desk.sandbox.add_fault("status", "/openrouter/", status=400)
    inbox.drop()
    assert inbox.run() == [False]
    assert inbox.files() == {"": [], "done": ["one.json"], "rejected": []}
    assert inbox.desk.ask("SELECT state FROM registry.provisioning") == [("pending",)]


def test_without_a_key_for_the_vault_files_wait(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.drop()
    monkeypatch.delenv("TOKENBOARD_ENCRYPTION_KEY")
    assert inbox.look() == []
    assert inbox.files()[""] == ["one.json"]


def test_the_guide_shows_every_field_and_an_example_that_is_taken() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert set(json.loads(example)) == set(RegistrationFile.model_fields)
    assert read_registration(example.encode()).name == "Atlas & Co"
    documented = re.findall(r"^\| `(\w+)` \| .* \| (yes)? ?\|$", GUIDE, re.MULTILINE)
    assert {name: bool(yes) for name, yes in documented} == {
        name: field.is_required() for name, field in RegistrationFile.model_fields.items()
    }
