"""``spinsweep emulate``: a process that serves the instruments of a bench file.

Run as a program it reads commands, a line each, and forks a process for each of them: what takes longest at the start
of the command, its imports, is done once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from instrument_emulator.control import Control
from spinsweep.cli import main


@contextmanager
def emulating(bench: Path, *options: str) -> Iterator[Control]:
    """Its control port; it writes the bench file if there is none."""
    with TemporaryDirectory() as folder:
        pipe = f"{folder}/said"
        os.mkfifo(pipe)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # it does not wait for who writes
        process = _forked({"words": [str(bench), *options], "said": pipe})
        os.set_blocking(reading, True)
        with os.fdopen(reading) as said:
            try:
                ready = next(line for line in said if "control port " in line)
                with Control(int(ready.split("control port ")[1].split(";")[0])) as control:
                    yield control
            finally:
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
                    process.wait(20)


def _forked(command: dict[str, object]) -> psutil.Process:
    from tests.forks import forks  # late: as a program this file finds none of the tests

    here = {"folder": str(Path.cwd()), "environment": dict(os.environ)}
    return psutil.Process(int(forks(__file__).ask(json.dumps({**command, **here}))))


def _emulate(words: Sequence[str], folder: str, environment: dict[str, str]) -> int:
    """The command, as if this process had begun there with this environment."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return main(["emulate", *words])


if __name__ == "__main__":
    import spinneurons.device.commands  # noqa: F401 - it takes longest

    nothing = os.open(os.devnull, os.O_RDONLY)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that ended leave nothing
    for line in sys.stdin:
        asked = json.loads(line)
        writing = os.open(asked["said"], os.O_WRONLY)
        if (child := os.fork()) == 0:
            os.dup2(nothing, sys.stdin.fileno())
            os.dup2(writing, sys.stdout.fileno())
            status = 1
            try:
                status = _emulate(asked["words"], asked["folder"], asked["environment"])
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        os.close(writing)
        print(child, flush=True)
