"""Trains of cycles on two emulated resistors: 2 ohm after a write above 0.5 mA, 1 ohm after a reset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import HIGH, LOW, Emulated

from conftest import described
from spinneurons.device.pulse_cycle import CALIBRATION_CYCLES, PulseTrains
from spinsweep.bench.acquire import acquire_bench, current_session
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import ConnectionLost, DeviceFault, InstrumentFault, LimitError
from spinsweep.bench.pulse_counts import pulses
from spinsweep.bench.trains import Spoiled
from spinsweep.errors import Stopped
from spinsweep.work import working

RESET, WRITE, WEAK, READ = -8e-4, 8e-4, 2e-4, 5e-5


def volts(ohm: float) -> float:
    return ohm * READ


def test_a_train_reads_what_the_pulses_did(bench: Bench) -> None:
    writes = np.array([[WRITE, WEAK], [WEAK, WRITE], [WRITE, WRITE]])
    with acquire_bench(bench) as session, PulseTrains(session, "cube/cell") as trains:
        run = trains.run("one", ["a", "b"], writes, [RESET, RESET], READ)
    assert np.allclose(run.v_reset, volts(LOW))
    assert np.allclose(run.v_write, np.where(writes == WRITE, volts(HIGH), volts(LOW)))
    assert not run.lost


def test_a_train_that_is_asked_for_again_fires_nothing(bench: Bench, emulated: Emulated) -> None:
    writes = np.full((5, 1), WRITE)
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        first = trains.run("one", ["a"], writes, [RESET], READ)
    fired = emulated.control.exposure()["overall"]["pulses"]
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        again = trains.run("one", ["a"], writes, [RESET], READ)
        assert pulses(bench) == {"a": 10}
    assert emulated.control.exposure()["overall"]["pulses"] == fired == 10
    assert np.array_equal(first.v_write, again.v_write)


def test_two_columns_may_be_one_device(bench: Bench) -> None:
    writes = np.array([[WRITE, WEAK], [WEAK, WRITE]])
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a", "a"], writes, [RESET, RESET], READ)
    assert np.allclose(run.v_write, np.where(writes == WRITE, volts(HIGH), volts(LOW)))


def test_devices_that_take_turns_are_pulsed_one_in_the_rests_of_the_other_and_read_the_same(
    tmp_path: Path, emulated: Emulated
) -> None:
    writes = np.tile([[WRITE, WEAK], [WEAK, WRITE]], (5, 1))
    order, read = {}, {}
    for interleave in (False, True):
        bench = described(tmp_path, emulated, timing={"interleave": interleave})
        with acquire_bench(bench) as session, PulseTrains(session, f"key {interleave}") as trains:
            read[interleave] = trains.run("one", ["a", "b"], writes, [RESET, RESET], READ).v_write
            rows = [json.loads(line) for line in trains.journal.path.read_text().splitlines()]
            order[interleave] = [row["cycle"] for row in rows if row["op"] == "fire"]
    assert np.allclose(read[False], read[True])
    assert order[False] == [*range(0, writes.size, 2), *range(1, writes.size, 2)]
    assert order[True] == list(range(writes.size))


def test_rests_between_pulses_of_a_device_are_kept(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session:
        for key in ("one", "two"):
            with PulseTrains(session, key) as trains:
                trains.run("train", ["a"], np.full((5, 1), WRITE), [RESET], READ)
    assert emulated.control.exposure()["devices"]["a"]["min_gap"] >= bench.timing.gap + bench.timing.read_time


@pytest.mark.parametrize(
    ("write", "reset", "read", "what"),
    [
        (1.51e-3, RESET, READ, "i_write 0.00151 A is beyond its limits, 2e-12 to 0.0015 A"),
        (float("nan"), RESET, READ, "i_write nan A"),
        (float("inf"), RESET, READ, "i_write inf A"),
        (0.0, RESET, READ, "i_write 0 A is beyond"),
        (WRITE, -2e-3, READ, "i_reset -0.002 A is beyond"),
        (WRITE, RESET, 7e-5, "i_read 7e-05 A is beyond its limits, 2e-12 to 6e-05 A"),
        (-WRITE, RESET, READ, "i_write -0.0008 A has the wrong sign"),
        (WRITE, -RESET, READ, "i_reset 0.0008 A has the wrong sign"),
    ],
)
def test_a_plan_beyond_a_limit_is_refused_before_anything_is_sent(
    bench: Bench, emulated: Emulated, write: float, reset: float, read: float, what: str
) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        with pytest.raises(LimitError, match=what):
            trains.run("one", ["a", "b"], [[WRITE, WRITE], [WRITE, write]], [RESET, reset], read)
        assert not trains.journal.trains
    overall = emulated.control.exposure()["overall"]
    assert overall["pulses"] == 0
    assert overall["max_current"] == 0


def test_a_device_that_has_had_its_pulses_gets_no_more(tmp_path: Path, emulated: Emulated) -> None:
    bench = described(tmp_path, emulated, limits={"max_pulses": 11})
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.run("one", ["a"], np.full((5, 1), WRITE), [RESET], READ)
        with pytest.raises(LimitError, match=r"12 pulses in its life .* limits.max_pulses is 11"):
            trains.run("two", ["a"], [[WRITE]], [RESET], READ)
    assert emulated.control.exposure()["devices"]["a"]["pulses"] == 10


def test_calibration_finds_the_two_levels(bench: Bench) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        levels = trains.calibrate("a", WRITE, RESET, READ)
    assert levels.low == pytest.approx(volts(LOW))
    assert levels.high == pytest.approx(volts(HIGH))
    assert [levels.side(volts(r)) for r in (0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.4)] == [-1, -1, -1, 0, 1, 1, 0]


def test_calibration_is_measured_again_only_where_it_failed(bench: Bench, emulated: Emulated) -> None:
    emulated.control.set("short", device="a")
    with (
        acquire_bench(bench) as session,
        PulseTrains(session, "key") as trains,
        pytest.raises(DeviceFault, match="short"),
    ):
        trains.calibrate("a", WRITE, RESET, READ)
    emulated.control.clear()
    for _ in range(2):
        with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
            trains.calibrate("a", WRITE, RESET, READ)
    assert emulated.control.exposure()["devices"]["a"]["pulses"] == 2 * 2 * CALIBRATION_CYCLES


def test_a_wrong_polarity_in_the_bench_file_is_found(tmp_path: Path, emulated: Emulated) -> None:
    bench = described(tmp_path, emulated, polarity={"reset_state": 1})
    with (
        acquire_bench(bench) as session,
        PulseTrains(session, "key") as trains,
        pytest.raises(DeviceFault, match=r"polarity.reset_state = 1 says that reset is the high one"),
    ):
        trains.calibrate("a", WRITE, RESET, READ)


@pytest.mark.parametrize("fault", ["drop", "reset", "partial", "slow", "stray", "garbage"])
@pytest.mark.parametrize("role", ["source", "meter", "switch"])
def test_a_link_that_fails_costs_one_sample_at_most_and_no_reading_is_taken_for_another(
    bench: Bench, emulated: Emulated, fault: str, role: str
) -> None:
    writes = np.tile([[WRITE, WEAK], [WEAK, WRITE]], (6, 1))
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set(fault, role, after=5, **({"seconds": 1.5} if fault == "slow" else {}))
        run = trains.run("one", ["a", "b"], writes, [RESET, RESET], READ)
    wanted = np.where(writes == WRITE, volts(HIGH), volts(LOW))
    kept = np.isfinite(run.v_write)
    assert np.allclose(run.v_write[kept], wanted[kept])
    assert kept.sum() + len(run.lost) == writes.size
    assert len(run.lost) <= 1
    exposure = emulated.control.exposure()["overall"]
    assert exposure["hot_switchings"] == 0
    assert exposure["pulses"] <= 2 * writes.size + 2


def test_a_pulse_in_compliance_is_no_sample_and_its_device_is_left_out(bench: Bench, emulated: Emulated) -> None:
    emulated.control.set("compliance", device="a", after=5)
    writes = np.full((4, 2), WRITE)
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a", "b"], writes, [RESET, RESET], READ, leave_out=True)
    assert "compliance" in run.faults["a"]
    assert np.isfinite(run.v_write[:, 1]).all()
    assert np.isnan(run.v_write[-1, 0])
    assert all("compliance" in reason for reason in run.lost.values())


def test_an_open_contact_stops_its_device_and_a_later_lane_goes_on_where_it_stood(
    bench: Bench, emulated: Emulated
) -> None:
    emulated.control.set("open", device="a")
    with acquire_bench(bench) as session:
        with PulseTrains(session, "key") as trains, pytest.raises(DeviceFault, match="open"):
            trains.run("one", ["a"], np.full((4, 1), WRITE), [RESET], READ)
        emulated.control.clear()
        with PulseTrains(session, "key") as trains:
            run = trains.run("one", ["a"], np.full((4, 1), WRITE), [RESET], READ)
    assert np.isfinite(run.v_write).sum() == 3  # the one that met the open contact is lost
    assert list(run.lost) == [(0, 0)]


def test_a_stuck_device_is_left_out_of_a_train_and_the_others_go_on(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        for device in ("a", "b"):
            trains.calibrate(device, WRITE, RESET, READ)
        emulated.control.set("stuck", device="a")  # in the written state
        run = trains.run("one", ["a", "b"], np.full((6, 2), WRITE), [RESET, RESET], READ, leave_out=True)
    assert "reset pulses did not reset it" in run.faults["a"]
    assert np.isnan(run.v_write[:, 0]).all()
    assert np.isfinite(run.v_write[:, 1]).all()


def test_a_reading_between_the_levels_is_read_again_and_then_lost(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.calibrate("a", WRITE, RESET, READ)
        emulated.control.set("overflow", "meter", after=3, times=1)
        first = trains.run("one", ["a"], np.full((4, 1), WRITE), [RESET], READ)
        emulated.control.set("overflow", "meter", after=3, times=2)
        second = trains.run("two", ["a"], np.full((4, 1), WRITE), [RESET], READ)
    assert not first.lost
    assert len(second.lost) == 1
    assert np.isfinite(second.v_write).sum() == 3


def test_levels_follow_a_drifting_offset(bench: Bench, emulated: Emulated) -> None:
    writes = np.tile([[WRITE], [WEAK]], (6, 1))
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.calibrate("a", WRITE, RESET, READ)
        for number in range(1, 8):  # by more than the distance of the levels, in steps of a fifth of it
            emulated.control.clear()
            emulated.control.set("offset", device="a", ohm=0.2 * number)
            run = trains.run(f"block {number}", ["a"], writes, [RESET], READ)
            assert not run.lost
            assert np.array_equal(run.v_write > trains.levels["a"].low * 1.01, writes == WRITE)


def test_a_power_cycle_in_a_train_is_noticed_and_all_is_set_up_again(bench: Bench, emulated: Emulated) -> None:
    for number, role in enumerate(("source", "meter", "switch")):
        with acquire_bench(bench) as session, PulseTrains(session, f"key {role}") as trains:
            emulated.control.set("power_cycle", role, after=7)
            run = trains.run("one", ["a", "b"], np.full((4, 2), WRITE), [RESET, RESET], READ)
        kept = np.isfinite(run.v_write)
        assert np.allclose(run.v_write[kept], volts(HIGH)), (number, role)
        assert len(run.lost) <= 1


@pytest.mark.parametrize(
    ("fault", "role", "message"),
    [
        ("range_low", "source", "-222"),
        ("errors", "source", "350"),
        ("relay_open", "switch", "relays"),
        ("relay_closed", "switch", "relays"),
    ],
)
def test_an_instrument_that_reports_an_error_stops_the_work_with_the_source_off(
    bench: Bench, emulated: Emulated, fault: str, role: str, message: str
) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set(fault, role, after=2)
        with pytest.raises(InstrumentFault, match=message):
            fire_blocks(trains, 10)
        assert emulated.control.state()["source"]["output"] == 0
        emulated.control.clear()
        trains.run("more", ["a", "b"], np.full((2, 2), WRITE), [RESET, RESET], READ)


def test_a_stop_ends_the_work_between_cycles_and_the_rest_is_measured_later(bench: Bench, emulated: Emulated) -> None:
    writes = np.full((20, 1), WRITE)
    asked = iter([False] * 30)
    with (
        acquire_bench(bench) as session,
        PulseTrains(session, "key") as trains,
        working(lambda: next(asked, True), lambda message: None),
        pytest.raises(Stopped),
    ):
        trains.run("one", ["a"], writes, [RESET], READ)
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        assert 0 < len(trains.journal.trains["one"].results) < 20
        run = trains.run("one", ["a"], writes, [RESET], READ)
    assert not run.lost
    assert np.isfinite(run.v_write).all()


def fire_blocks(trains: PulseTrains, blocks: int) -> None:
    for number in range(blocks):
        trains.run(f"{number}", ["a", "b"], np.full((3, 2), WRITE), [RESET, RESET], READ)


def test_a_link_that_is_lost_between_trains_is_opened_anew(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        for number, role in enumerate(("source", "meter", "switch")):
            emulated.control.set("drop", role, match="ESR?")
            run = trains.run(f"{number}", ["a", "b"], np.full((2, 2), WRITE), [RESET, RESET], READ)
            assert np.allclose(run.v_write, volts(HIGH))
        emulated.control.set("drop", "meter", match="AZER")
        run = trains.run("zero", ["a", "b"], np.full((2, 2), WRITE), [RESET, RESET], READ)
        assert np.allclose(run.v_write, volts(HIGH))


def test_a_lane_with_another_bench_file_than_the_run_fires_nothing(tmp_path: Path, emulated: Emulated) -> None:
    edited = described(tmp_path, emulated, limits={"max_pulse": 1e-3})
    with (
        acquire_bench(described(tmp_path, emulated)),
        pytest.raises(InstrumentFault, match="another limits than that of the run"),
    ):
        current_session(edited)


def test_a_link_that_breaks_again_and_again_ends_the_work_with_the_source_off(
    bench: Bench, emulated: Emulated
) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set("garbage", "meter", match="READ?", after=1, times=0)
        with pytest.raises(ConnectionLost):
            trains.run("one", ["a"], np.full((3, 1), WRITE), [RESET], READ)
        emulated.control.clear()
    assert emulated.control.state()["source"]["output"] == 0


def test_an_open_interlock_is_waited_for(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        told: list[str] = []

        def close_it(progress: Mapping[str, Any]) -> None:
            told.append(str(progress["train"]))
            if "interlock" in told[-1]:
                emulated.control.clear()

        emulated.control.set("interlock", "source", after=20)
        with working(lambda: False, close_it):
            run = trains.run("one", ["a"], np.full((10, 1), WRITE), [RESET], READ)
    assert any("waiting: the interlock is open" in line for line in told)
    assert np.isfinite(run.v_write).sum() + len(run.lost) == 10
    assert len(run.lost) <= 1


@pytest.mark.slow
def test_a_stop_while_devices_take_turns_loses_no_sample_of_the_others(tmp_path: Path, emulated: Emulated) -> None:
    bench = described(tmp_path, emulated, timing={"interleave": True})
    writes = np.tile([[WRITE, WEAK], [WEAK, WRITE]], (5, 1))
    for turns in range(3, 12):
        asked = iter([False] * turns)
        with acquire_bench(bench) as session, PulseTrains(session, f"key {turns}") as trains:
            with working(lambda asked=asked: next(asked, True), lambda message: None), pytest.raises(Stopped):
                trains.run("one", ["a", "b"], writes, [RESET, RESET], READ)
            run = trains.run("one", ["a", "b"], writes, [RESET, RESET], READ)
        assert not run.lost
        assert np.allclose(run.v_write, np.where(writes == WRITE, volts(HIGH), volts(LOW)))


def test_the_journal_holds_every_reading(bench: Bench) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a"], np.full((3, 1), WRITE), [RESET], READ)
        rows = [json.loads(line) for line in trains.journal.path.read_text().splitlines()]
    assert [row["op"] for row in rows] == ["open", "intent", *["fire", "result"] * 3, "end"]
    assert [row["volts"][1] for row in rows if row["op"] == "result"] == run.v_write[:, 0].tolist()


# Another program on the same instruments


def test_a_pulse_that_another_program_changed_stops_the_lane_and_its_cycle_is_in_doubt(
    bench: Bench, emulated: Emulated
) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set("foreign", "source", text="SOUR:WAVE:ARB:DATA -1,0", match="WAVE:ARM", after=5)
        with pytest.raises(InstrumentFault, match=r"ARB:DATA reads .* a pulse was fired with it: another program"):
            trains.run("one", ["a"], np.full((6, 1), WRITE), [RESET], READ)
        record = trains.journal.trains["one"]
        assert emulated.control.state()["source"]["output"] is False
    assert sorted(record.results) == [0, 1]
    assert list(record.lost) == [2]
    assert "another program has changed it" in record.lost[2]
    assert list(record.missing()) == [3, 4, 5]


def test_a_meter_that_another_program_set_gives_no_reading_and_stops_the_lane(
    bench: Bench, emulated: Emulated
) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set("foreign", "meter", text="SENS:VOLT:DC:NPLC 0.01", match="READ?", after=6)
        with pytest.raises(InstrumentFault, match=r"NPLC reads .*: the reading is not used"):
            trains.run("one", ["a"], np.full((6, 1), WRITE), [RESET], READ)
        assert len(trains.journal.trains["one"].results) < 4


def test_relays_that_were_moved_between_two_trains_are_told_before_a_pulse(bench: Bench, emulated: Emulated) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        pulses_before = emulated.control.exposure()["overall"]["pulses"]
        emulated.control.set("foreign", "switch", text="ROUT:CLOS (@1!2)", match="ROUT:CLOS?")
        with pytest.raises(InstrumentFault, match=r"closed relays are .* instead of 1!1, 1!11; check the relays"):
            trains.run("two", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        assert emulated.control.exposure()["overall"]["pulses"] == pulses_before


def test_a_read_whose_current_flowed_too_long_is_taken_again_and_its_value_is_not_used(
    tmp_path: Path, emulated: Emulated
) -> None:
    bench = described(tmp_path, emulated, meter={"timeout": 20.0})
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        emulated.control.set("slow", "meter", match="READ?", seconds=2.2)
        device = bench.device[0]
        trains.pulse(device, WRITE)
        taken = emulated.control.exposure()["devices"]["a"]
        assert trains.read(device, READ) == pytest.approx(volts(HIGH))
        assert emulated.control.exposure()["devices"]["a"]["pulses"] == taken["pulses"]
        emulated.control.set("slow", "meter", match="READ?", seconds=2.2, times=2)
        with pytest.raises(Spoiled, match=r"no valid reading: its current flowed 2\.\d s longer than planned"):
            trains.read(device, READ)
