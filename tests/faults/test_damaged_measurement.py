"""A measured cell whose chunk is damaged comes back from the bench's journal, and only when somebody says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

STORY = """
import sys
from pathlib import Path

from spinsweep.cli.app import main

RUN = "run characterization --on bench.toml --store m.zarr --workers 0"
RUN += " --set device=0,1 --set cycles=5 --set currents=4"
chunk = Path("m.zarr/r_write/c/0/0/0/0")


def fired():
    return sum('"fire"' in row for file in Path("state").rglob("*.jsonl") for row in file.open())


assert main(RUN.split()) == 0
whole, pulses = chunk.read_bytes(), fired()
assert pulses > 0
chunk.write_bytes(b"")
assert main("verify m.zarr".split()) == 1
assert main("verify m.zarr --repair".split()) == 0
assert main(RUN.split()) == 1  # one cell is failed, and nothing is measured
assert fired() == pulses
assert main([*RUN.split(), "--retry-failed"]) == 0
assert fired() == pulses
assert chunk.read_bytes() == whole
print("as it was")
"""


def test_damaged_readings_come_back_from_the_journal_without_a_pulse(tmp_path: Path) -> None:
    (tmp_path / "story.py").write_text(STORY)
    emulate = [sys.executable, "-m", "spinsweep.cli", "emulate"]
    told = subprocess.run(
        [*emulate, "bench.toml", "--speed", "1e5", "--run", f"{sys.executable} story.py"],
        cwd=tmp_path,
        env={**os.environ, "SPINSWEEP_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert "as it was" in told.stdout
    assert "the bench's journal" in told.stdout
