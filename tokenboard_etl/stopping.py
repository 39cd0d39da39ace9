"""Work on an event loop that SIGINT and SIGTERM end at any moment."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
Handler = Callable[[int, FrameType | None], object]


class _Stop:
    """Stands in for the handlers of both signals. What is ignored or left to the system stays so."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._came: int | None = None
        known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._handlers: dict[int, Handler] = {number: each for number, each in known.items() if callable(each)}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Cancels the work. A second one, and one that meets the work itself in Python, has its own effect at once."""
        task, first, self._came = self._task, self._came is None, number
        if task:
            task.get_loop().call_soon_threadsafe(task.cancel)
        if not first or (task and asyncio.current_task(task.get_loop()) is task):
            self._handlers[number](number, frame)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        try:
            for number in self._handlers:
                signal.signal(number, self)
            yield
        finally:
            try:
                self._restore()
            finally:
                self._restore()  # whole, if a handler that was back already has raised

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    async def cancelling(self, work: Coroutine[Any, Any, T]) -> T:
        """The work, from when it begins to its end."""
        self._task = asyncio.current_task()
        try:
            if self._came is not None:
                work.close()
                raise asyncio.CancelledError
            return await work
        finally:
            self._task = None

    def take_effect(self) -> None:
        if self._came is not None:
            signal.raise_signal(self._came)


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, and a signal to stop is not lost: the work is cancelled, then the signal has its own effect.

    Dagster's handlers raise, and what they raise in a callback of the loop's own the loop reports and forgets.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        return asyncio.run(work)
    stop = _Stop()
    try:
        with stop.in_place():
            result = asyncio.run(stop.cancelling(work))
    except BaseException:  # cancelled, or failed as it was
        stop.take_effect()
        raise
    stop.take_effect()
    return result
