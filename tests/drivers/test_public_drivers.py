"""What public drivers send and expect, against the emulated instruments, each session as it went over the wire."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from conftest import PYTHON, Bench

pytestmark = pytest.mark.drivers
Recorded = Callable[[str], None]
Excuse = Callable[[Any, Any, list[str]], bool]


def same(sent: Any, read: Any) -> bool:
    """Whether a value came back; infinity is 9.9E37."""
    if sent == "INF":
        return bool(read == 9.9e37)
    if isinstance(sent, float | int) and not isinstance(sent, bool):
        return isinstance(read, float | int) and math.isclose(sent, read, rel_tol=1e-5, abs_tol=1e-13)
    return bool(sent == read)


def only(*numbers: int) -> Excuse:
    """Nothing goes wrong but with these errors."""
    return lambda value, read, errors: bool(errors) and {int(float(e.split(",")[0])) for e in errors} <= set(numbers)


def a_range_that_covers(value: Any, read: Any, errors: list[str]) -> bool:
    """A range reads back as its name, which covers what was asked for."""
    return not errors and read * 1.2 >= abs(value)


def in_steps_of(step: float) -> Excuse:
    return lambda value, read, errors: not errors and abs(read - value) <= step / 2 * 1.001


def check(attempts: list[Any], excused: dict[str, Excuse]) -> None:
    """Every attempt came back as it was set, without an error; of what is excused some have to need it."""
    needed = set()
    for name, value, read, errors in attempts:
        if errors or read == "no reply" or (value is not None and not same(value, read)):
            assert name in excused, (name, value, read, errors)
            assert excused[name](value, read, errors), (name, value, read, errors)
            needed.add(name)
    assert needed == set(excused)


def test_every_property_of_pymeasures_6221_can_be_read_and_set(bench: Bench, recorded: Recorded) -> None:
    attempts = bench.run("pymeasure_properties.py", "Keithley6221", "source")
    check(
        attempts,
        {
            "buffer_data": only(-102, -230),  # its reset sends :*CLS, which IEEE 488.2 has without colon; empty
            "delta_sense": only(-221),  # no delta mode runs
            "delta_values": only(-230),  # the buffer is empty
            "standard_event_enabled": only(-113),  # it sends ESE without the asterisk
            "source_range": a_range_that_covers,
            "source_compliance": in_steps_of(0.01),
            # seven digits in, six out: 999999.999 is sent as 1e+06, beyond the limit
            "source_delay": only(-222),
            "waveform_duration_time": only(-222),
            "waveform_duration_cycles": only(-222),
            # limits that are narrower elsewhere: the manual has 0 to 360 degrees and 65536 points
            "waveform_phasemarker_phase": only(-222),
            "delta_buffer_points": only(-222),
            "delta_delay": only(-222),
            "delta_measurement_sets": only(-222),
        },
    )
    assert len({name for name, *_ in attempts}) > 45
    recorded("pymeasure-6221-properties")


def test_every_property_of_pymeasures_2000_can_be_read_and_set(bench: Bench, recorded: Recorded) -> None:
    attempts = bench.run("pymeasure_properties.py", "Keithley2000", "meter")
    ranges = {f"{name}_range" for name in ("current", "current_ac", "voltage", "voltage_ac", "resistance",
                                           "resistance_4W")}  # fmt: skip
    check(
        attempts,
        {
            "beep_state": only(-102),  # the reset before it sends :*CLS
            "buffer_data": only(-230),  # empty
            "period_threshold": only(-113),  # it sends SENS:PRE instead of SENS:PER
            "trigger_delay": only(-222),  # 999999.999 is sent as 1e+06
            **dict.fromkeys(ranges, a_range_that_covers),
        },
    )
    assert len({name for name, *_ in attempts}) > 45
    recorded("pymeasure-2000-properties")


def test_what_pymeasures_documentation_shows_runs(bench: Bench, recorded: Recorded) -> None:
    found = bench.run("pymeasure_examples.py", "source", "meter")
    assert found["ohms"] == pytest.approx([1.0] * 6)
    assert found["root mean square"] == pytest.approx(1e-3 / math.sqrt(2), rel=0.02)
    assert found["frequency"] == 1000
    assert found["end of the square wave"] == 128
    assert found["function"] == "arbitrary2"
    assert (found["2182A"], found["arming delta"]) == (False, [-241])
    assert found["buffer"] == pytest.approx([1e-3] * 10)
    assert (found["voltage"], found["voltage above the reference"]) == pytest.approx((1e-3, 0))
    assert (found["triggers"], found["bus trigger"]) == ([], [-224])  # a 6221 has no TRIG:SOUR BUS
    assert found["current"] == 0
    assert {found[name] for name in ("resistance", "temperature", "diode", "continuity")} == {9.9e37}
    assert found["functions"] == []
    exposure = bench.control.exposure()["overall"]
    assert exposure["max_steady"] == pytest.approx(0.01)
    assert exposure["pulses"] > 200
    assert not bench.control.state()["source"]["output"]
    recorded("pymeasure-examples")


def test_every_parameter_of_qcodes_2000_can_be_set_and_read(bench: Bench, recorded: Recorded) -> None:
    *tried, (readings, infinite, error, identity) = bench.run("qcodes_2000.py", "meter")
    for mode, name, sent, read in tried:
        assert same(sent, read), (mode, name, sent, read)
    assert len(tried) > 80
    assert readings == [0.0] * 3
    assert float(infinite) == 9.9e37
    assert error.startswith("0,")
    assert (identity["vendor"], identity["model"]) == ("KEITHLEY INSTRUMENTS INC.", "2000")
    recorded("qcodes-2000")


def test_instrumentkits_6220_sets_and_reads_a_current(bench: Bench, recorded: Recorded) -> None:
    found = bench.run("instrumentkit_6220.py", "source")
    assert "MODEL 6221" in found["name"]
    for sent, read in found["currents"]:
        assert read == pytest.approx(sent)
    assert found["limits"] == pytest.approx([-0.105, 0.105])
    assert found["off"] == "0"
    recorded("instrumentkit-6220")


def test_pyvisa_shell_talks_to_all(bench: Bench, recorded: Recorded) -> None:
    typed = []
    for role in ("source", "meter"):
        typed += [f"open {bench.addresses[role]}", "termchar LF LF", "query *IDN?", "write *CLS", "query SYST:ERR?"]
        typed += ["query SOUR:WAVE:FREQ? MAX" if role == "source" else "query MEAS:VOLT:DC?", "close"]
    shell = str(PYTHON.with_name("pyvisa-shell"))
    said = bench.output([shell, "-b", "py"], typed="\n".join([*typed, "exit", ""]))
    assert "Response: KEITHLEY INSTRUMENTS INC.,MODEL 6221,EMU1" in said
    assert "Response: KEITHLEY INSTRUMENTS INC.,MODEL 2000,EMU2" in said
    assert 'Response: 0,"No error"' in said
    assert "Response: 1.000000E+05" in said
    assert "Response: +0.00000000E+00VDC" in said
    recorded("pyvisa-shell")
