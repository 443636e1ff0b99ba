"""A terminal that may be closed while a command goes on, which then writes to nobody."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from spinsweep.system import POSIX


class _Closable(io.FileIO):
    """A terminal; once it is gone, what is written to it is dropped."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            nobody = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nobody, self.fileno())
            os.close(nobody)
            return len(data)


def outlive_terminal() -> None:
    """Let the standard streams that are a terminal fall silent, instead of raising, when it is closed.

    A job that a shell has disowned goes on then, and one that gets its SIGHUP ends as after SIGTERM.
    """
    if not POSIX:  # a console there takes no bytes, and ends its programs with it
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            raw = io.BufferedWriter(_Closable(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True))
