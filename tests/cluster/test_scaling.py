"""Adaptive scaling: workers come and go with the work, but never a busy one and never a lane."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from commands import EXAMPLES, assert_same_cube, until
from distributed import Client

import spinsweep
from spinsweep import Axis, Cell, Output, Parameter, Sweep, per_cell
from spinsweep.deployment.check import Access
from spinsweep.deployment.clients import cluster_client
from spinsweep.deployment.cluster_file import Local
from spinsweep.deployment.security import as_environment
from spinsweep.discovery import find
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.runs import Run, open_run

INTERVAL = 0.2  # seconds between looks of the scaling: one in Dask's own settings


@pytest.fixture
def client() -> Iterator[Client]:
    """Between none and two workers on this machine."""
    with (
        dask.config.set({"distributed.adaptive.interval": f"{INTERVAL} s"}),
        cluster_client(Local(workers=2, minimum=0), Access(dashboard=False)) as found,
    ):
        yield found


@pytest.fixture
def lane(client: Client, tmp_path: Path) -> Iterator[str]:
    """A worker from elsewhere with the resources of a lane; its name."""
    address = client.scheduler_info()["address"]
    command = [
        sys.executable,
        "-m",
        "dask",
        "worker",
        address,
        "--name",
        "lane-hall",
        "--nthreads",
        "1",
        "--no-nanny",
    ]
    command += ["--no-dashboard", "--host", "127.0.0.1", "--resources", "exclusive=1"]
    env = {**os.environ, **as_environment(client.security)}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: "lane-hall" in names(client))
    yield "lane-hall"
    process.terminate()
    process.wait(30)


def names(client: Client) -> dict[Any, str]:
    """Address of each worker by its name."""
    return {w["name"]: a for a, w in client.scheduler_info(n_workers=-1)["workers"].items()}


def traced(folder: str) -> int:
    """Leave a trace of each time this begins and work until ``go`` is there; the process that did it."""
    Path(folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()
    until(Path(folder, "go").exists, 200)
    return os.getpid()


@per_cell
def waited(cell: Cell) -> dict[str, Any]:
    """Wait until two workers have come; the last cell waits until one of them has gone."""
    until(Path(cell.params["folder"], "gone" if cell["number"] == LAST else "come").exists, 600)
    return {"pid": os.getpid()}


LAST = 8


def test_a_worker_that_is_retired_is_not_called_lost(client: Client, tmp_path: Path) -> None:
    axis, folder = Axis("number", tuple(range(LAST + 1))), Parameter("folder", str(tmp_path))
    sweep = Sweep("waited", "Cells that wait for workers", (axis,), (Output("pid"),), waited, parameters=(folder,))
    seen: list[int] = []

    def look(_: Run) -> None:
        seen.append(len(names(client)))
        if seen[-1] == 2:
            (tmp_path / "come").touch()
        elif max(seen) == 2:
            (tmp_path / "gone").touch()

    with open_run(sweep, tmp_path / "waited.zarr", block=1) as run:
        drive(run, on_client(client), look)
    assert run.complete
    both = seen.index(2)
    assert 1 in seen[both:], "one was idle and went; Dask may ask for another before the last cell has ended"
    assert run.progress.workers_lost == 0


@pytest.mark.slow
def test_the_lane_and_a_busy_worker_stay_while_an_idle_one_is_retired(
    client: Client, lane: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    trace.mkdir()
    short = [client.submit(time.sleep, 0.5 + i / 1000, resources={"cpu": 1}, pure=False) for i in range(24)]
    until(lambda: len(names(client)) == 3)
    long = client.submit(traced, str(trace), resources={"cpu": 1}, pure=False)
    client.gather(short)
    del short
    until(lambda: len(names(client)) == 2, 100)
    assert lane in names(client)
    time.sleep(10 * INTERVAL)  # looks of the scaling, which would find the busy one idle
    assert len(names(client)) == 2
    (trace / "go").touch()
    long.result(timeout=30)
    assert len(list(trace.iterdir())) == 2, "it was never begun anew"
    time.sleep(10 * INTERVAL)
    assert lane in names(client)


def test_workers_that_come_later_use_one_thread_as_well(client: Client) -> None:
    assert client.submit(os.getenv, "OMP_NUM_THREADS", resources={"cpu": 1}).result(timeout=60) == "1"


@pytest.mark.slow
def test_a_run_on_workers_that_come_and_go_gives_the_same_cube(
    client: Client, tmp_path: Path, local_cube: Path
) -> None:
    (tmp_path / "log").mkdir()
    sweep = find(f"{EXAMPLES}:LOGGED").with_values(log=str(tmp_path / "log"))
    processes = []
    until(lambda: not names(client), 100)  # the workers of the test before it leave when their time is over
    for values in (sweep.axes[0].values[:5], sweep.axes[0].values):
        assert not names(client), "none before there is work"
        spinsweep.run(sweep.with_values(x=values), tmp_path / "c.zarr", client=client, block=5)
        calls = {path.name.split("-")[2] for path in (tmp_path / "log").iterdir()}
        processes.append(calls - set().union(*processes))
        until(lambda: not names(client), 100)
    assert all(processes), "others came for the second half"
    assert_same_cube(tmp_path / "c.zarr", local_cube)
