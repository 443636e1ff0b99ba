"""Public drivers in an environment of their own, against emulated instruments with recorders on their wires."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from wire_recorder import Recorder, first_difference, told

from emulator.two_resistors import Resistors, described
from instrument_emulator.control import Control
from instrument_emulator.server import Emulator

FOLDER = Path(__file__).parent
PYTHON = FOLDER.parents[1] / ".venv-drivers" / "bin" / "python"
RECORDINGS = FOLDER / "recordings"


class Bench:
    """Emulated instruments, each behind a recorder; one device, of 1 kOhm and 1 ohm at the meter."""

    def __init__(self, emulator: Emulator, control: Control) -> None:
        self.control = control
        self.lines: list[str] = []
        lock = threading.Lock()
        self._recorders = {
            role: Recorder(role, port.address, self.lines, lock) for role, port in emulator.ports.items()
        }
        self.addresses = {
            role: f"TCPIP0::127.0.0.1::{recorder.port}::SOCKET" for role, recorder in self._recorders.items()
        }

    def run(self, script: str, *words: str) -> Any:
        """What a script of the drivers' environment prints last, as JSON; for a role it gets an address."""
        command = [str(PYTHON), str(FOLDER / "scripts" / script), *(self.addresses.get(w, w) for w in words)]
        return json.loads(self.output(command).splitlines()[-1])

    def output(self, words: Sequence[str], typed: str = "") -> str:
        """What a command prints; it has to end well."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "QCODES"))}
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=clean, check=False, input=typed)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        for recorder in self._recorders.values():
            recorder.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Skips where the drivers' environment is not there; in CI it has to be."""
    if not (FOLDER.parents[1] / ".venv-drivers" / ".ready").exists():
        said = "PUBLIC DRIVERS ARE NOT TESTED: `make test-drivers` makes their environment"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    with Emulator(described(switch=False), Resistors()) as emulator, Control(emulator.control.port) as control:
        running = Bench(emulator, control)
        yield running
        running.close()


@pytest.fixture
def recorded(bench: Bench, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compares what went over the wires with a recording that is kept; ``SPINSWEEP_RECORD=1`` keeps it anew."""

    def compare(name: str) -> None:
        file = RECORDINGS / f"{name}.txt"
        if os.environ.get("SPINSWEEP_RECORD"):
            file.write_text(told(bench.lines))
        difference = first_difference(bench.lines, file.read_text().splitlines())
        assert not difference, f"{file.name}: {difference}; SPINSWEEP_RECORD=1 records anew"

    return compare
