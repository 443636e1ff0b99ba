"""The lane that a run starts on this machine: its end, and what it says when it dies."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import Client
from test_lane import _nothing_left_behind as _nothing_left_behind
from test_lane import _own_places as _own_places
from test_lane import lane_of
from test_lane import scheduler as scheduler
from test_watchdog import emulated, is_safe, until

from spinsweep.bench import lane as lanes
from spinsweep.bench.bench_file import load
from spinsweep.bench.lane import LocalLane
from spinsweep.bench.watchdog import dirty
from spinsweep.errors import RunnerError, Stopped
from spinsweep.messages import LANE_STOP, StopAnswer

pytestmark = pytest.mark.faults


@contextmanager
def begun(bench: Path, scheduler: str) -> Iterator[LocalLane]:
    lane = LocalLane(bench, scheduler)
    try:
        lane.begin()
        yield lane
    finally:
        if lane.process is not None:
            lane.process.kill()  # also where the end is what is tested


def pid(lane: LocalLane) -> int:
    assert lane.process is not None
    return lane.process.pid


@pytest.mark.parametrize("delay", [0.3, *(pytest.param(d, marks=pytest.mark.slow) for d in (0.0, 1.5))])
def test_a_lane_that_is_being_started_again_at_the_end_is_gone_after_it(
    tmp_path: Path, scheduler: str, delay: float
) -> None:
    with emulated(tmp_path) as (bench, control), begun(bench, scheduler) as lane:
        os.kill(pid(lane), signal.SIGKILL)
        while not lane.deaths:  # its follower is started at this moment
            pass
        time.sleep(delay)
        end = threading.Thread(target=lane.end, daemon=True)
        end.start()
        end.join(40)
        assert not end.is_alive(), "the end waits for a lane that nobody told to end"
        assert lane.process is not None
        assert lane.process.poll() is not None
        until(lambda: lane_of(bench) == 0)  # a watchdog may have it for a moment
        assert is_safe(control)


@pytest.mark.slow
def test_a_run_whose_lanes_died_says_what_the_last_one_said(
    tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_RESTARTS", 0)
    with emulated(tmp_path) as (bench, _), begun(bench, scheduler) as lane:
        (watchdog,) = (p for p in psutil.Process(pid(lane)).children() if "spinsweep.bench.watchdog" in p.cmdline())
        watchdog.kill()
        until(lambda: lane.problem)
        with pytest.raises(RunnerError, match="the last time with: the lane ends: the watchdog died"):
            lane.check()
        lane.end()


def test_a_lane_that_was_killed_while_it_started_is_told_by_its_signal(tmp_path: Path, scheduler: str) -> None:
    with emulated(tmp_path) as (bench, control), begun(bench, scheduler) as lane:
        control.set("refuse", "source")
        os.kill(pid(lane), signal.SIGKILL)
        first = pid(lane)
        until(lambda: pid(lane) != first)
        os.kill(pid(lane), signal.SIGKILL)
        until(lambda: lane.problem)
        with pytest.raises(RunnerError, match="the lane did not start: no word, but signal 9"):
            lane.check()
        lane.end()
        control.clear()
        until(lambda: not dirty(load(bench)))


@pytest.mark.parametrize(
    ("is_killed", "how"),
    [
        (False, "and the bench is safe"),
        pytest.param(True, "which ended with: no word, but signal 9", marks=pytest.mark.slow),
    ],
)
def test_a_lane_that_is_stopped_at_the_sweep_page_makes_the_bench_safe_at_once_and_is_not_started_again(
    tmp_path: Path, scheduler: str, is_killed: bool, how: str
) -> None:
    # in here, so that they are sent and not imported there
    async def stop(address: str, handler: str, dask_scheduler: Any) -> Any:
        return await getattr(dask_scheduler.rpc(address), handler)()

    def measure() -> None:
        from spinneurons.device.pulse_cycle import PulseTrains
        from spinsweep.bench.acquire import current_session

        with PulseTrains(current_session(described), "cube/key") as trains:
            trains.run("one", ["bar0"], np.full((500, 1), 4.1e-4), [-6e-4], 5e-5)

    with emulated(tmp_path, speed=20) as (bench, control), begun(bench, scheduler) as lane:
        described = load(bench)
        with Client(scheduler) as client:
            measured = client.submit(measure, resources=described.needs, pure=False)
            until(lambda: measured.done() or control.exposure()["overall"]["pulses"] > 4)
            until(lambda: measured.done() or control.state()["source"]["output"] == 1)
            (address,) = client.scheduler_info(n_workers=-1)["workers"]
            answer = StopAnswer.from_json(client.run_on_scheduler(stop, address, LANE_STOP))
            assert is_safe(control)
            pulses = control.exposure()["overall"]["pulses"]
            assert answer == StopAnswer(state="0 A, output off, relays open", doing="key: one")
            with pytest.raises(Stopped):
                measured.result(timeout=30)
            if is_killed:  # before it has ended by itself
                os.kill(pid(lane), signal.SIGKILL)
            refused = client.submit(measure, resources=described.needs, pure=False)
            until(lambda: lane.problem)
            assert not refused.done()  # no other lane takes it
        with pytest.raises(RunnerError, match=f"stopped the lane on the Sweep page, {how}; what was"):
            lane.check()
        assert lane.deaths == 0
        until(lambda: lane_of(bench) == 0)  # the watchdog of one that was killed may have it
        until(lambda: not dirty(described))
        assert control.exposure()["overall"]["pulses"] == pulses
        (journal,) = described.folder.rglob("journal/*.jsonl")
        rows = [json.loads(line) for line in journal.read_text().splitlines()]
        fired, known = (
            {row["cycle"] for row in rows if row["op"] in operations}
            for operations in (("fire",), ("result", "lost"))
        )
        assert fired == known  # each cycle whose last pulse left has a reading, or is lost
        lane.end()
