"""A command that tells somebody how a run ended: mail, a webhook, a sound."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from types import TracebackType
from typing import Self

from spinsweep.errors import SpecError, SpinsweepError
from spinsweep.printable import one_line, said, say

TIMEOUT_S = 60.0
"""That the command may take; it is ended then."""


class Hook:
    """Around a run, for a ``with``: the command is run at its end, with one line on its standard input.

    Raises
    ------
    SpecError
        There is no such command; before the run has begun.
    """

    def __init__(self, command: str, what: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise SpecError(f"--notify {command}: cannot be run ({error})") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise SpecError(f"--notify {command}: cannot be run; give a command that the shell finds, and its words")
        self._what = what
        self._outcome = ""

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
        line = f"spinsweep: {self._what}: {outcome}\n".encode()
        try:
            done = subprocess.run(self._words, input=line, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            say(f"spinsweep: --notify: nobody was told: {one_line(str(problem))}", error=True)
            return
        if done.returncode:
            say(f"spinsweep: --notify: {self._words[0]} ended with status {done.returncode}", error=True)
