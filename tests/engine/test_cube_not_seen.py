"""A worker that does not see the cube computes nothing, and the run says which worker, which path and what to do."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from examples import GRID

from spinsweep import Axis, Cell, Input, Output, RunnerError, Sweep, per_cell
from spinsweep.errors import CubeNotSeen
from spinsweep.executors import worker as workers
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.executors.worker import SentJob, WorkerJob
from spinsweep.runs import open_run

SMALL = GRID.with_values(width=(1.0, 5.0), seed=(0, 1))


@per_cell
def above(cell: Cell) -> dict[str, Any]:
    return {"y": float(cell.params["grid"]["sum"].max()) + cell["x"]}


ABOVE = Sweep("above", "", (Axis("x", (1.0, 2.0)),), (Output("y"),), above, parameters=(Input("grid", sweep="grid"),))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "APPEARS_S", 0.3)


def test_workers_that_see_no_cube_end_the_run_in_one_line_and_nothing_is_made_there(
    client: Client, tmp_path: Path
) -> None:
    store, there = tmp_path / "grid.zarr", tmp_path / "there/grid.zarr"
    with open_run(SMALL, store, block=4) as run:
        seen, run.job = run.job, dataclasses.replace(run.job, store=str(there))  # the same path, at another machine
        with pytest.raises(RunnerError, match="finds no cube at") as caught:
            drive(run, on_client(client))
        run.job = seen
    assert not there.parent.exists()
    said = str(caught.value)
    assert "\n" not in said
    assert f"on {os.uname().nodename} finds no cube at {there}, where the driver has the cube of this run" in said
    assert said.startswith("worker tls://")
    assert "keep it in a folder that all machines see under this path, or at a URL" in said

    with open_run(SMALL, store) as run:
        drive(run, on_client(client))
    assert run.complete


def test_a_worker_that_finds_another_cube_or_lacks_an_input_is_refused(tmp_path: Path) -> None:
    for name in ("grid.zarr", "other.zarr"):
        with open_run(SMALL, tmp_path / name, block=16) as run:
            drive(run, serial)
    other = dataclasses.replace(run.job, store=str(tmp_path / "grid.zarr"))
    with open_run(ABOVE.with_values(grid=str(tmp_path / "grid.zarr")), tmp_path / "above.zarr", block=1) as run:
        (tmp_path / "grid.zarr/zarr.json").rename(tmp_path / "zarr.json")
        task = next(run.tasks())
        with pytest.raises(CubeNotSeen, match=r"finds no cube at .*, where the driver has the input 'grid'"):
            WorkerJob(SentJob.of(run.job), "tcp://w").compute(task)
        (tmp_path / "zarr.json").rename(tmp_path / "grid.zarr/zarr.json")
        assert WorkerJob(SentJob.of(run.job), "tcp://w").compute(task).done == 1
        with pytest.raises(CubeNotSeen, match=r"^worker tcp://w on .* finds another cube at") as caught:
            WorkerJob(SentJob.of(other), "tcp://w").compute(task)
    assert caught.value.worker == "tcp://w"
