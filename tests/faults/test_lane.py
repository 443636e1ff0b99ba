"""Runs on an emulated bench through its lane, while lanes and drivers die and compete."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
import xarray as xr
from test_watchdog import emulated, is_safe, until

from spinsweep.bench.bench_file import load
from spinsweep.bench.lease import owner
from spinsweep.deployment.certificates import own_certificates
from spinsweep.deployment.security import ROLES, as_config, as_environment, credentials

pytestmark = pytest.mark.faults

SPINSWEEP = [sys.executable, "-m", "spinsweep.cli"]
SMALL = ["--set", "device=0,1", "--set", "cycles=15", "--set", "currents=10", "--set", "resamples=50"]
CYCLES = 10 * 15  # of a device, beside those that find its levels
CALIBRATION = 5


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.communicate()


def start(*words: object) -> subprocess.Popen[str]:
    """``spinsweep ...`` in a process group of its own, as a terminal starts it."""
    command = [*SPINSWEEP, *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _started.append(process)
    return process


def measuring(bench: Path, store: Path, *more: object) -> subprocess.Popen[str]:
    return start("run", "characterization", "--on", bench, "--store", store, "--no-dashboard", *SMALL, *more)


def lane_of(bench: Path) -> int:
    """The process that owns the bench now, 0 if none does."""
    found = re.search(r"process (\d+)", owner(load(bench).source.exclusive_names[0]))
    return int(found[1]) if found else 0


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A scheduler of Dask's own command that outlives drivers and lanes, with this user's certificates."""
    security = credentials(own_certificates(), *ROLES)
    for name, text in as_environment(security).items():
        monkeypatch.setenv(name, text)
    file = tmp_path / "cluster.json"
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(file), "--protocol", "tls"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: file.exists() and file.read_text().endswith("}"))
    with dask.config.set(as_config(security)):
        yield json.loads(file.read_text())["address"]
    process.kill()
    process.wait()


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    out, errors = process.communicate(timeout=seconds)
    return process.returncode, out + errors


def test_a_run_whose_lane_is_killed_goes_on_with_a_new_lane(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=3000) as (bench, control):
        run = measuring(bench, tmp_path / "measured.zarr")
        until(lambda: control.exposure()["overall"]["pulses"] > 150, 60)
        until(lambda: control.state()["source"]["output"] == 1)
        os.kill(lane_of(bench), signal.SIGKILL)
        status, said = ended(run)
        assert status == 0, said
        assert is_safe(control)
        cube = xr.open_zarr(tmp_path / "measured.zarr")
        assert (cube.cell_state == 1).all()
        assert int(cube.valid.sum()) >= cube.valid.size - 1  # the pulse in doubt, if there was one
        assert control.exposure()["overall"]["hot_switchings"] == 0


@pytest.mark.slow
def test_a_killed_driver_is_followed_by_one_that_measures_only_what_is_missing(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=3000) as (bench, control):
        run = measuring(bench, tmp_path / "measured.zarr", "--workers", 0)
        until(lambda: control.exposure()["overall"]["pulses"] > 150, 60)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        status, said = ended(measuring(bench, tmp_path / "measured.zarr", "--workers", 0))
        assert status == 0, said
        assert control.exposure()["overall"]["pulses"] <= 2 * 2 * (CALIBRATION + CYCLES) + 2
        assert int(xr.open_zarr(tmp_path / "measured.zarr").valid.sum()) >= 2 * CYCLES - 1


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_stops_after_a_cycle_and_the_same_command_continues(tmp_path: Path, workers: int) -> None:
    store = tmp_path / "measured.zarr"
    with emulated(tmp_path, speed=3000) as (bench, control):
        run = measuring(bench, store, "--workers", workers)
        until(lambda: control.exposure()["overall"]["pulses"] > 150, 60)
        os.killpg(run.pid, signal.SIGINT)
        status, said = ended(run, 60)
        assert status != 0
        assert "run the same command again to continue" in said, said
        assert is_safe(control)
        status, said = ended(measuring(bench, store, "--workers", workers))
        assert status == 0, said
        assert (xr.open_zarr(store).cell_state == 1).all()


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_second_ctrl_c_gives_up_the_cycle_in_hand_and_makes_the_bench_safe(tmp_path: Path, workers: int) -> None:
    with emulated(tmp_path, speed=1) as (bench, control):
        bench.write_text(bench.read_text().replace("gap = 2.0 ", "gap = 9.0 "))  # 18 s between pulses
        run = measuring(bench, tmp_path / "measured.zarr", "--workers", workers)
        until(lambda: control.exposure()["overall"]["pulses"] > 0, 120)
        os.killpg(run.pid, signal.SIGINT)
        time.sleep(0.2)  # pending at once, they would count as one
        os.killpg(run.pid, signal.SIGINT)
        status, said = ended(run)
        assert status == 130, said
        assert said.splitlines()[-1] == "spinsweep: interrupted; run the same command again to continue"
        assert "Traceback" not in said
        assert is_safe(control)
        assert lane_of(bench) == 0
        assert control.exposure()["overall"]["pulses"] == 1, "the cycle went on"


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_lane_at_a_terminal_that_is_closed_makes_the_bench_safe(
    tmp_path: Path, scheduler: str, number: int
) -> None:
    with emulated(tmp_path, speed=300) as (bench, control):
        lane = start("worker", scheduler, "--bench", bench)
        run = measuring(bench, tmp_path / "measured.zarr", "--cluster", scheduler)
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        lane.send_signal(number)
        status, said = ended(lane)
        assert status == 0, said
        assert said.splitlines()[-1] == "the lane has ended and the bench is safe"
        assert is_safe(control)
        run.kill()


@pytest.mark.slow
def test_a_second_run_that_needs_the_bench_is_refused_in_one_line(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=20) as (bench, control):
        first = measuring(bench, tmp_path / "one.zarr")
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        status, said = ended(measuring(bench, tmp_path / "two.zarr"))
        assert first.poll() is None, "the first run ended too early to tell"
        assert status == 2
        assert "is owned by a lane, process" in said
        assert "Traceback" not in said
        os.killpg(first.pid, signal.SIGINT)
        ended(first, 60)
        assert is_safe(control)


@pytest.mark.slow
def test_two_runs_on_one_scheduler_share_the_lane_one_after_the_other(tmp_path: Path, scheduler: str) -> None:
    with emulated(tmp_path, speed=1e4) as (bench, control):
        one = measuring(bench, tmp_path / "one.zarr", "--cluster", scheduler)
        two = measuring(bench, tmp_path / "two.zarr", "--cluster", scheduler)
        lane = start("worker", scheduler, "--bench", bench)  # they wait until it is there
        until(lambda: lane_of(bench) == lane.pid, 60)
        status, complaint = ended(start("worker", scheduler, "--bench", bench))
        assert status == 2
        assert "is owned by a lane, process" in complaint
        said = [ended(run) for run in (one, two)]
        assert [status for status, _ in said] == [0, 0], said
        lane.terminate()
        assert ended(lane)[0] == 0
        assert is_safe(control)
        exposure = control.exposure()
        assert exposure["overall"]["pulses"] == 2 * 2 * 2 * (CALIBRATION + CYCLES)
        assert exposure["overall"]["hot_switchings"] == 0
        for name in ("one", "two"):
            assert bool(xr.open_zarr(tmp_path / f"{name}.zarr").valid.all())


@pytest.mark.slow
def test_work_that_computes_goes_on_beside_the_lane_and_never_on_it(tmp_path: Path, scheduler: str) -> None:
    with emulated(tmp_path, speed=300) as (bench, control):
        lane = start("worker", scheduler, "--bench", bench)
        worker = subprocess.Popen(
            [sys.executable, "-m", "dask", "worker", scheduler, "--nthreads", "1", "--host", "127.0.0.1",
             "--no-dashboard", "--resources", "cpu=1", "--local-directory", str(tmp_path / "scratch")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        run = measuring(bench, tmp_path / "measured.zarr", "--cluster", scheduler)
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        computed = start(
            "run", "endurance", "--cluster", scheduler, "--store", tmp_path / "computed.zarr", "--no-dashboard"
        )
        assert ended(computed)[0] == 0
        assert run.poll() is None, "the measurement ended too early to tell"
        assert ended(run)[0] == 0
        lane.terminate()
        worker.terminate()
        ended(lane)
        worker.wait(30)
