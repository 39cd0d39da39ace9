"""The clock of one process: wrong from its start, or from one moment on. What a process waits by goes on as ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import time_machine


class Clock:
    """Called in a process before the command; makes the file `jumped` when the clock has become wrong.

    `watch` is given what makes it jump and calls it at its moment.
    """

    def __init__(
        self,
        now: datetime,
        jump: timedelta,
        jumped: Path,
        watch: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
    ) -> None:
        self._now, self._jump, self._jumped, self._watch = now, jump, jumped, watch

    def __call__(self) -> None:
        self._clock = time_machine.travel(self._now).start()
        if self._watch:
            self._watch(self._jumps)()
        else:
            self._jumps()

    def _jumps(self) -> None:
        self._clock.shift(self._jump)
        self._jumped.touch()
