"""Programs of the tests that fork a process for each line they read, so that their imports are done once."""

from __future__ import annotations

import atexit
import subprocess
import sys
from functools import cache


class Forks:
    """One such program, which ends with this process."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        atexit.register(self._process.communicate)

    def ask(self, line: str) -> str:
        """Send a line; the line that comes back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        return self._process.stdout.readline()


@cache
def forks(program: str) -> Forks:
    """The running program of that file; it is started once."""
    return Forks(program)
