"""A command's side of its warden; see :mod:`spinsweep.leftovers`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from spinsweep import leftovers
from spinsweep.interrupts import TERMINALS
from spinsweep.printable import say

INTERRUPTED = 130  # exit status of what was told to end at once


class Warden:
    """For a ``with`` around all that a command starts.

    Parameters
    ----------
    deaf
        Whether the work is done in this process, where native code may keep the second Ctrl-C from being heard.
    """

    here: Warden | None = None
    """That of this process."""

    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf
        self._token = uuid.uuid4().hex
        self.on_first: Callable[[], None] = lambda: None
        """Called in a thread when a deaf driver is told to end for the first time."""

    def __enter__(self) -> Warden:
        self._file = leftovers.marked_file(self._token)
        how = "deaf" if self.deaf else ""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", leftovers.__file__, self._token, str(os.getpid()), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.deaf else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it may outlive this process, whose pipes must not wait for it
            start_new_session=True,
            env=leftovers.unmarked(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        self._marking = leftovers.marking(self._token)
        self._marking.__enter__()
        if self.deaf:
            ear = self._process.stdin.fileno()
            os.set_blocking(ear, False)
            self._wakeup = signal.set_wakeup_fd(ear, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, name="warden", daemon=True).start()
        Warden.here = self
        return self

    def __exit__(self, *exc: object) -> None:
        Warden.here = None
        if self.deaf:
            signal.set_wakeup_fd(self._wakeup)
        self._marking.__exit__(None, None, None)
        os.close(self._file)
        assert self._process.stdin is not None
        with suppress(OSError, subprocess.TimeoutExpired), self._process.stdin as pipe:  # it may have been killed
            pipe.write(bytes([leftovers.END]))
            self._process.wait(2 * leftovers.LAST)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for word in pipe:
                if word == leftovers.FIRST:
                    self.on_first()
                elif word == leftovers.SECOND:
                    with suppress(OSError):
                        say("\nspinsweep: interrupted; the same command goes on", error=True)
                    os._exit(INTERRUPTED)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What a terminal sends does not reach processes that this thread starts; the thread that listens gets it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
