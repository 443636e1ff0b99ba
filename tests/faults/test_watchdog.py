"""Lanes that die, freeze and compete, on an emulated bench; processes are killed for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.timing import fastest

from emulating import emulating
from instrument_emulator.control import Control
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench, load
from spinsweep.bench.errors import LeaseError
from spinsweep.bench.journal import Journal
from spinsweep.bench.lease import BenchLease, owner, owners
from spinsweep.bench.watchdog import log_path

pytestmark = pytest.mark.faults

MEASURE = """
import sys
import numpy as np
from spinsweep.bench.bench_file import load
from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench

with acquire_bench(load(sys.argv[1]), timeout_s=20) as session, PulseTrains(session, "key") as experiment:
    print("ready", flush=True)
    for number in range(int(sys.argv[2])):
        experiment.run(f"train {number}", ["bar0"], np.full((50, 1), 4.1e-4), [-6e-4], 5e-5)
print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


@contextmanager
def emulated(folder: Path, speed: float = 1e4) -> Iterator[tuple[Path, Control]]:
    """``spinsweep emulate``: the bench file that it wrote, and its control port."""
    path = folder / "bench.toml"
    with emulating(path, "--speed", str(speed)) as control:
        yield path, control


@contextmanager
def lane(path: Path, trains: int) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the bench and measures."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(path), str(trains)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def until(condition: Callable[[], object], seconds: float = 100) -> float:
    """Wait for a condition; how long it took, s."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen"
        time.sleep(0.01)
    return time.monotonic() - began


def child_of(process: int) -> int:
    """The watchdog of a lane, or the standby of a watchdog; 0 if there is none that lives."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next((int(c) for c in children if b"bench.watchdog" in Path(f"/proc/{c}/cmdline").read_bytes()), 0)


def is_safe(control: Control) -> bool:
    state = control.state()
    return state["source"]["output"] == 0 and state["source"]["wave"] == "idle" and not state["switch"]["closed"]


def watchdog_rows(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(line) for line in log_path(bench).read_text().splitlines()] if log_path(bench).exists() else []


@pytest.mark.parametrize("moment", [0, *(pytest.param(moment, marks=pytest.mark.slow) for moment in (1, 2, 3))])
def test_the_bench_is_safe_within_two_seconds_after_its_lane_was_killed_with_the_output_on(
    tmp_path: Path, moment: int
) -> None:
    folders = iter(range(3))

    def attempt() -> float:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        with emulated(folder, speed=50) as (path, control), lane(path, 100) as process:
            assert said(process) == "ready"
            until(lambda: control.exposure()["overall"]["pulses"] > moment)
            until(lambda: control.state()["source"]["output"] == 1)
            os.kill(process.pid, signal.SIGKILL)
            took = until(lambda: is_safe(control))
            until(lambda: watchdog_rows(load(path)))
            (row,) = watchdog_rows(load(path))
            assert row["safe"] is True
            assert row["reason"] == "the lane died"
        return took

    assert fastest(attempt, 2.0, tries=3) < 2.0


def test_a_watchdog_keeps_trying_while_the_source_refuses_connections_after_its_client_died(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.state()["source"]["output"] == 1)
        control.set("hold", "source", seconds=3.0)
        os.kill(process.pid, signal.SIGKILL)
        assert until(lambda: is_safe(control)) > 2.5
        until(lambda: any(row["safe"] is True for row in watchdog_rows(load(path))))


def test_a_watchdog_is_left_for_a_bench_that_a_dead_lane_left_on_and_that_cannot_be_reached(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.state()["source"]["output"] == 1)
        watchdog = child_of(process.pid)
        for pid in (child_of(watchdog), watchdog, process.pid):  # before they notice
            os.kill(pid, signal.SIGKILL)
        process.wait()
        control.set("refuse", "source")
        command = [sys.executable, "-m", "spinsweep.cli", "bench", "check", str(path)]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2
        assert not is_safe(control)
        control.clear()
        until(lambda: is_safe(control))
        until(lambda: any(row["safe"] is True for row in watchdog_rows(load(path))))


@pytest.mark.slow
def test_a_killed_lane_leaves_a_journal_from_which_a_new_one_finishes(tmp_path: Path) -> None:
    with emulated(tmp_path) as (path, control):
        bench = load(path)
        lives = 0
        while True:
            with lane(path, 6) as process:
                lives += 1
                assert said(process) == "ready"
                if lives < 6:
                    time.sleep(0.05 * lives + 0.1)
                    os.kill(process.pid, signal.SIGKILL)
                elif said(process) == "done":
                    break
        lease = BenchLease(bench).take(10)
        journal = Journal(bench.folder / "journal", "key", lease.epoch)
        lost = sum(len(record.lost) for record in journal.trains.values())
        results = sum(len(record.results) for record in journal.trains.values())
        journal.close()
        lease.release()
        assert lives >= 6
        assert results + lost == 6 * 50
        assert lost <= lives - 1  # one in doubt at each death, at most
        exposure = control.exposure()
        assert exposure["overall"]["max_current"] <= bench.limits.max_pulse
        assert exposure["overall"]["hot_switchings"] == 0
        rows = [json.loads(line) for line in journal.path.read_text().splitlines()]
        fired = [(row["train"], row["cycle"]) for row in rows if row["op"] == "fire"]
        assert len(fired) == len(set(fired)) == 300


def test_a_frozen_lane_is_killed_by_its_watchdog_and_cannot_come_back(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.state()["source"]["output"] == 1)
        os.kill(process.pid, signal.SIGSTOP)
        assert process.wait(20) == -signal.SIGKILL
        until(lambda: watchdog_rows(load(path)))
        assert is_safe(control)
        assert "silent" in str(watchdog_rows(load(path))[0]["reason"])
        with acquire_bench(load(path), timeout_s=5) as session:
            assert session.lease.epoch == 3  # the lane's, the watchdog's, ours


def test_a_lane_whose_watchdog_dies_stops(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.exposure()["overall"]["pulses"] > 2)
        os.kill(child_of(process.pid), signal.SIGKILL)
        assert process.wait(20) != 0
        assert is_safe(control)
        assert owner(load(path).source.exclusive_names[0]) == ""


def test_a_lane_and_its_watchdog_that_are_killed_together_leave_a_standby_that_makes_the_bench_safe(
    tmp_path: Path,
) -> None:
    folders = iter(range(3))

    def attempt() -> float:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        with emulated(folder, speed=50) as (path, control), lane(path, 100) as process:
            assert said(process) == "ready"
            until(lambda: control.state()["source"]["output"] == 1)
            for pid in (child_of(process.pid), process.pid):
                os.kill(pid, signal.SIGKILL)
            took = until(lambda: is_safe(control))
            until(lambda: watchdog_rows(load(path)))
            (row,) = watchdog_rows(load(path))
            assert row["reason"] == "the watchdog died; the lane died"
            assert row["safe"] is True
        return took

    assert fastest(attempt, 2.0, tries=3) < 2.0


def test_a_standby_that_dies_is_replaced_while_the_lane_goes_on(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        watchdog = child_of(process.pid)
        first = child_of(watchdog)
        os.kill(first, signal.SIGKILL)
        until(lambda: child_of(watchdog) not in (0, first))
        fired = control.exposure()["overall"]["pulses"]
        until(lambda: control.exposure()["overall"]["pulses"] > fired)
        until(lambda: control.state()["source"]["output"] == 1)
        for pid in (watchdog, process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: is_safe(control))


def test_a_run_makes_its_bench_safe_when_lane_watchdog_and_standby_were_killed_together(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control):
        store = tmp_path / "cube.zarr"
        asked = ["--set", "device=0", "--set", "currents=6", "--set", "cycles=500", "--no-dashboard"]
        command = [sys.executable, "-m", "spinsweep.cli", "run", "characterization", "--on", str(path)]
        with subprocess.Popen(
            [*command, "--store", str(store), *asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            try:
                bench = load(path)
                until(lambda: control.state()["source"]["output"] == 1 and owners(bench))
                (owning,) = owners(bench)
                watchdog = child_of(owning)
                for pid in (child_of(watchdog), watchdog, owning):
                    os.kill(pid, signal.SIGKILL)
                until(lambda: is_safe(control))
            finally:
                run.terminate()
                out, _ = run.communicate(timeout=60)
        assert "lane and watchdog of bench emulated died; the run has made it safe" in out


def test_of_many_owners_at_once_exactly_one_gets_the_bench(tmp_path: Path) -> None:
    with emulated(tmp_path) as (path, control):
        command = [sys.executable, "-c", MEASURE.replace("timeout_s=20", "timeout_s=0"), str(path), "20"]
        crowd = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
        ]
        ended = [process.communicate(timeout=60) for process in crowd]
        assert sum("done" in out for out, _ in ended) == 1
        assert sum("LeaseError" in error and "is owned by a lane, process" in error for _, error in ended) == 3
        assert control.exposure()["overall"]["pulses"] == 2 * 20 * 50


def test_a_lane_that_is_told_to_end_leaves_the_bench_safe_and_no_watchdog_behind(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=50) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.state()["source"]["output"] == 1)
        watchdog = child_of(process.pid)
        standby = child_of(watchdog)
        process.terminate()
        process.wait(20)
        assert is_safe(control)
        assert not watchdog_rows(load(path))
        until(lambda: not Path(f"/proc/{watchdog}").exists() and not Path(f"/proc/{standby}").exists())


def test_a_bench_that_does_not_answer_is_one_line_and_nothing_is_left_running(tmp_path: Path) -> None:
    with emulated(tmp_path) as (path, control):
        control.set("refuse", "source")
        command = [sys.executable, "-m", "spinsweep.cli", "bench", "check", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "tried for 3 s" in done.stderr
        assert owner(load(path).source.exclusive_names[0]) == ""
        assert not watchdog_rows(load(path))


def test_a_client_beside_the_lane_is_refused_by_the_source(tmp_path: Path) -> None:
    with emulated(tmp_path, speed=200) as (path, control), acquire_bench(load(path)):
        port = int(load(path).source.resource.split("::")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.settimeout(5)
            link.sendall(b"*IDN?\n")
            with suppress(ConnectionResetError):
                assert link.recv(100) == b""
        with pytest.raises(LeaseError):
            BenchLease(load(path)).take()
        assert control.state()["source"]["output"] == 0


BROKEN = """
import os, sys
if "spinsweep.bench.watchdog" in sys.orig_argv:
    os.write(2, b"Traceback (most recent call last):\\nImportError: a broken installation\\n")
    os._exit(1)
"""


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["bench", "check"], marks=pytest.mark.slow),
        ["run", "characterization", "--store", "cube.zarr", "--on"],
    ],
)
def test_a_watchdog_that_cannot_start_is_quoted_and_nothing_is_touched(tmp_path: Path, words: list[str]) -> None:
    with emulated(tmp_path) as (path, control):
        (tmp_path / "sitecustomize.py").write_text(BROKEN)
        command = [sys.executable, "-P", "-m", "spinsweep.cli", *words, str(path)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert ended.returncode == 2
        quoted = "the bench watchdog exited at once: ImportError: a broken installation. No pulse was sent."
        assert ended.stderr.splitlines()[-1].endswith(quoted)
        assert set(control.state()["connections"].values()) == {0}
        assert not (tmp_path / "cube.zarr").exists()
        assert owner(load(path).source.exclusive_names[0]) == ""
