"""A signal to stop, at whatever moment it comes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

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


async def work(stopped: list[str], number: signal.Signals, moment: str) -> str:
    loop = asyncio.get_running_loop()
    try:
        if moment == "in a callback":
            loop.call_soon(signal.raise_signal, number)
        elif moment == "in the work":
            signal.raise_signal(number)
        else:
            loop.call_soon(loop.call_soon, signal.raise_signal, number)
            await asyncio.sleep(0)
        if moment != "at its end":
            await asyncio.Event().wait()
    finally:
        stopped.append("cleaned up")
    return "done"


STOPS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
MOMENTS = pytest.mark.parametrize("moment", ["in a callback", "in the work", "at its end"])


@STOPS
@MOMENTS
def test_work_that_is_stopped_cleans_up_and_ends_as_the_handler_has_it(number: signal.Signals, moment: str) -> None:
    stopped: list[str] = []
    with handled(number, interrupt), pytest.raises(Interrupted):
        run_until_stopped(work(stopped, number, moment))
    assert stopped == ["cleaned up"]


def test_without_a_handler_of_its_own_it_is_a_keyboard_interrupt() -> None:
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        run_until_stopped(work([], signal.SIGINT, "in a callback"))


def test_a_handler_that_lets_it_pass_does_not_make_up_a_result() -> None:
    with handled(signal.SIGTERM, note), pytest.raises(KeyboardInterrupt):
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
