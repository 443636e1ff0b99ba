"""``spinsweep emulate`` as a user starts it: a process that serves the instruments of a bench file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instrument_emulator.control import Control


@contextmanager
def emulating(bench: Path, *options: str) -> Iterator[Control]:
    """Its control port; it writes the bench file if there is none."""
    command = [sys.executable, "-m", "spinsweep.cli", "emulate", str(bench), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        ready = next(line for line in process.stdout if "control port " in line)
        with Control(int(ready.split("control port ")[1].split(";")[0])) as control:
            yield control
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
