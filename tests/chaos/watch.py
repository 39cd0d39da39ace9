"""What a command does to its files and providers, seen from within; at one moment it is killed, or something else is.

A moment is named by what was done last, not by the clock alone: a slower machine meets the same ones.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chaos.kills import Moment
from chaos.sagas import die

BEGIN, CONNECTED = "begin", "socket.connect"
"""The sign every command gives first, and one that names no file."""

_NAMED_BY = {
    "open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.utime": 0, "sqlite3.connect": 0, CONNECTED: None,
}  # fmt: skip
"""Events of Python, and which argument names the file; os.utime follows each of Dagster's records of a run."""

_BRIEFLY_S = 0.02


class Seen(NamedTuple):
    """A sign, and when it was given."""

    sign: str
    at_s: float


class Watch:
    """Called in a process before the command; at the moment it acts: by default, the process is killed."""

    def __init__(self, home: Path, told: Path, moment: Moment | None = None, act: Callable[[], object] = die) -> None:
        self._home, self._told, self._moment, self._act = str(home), told, moment, act
        self._seen, self._counts = list[Seen](), Counter[str]()

    def __call__(self) -> None:
        self._began = time.monotonic()
        self._note(BEGIN)
        sys.addaudithook(self._hook)
        atexit.register(self._tell)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _NAMED_BY or (event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
            return
        position = _NAMED_BY[event]
        if position is None:
            self._note(event)
        elif (path := str(args[position])).startswith(f"{self._home}/"):
            self._note(f"{event} {path.removeprefix(self._home).split('/')[1].partition('.')[0]}")

    def _note(self, sign: str) -> None:
        self._seen.append(Seen(sign, time.monotonic() - self._began))
        self._counts[sign] += 1
        moment = self._moment
        if moment and (sign, self._counts[sign]) == (moment.sign, moment.count):
            if moment.delay_s:
                timer = threading.Timer(moment.delay_s, self._act)
                timer.daemon = True  # a command that is done is not waited for
                timer.start()
            else:
                self._act()

    def _tell(self) -> None:
        self._told.write_text(json.dumps([*self._seen, Seen("end", time.monotonic() - self._began)]))


def signs_in(told: Path) -> list[Seen]:
    """What a process that came to its end had seen."""
    return [Seen(*each) for each in json.loads(told.read_text())]


def a_moment(drawn: random.Random, seen: Sequence[Seen]) -> Moment:
    """Half of them anywhere in the time a run takes, half right before something is done, each kind as often."""
    counts = Counter(each.sign for each in seen[:-1])
    if drawn.random() < 1 / 2:
        sign = drawn.choice(sorted(counts))
        return Moment(sign, drawn.randint(1, counts[sign]), drawn.choice((0, drawn.uniform(0, _BRIEFLY_S))))
    at_s = drawn.uniform(0, seen[-1].at_s)
    before = [each for each in seen[:-1] if each.at_s <= at_s]
    last = before[-1]
    return Moment(last.sign, sum(each.sign == last.sign for each in before), at_s - last.at_s)


def while_it_asks(seen: Sequence[Seen]) -> Sequence[Seen]:
    """What was seen until a provider was connected to for the last time; all of it where none was."""
    connected = [number for number, each in enumerate(seen) if each.sign == CONNECTED]
    return seen[: connected[-1] + 2] if connected else seen
