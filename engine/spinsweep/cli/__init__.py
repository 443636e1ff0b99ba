"""The command line: one file a verb. This one imports nothing heavy, so that Ctrl-C while others load is quiet."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None, *, until_exit: bool = False) -> int:
    """Run the command line; returns the exit status: 0 done, 1 not all done, 2 a mistake in what was asked.

    Parameters
    ----------
    until_exit : whether the process ends with that; it does not hear then what tells it to end a second time
    """
    try:
        from spinsweep.cli.app import main as run

        return run(arguments, until_exit=until_exit)
    except KeyboardInterrupt:
        return _interrupted()


def _interrupted() -> int:
    print("spinsweep: interrupted", file=sys.stderr)  # noqa: T201 - nothing else may be loaded yet
    return 130


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt  # while modules load, SIGTERM is what Ctrl-C is


def script() -> None:
    """Entry point of the command ``spinsweep``."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is None:  # closed, as by `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        else:
            stream.reconfigure(errors="backslashreplace")  # of a terminal that has no ×, say
    try:
        from spinsweep.cli.terminal import outlive_terminal

        outlive_terminal()
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    sys.exit(main(until_exit=True))
