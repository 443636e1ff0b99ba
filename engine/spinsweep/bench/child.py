"""A child process, and what it said on its standard error before it ended."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import IO

from spinsweep.reaper_process import unmarked
from spinsweep.system import OWN_SESSION


def start(command: Sequence[str], *, bufsize: int = -1) -> tuple[subprocess.Popen[bytes], IO[str]]:
    """A child with a session of its own, which may outlive this process; and the file of its standard error.

    It is a file, for no pipe must wait for it; close it when the child has ended.
    """
    errors = TemporaryFile("w+", errors="replace")  # noqa: SIM115
    pipe = subprocess.PIPE  # where nobody else reads along
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=errors, **OWN_SESSION, env=unmarked(), bufsize=bufsize
    )
    return process, errors


def last_words(process: subprocess.Popen[bytes], errors: IO[str]) -> str:
    """Wait for the end of a child: the last line that it wrote to ``errors``, or its exit status; closes the file."""
    status = process.wait()
    with errors:
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line.strip()]
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return lines[-1].removeprefix("spinsweep: ") if lines else f"no word, but {how}"
