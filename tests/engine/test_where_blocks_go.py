"""Which workers get blocks: those that compute, never a lane, and any that is good where there is no lane."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from examples import LOGGED

from spinsweep.executors import dask as runner
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.runs import Run, open_run

LOOKS = 1.0  # seconds in which a run has looked for workers several times
SWEEP = LOGGED.with_values(x=[0.1, 0.2], seed=range(4))


@pytest.fixture
def empty() -> Iterator[Client]:
    """Of a scheduler without workers."""
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def worker(client: Client, folder: Path, *options: str) -> Iterator[int]:
    """A worker process of one thread; its number."""
    command = [sys.executable, "-m", "dask", "worker", client.scheduler_info()["address"], "--nthreads", "1"]
    command += ["--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(folder), *options]
    before = len(client.scheduler_info()["workers"])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client.wait_for_workers(before + 1, 60)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(autouse=True)
def _looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks for new workers ten times as often."""
    monkeypatch.setattr(runner, "RECOUNT_S", 0.2)


def running(client: Client, folder: Path, pool: ThreadPoolExecutor) -> tuple[Callable[[], Run], Path]:
    """A run that goes on beside the test, and the folder in which its cells leave who computed them."""
    log = folder / "log"
    log.mkdir()

    def go() -> Run:
        with open_run(SWEEP.with_values(log=str(log), seconds=0.01), folder / "c.zarr", block=1) as run:
            drive(run, on_client(client))
        return run

    return pool.submit(go).result, log


def who(log: Path) -> set[int]:
    return {int(file.name.split("-")[2]) for file in log.iterdir()}


@pytest.mark.slow
def test_a_lane_that_is_the_only_worker_computes_nothing(empty: Client, tmp_path: Path) -> None:
    with worker(empty, tmp_path, "--resources", "exclusive=1"), ThreadPoolExecutor(1) as pool:
        wait, log = running(empty, tmp_path, pool)
        time.sleep(LOOKS)
        assert not who(log)
        with worker(empty, tmp_path, "--resources", "cpu=1") as computing:
            assert wait().complete
        assert who(log) == {computing}


@pytest.mark.slow
def test_a_lane_that_comes_first_to_an_empty_scheduler_computes_nothing(empty: Client, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        wait, log = running(empty, tmp_path, pool)
        time.sleep(LOOKS)
        with worker(empty, tmp_path, "--resources", "exclusive=1"):
            time.sleep(LOOKS)
            assert not who(log)
            with worker(empty, tmp_path, "--resources", "cpu=1") as computing:
                assert wait().complete
            assert who(log) == {computing}


def test_a_worker_that_was_started_without_resources_computes_where_there_is_no_lane(
    empty: Client, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        wait, log = running(empty, tmp_path, pool)
        time.sleep(LOOKS)
        with worker(empty, tmp_path) as computing:
            assert wait().complete
        assert who(log) == {computing}
