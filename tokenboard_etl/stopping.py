"""Work on an event loop that SIGINT and SIGTERM end at any moment."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class _Stop:
    """Cancels the task it is told of once a signal comes, which `came` then holds."""

    came: int | None = None
    task: asyncio.Task[Any] | None = None

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.came = number
        if self.task:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, and a signal to stop is not lost: the work is cancelled, then the signal's own handler is called.

    Dagster's handlers raise, and what they raise in a callback of the loop's own the loop reports and forgets.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        return asyncio.run(work)
    stop, result = _Stop(), list[T]()
    with _handled_by(stop):
        try:
            result.append(asyncio.run(_cancelled_by(stop, work)))
        except asyncio.CancelledError:
            if stop.came is None:
                raise
    if stop.came is not None:
        signal.raise_signal(stop.came)
    if not result:
        raise KeyboardInterrupt  # the handler let it pass, but there is nothing to go on with
    return result[0]


@contextmanager
def _handled_by(stop: _Stop) -> Iterator[None]:
    """What is ignored or left to the system stays so."""
    handlers = {each: known for each in (signal.SIGINT, signal.SIGTERM) if callable(known := signal.getsignal(each))}
    try:
        for each in handlers:
            signal.signal(each, stop)
        yield
    finally:
        for each, known in handlers.items():
            signal.signal(each, known)


async def _cancelled_by(stop: _Stop, work: Coroutine[Any, Any, T]) -> T:
    stop.task = asyncio.current_task()
    try:
        if stop.came is not None:
            work.close()
            raise asyncio.CancelledError
        return await work
    finally:
        stop.task = None
