"""What a cell prints, kept for the case that it fails, while it goes where it always goes.

Only what goes through ``sys.stdout`` and ``sys.stderr`` of this process is kept: not what native code prints, nor a
program that a cell starts.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONGEST = 10_000
"""Characters that are kept: the last."""
_STREAMS = ("stdout", "stderr")
_lock = threading.Lock()  # for what is installed
_tails: dict[int, Tail] = {}
"""What each thread that computes cells wrote."""


class Tail:
    """The last characters of a text that grows."""

    def __init__(self) -> None:
        self._parts: deque[str] = deque()
        self._size = 0

    def write(self, text: str) -> None:
        """Add some."""
        self._parts.append(text[-LONGEST:])
        self._size += len(self._parts[-1])
        while self._size - len(self._parts[0]) >= LONGEST:
            self._size -= len(self._parts.popleft())

    def clear(self) -> None:
        """Begin anew."""
        self._parts.clear()
        self._size = 0

    @property
    def text(self) -> str:
        """At most ``LONGEST`` characters."""
        return "".join(list(self._parts))[-LONGEST:]


class _Tee:
    """A stream of this process that also writes to the tail of the thread at work."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> Any:
        tail = _tails.get(threading.get_ident())
        if tail is None and len(_tails) == 1:  # a thread that the only cell at work has started
            tail = next(iter(_tails.values()), None)
        if tail is not None and isinstance(text, str):
            tail.write(text)
        return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def captured() -> Iterator[Tail]:
    """Keep what this thread writes inside."""
    thread, tail = threading.get_ident(), Tail()
    with _lock:
        if not _tails:
            for name in _STREAMS:
                if (stream := getattr(sys, name)) is not None:
                    setattr(sys, name, _Tee(stream))
        before = _tails.get(thread)
        _tails[thread] = tail
    try:
        yield tail
    finally:
        with _lock:
            if before is None:
                del _tails[thread]
            else:
                _tails[thread] = before
            for name in _STREAMS if not _tails else ():
                if isinstance(stream := getattr(sys, name), _Tee):
                    setattr(sys, name, stream.stream)


def printed_by(thread: threading.Thread) -> str:
    """What a thread that computes cells has written for the one in hand."""
    tail = _tails.get(thread.ident or 0)
    return "" if tail is None else tail.text
