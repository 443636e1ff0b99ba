"""Telling somebody how a run goes: by a command, such as mail, or a webhook."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import threading
import time
import urllib.request
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from spinsweep.errors import SpecError, SpinsweepError
from spinsweep.printable import one_line, said, say
from spinsweep.progress import duration
from spinsweep.runs import Run

TIMEOUT_S = 60.0
"""That telling may take; it is given up then."""
STUCK_S = 600.0  # without a cell that ended, and
STUCK_TIMES = 10  # as many times as long as it took between two of them at the longest, before a run is stuck


class Hook:
    """Around a run, for a ``with``: somebody is told of its first failure, that it is stuck, and of its end.

    Parameters
    ----------
    target : a command, which gets one line on its standard input, or the ``https:`` address of a webhook, which gets
        ``{"text": LINE}`` as JSON
    what : the run, in words

    Raises
    ------
    SpecError
        There is no such command; before the run has begun.
    """

    def __init__(self, target: str, what: str) -> None:
        self._url = target if urlsplit(target).scheme in ("http", "https") else ""
        try:
            self._words = [] if self._url else shlex.split(target)
        except ValueError as error:
            raise SpecError(f"--notify {target}: cannot be run ({error})") from None
        if not self._url and (not self._words or shutil.which(self._words[0]) is None):
            raise SpecError(f"--notify {target}: cannot be run; give a command that the shell finds, and its words")
        self._what = what
        self._outcome = ""
        self._threads: list[threading.Thread] = []
        self._failed = self._stuck = False
        self._ended_cells, self._ended_at, self._longest = 0, time.monotonic(), 0.0

    def update(self, run: Run) -> None:
        """Tell of what is new and matters; cheap enough to be called for every block."""
        progress, now = run.progress, time.monotonic()
        if progress.cells_failed and not self._failed:
            self._failed = True
            self._tell_meanwhile(f"the first cell failed: {one_line(progress.last_error)}")
        if progress.cells_ended != self._ended_cells:
            self._longest = max(self._longest, now - self._ended_at)
            if self._stuck:
                self._tell_meanwhile("it goes on")
            self._ended_cells, self._ended_at, self._stuck = progress.cells_ended, now, False
        elif not self._stuck and now - self._ended_at > max(STUCK_S, STUCK_TIMES * self._longest):
            self._stuck = True
            waits = f"; it waits for {progress.waiting}" if progress.waiting else ""
            self._tell_meanwhile(f"no cell has ended for {duration(now - self._ended_at)}{one_line(waits)}")

    def ended(self, outcome: str) -> None:
        """The run has ended so, without an error."""
        self._outcome = outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = self._outcome
        if error is not None:
            text = str(error) if isinstance(error, SpinsweepError) else said(error)
            outcome = "stopped" if isinstance(error, KeyboardInterrupt) else one_line(text)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self._tell(outcome)

    def _tell_meanwhile(self, text: str) -> None:
        thread = threading.Thread(target=self._tell, args=(text,), name="notify", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _tell(self, text: str) -> None:
        line = f"spinsweep: {self._what}: {text}"
        try:
            if self._url:
                body = json.dumps({"text": line}).encode()
                request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
                urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
                return
            done = subprocess.run(self._words, input=f"{line}\n".encode(), timeout=TIMEOUT_S, check=False)
        except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
            say(f"spinsweep: --notify: nobody was told: {one_line(str(problem))}", error=True)
            return
        if done.returncode:
            say(f"spinsweep: --notify: {self._words[0]} ended with status {done.returncode}", error=True)
