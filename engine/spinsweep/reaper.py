"""A command's side of its reaper; see :mod:`spinsweep.reaper_process`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from spinsweep import reaper_process, system
from spinsweep.printable import say
from spinsweep.reaper_process import RELAY

INTERRUPTED = 130  # exit status of what was told to end at once


class Reaper:
    """For a ``with`` around all that a command starts; on Windows it has no process, and ends and relays nothing.

    Parameters
    ----------
    relays_signals
        Whether it tells this process of signals: the work is done here, and native code may keep Python's handlers
        from running.
    """

    current: Reaper | None = None
    """That of this process."""

    def __init__(self, *, relays_signals: bool = False) -> None:
        self.relays_signals = relays_signals and system.POSIX
        self._token = uuid.uuid4().hex
        self.on_first: Callable[[], None] = lambda: None
        """Called in a thread when this process is told to end for the first time, if signals are relayed."""

    def __enter__(self) -> Reaper:
        if not system.POSIX:
            return self
        self._file = reaper_process.marked_file(self._token)
        mode = RELAY if self.relays_signals else ""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper_process.__file__, self._token, str(os.getpid()), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.relays_signals else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it may outlive this process, whose pipes must not wait for it
            **system.OWN_SESSION,
            env=reaper_process.unmarked(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        self._marking = reaper_process.marking(self._token)
        self._marking.__enter__()
        if self.relays_signals:
            pipe = self._process.stdin.fileno()
            os.set_blocking(pipe, False)
            self._wakeup = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, name="reaper", daemon=True).start()
        Reaper.current = self
        return self

    def __exit__(self, *exc: object) -> None:
        if not system.POSIX:
            return
        Reaper.current = None
        if self.relays_signals:
            signal.set_wakeup_fd(self._wakeup)
        self._marking.__exit__(None, None, None)
        os.close(self._file)
        assert self._process.stdin is not None
        with suppress(OSError, subprocess.TimeoutExpired), self._process.stdin as pipe:  # it may have been killed
            pipe.write(bytes([reaper_process.END]))
            self._process.wait(2 * reaper_process.KILL_TIMEOUT_S)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for word in pipe:
                if word == reaper_process.FIRST:
                    self.on_first()
                elif word == reaper_process.SECOND:
                    with suppress(OSError):
                        say("\nspinsweep: interrupted; run the same command again to continue", error=True)
                    os._exit(INTERRUPTED)

    @contextmanager
    def terminal_blocked(self) -> Iterator[None]:
        """What a terminal sends does not reach processes that this thread starts; the thread that listens gets it."""
        with system.masked(system.TERMINAL_SIGNALS):
            yield
