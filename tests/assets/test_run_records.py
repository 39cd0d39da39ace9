"""Dagster's records by our storage: the same as by its own, for everybody who reads them, and with few connections."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from sqlalchemy import event
from sqlalchemy.pool import Pool

from assets import run_records
from assets.run import instance_for
from assets.run_records import instance_of


@dg.asset
def a_table() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 3})


@dg.asset_check(asset=a_table)
def has_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


_JOB = dg.Definitions(
    [a_table], asset_checks=[has_rows], jobs=[dg.define_asset_job("a_night", [a_table])]
).resolve_job_def("a_night")


def run(instance: dg.DagsterInstance) -> str:
    return _JOB.execute_in_process(instance=instance).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str | None]]:
    """What is on record of a run, in order."""
    return [
        (entry.dagster_event.event_type_value, entry.step_key)
        for entry in instance.all_logs(run_id)
        if entry.dagster_event
    ]


def checked(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    found = instance.event_log_storage.get_asset_check_execution_history(has_rows.check_key, limit=10)
    return [(each.run_id, each.status.value) for each in found]


def is_ours(instance: dg.DagsterInstance) -> bool:
    return type(instance.event_log_storage).__module__ == run_records.__name__


@contextmanager
def connections_made() -> Iterator[list[object]]:
    made: list[object] = []

    def count(connection: object, _: object) -> None:
        made.append(connection)

    event.listen(Pool, "connect", count)
    try:
        yield made
    finally:
        event.remove(Pool, "connect", count)


def open_files(folder: Path) -> list[Path]:
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [path for path in links if path.is_relative_to(folder)]


def test_what_is_recorded_is_what_dagsters_own_storage_records(tmp_path: Path) -> None:
    with instance_for(tmp_path / "ours") as ours:
        assert is_ours(ours)
        run_id = run(ours)
        with dg.DagsterInstance.from_config(str(tmp_path / "ours")) as plain:  # a web server, meanwhile
            assert not is_ours(plain)
            assert told(plain, run_id) == told(ours, run_id)
            assert checked(plain) == checked(ours) != []
            other = run(plain)
            assert told(ours, other) == told(plain, other) == told(ours, run_id)
            assert set(ours.get_run_ids()) == set(plain.get_run_ids()) == {run_id, other}
            assert ours.get_latest_materialization_event(a_table.key) == plain.get_latest_materialization_event(
                a_table.key
            )


def test_a_run_can_be_watched_from_elsewhere_while_it_goes_on(tmp_path: Path) -> None:
    """As the web server does it for the page of a run: by what changes in the run's file."""
    seen = threading.Event()

    def see(entry: dg.EventLogEntry, _cursor: str) -> None:
        if entry.user_message == "half way":
            seen.set()

    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        with dg.DagsterInstance.from_config(str(tmp_path)) as elsewhere:
            elsewhere.watch_event_logs(context.run_id, None, see)
            context.log.info("half way")
            assert seen.wait(timeout=30)
            elsewhere.end_watch_event_logs(context.run_id, see)

    @dg.job
    def watched() -> None:
        step()

    with instance_for(tmp_path) as instance:
        assert watched.execute_in_process(instance=instance).success


def test_a_run_makes_a_handful_of_connections(tmp_path: Path) -> None:
    with instance_for(tmp_path) as instance:
        run(instance)
        with connections_made() as made:
            run(instance)
    assert len(made) < 10


def test_nothing_is_left_open_nor_any_journal(tmp_path: Path) -> None:
    with instance_for(tmp_path) as instance:
        for _ in range(3):
            run(instance)
        open_runs = {path for path in open_files(tmp_path) if path.parent.name == "runs" and path.suffix == ".db"}
        assert len(open_runs) == 2  # of all assets, and the last run's
    assert open_files(tmp_path) == []
    assert not list(tmp_path.rglob("*-wal"))


def test_where_runs_are_recorded_is_for_dagster_yaml_to_say(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: {elsewhere}}}}}\n")
    with instance_of(tmp_path) as instance:
        assert is_ours(instance)
    assert (elsewhere / "history" / "runs" / "index.db").exists()


def test_another_storage_is_left_as_it_is(tmp_path: Path) -> None:
    kinds = {"event_log": "EventLog", "run": "Run", "schedule": "Schedule"}
    modules = {"event_log": "event_log", "run": "runs", "schedule": "schedules"}
    (tmp_path / "dagster.yaml").write_text(
        "".join(
            f"{kind}_storage: {{module: dagster._core.storage.{modules[kind]}, class: Sqlite{name}Storage, "
            f"config: {{base_dir: {tmp_path / kind}}}}}\n"
            for kind, name in kinds.items()
        )
    )
    with instance_of(tmp_path) as instance:
        assert not is_ours(instance)
        run(instance)
