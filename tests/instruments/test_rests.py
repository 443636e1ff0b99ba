"""Rests between the pulses of a device, whatever comes between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulated import SPEED, Emulated

from conftest import described
from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.errors import DeviceFault

RESET, WRITE, READ = -8e-4, 8e-4, 5e-5
RECONNECTION = 500.0  # s of the emulator; it takes 50 to 80
HANDOVER = 1.5  # real s; another owner is ready in less


def least_gap(emulated: Emulated, device: str) -> float:
    return float(emulated.control.exposure()["devices"][device]["min_gap"])


@pytest.mark.parametrize(("lost", "cycles", "fired"), [("reset", 1, 3), ("write", 2, 4)])
def test_a_pulse_whose_answer_is_lost_has_a_whole_rest(
    tmp_path: Path, emulated: Emulated, lost: str, cycles: int, fired: int
) -> None:
    bench = described(tmp_path, emulated, timing={"gap": RECONNECTION}, limits={"min_gap": RECONNECTION})
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set("drop", "source", match="INIT", after=0 if lost == "reset" else 1)
        train = trains.run("one", ["a"], np.full((cycles, 1), WRITE), [RESET], READ)
    assert len(train.lost) == (lost == "write")  # a reset is given again, a write pulse never
    assert emulated.control.exposure()["devices"]["a"]["pulses"] == fired
    assert least_gap(emulated, "a") >= RECONNECTION


def test_devices_that_were_pulsed_a_moment_ago_rest_as_long_under_a_new_owner(
    tmp_path: Path, emulated: Emulated
) -> None:
    speed = 100.0  # slower than the emulator's, so that the rest is longer than another owner takes to be ready
    timing = {"gap": HANDOVER * speed, "speed": speed}
    bench = described(tmp_path, emulated, timing=timing, limits={"min_gap": HANDOVER * speed})
    emulated.control.set("compliance", times=0)  # ends the work right after a pulse
    for key in ("one", "two"):
        with acquire_bench(bench) as session, PulseTrains(session, key) as trains:
            for device in ("a", "b"):
                with pytest.raises(DeviceFault):
                    trains.run(device, [device], [[WRITE], [WRITE]], [RESET], READ)
    for device in ("a", "b"):
        assert emulated.control.exposure()["devices"][device]["pulses"] == 2
        assert least_gap(emulated, device) >= HANDOVER * SPEED
