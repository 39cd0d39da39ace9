"""A signal to stop, at whatever moment it comes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from tokenboard_etl.stopping import run_until_stopped


class Interrupted(BaseException):
    """What a handler of Dagster's raises is no KeyboardInterrupt either."""


def interrupt(_: int, __: FrameType | None) -> None:
    raise Interrupted


def note(_: int, __: FrameType | None) -> None:
    """A handler that lets a process go on."""


@contextmanager
def handled(number: signal.Signals, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


async def work(did: list[str], number: signal.Signals, moment: str) -> str:
    loop = asyncio.get_running_loop()
    try:
        if moment == "in a callback":
            loop.call_soon(signal.raise_signal, number)
        elif moment == "at its end":
            loop.call_soon(loop.call_soon, signal.raise_signal, number)
            await asyncio.sleep(0)
        else:
            await BESIDE[moment](number)
        if moment != "at its end":
            await asyncio.Event().wait()
    finally:
        did.append("cleaned up")
    return "done"


async def in_python(number: signal.Signals) -> None:
    """As while it waits for a lock."""
    signal.raise_signal(number)
    pytest.fail("it went on")


async def in_python_and_fails_for_it(number: signal.Signals) -> None:
    try:
        signal.raise_signal(number)
    finally:
        raise OSError("a connection could not be closed")


async def in_python_and_swallows_it(number: signal.Signals) -> None:
    with suppress(BaseException):
        signal.raise_signal(number)


async def in_a_group_of_tasks(number: signal.Signals) -> None:
    """Which would make a group of whatever is raised in it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        signal.raise_signal(number)


async def in_another_task(number: signal.Signals) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(signal.raise_signal, number))
        group.create_task(asyncio.Event().wait())


async def and_fails_for_it(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)
    try:
        await asyncio.Event().wait()
    finally:
        raise OSError("a connection could not be closed")


async def and_swallows_it(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    raise OSError("something else")


async def twice(number: signal.Signals) -> None:
    """While it takes its time to end."""
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)
    try:
        await asyncio.Event().wait()
    finally:
        signal.raise_signal(number)
        pytest.fail("it went on")


BESIDE = {
    "in Python": in_python,
    "in Python and fails for it": in_python_and_fails_for_it,
    "in Python and swallows it": in_python_and_swallows_it,
    "in a group of tasks": in_a_group_of_tasks,
    "in another task": in_another_task,
    "and fails for it": and_fails_for_it,
    "and swallows it": and_swallows_it,
    "twice": twice,
}
STOPS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
MOMENTS = pytest.mark.parametrize("moment", ["in a callback", "at its end", *BESIDE])


@STOPS
@MOMENTS
def test_work_that_is_stopped_cleans_up_and_ends_as_the_handler_has_it(number: signal.Signals, moment: str) -> None:
    did: list[str] = []
    with handled(number, interrupt), pytest.raises(Interrupted):
        run_until_stopped(work(did, number, moment))
    assert did == ["cleaned up"]


def test_work_that_has_not_begun_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between two lines of ours."""
    run = asyncio.run

    def stopped_just_before(coroutine: Coroutine[Any, Any, str]) -> str:
        signal.raise_signal(signal.SIGTERM)
        return run(coroutine)

    monkeypatch.setattr(asyncio, "run", stopped_just_before)
    did: list[str] = []
    with handled(signal.SIGTERM, interrupt), pytest.raises(Interrupted):
        run_until_stopped(work(did, signal.SIGTERM, "in a callback"))
    assert did == []


def test_without_a_handler_of_its_own_it_is_a_keyboard_interrupt() -> None:
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        run_until_stopped(work([], signal.SIGINT, "in a callback"))


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_handlers_that_are_put_back_leaves_neither_behind(
    first: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = signal.signal

    def and_then_one_comes(number: int, handler: Any) -> object:
        before = put(number, handler)
        if number == first and handler is interrupt:
            monkeypatch.undo()
            signal.raise_signal(first)
        return before

    async def nothing() -> None:
        monkeypatch.setattr(signal, "signal", and_then_one_comes)

    with (
        handled(signal.SIGINT, interrupt),
        handled(signal.SIGTERM, interrupt),
        pytest.raises(Interrupted),
    ):
        run_until_stopped(nothing())


def test_a_handler_that_lets_it_pass_does_not_make_up_a_result() -> None:
    with handled(signal.SIGTERM, note), pytest.raises(asyncio.CancelledError):
        run_until_stopped(work([], signal.SIGTERM, "in a callback"))


def test_work_that_nobody_stops_has_its_result_and_its_errors() -> None:
    async def well() -> int:
        return 7

    async def badly() -> None:
        raise ValueError("no")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert run_until_stopped(well()) == 7
    with pytest.raises(ValueError, match="no"):
        run_until_stopped(badly())
    with pytest.raises(asyncio.CancelledError):
        run_until_stopped(cancelled())


def test_beside_the_main_thread_no_handler_is_touched() -> None:
    async def of_a_sensor() -> None:
        found.append(signal.getsignal(signal.SIGINT))

    found: list[object] = []
    with handled(signal.SIGINT, interrupt):
        thread = threading.Thread(target=lambda: run_until_stopped(of_a_sensor()))
        thread.start()
        thread.join()
    assert found == [interrupt]
