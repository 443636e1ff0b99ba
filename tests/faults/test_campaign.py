"""A handful of the faults of ``make test-faults``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("count", ["3", pytest.param("6", marks=pytest.mark.slow)])
def test_after_a_handful_of_random_faults_every_number_is_right_and_nothing_is_left(count: str) -> None:
    environment = {**os.environ, "SEED": "1", "COUNT": count, "ONLY": "serial"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0  wrong, lost or left behind" in done.stdout


@pytest.mark.slow
def test_the_campaign_finds_a_cell_that_is_wrong(tmp_path: Path) -> None:
    """It would be worth nothing if it could not fail."""
    words = f"""
from pathlib import Path
import numpy as np, xarray as xr
import spinsweep
from tests.campaign.cells import SWEEP, Wrong, look
store = Path({str(tmp_path / "wrong.zarr")!r})
spinsweep.run(SWEEP, store)
assert look(store) == 16
found = xr.open_zarr(store).load()
found.y[1, 2] += 1e-9
found[["y"]].drop_vars(["x", "seed"]).to_zarr(store, region={{"x": slice(None), "seed": slice(None)}}, mode="r+")
try:
    look(store)
except Wrong as wrong:
    print(wrong)
"""
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "cell x=1 seed=2 is done, and y is" in done.stdout, done.stdout + done.stderr
