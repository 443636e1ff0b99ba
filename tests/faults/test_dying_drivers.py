"""What a lane does when the driver of its work is told to end, or is killed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from test_lane import _nothing_left_behind as _nothing_left_behind
from test_lane import _own_places as _own_places
from test_lane import ended, lane_of, measuring, start
from test_lane import scheduler as scheduler
from test_watchdog import emulated, is_safe, until

from spinsweep.bench.bench_file import load

pytestmark = pytest.mark.faults

SPEED = 30.0
CYCLE = 9.0 / SPEED  # s, of the template's timings


def lost(bench: Path) -> list[str]:
    """Reasons of lost cycles in the journals."""
    files = (load(bench).folder / "journal").glob("*.jsonl")
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row["reason"] for row in rows if row["op"] == "lost"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_sigterm_ends_a_driver_after_the_cycle_in_hand_as_ctrl_c_does(tmp_path: Path, workers: int) -> None:
    with emulated(tmp_path, speed=SPEED) as (bench, control):
        run = measuring(bench, tmp_path / "measured.zarr", "--workers", workers)
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        until(lambda: control.state()["source"]["output"] == 1)
        run.terminate()
        status, said = ended(run, 60)
        assert status == 1
        assert "run the same command again to continue" in said
        assert "Traceback" not in said
        assert is_safe(control)
        assert lane_of(bench) == 0
        assert lost(bench) == []


@pytest.mark.parametrize("elsewhere", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_lane_of_a_killed_driver_fires_no_further_cycle(tmp_path: Path, scheduler: str, elsewhere: bool) -> None:
    with emulated(tmp_path, speed=SPEED) as (bench, control):
        lane = start("worker", scheduler, "--bench", bench) if elsewhere else None
        run = measuring(bench, tmp_path / "measured.zarr", *(["--cluster", scheduler] if elsewhere else []))
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        time.sleep(1 + 2 * CYCLE)
        fired = control.exposure()["overall"]["pulses"]
        time.sleep(3)
        assert control.exposure()["overall"]["pulses"] == fired
        assert control.state()["source"]["output"] == 0
        assert lost(bench) == []
        if lane is None:
            until(lambda: lane_of(bench) == 0)
            assert is_safe(control)
        else:
            assert lane_of(bench) == lane.pid
            lane.terminate()
            assert ended(lane)[0] == 0
