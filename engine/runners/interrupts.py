"""Ctrl-C or SIGTERM as a request to end soon, and a second one as a demand to end now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The first Ctrl-C or SIGTERM is noted, for the loop to end at its next step; the second interrupts at once.

    Nothing is raised from a signal handler the first time: it could hit a lock of Dask's client half-way.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._main = threading.current_thread() is threading.main_thread()
        self._before: list[Any] = []

    def __enter__(self) -> Interrupts:
        if self._main:
            self._before = [signal.signal(number, self._handle) for number in SIGNALS]
        return self

    def __exit__(self, *exc: object) -> None:
        if self._main:
            for number, before in zip(SIGNALS, self._before, strict=True):
                signal.signal(number, before)

    def _handle(self, *_: object) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C waits until the block has ended; processes and threads started inside never see it.

    A terminal sends it to the whole process group, and only the driver is to act on it.
    """
    resource_tracker.ensure_running()  # it would let signals in again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
