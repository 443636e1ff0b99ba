"""``spinsweep paper`` as a user meets it: interrupted, gone on with, compared with the table in the repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from spinneurons.paper.claim import Verdict
from spinneurons.paper.claims import CLAIMS
from spinneurons.paper.plan import SWEEPS

RESULTS = Path(__file__).parents[3] / "results/paper"
PAPER = (sys.executable, "-m", "spinsweep.cli", "paper", "--quick", "--out", "paper")
DECIDED = {Verdict.REPRODUCED, Verdict.DIFFERS}


def test_the_verb_tells_what_it_does_and_takes_no_nonsense(tmp_path: Path) -> None:
    shown = subprocess.run([*PAPER[:4], "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
    wrong = subprocess.run([*PAPER[:4], "--slow"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "Example:  spinsweep paper --quick" in shown.stdout
    assert wrong.returncode == 2
    assert "No such option: --slow" in wrong.stderr
    assert list(tmp_path.iterdir()) == []


MINE = """
from spinsweep import Axis, Output, Sweep, cell

@cell
def one(x):
    return x * 1

MINE = Sweep("mine", "Mine", (Axis("x", (0.0, 1.0)),), (Output("y"),), one)
"""
COMPLETE = """
from pathlib import Path
from spinneurons.paper.commands import _complete
from spinneurons.paper.plan import PlannedSweep
print(_complete(PlannedSweep("mine.py:MINE", ()), Path("."), "serial", None, quick=True))
"""


def test_cells_of_other_code_are_said_before_anything_is_judged_by_them(tmp_path: Path) -> None:
    said = []
    for text in (MINE, MINE.replace("x * 1", "x * 2")):
        (tmp_path / "mine.py").write_text(text)
        words = (sys.executable, "-B", "-c", COMPLETE)
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout.endswith("True\n")
        said.append(done.stderr)
    assert "other code" not in said[0]
    assert "2 cells that are there were computed by other code (mine.one changed)" in said[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_quick_version_goes_on_after_ctrl_c_and_agrees_with_the_table_in_the_repository(tmp_path: Path) -> None:
    first = subprocess.Popen(PAPER, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (tmp_path / "paper/cubes/hil.zarr/runs").exists():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGINT)
    said = first.communicate(timeout=300)[0]
    assert first.returncode != 0
    assert "Traceback" not in said
    assert not (tmp_path / "paper/report.html").exists()

    second = subprocess.run(PAPER, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1500)
    assert second.returncode == 0, second.stderr
    assert "(0 in this run" in second.stdout
    for planned in SWEEPS:
        cube = xr.open_zarr(planned.store(tmp_path / "paper"))
        assert bool((cube["cell_state"] == 1).all())

    quick, full = (
        {row["id"]: row for row in json.loads((folder / "claims.json").read_text())}
        for folder in (tmp_path / "paper", RESULTS)
    )
    assert list(quick) == [claim.id for claim in CLAIMS]
    for claim in CLAIMS:
        one, other = quick[claim.id], full[claim.id]
        assert one["low"] <= other["high"], f"{claim.id}: {one} {other}"
        assert other["low"] <= one["high"], f"{claim.id}: {one} {other}"
        assert one["verdict"] == other["verdict"] or not {one["verdict"], other["verdict"]} <= DECIDED, claim.id
