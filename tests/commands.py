"""`tokenboard` as a process of its own, without the seconds in which Python imports it.

A server that has imported everything forks for each call: it has its own process, folder, environment, input, output
and exit status. How the installed script itself starts is seen in `test_locks.py`, `proof/test_reruns.py`, `chaos` and
wherever a process is watched while it runs.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tokenboard_etl.cli", "assets.run"])
_STANDARD = ("in", "out", "err")


def tokenboard(
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str | bytes = "",
    timeout_s: float = 300,
    first: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end in this environment, which holds nothing else, and this folder.

    `first` is called in the process before the command is. Raises TimeoutError, with the process killed, if it hangs.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in _STANDARD]
        streams[0].write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        args = (arguments, dict(env), str(cwd), [str(each) for each in streams], first)
        process = _FORKS.Process(target=_become, args=args)
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{arguments} hangs")
        out, err = (path.read_bytes().decode() if path.exists() else "" for path in streams[1:])
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def forked(target: Callable[..., None], *arguments: object) -> ForkServerProcess:
    """A process of its own that runs a function of a test module, started."""
    process = _FORKS.Process(target=target, args=arguments)
    process.start()
    return process


def _become(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    streams: Sequence[str],
    first: Callable[[], None] | None,
) -> None:
    """Runs in the fork: nothing of the server's surroundings is left to the command."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing put another in its place
    sys.argv = ["tokenboard", *arguments]
    from tokenboard_etl.cli import main

    try:
        if first is not None:
            first()
        main()
    finally:
        atexit._run_exitfuncs()  # a fork of multiprocessing leaves them out
