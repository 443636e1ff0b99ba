"""Lanes that die with a field on, killed for real: the watchdog ramps it down after the source is off."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_watchdog import lane, said, until, watchdog_rows

from emulating import emulating
from instrument_emulator.control import Control
from spinneurons.device.commands import bench_text
from spinsweep.bench.bench_file import load

pytestmark = pytest.mark.faults

SPEED = 20.0
CURRENT, DOWN, POLL = 2.0, 0.1, 0.2  # A, A/s, s
MAGNET = """
[auxiliary.magnet]
driver = "{driver}"
resource = "TCPIP::127.0.0.2::{port}::SOCKET"
serial = "EMU1"
field = 0.02
current_per_tesla = 100.0
max_current = 3.0
ramp = 0.001
tolerance = 1e-4
"""
OF_A_BOP = 'supply = "20-20"\nvoltage_limit = 10.0\n'
SUPPLIES = ["kepco-bop", pytest.param("lakeshore-643", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


@contextmanager
def emulated(folder: Path, driver: str) -> Iterator[tuple[Path, Control]]:
    """The template's bench with a field supply, served by the command that a user types."""
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    path = folder / "bench.toml"
    magnet = MAGNET.format(driver=driver, port=port) + (OF_A_BOP if driver == "kepco-bop" else "")
    path.write_text(bench_text(SPEED) + magnet)
    with emulating(path) as control:
        yield path, control


def current(control: Control) -> float:
    return float(control.state()["magnet"]["current"])


def watched_down(control: Control) -> list[dict[str, Any]]:
    """The states of the bench until no field is left."""
    states: list[dict[str, Any]] = []

    def is_down() -> bool:
        states.append(control.state())
        return bool(states[-1]["magnet"]["current"] == 0)

    until(is_down, 30)
    return states


@pytest.mark.parametrize("driver", SUPPLIES)
def test_a_lane_that_is_killed_leaves_a_field_that_its_watchdog_ramps_down_with_the_source_off(
    tmp_path: Path, driver: str
) -> None:
    with emulated(tmp_path, driver) as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.state()["source"]["output"] == 1)
        assert current(control) == pytest.approx(CURRENT, abs=0.01)
        os.kill(process.pid, signal.SIGKILL)
        began = control.clock()["time"]
        states = watched_down(control)
        assert control.clock()["time"] - began >= 0.9 * CURRENT / DOWN
        on_the_way = [s for s in states if 0 < s["magnet"]["current"] < 0.95 * CURRENT]
        assert on_the_way, "the field was not seen on its way"
        assert not any(s["source"]["output"] or s["switch"]["closed"] for s in on_the_way)
        assert control.state()["magnet"]["largest_step"] <= 1.01 * DOWN * POLL
        until(lambda: any(row["safe"] is True for row in watchdog_rows(load(path))))


def test_a_lane_that_is_killed_on_the_way_up_leaves_no_field(tmp_path: Path) -> None:
    with emulated(tmp_path, "kepco-bop") as (path, control), lane(path, 1) as process:
        until(lambda: current(control) > CURRENT / 4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left = current(control)
        assert 0 < left < CURRENT
        watched_down(control)
        assert control.state()["magnet"]["largest_step"] <= 1.01 * DOWN * POLL
        assert control.exposure()["overall"]["pulses"] == 0


@pytest.mark.slow
def test_a_lane_that_is_told_to_end_brings_the_field_down_itself(tmp_path: Path) -> None:
    with emulated(tmp_path, "lakeshore-643") as (path, control), lane(path, 100) as process:
        assert said(process) == "ready"
        until(lambda: control.exposure()["overall"]["pulses"] > 2)
        process.terminate()
        process.wait(30)
        assert current(control) == 0
        assert not watchdog_rows(load(path))
