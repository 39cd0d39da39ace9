"""A command run to its end as a process of its own, watched from outside: what it is made of is not changed by it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """A process at one instant (Unix time): the CPU seconds it has used on all cores, what it holds of memory, and the
    most it has held; 0: not known.
    """

    at: float
    cpu_s: float
    rss_mb: int
    peak_rss_mb: int


@dataclass(frozen=True)
class Watched:
    """A process that has ended. `samples` are empty where there is no /proc, or it ended at once.

    Where they do not tell the most it held, `peak_rss_mb` is the kernel's word for the process, which is at least what
    this one held when it began the other.
    """

    began: float
    ended: float
    cpu_s: float
    peak_rss_mb: int
    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> float:
        return self.ended - self.began

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds used between two instants, to the nearest sample."""
        if not self.samples:
            return 0.0
        times = [sample.at for sample in self.samples]
        first, last = (min(bisect_left(times, instant), len(times) - 1) for instant in (start, end))
        return self.samples[last].cpu_s - self.samples[first].cpu_s

    def rss_between(self, start: float, end: float) -> int:
        """The most it held between two instants, in MB, as sampled."""
        return max((sample.rss_mb for sample in self.samples if start <= sample.at <= end), default=0)


def watch(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Watched:
    """Runs a command in `folder`, its words into `log`; ends the benchmark with them if it fails."""
    samples, done = list[Sample](), threading.Event()
    began = time.time()
    with log.open("wb") as words:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=words, stderr=words)  # noqa: S603 - ours
        sampler = threading.Thread(target=_sample, args=(process.pid, samples, done))
        sampler.start()
        _, status, used = os.wait4(process.pid, 0)
        ended = time.time()
        done.set()
        sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{log.read_text()}\n{command[-1]} failed with status {process.returncode}")
    peak_rss_mb = max((sample.peak_rss_mb for sample in samples), default=0) or used.ru_maxrss // 1024
    return Watched(began, ended, used.ru_utime + used.ru_stime, peak_rss_mb, tuple(samples))


def _sample(pid: int, samples: list[Sample], done: threading.Event) -> None:
    stat, status = Path(f"/proc/{pid}/stat"), Path(f"/proc/{pid}/status")
    while not done.wait(SAMPLE_S):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            peak = _PEAK.search(status.read_text())
        except OSError:
            return
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        peak_mb = int(peak[1]) // 1024 if peak else 0
        samples.append(Sample(time.time(), cpu_s, int(fields[21]) * _PAGE_BYTES // 2**20, peak_mb))
