"""Commands under fire: started as a user starts them, or forked from this process, which has all loaded already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from tests.campaign.hook import sitecustomize
from tests.campaign.traces import marked

from spinsweep.cli import main

ROOT = Path(__file__).parents[2]
HOOK = Path(__file__).parent / "hook"
SPINSWEEP = (sys.executable, "-m", "spinsweep.cli")
TIMEOUT_S = 120.0  # seconds that anything may take
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{HOOK}", "PYTHONUNBUFFERED": "1"}


class Hung(AssertionError):
    """Something that had to end did not."""


def until(condition: Callable[[], object], what: str, seconds: float = TIMEOUT_S) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Hung(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


class Command:
    """A command that runs; what it says goes into a file."""

    def __init__(self, words: Sequence[object], log: Path, prefix: Sequence[str] = (), **environment: str) -> None:
        self.words = [str(word) for word in words]
        self.log = log
        with log.open("ab") as out:
            self.process = psutil.Popen(
                [*prefix, *SPINSWEEP, *self.words],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT, **environment},
            )
        self.pid: int = self.process.pid

    def signal(self, number: int) -> None:
        """To it alone."""
        self.process.send_signal(number)

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self.process.poll() is not None

    def wait(self, seconds: float = TIMEOUT_S) -> int:
        """Its status."""
        try:
            return int(self.process.wait(seconds))
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            raise Hung(f"{' '.join(self.words)}: does not end; it said: {self.said()}") from None

    def said(self) -> str:
        """The last of what it said."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def workers(self) -> list[psutil.Process]:
        """The worker processes that it started."""
        return [p for p in _children(self.pid) if "multiprocessing.spawn" in _line(p)]


class Fork(Command):
    """The same in a fork of this process: it begins at once, where a new one loads libraries for a second."""

    def __init__(self, words: Sequence[object], log: Path, nth: int = 0, folder: str = "", count: Any = None) -> None:
        self.words = [str(word) for word in words]
        self.log = log
        self.pid = os.fork()
        if self.pid == 0:
            self._be(nth, folder, count)
        self.process = psutil.Process(self.pid)
        self._status: int | None = None

    def _be(self, nth: int, folder: str, count: Any) -> None:
        status = 70
        try:
            os.setsid()
            out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            if folder:
                sitecustomize.arm(nth, folder, count=count)
            status = main(self.words)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def signal(self, number: int) -> None:
        """To it alone."""
        if not self.ended:
            os.kill(self.pid, number)

    @property
    def ended(self) -> bool:
        """Whether it has."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def wait(self, seconds: float = TIMEOUT_S) -> int:
        """Its status."""
        until(lambda: self.ended, f"the end of {' '.join(self.words)}", seconds)
        assert self._status is not None
        return self._status


def stop_for(pids: Sequence[int], seconds: float) -> None:
    """SIGSTOP, and after a while SIGCONT."""
    stopped = [pid for pid in pids if kill(pid, signal.SIGSTOP)]
    time.sleep(seconds)
    for pid in stopped:
        kill(pid, signal.SIGCONT)


def kill(pid: int, number: int) -> bool:
    """Send a signal to a process that may be gone; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def named(words: str) -> list[int]:
    """Processes of this campaign whose command line has these words."""
    return [p.pid for p in marked(set()) if words in _line(p)]


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
