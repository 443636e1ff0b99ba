"""No cell runs in the driver: the cells whose time chooses the blocks have a process of their own, and are kept."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from examples import GRID
from sampled_cells import FAILING, TRACED, with_processes

from spinsweep import Axis, Output, Parameter, Sweep
from spinsweep.executors import long_running
from spinsweep.executors.running import run
from spinsweep.runs import Run, sampling
from spinsweep.runs.sampling import sample, sample_elsewhere


def processes(log: Path) -> dict[str, list[int]]:
    return {file.name: [int(line) for line in file.read_text().split()] for file in log.iterdir()}


def lives(process: int) -> bool:
    """Whether it is there, and not only waited for by its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("executor", [pytest.param("processes", marks=pytest.mark.slow), "dask"])
def test_no_cell_runs_in_the_driver_and_none_is_computed_twice(
    tmp_path: Path, log: Path, client: Client, executor: str
) -> None:
    sweep = TRACED.with_values(log=str(log), seconds=0.12)
    options: dict[str, Any] = {"client": client} if executor == "dask" else {"workers": 2}
    result = run(sweep, tmp_path / "c.zarr", **options)

    ran = processes(log)
    assert result.complete
    assert len(ran) == 12
    assert {len(each) for each in ran.values()} == {1}
    assert os.getpid() not in {process for each in ran.values() for process in each}
    assert (result.dataset.cell_attempt == 1).all()
    assert (result.dataset.cell_duration > 0.1).all()


def test_in_this_process_the_sampled_cells_are_kept_as_well(tmp_path: Path, log: Path) -> None:
    result = run(TRACED.with_values(log=str(log), seconds=0.03), tmp_path / "c.zarr")

    assert result.complete
    assert {len(each) for each in processes(log).values()} == {1}
    assert result.cube.runs()[-1].outcome == "complete"


@pytest.mark.slow
def test_the_numbers_are_those_of_a_run_whose_blocks_were_given(tmp_path: Path) -> None:
    for sweep in (GRID, dataclasses.replace(GRID, shared_axes=("width", "variation"))):
        name = f"{len(sweep.shared_axes)}"
        sampled = run(sweep, tmp_path / f"{name}-sampled.zarr", workers=1)
        plain = run(sweep, tmp_path / f"{name}.zarr", block=7 if not sweep.shared_axes else 16)
        names = ["sum", "noise", "cell_state", "cell_attempt", "cell_error", "cell_code"]
        xr.testing.assert_identical(sampled.dataset[names].drop_attrs(), plain.dataset[names].drop_attrs())
        assert sampled.counts.done == 96


def test_a_sample_here_and_elsewhere_computes_the_same() -> None:
    here, elsewhere = sample(GRID), sample_elsewhere(GRID)
    assert here.computed is not None
    assert elsewhere.computed is not None
    shape = tuple(map(slice, np.minimum(here.computed.duration.shape, elsewhere.computed.duration.shape)))
    for name, values in here.computed.values.items():
        np.testing.assert_array_equal(values[shape], elsewhere.computed.values[name][shape])


@pytest.mark.slow
def test_a_cell_that_kills_its_process_harms_no_driver_and_is_told(tmp_path: Path, log: Path) -> None:
    result = run(TRACED.with_values(log=str(log), first="kill"), tmp_path / "c.zarr", workers=1)

    assert (result.counts.done, result.counts.failed) == (11, 1)
    assert any("to choose the blocks ended with exit code -9; workers compute them" in n for n in result.notes)
    assert [failure.coords for failure in result.failures] == [{"x": 0, "seed": 0}]


def test_a_cell_that_hangs_gets_a_block_of_its_own_and_its_process_ends(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "LONGEST_S", 0.5)
    sweep = dataclasses.replace(TRACED.with_values(log=str(log), first="hang"), timeout=1)
    result = run(sweep, tmp_path / "c.zarr", workers=1)

    assert result.cube.grid.chunk == (1, 1)
    assert (result.counts.done, result.counts.failed) == (11, 1)
    assert not lives(processes(log)["0-0"][0])


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)], ids=["here", "a worker"])
def test_a_cell_of_the_sample_may_take_no_longer_than_its_timeout(
    tmp_path: Path, log: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "LONGEST_S", 3600.0)
    sweep = dataclasses.replace(TRACED.with_values(log=str(log), first="hang"), timeout=1)
    result = run(sweep, tmp_path / "c.zarr", workers=workers or None, executor=None if workers else "serial")

    assert (result.counts.done, result.counts.failed) == (11, 1)
    assert result.failures[0].error.type == "spinsweep.TimedOut"
    assert result.failures[0].coords == {"x": 0, "seed": 0}


def test_the_progress_names_the_cell_that_is_computed_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    monkeypatch.setattr(long_running, "LONG_S", 0.1)
    shown = []
    sweep = TRACED.with_values(log=str(log), x=[2], seed=[1], seconds=2.5)

    def show(run: Run) -> None:
        shown.append(run.progress.line(time.monotonic()))

    run(sweep, tmp_path / "c.zarr", workers=1, block=1, on_progress=show)

    assert any(re.search(r", x=2 seed=1 for \d[.\d]* s in process \d+", line) for line in shown)
    assert " for " not in shown[-1]


def test_what_fails_in_the_sample_is_said_by_workers_and_what_is_good_is_kept(tmp_path: Path) -> None:
    result = run(FAILING, tmp_path / "c.zarr", workers=1)

    assert (result.counts.done, result.counts.failed) == (3, 1)
    assert result.failures[0].error.message == "no good"
    assert (result.dataset.cell_attempt == 1).all()


@pytest.mark.parametrize("executor", [pytest.param("processes", marks=pytest.mark.slow), "dask"])
def test_cells_may_start_processes_and_what_they_leave_ends_with_the_run(
    tmp_path: Path, log: Path, client: Client, executor: str
) -> None:
    sweep = Sweep(
        "starts",
        "Processes of cells",
        (Axis("x", (1, 2)),),
        (Output("y"),),
        with_processes,
        parameters=(Parameter("log", str(log)),),
    )
    options: dict[str, Any] = {"client": client} if executor == "dask" else {"workers": 1}
    result = run(sweep, tmp_path / "c.zarr", block=1, **options)

    assert result.failures == []
    assert result.dataset.y.values.tolist() == [2.0, 4.0]
    for file in log.iterdir():
        for _ in range(100):
            if not lives(int(file.name)):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"process {file.name} is still there")
