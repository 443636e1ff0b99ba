"""Supplies that drive a magnet: ramped and never switched, refused beyond limits, read back before each pulse."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auxiliaries import FIELD, GAUSSMETER, KEPCO, LAKESHORE, PER_TESLA, RATE, emulated, opened, parsed
from emulated import Emulated

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError, InstrumentFault, InterlockOpen, LimitError
from spinsweep.bench.instruments import Instruments
from spinsweep.bench.magnet import POLL_S
from spinsweep.bench.make_safe import make_safe
from spinsweep.bench.visa import Session
from spinsweep.bench.watchdog import dirty

CURRENT = FIELD * PER_TESLA  # A
STEP = RATE * PER_TESLA * POLL_S  # A, of a supply that is ramped in steps
RESET, WRITE, READ = -8e-4, 8e-4, 5e-5
SUPPLIES = {"kepco-bop": KEPCO, "lakeshore-643": LAKESHORE}

Made = Callable[..., tuple[Emulated, Bench]]


@pytest.fixture(params=SUPPLIES)
def supply(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    """A bench of two resistors, each of the supplies in turn, and a gaussmeter in its magnet."""
    with emulated(tmp_path, SUPPLIES[request.param] + GAUSSMETER) as made:
        yield made


@pytest.fixture(params=["kepco-bop", pytest.param("lakeshore-643", marks=pytest.mark.slow)])
def lane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    """The same for tests that start a lane, which takes longer."""
    with emulated(tmp_path, SUPPLIES[request.param] + GAUSSMETER) as made:
        yield made


@pytest.fixture
def kepco(tmp_path: Path) -> Iterator[Made]:
    with emulated(tmp_path, KEPCO) as made:
        yield made


@pytest.fixture
def lakeshore(tmp_path: Path) -> Iterator[Made]:
    with emulated(tmp_path, LAKESHORE) as made:
        yield made


def magnet(running: Emulated) -> dict[str, Any]:
    state: dict[str, Any] = running.control.state()["magnet"]
    return state


def tell(running: Emulated, message: str) -> None:
    """Another program writes to the supply."""
    with socket.create_connection(("127.0.0.1", running.ports["magnet"]), 5) as link:
        link.sendall(f"{message};*ESR?\n".encode())
        link.recv(100)


def test_a_supply_ramps_up_and_down_within_its_rate_and_is_never_switched_under_current(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        began = running.control.clock()["time"]
        driver.start()
        assert running.control.clock()["time"] - began >= CURRENT / (RATE * PER_TESLA)
        assert magnet(running)["current"] == pytest.approx(CURRENT)
        assert driver.measured() == {"field": pytest.approx(FIELD)}
        driver.verify()
        began = running.control.clock()["time"]
        driver.safe()
        assert running.control.clock()["time"] - began >= 0.95 * CURRENT / (RATE * PER_TESLA)
    assert magnet(running)["current"] == 0
    assert magnet(running)["largest_step"] <= 1.01 * STEP


def test_the_way_down_may_have_a_rate_of_its_own(supply: Made) -> None:
    running, bench = supply(magnet={"ramp": 0.001, "safe_ramp": 0.05})
    with opened(bench, "magnet") as driver:
        driver.safe()
        driver.start()
        began = running.control.clock()["time"]
        driver.safe()
        took = running.control.clock()["time"] - began
    assert magnet(running)["current"] == 0
    assert took >= 0.95 * FIELD / 0.05
    # at the rate of the way up it would have been 20 s, and each message here is some 10 s of this bench's time
    assert magnet(running)["largest_step"] <= 1.01 * 0.05 * PER_TESLA * POLL_S


def test_a_negative_field_is_one(supply: Made) -> None:
    running, bench = supply(magnet={"field": -FIELD}, probe={"field": -FIELD})
    with opened(bench, "magnet") as driver, opened(bench, "probe") as probe:
        driver.safe()
        driver.start()
        probe.start()
        assert magnet(running)["current"] == pytest.approx(-CURRENT)
        assert probe.measured() == {"field": pytest.approx(-FIELD)}
        driver.safe()
    assert magnet(running)["current"] == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"field": 0.04}, r"field 0\.04 T needs 4 A; max_current is 3 A"),
        ({"max_current": 80.0, "safe_ramp": 0.1}, r"max_current 80 A; the supply has"),
        ({"ramp": 1e-4, "field": 0.003}, r"from max_current to 0 A takes 300 s, longer than 60 s; give a smaller"),
        ({"ramp": 2e-4, "safe_ramp": 0.01}, r"ramp and settle take 101 s, longer than 40 s"),
        ({"tolerance": 0.0}, r"auxiliary\.magnet\.tolerance: input should be greater than 0"),
        ({"current_per_tesla": float("nan")}, r"current_per_tesla"),
    ],
)
@pytest.mark.parametrize("name", SUPPLIES)
def test_a_field_that_cannot_be_had_is_refused_by_the_bench_file(
    tmp_path: Path, name: str, changes: dict[str, float], says: str
) -> None:
    with pytest.raises(BenchError, match=says):
        parsed(tmp_path, SUPPLIES[name], magnet=changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"supply": "20-2"}, r"max_current 3 A and voltage_limit 10 V; a BOP 20-2 has 2 A and 20 V"),
        ({"tolerance": 1e-5}, r"tolerance 1e-05 T; a BOP 20-20 sets 4\.9e-05 T at best"),
        ({"supply": "big"}, r"auxiliary\.magnet\.supply: string should match"),
    ],
)
def test_what_a_bop_cannot_do_is_refused_by_the_bench_file(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(BenchError, match=says):
        parsed(tmp_path, KEPCO, magnet=changes)


def test_a_rate_that_a_643_does_not_have_is_refused_by_the_bench_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"auxiliary\.magnet: safe_ramp is 60 A/s; 0\.0001 to 50 A/s can be had"):
        parsed(tmp_path, LAKESHORE, magnet={"safe_ramp": 0.6})


def test_a_driver_refuses_a_current_beyond_the_limit_and_sends_nothing(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        driver.start()
        for current in (3.001, -3.001, float("nan")):
            with pytest.raises(LimitError, match=r"is beyond max_current 3 A; nothing was sent"):
                driver.go_to(current, 1.0)
        assert magnet(running)["current"] == pytest.approx(CURRENT)


def test_a_current_that_reads_back_otherwise_is_found_at_the_start_and_before_a_pulse(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        running.control.set("read_back", "magnet", relative=0.05)
        with pytest.raises(InstrumentFault, match=r"2\.1 A flow instead of 2 A"):
            driver.start()
        running.control.clear()
        driver.safe()
        driver.start()
        running.control.set("read_back", "magnet", relative=-0.01)
        with pytest.raises(
            InstrumentFault, match=r"its field is 0\.0198 T by the measured current, not 0\.02 T within"
        ):
            driver.verify()


def test_a_quench_is_a_fault_and_leaves_a_supply_that_can_be_made_safe(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        driver.start()
        running.control.set("quench", "magnet")
        with pytest.raises(InstrumentFault, match=r"reports (current error|output over voltage)") as raised:
            driver.verify()
        assert not isinstance(raised.value, InterlockOpen)
        driver.safe()
        running.control.clear()
        assert magnet(running)["current"] == 0


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("kepco-bop", "CURR 2.5", r"CURR reads 2\.500000E\+00 where 2\.0 was sent"),
        ("kepco-bop", "VOLT 20", r"VOLT reads .* where 10\.0 was sent"),
        ("kepco-bop", "OUTP 0", r"OUTP reads 0 where 1\.0 was sent"),
        ("kepco-bop", "FUNC:MODE VOLT", r"FUNC:MODE reads 0 where 1\.0 was sent"),
        ("lakeshore-643", "SETI 2.5", r"SETI reads \+2\.5000 where 2 was sent"),
        ("lakeshore-643", "LIMIT 70,50", r"LIMIT reads .* where 3,1 was sent"),
        ("lakeshore-643", "RATE 0.5", r"RATE reads \+0\.5000 where 1 was sent"),
        ("lakeshore-643", "XPGM 1", r"XPGM reads 1 where 0 was sent"),
    ],
)
def test_what_another_program_writes_to_a_supply_is_found(tmp_path: Path, name: str, text: str, says: str) -> None:
    with emulated(tmp_path, SUPPLIES[name]) as made:
        running, bench = made()
        with opened(bench, "magnet") as driver:
            driver.safe()
            driver.start()
            tell(running, text)
            with pytest.raises(InstrumentFault, match=says):
                driver.verify()


def test_a_supply_that_was_switched_off_is_found_before_a_pulse(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        driver.start()
        running.control.set("power_cycle", "magnet")
        with pytest.raises(InstrumentFault, match="its power was off"):
            driver.verify()
        assert driver.session.powered_on()


def test_an_open_flow_switch_is_an_interlock(lakeshore: Made) -> None:
    running, bench = lakeshore()
    with opened(bench, "magnet") as driver:
        driver.safe()
        running.control.set("flow_switch", "magnet")
        with pytest.raises(InterlockOpen, match=r"its interlock is open: magnet flow switch; close it by hand"):
            driver.start()


@pytest.mark.parametrize(
    "before", ["FUNC:MODE VOLT;:CURR 20;:VOLT 5;:OUTP 1", "FUNC:MODE CURR;:VOLT 4;:CURR 15;:OUTP 1"]
)
def test_a_bop_that_somebody_has_left_on_in_any_mode_is_stepped_down(kepco: Made, before: str) -> None:
    running, bench = kepco()
    tell(running, f"{before};:OUTP 1")
    left = magnet(running)["current"]
    assert left >= 2
    with opened(bench, "magnet") as driver:
        driver.safe()
    assert magnet(running) == {"current": 0, "output": False, "largest_step": left}  # that of whoever left it on


def test_a_bop_is_known_with_and_without_the_date_of_its_calibration(tmp_path: Path) -> None:
    section = parsed(tmp_path, KEPCO).auxiliary["magnet"]
    for model in ("BIT 4886 20-20 10/13/2011", "BIT 4886 20-20", "BIT 4882 20-20"):
        assert section.identified(["KEPCO", model, "A123", "3.3"]) == ("BIT 4886", "A123")
    for fields in (["KEPCO", "BIT 4886 36-12", "A123", "3.3"], ["KEPCO", "BIT 4886 20-20 A123 1.8"], ["KEPCO"]):
        assert section.identified(fields) == ("", "")


def test_a_lane_that_finds_a_wrong_calibration_does_not_start_and_leaves_no_field(lane: Made) -> None:
    running, bench = lane(magnet={"current_per_tesla": 90.0})
    with (
        pytest.raises(InstrumentFault, match=r"MODEL475.*measures 0\.018 T, not 0\.02 T within 0\.0002 T"),
        acquire_bench(bench),
    ):
        pass
    assert magnet(running)["current"] == 0
    assert not dirty(bench)


def test_a_link_that_breaks_while_such_a_field_goes_down_is_opened_anew_until_it_is_down(kepco: Made) -> None:
    running, bench = kepco()
    running.control.set("read_back", "magnet", relative=0.05)
    running.control.set("drop", "magnet", match=":CURR?;:MEAS:CURR?", after=1)  # the second way down
    with pytest.raises(InstrumentFault, match=r"2\.1 A flow instead of 2 A"), acquire_bench(bench):
        pass
    assert magnet(running)["current"] == 0
    assert not dirty(bench)


def test_the_field_is_there_while_a_train_is_fired_and_gone_afterwards(lane: Made) -> None:
    running, bench = lane()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a"], np.full((3, 1), WRITE), [RESET], READ)
        assert magnet(running)["current"] == pytest.approx(CURRENT)
        assert [sorted(row) for row in run.measured] == 2 * [["field_magnet", "field_probe"]]
        assert all(value == pytest.approx(FIELD) for row in run.measured for value in row.values())
    assert running.control.exposure()["overall"]["pulses"] == 6
    assert magnet(running)["current"] == 0
    assert magnet(running)["largest_step"] <= 1.01 * STEP


def test_a_fault_of_the_field_stops_the_lane_before_the_next_pulse_with_the_source_off(lane: Made) -> None:
    running, bench = lane()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        fired = running.control.exposure()["overall"]["pulses"]
        running.control.set("quench", "magnet")
        with pytest.raises(InstrumentFault, match="reports"):
            trains.run("two", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        assert running.control.exposure()["overall"]["pulses"] == fired
        assert running.control.state()["source"]["output"] is False
        assert running.control.state()["switch"]["closed"] == []
        assert list(trains.journal.trains["two"].missing()) == [0, 1]  # none was fired, none is lost
        running.control.clear()
        assert magnet(running)["current"] == 0
        assert not trains.run("two", ["a"], np.full((2, 1), WRITE), [RESET], READ).lost
        assert magnet(running)["current"] == pytest.approx(CURRENT)


def test_a_field_that_goes_in_the_middle_of_a_cycle_lets_no_write_pulse_leave(lakeshore: Made) -> None:
    running, bench = lakeshore()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("quench", "magnet", after=1, match="ERST?")  # of which there is one before each pulse
        with pytest.raises(InstrumentFault, match="output over voltage"):
            trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        exposure = running.control.exposure()["devices"]["a"]
        assert (exposure["negative_pulses"], exposure["positive_pulses"]) == (1, 0)
        assert not trains.journal.trains["one"].fired


@pytest.mark.parametrize("count", [2, 3])  # before and between the messages that verify the supply
def test_an_open_interlock_of_the_magnet_is_waited_for_and_the_cycle_begun_again(lakeshore: Made, count: int) -> None:
    running, bench = lakeshore()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("flow_switch", "magnet", after=count, times=30)
        run = trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        assert not run.lost
        assert running.control.exposure()["overall"]["pulses"] == 4
        assert magnet(running)["current"] == pytest.approx(CURRENT)
        assert running.control.faults() == []


def test_the_source_is_off_first_then_the_relays_open_then_the_field_goes_down(
    lane: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bench = lane()
    order: list[str] = []
    ask = Session.ask

    def noted(session: Session, *arguments: Any, **options: Any) -> list[str]:
        order.append(session.instrument.model)
        return ask(session, *arguments, **options)

    with acquire_bench(bench) as session:
        monkeypatch.setattr(Session, "ask", noted)
        session.safe()
        monkeypatch.undo()
    models = list(dict.fromkeys(order))
    assert models[:2] == ["6221", "7001"]
    assert models[2:] == [bench.auxiliary["magnet"].model]
    assert order == sorted(order, key=models.index)


def test_a_field_goes_down_also_where_the_source_does_not_answer(supply: Made) -> None:
    running, bench = supply()
    with opened(bench, "magnet") as driver:
        driver.safe()
        driver.start()
    running.control.set("refuse", "source")
    with pytest.raises(BenchError, match="is not known to be safe: 6221"):
        make_safe(bench, timeout_s=0.1)
    assert magnet(running)["current"] == 0


def test_of_two_that_do_not_get_safe_the_others_do_and_the_first_is_named(supply: Made) -> None:
    running, bench = supply()
    instruments = Instruments(bench)
    instruments.open(5)
    instruments.start()
    running.control.set("refuse", "probe")
    running.control.set("drop", "switch")
    with pytest.raises(BenchError, match="7001"):
        instruments.safe()
    instruments.close()
    assert magnet(running)["current"] == 0
