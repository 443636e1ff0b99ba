"""Reading a pipe for no longer than a time; Windows waits for sockets alone, so there a thread reads."""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable
from typing import IO

from spinsweep import system

CHUNK_BYTES = 65536
REST_S = 0.1
"""For what lies in a pipe to be read."""


def first_line(pipe: IO[bytes], timeout_s: float) -> bytes | None:
    """The first line that comes through an unbuffered pipe: empty if its other end is closed, None if none comes.

    Whoever gets None has to end the process at the other end before the pipe is closed.
    """
    if system.POSIX:
        return pipe.readline() if select.select([pipe], [], [], timeout_s)[0] else None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    _in_a_thread(lambda: lines.put(pipe.readline()))
    return _next(lines, timeout_s)


def rest(pipe: IO[bytes]) -> bytes:
    """What lies in a pipe whose writer has ended. A child of that one may have it open still; nobody waits for it."""
    reader, parts = PipeReader(pipe.fileno()), []
    while part := reader.read(REST_S):
        parts.append(part)
    return b"".join(parts)


class PipeReader:
    """What comes through the pipe ``number``, which nobody else reads."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._read: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        if not system.POSIX:
            _in_a_thread(self._read_all)

    def read(self, timeout_s: float) -> bytes | None:
        """What has come: empty when the other end is closed, None if nothing comes in time."""
        if not system.POSIX:
            return _next(self._read, timeout_s)
        ready, _, _ = select.select([self._number], [], [], timeout_s)
        return os.read(self._number, CHUNK_BYTES) if ready else None

    def _read_all(self) -> None:
        received = b"."
        while received:
            try:
                received = os.read(self._number, CHUNK_BYTES)
            except OSError:  # the other end was killed
                received = b""
            self._read.put(received)


def _in_a_thread(target: Callable[[], object]) -> None:
    threading.Thread(target=target, name="pipe", daemon=True).start()


def _next(queued: queue.SimpleQueue[bytes], timeout_s: float) -> bytes | None:
    try:
        return queued.get(timeout=timeout_s)
    except queue.Empty:
        return None
