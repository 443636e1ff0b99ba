"""Real processes killed with real signals: what is done stays, and the same command continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
import xarray as xr

from spinsweep import CubeError
from spinsweep.cli import main
from spinsweep.cube import Cube
from spinsweep.deployment.local_cluster import local_client
from spinsweep.ledger import State

pytestmark = pytest.mark.faults

EXAMPLES = Path(__file__).parents[1] / "engine" / "examples.py"
SECONDS = 0.02  # of one cell; a block of 5 takes 0.1 s, the whole sweep 1 s on two workers


def command(store: Path, log: Path, *more: str, seconds: float = SECONDS) -> list[str]:
    sets = ["--set", f"log={log}", "--set", f"seconds={seconds}", "--set", "bad=0.4"]
    words = ["run", f"{EXAMPLES}:LOGGED", "--store", str(store), *sets, "--no-dashboard", *more]
    return [sys.executable, "-m", "spinsweep.cli", *words]


def go_on(store: Path, log: Path, *more: str, seconds: float = SECONDS) -> int:
    """The same command once more, in this process and without workers; its exit status."""
    return main(command(store, log, "--workers", "0", *more, seconds=seconds)[3:])


def calls(log: Path) -> dict[tuple[float, int], int]:
    found: dict[tuple[float, int], int] = {}
    for file in log.iterdir():
        if file.name != "broken":
            x, seed, *_ = file.name.split("-")
            found[float(x), int(seed)] = found.get((float(x), int(seed)), 0) + 1
    return found


def done(store: Path) -> int:
    try:
        return Cube(store).counts().done
    except CubeError:
        return 0


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)  # a look at a cube takes a few ms of a core that the run needs


def assert_done_cells_are_right(store: Path, reference: Path) -> None:
    got, want = xr.open_zarr(store).load(), xr.open_zarr(reference).load()
    mask = (got.cell_state == State.DONE).values
    np.testing.assert_array_equal(got.y.values[mask], want.y.values[mask])
    np.testing.assert_array_equal(got.n.values[mask], want.n.values[mask])


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep run without any fault, in one process."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "log").mkdir()
    subprocess.run(
        command(folder / "c.zarr", folder / "log", "--workers", "0", seconds=0), check=True, capture_output=True
    )
    return folder / "c.zarr"


def fingerprint_free(path: Path) -> list[str]:
    return sorted(str(p) for p in path.rglob("*.partial"))


@pytest.mark.parametrize(
    "cells", [pytest.param(1, marks=pytest.mark.slow), 30, pytest.param(70, marks=pytest.mark.slow)]
)
def test_a_killed_driver_loses_only_the_blocks_in_flight(
    tmp_path: Path, log: Path, reference: Path, cells: int
) -> None:
    store = tmp_path / "c.zarr"
    first = subprocess.Popen(command(store, log, "--workers", "2", "--block", "5"), start_new_session=True)
    wait_for(lambda: done(store) >= cells)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = done(store)
    assert_done_cells_are_right(store, reference)

    assert go_on(store, log) == 0
    assert_done_cells_are_right(store, reference)
    assert Cube(store).counts().done == 100
    computed = sum(calls(log).values())
    assert computed <= 100 + 2 * 2 * 5, "more was computed twice than the blocks on two workers"
    assert kept >= cells
    assert [r.outcome for r in Cube(store).runs()] == ["running", "complete"]


def test_killing_drivers_again_and_again_still_ends_with_the_right_cube(
    tmp_path: Path, log: Path, reference: Path
) -> None:
    store = tmp_path / "c.zarr"
    rng = np.random.default_rng(5)
    for _ in range(6):
        driver = subprocess.Popen(
            command(store, log, "--workers", "0", "--block", "5", seconds=0.001),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        if (store / "zarr.json").exists() or rng.random() < 0.7:
            wait_for(lambda: (store / "zarr.json").exists())
            time.sleep(rng.uniform(0, 0.15))
        driver.kill()
        driver.wait()
        if (store / "zarr.json").exists():
            assert_done_cells_are_right(store, reference)
    assert go_on(store, log, seconds=0.001) == 0
    assert_done_cells_are_right(store, reference)
    assert fingerprint_free(store) == []


@pytest.mark.parametrize("executor", ["dask", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_killed_worker_costs_attempts_not_numbers(
    tmp_path: Path, log: Path, reference: Path, executor: str
) -> None:
    store = tmp_path / "c.zarr"
    driver = subprocess.Popen(
        command(store, log, "--workers", "2", "--block", "5", "--executor", executor),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: done(store) >= 20)
    victim = int(sorted(log.iterdir(), key=lambda p: p.stat().st_mtime)[-1].name.split("-")[2])
    assert psutil.Process(victim).pid != driver.pid
    os.kill(victim, signal.SIGKILL)
    out, err = driver.communicate(timeout=120)

    assert driver.returncode == 0, out + err
    assert_done_cells_are_right(store, reference)
    assert Cube(store).counts().done == 100
    assert sum(calls(log).values()) <= 100 + 3 * 5


@pytest.mark.parametrize(
    ("executor", "error"),
    [
        pytest.param("dask", "distributed.KilledWorker", marks=pytest.mark.slow),
        ("processes", "spinsweep.WorkerKilled"),
    ],
)
def test_a_cell_that_kills_its_worker_each_time_fails_and_all_others_are_done(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, executor: str, error: str
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")  # deaths of workers after the first
    store = tmp_path / "c.zarr"
    (log / "broken").write_text("kill")
    run = subprocess.run(
        command(store, log, "--workers", "2", "--block", "x=1,seed=5", "--executor", executor, seconds=0),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert run.returncode == 1, run.stderr
    failures = list(Cube(store).failures())
    assert Cube(store).counts().done == 99
    assert [f.coords for f in failures] == [{"x": 0.4, "seed": 1}]
    assert {f.error.type for f in failures} == {error}
    assert "the worker died each of the" in failures[0].error.message
    (log / "broken").unlink()
    assert go_on(store, log, "--retry-failed", seconds=0) == 0
    assert Cube(store).counts().done == 100


@contextmanager
def scheduler_and_workers(folder: Path) -> Iterator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    file = folder / "cluster.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    }
    processes = [
        subprocess.Popen(
            [
                *dask,
                "scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--no-dashboard",
                "--scheduler-file",
                str(file),
            ],
            **quiet,
        )
    ]  # type: ignore[call-overload]
    wait_for(file.exists)
    worker = [
        *dask,
        "worker",
        "--scheduler-file",
        str(file),
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
    ]
    processes += [subprocess.Popen(worker, cwd=folder, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    try:
        yield file, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_killed_scheduler_is_said_in_one_line_and_the_next_run_goes_on(
    tmp_path: Path, log: Path, reference: Path
) -> None:
    store = tmp_path / "c.zarr"
    with scheduler_and_workers(tmp_path) as (file, processes):
        driver = subprocess.Popen(
            command(store, log, "--cluster", str(file), "--insecure", "--block", "5"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: done(store) >= 20)
        processes[0].kill()
        out, err = driver.communicate(timeout=120)

    assert driver.returncode == 2, out + err
    assert "lost the scheduler" in err
    assert "Traceback" not in err
    assert_done_cells_are_right(store, reference)
    assert go_on(store, log) == 0
    assert_done_cells_are_right(store, reference)
    assert Cube(store).counts().done == 100


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_ctrl_c_once_ends_cleanly_and_says_how_to_go_on(
    tmp_path: Path, log: Path, reference: Path, workers: str
) -> None:
    store = tmp_path / "c.zarr"
    driver = subprocess.Popen(
        command(store, log, "--workers", workers, "--block", "5", seconds=0.1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: done(store) >= 20)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: the driver and its workers
    out, err = driver.communicate(timeout=60)

    assert driver.returncode == 1, out + err
    assert "run the same command again to continue" in out
    assert "Traceback" not in err
    kept = done(store)
    assert 20 <= kept < 100
    assert Cube(store).runs()[-1].outcome == "stopped"
    assert_done_cells_are_right(store, reference)
    before = sum(calls(log).values())
    assert go_on(store, log, seconds=0.1) == 0
    assert sum(calls(log).values()) - before == 100 - kept


def test_a_worker_whose_restart_takes_long_comes_back() -> None:
    """Dask closes what has not come back in time and starts nothing in its place: a run would wait for ever."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}),
        local_client(1, dashboard=False) as client,
    ):
        (first,) = client.run(os.getpid).values()
        os.kill(first, signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=200) != first
