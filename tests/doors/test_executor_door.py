"""An executor of another package: one file and one entry point, and nothing of the house is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

PACKAGE = Path(__file__).parent / "executor_package"
EXAMPLES = Path(__file__).parents[1] / "engine" / "examples.py"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python in which the package is installed, as pip would do it."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(PACKAGE)], check=True, cwd=tmp_path)
    return {**os.environ, "PYTHONPATH": str(site)}


def spinsweep(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "spinsweep.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_an_executor_of_another_package_runs_a_sweep_by_its_name_and_gives_the_same_bits(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    cubes = []
    for executor in ("threads", "serial"):
        store = str(tmp_path / f"{executor}.zarr")
        done = spinsweep(installed, "run", f"{EXAMPLES}:GRID", "--store", store, "--executor", executor)
        assert done.returncode == 0, done.stderr
        cubes.append(xr.open_zarr(store).load())
        assert ("on 2 threads of this process" in done.stderr) == (executor == "threads")
    for name in ("sum", "noise", "cell_state", "cell_code"):
        np.testing.assert_array_equal(cubes[0][name].values, cubes[1][name].values)


def test_without_the_package_its_executor_is_unknown_and_the_message_names_those_that_there_are(
    tmp_path: Path,
) -> None:
    done = spinsweep(dict(os.environ), "run", f"{EXAMPLES}:GRID", "--executor", "threads")

    assert done.returncode == 2
    assert done.stderr == "spinsweep: there is no executor 'threads'; installed are dask, processes, serial\n"
