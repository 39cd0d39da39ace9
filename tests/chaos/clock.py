"""The clock of one process: wrong from its start, or from one moment on. What a process waits by goes on as ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import time_machine


class Clock:
    """Called in a process before the command. `watch` is given what makes the clock jump and calls it at its moment."""

    def __init__(
        self, now: datetime, jump: timedelta, watch: Callable[[Callable[[], None]], Callable[[], None]] | None = None
    ) -> None:
        self._now, self._jump, self._watch = now, jump, watch

    def __call__(self) -> None:
        at_first = self._now if self._watch else self._now + self._jump
        self._clock = time_machine.travel(at_first).start()
        if self._watch:
            self._watch(self._jumps)()

    def _jumps(self) -> None:
        self._clock.shift(self._jump)
