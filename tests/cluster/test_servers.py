"""A scheduler that outlives drivers, and workers that are started by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import assert_same_cube, done, ended, logged, spinsweep, start, until

from engine.runners.deploy import reach

pytestmark = pytest.mark.faults


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str], subprocess.Popen[str]]]:
    """Scheduler file, scheduler, and two workers."""
    file = tmp_path / "cluster.json"
    scheduler = start("scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", file, cwd=tmp_path)
    until(lambda: file.exists() and file.read_text().endswith("}"))
    workers = start("worker", file, "--workers", 2, cwd=tmp_path)
    assert workers.stdout is not None
    assert workers.stdout.readline() == "ready\n"
    yield file, scheduler, workers
    for process in (workers, scheduler):
        process.terminate()
        ended(process)


def test_a_driver_dies_and_another_attaches_and_goes_on(
    cluster: tuple[Path, subprocess.Popen[str], subprocess.Popen[str]], tmp_path: Path, local_cube: Path
) -> None:
    file, scheduler, workers = cluster
    words = [*logged(tmp_path, 0.1), "--cluster", file, "--store", tmp_path / "c.zarr"]
    first = start(*words, cwd=tmp_path)
    until(lambda: done(tmp_path / "c.zarr") >= 10)
    os.kill(first.pid, signal.SIGKILL)
    ended(first)
    kept = done(tmp_path / "c.zarr")
    status, said = spinsweep(*words, cwd=tmp_path)
    assert status == 0, said
    assert 10 <= kept < 100
    assert "are there" in said
    assert_same_cube(tmp_path / "c.zarr", local_cube)
    assert scheduler.poll() is None
    assert workers.poll() is None


def test_a_worker_offers_one_cpu_and_its_numerical_libraries_one_thread(
    cluster: tuple[Path, subprocess.Popen[str], subprocess.Popen[str]],
) -> None:
    file, _, _ = cluster
    with reach(json.loads(file.read_text())["address"], None) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        assert [(w["nthreads"], w["resources"]) for w in workers] == [(1, {"cpu": 1})] * 2
        assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}
        assert set(client.run(os.getenv, "OPENBLAS_NUM_THREADS").values()) == {"1"}


def test_workers_say_that_their_scheduler_is_gone(
    cluster: tuple[Path, subprocess.Popen[str], subprocess.Popen[str]],
) -> None:
    _, scheduler, workers = cluster
    scheduler.terminate()
    assert ended(scheduler)[0] == 0
    status, said = ended(workers)
    assert status == 2
    assert "is gone" in said
    assert "Traceback" not in said


def test_a_second_scheduler_on_one_port_is_refused_in_one_line(
    cluster: tuple[Path, subprocess.Popen[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    port = json.loads(cluster[0].read_text())["address"].rpartition(":")[2]
    status, said = spinsweep("scheduler", "--port", port, cwd=tmp_path)
    assert status == 2
    assert said == f"spinsweep: no scheduler on 127.0.0.1:{port}: [Errno 98] Address already in use\n"
