"""The current source: direct current, the states of a wave, what reaches the terminals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.two_resistors import PATH, PULSE, Resistors, one_resistor
from instrument_emulator.circuit import Circuit
from instrument_emulator.keithley6221 import EmulatedKeithley6221


class Bench:
    """A source with one resistor, whose time only goes when it is told to (and with the real seconds of the test)."""

    def __init__(self) -> None:
        self.circuit: Circuit = one_resistor()
        self.source = EmulatedKeithley6221("source", "EMU1", self.circuit, arm_delay=0.0)
        self.source.execute("*CLS")

    @property
    def pulses(self) -> list[tuple[str, float, float]]:
        assert isinstance(self.circuit.dut, Resistors)
        return self.circuit.dut.pulses

    def ask(self, message: str) -> str:
        with self.circuit.lock:
            self.circuit.catch_up()
            return self.source.execute(message)

    def error(self) -> int:
        return int(self.ask("STAT:QUE?").split(",")[0])

    def later(self, seconds: float) -> None:
        self.circuit.clock.advance(seconds)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def slow_pulse(bench: Bench, sign: int = 1) -> None:
    """A pulse of 50 s, so that the test can look at it, armed."""
    bench.ask(f"{PULSE.format(sign=sign)};:SOUR:WAVE:FREQ 0.01;ARM")


def test_its_identity_has_trailing_blanks(bench: Bench) -> None:
    assert bench.ask("*IDN?") == "KEITHLEY INSTRUMENTS INC.,MODEL 6221,EMU1,D04  /700x "


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pulse_of_either_sign_reaches_the_device_with_its_width(bench: Bench, sign: int) -> None:
    assert bench.ask(f"{PULSE.format(sign=sign)};:SOUR:WAVE:ARM;INIT;*OPC?") == "1"
    bench.later(1.0)
    assert bench.ask("OUTP?") == "0"
    assert bench.pulses == [("a", sign * 1e-3, 1e-4)]


def test_every_nonzero_point_is_a_pulse_of_its_own_level(bench: Bench) -> None:
    bench.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARB:DATA 1,0,-0.5;APP 0.25,0;:SOUR:WAVE:OFFS 0;ARM;INIT")
    bench.later(1.0)
    assert bench.ask("SOUR:WAVE:ARB:POIN?") == "5"
    assert [round(i, 12) for _, i, _ in bench.pulses] == [1e-3, -5e-4, 2.5e-4]
    assert [w for _, _, w in bench.pulses] == pytest.approx([1 / (5000 * 5)] * 3)


def test_a_square_wave_swings_about_its_offset(bench: Bench) -> None:
    bench.ask("SOUR:WAVE:FUNC SQU;FREQ 5000;AMPL 5E-4;OFFS 5E-4;DCYC 50;DUR:CYCL 2;:SOUR:WAVE:ARM")
    bench.later(1.0)
    bench.ask("SOUR:WAVE:INIT")
    bench.later(1.0)
    bench.ask("OUTP?")
    armed, *wave = bench.pulses
    assert armed[1] == 5e-4  # the offset flows between arming and start
    assert armed[2] >= 1.0
    assert wave == [("a", 1e-3, 1e-4)] * 2


@pytest.mark.parametrize("function", ["SIN", "RAMP"])
def test_smooth_waves_come_in_steps_up_to_their_amplitude(bench: Bench, function: str) -> None:
    bench.ask(f"SOUR:WAVE:FUNC {function};FREQ 100;AMPL 1E-3;OFFS 0;DUR:TIME 0.02;:SOUR:WAVE:ARM;INIT")
    bench.later(1.0)
    bench.ask("OUTP?")
    levels = [i for _, i, _ in bench.pulses]
    assert len(levels) == 128
    assert 0.95e-3 < max(levels) <= 1e-3
    assert sum(levels) == pytest.approx(0, abs=1e-12)


def test_an_endless_sine_flows_until_it_is_aborted(bench: Bench) -> None:
    bench.ask("SOUR:WAVE:FUNC SIN;FREQ 1000;AMPL 1E-3;OFFS 0;DUR:TIME INF;:SOUR:WAVE:ARM;INIT")
    for _ in range(3):
        bench.later(1e5)
        assert bench.ask("OUTP?;:SOUR:WAVE:ARM?;:STAT:OPER:COND?") == "1;1;16"
    counted = bench.circuit.exposure.report()["devices"]["a"]
    assert counted["pulses"] == 0  # what flows without an end is no pulse
    assert 0.99e-3 < counted["max_steady"] <= 1e-3
    assert 0 < len(bench.pulses) < 1e-3 * 3e5 * 1000 * 64  # the devices feel the last cycles of each wait
    bench.ask("SOUR:WAVE:ABOR")
    assert bench.ask("OUTP?") == "0"
    assert bench.circuit.currents["a"] == 0
    assert bench.error() == 0


@pytest.mark.parametrize(("function", "harmonic"), [("SIN", 1.0), ("SQU", 4 / math.pi)])
def test_the_first_harmonic_of_a_wave_is_known_while_it_plays(bench: Bench, function: str, harmonic: float) -> None:
    assert bench.circuit.wave is None
    bench.ask(f"SOUR:WAVE:FUNC {function};FREQ 137;AMPL 2E-3;OFFS 1E-3;:SOUR:WAVE:ARM;INIT")
    assert bench.circuit.wave is not None
    assert bench.circuit.frequency == pytest.approx(137)
    assert bench.circuit.wave.first_harmonic() == pytest.approx(-2e-3j * harmonic, rel=1e-3)
    bench.ask("SOUR:WAVE:ABOR")
    assert bench.circuit.frequency == 0


def test_a_long_wave_counts_the_same_however_often_it_is_looked_at(bench: Bench) -> None:
    often, once = Bench(), bench
    for source in (often, once):
        source.ask("SOUR:WAVE:FUNC SQU;FREQ 100;AMPL 1E-3;OFFS 2E-4;DCYC 30;DUR:CYCL 1E6;:SOUR:WAVE:ARM;INIT")
    for _ in range(200):
        often.later(100.0)
        often.ask("*OPC?")
    once.later(20_000.0)
    once.ask("*OPC?")
    for source in (often, once):
        source.later(20_001.0)
        assert source.ask("OUTP?") == "0"
        report = source.circuit.exposure.report()["devices"]["a"]
        assert report["positive_pulses"] == report["negative_pulses"] == 1_000_000


def test_the_wave_goes_from_idle_to_armed_to_running_to_idle(bench: Bench) -> None:
    progress = "SOUR:WAVE:ARM?;:OUTP?;:STAT:OPER:EVEN?"
    bench.ask("STAT:OPER:EVEN?")
    slow_pulse(bench)
    assert bench.ask(progress) == "1;1;32"
    assert not any(bench.circuit.currents.values())
    bench.ask("SOUR:WAVE:INIT")
    assert bench.ask(progress) == "1;1;16"
    assert bench.circuit.currents == {"a": 1e-3}
    bench.later(50)
    assert bench.ask(progress) == "1;1;0"
    assert bench.circuit.currents == {"a": 0.0}
    bench.later(50)
    assert bench.ask(progress) == f"0;0;{128 + 1024}"
    assert bench.ask("STAT:OPER:COND?") == f"{128 + 1024}"


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    "setting",
    ["FUNC SIN", "FREQ 1", "AMPL 1E-3", "OFFS 0", "DCYC 1", "DUR:CYCL 1", "DUR:TIME 1", "RANG FIX", "ARB:DATA 1,0",
     "ARB:APP 1", "ARB:COPY 1", "EXTR 0", "EXTR:IVAL 0", "PMAR:STAT 0", "ARM"],
)  # fmt: skip
def test_no_wave_setting_is_taken_while_a_wave_is_armed_or_runs(bench: Bench, setting: str, running: bool) -> None:
    slow_pulse(bench)
    if running:
        bench.ask("SOUR:WAVE:INIT")
    before = dict(bench.source.values)
    bench.ask(f"SOUR:WAVE:{setting}")
    assert bench.error() == 404
    assert bench.source.values == before


def test_aborting_ends_the_pulse_there_and_is_nothing_when_idle(bench: Bench) -> None:
    bench.ask("SOUR:WAVE:ABOR")
    assert bench.error() == 0
    slow_pulse(bench)
    bench.ask("SOUR:WAVE:INIT")
    bench.later(20)
    bench.ask("SOUR:WAVE:ABOR")
    assert bench.ask("OUTP?") == "0"
    assert int(bench.ask("STAT:OPER:EVEN?")) & 4
    bench.later(1000)
    bench.ask("*OPC?")
    assert len(bench.pulses) == 1
    assert bench.pulses[0][2] == pytest.approx(20, abs=1)


def test_starting_what_is_not_armed_or_runs_already_is_an_error(bench: Bench) -> None:
    bench.ask("SOUR:WAVE:INIT")
    assert bench.error() == -221
    slow_pulse(bench)
    bench.ask("SOUR:WAVE:INIT;INIT")
    assert bench.error() == -213


def test_a_wave_for_an_external_trigger_waits_for_it(bench: Bench) -> None:
    bench.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:EXTR 1;ARM;INIT")
    bench.later(10)
    assert bench.ask("SOUR:WAVE:ARM?;:OUTP?") == "1;1"
    assert bench.pulses == []


def test_a_fixed_range_too_low_for_the_wave_gives_no_wave(bench: Bench) -> None:
    bench.ask(f"{PULSE.format(sign=1)};:SOUR:CURR:RANG 2E-4;:SOUR:WAVE:RANG FIX;ARM;INIT")
    assert [bench.error(), bench.error()] == [-222, -221]
    bench.later(1.0)
    assert bench.ask("OUTP?;:STAT:OPER:EVEN?") == "0;0"
    assert bench.pulses == []


def test_ranges_have_five_percent_more(bench: Bench) -> None:
    assert (
        bench.ask("SOUR:CURR:RANG 1.1E-3;:SOUR:CURR 2.1E-3;:SOUR:CURR:RANG?;:SOUR:CURR?")
        == "2.000000E-03;2.100000E-03"
    )
    assert bench.error() == 0
    bench.ask("SOUR:CURR 2.11E-3")
    assert bench.error() == -222
    assert bench.ask("SOUR:CURR:RANG:AUTO 1;:SOUR:CURR 0.03;CURR:RANG?") == "1.000000E-01"
    bench.ask("SOUR:CURR 0.106")
    assert bench.error() == -222


def test_read_backs_are_those_of_the_instrument(bench: Bench) -> None:
    assert bench.ask("SOUR:WAVE:RANG FIXED;RANG?;DUR:TIME INF;TIME?;CYCL 1;TIME?") == "FIX;9.900000E+37;9.900000E+37"
    assert bench.ask("SOUR:CURR:COMP 9.9961;COMP?") == "1.000000E+01"
    assert bench.ask("OUTP:RESP SLOW;RESP?;LTE 1;LTE?;ISH GUARD;ISH?;INT:TRIP?") == "SLOW;1;GUAR;1"


def test_a_current_beyond_the_voltage_limit_is_clipped_and_told(bench: Bench) -> None:
    bench.ask("SOUR:CURR:COMP 2;:SOUR:CURR 1E-3;:OUTP 1")
    assert bench.ask("STAT:MEAS:COND?") == "0"
    bench.ask("SOUR:CURR 3E-3")
    assert bench.ask("STAT:MEAS:COND?") == "8"
    assert bench.circuit.currents["a"] == pytest.approx(2 / PATH)
    bench.ask("SOUR:CURR:COMP 4")
    assert bench.ask("STAT:MEAS:COND?;EVEN?") == "0;8"
    assert bench.circuit.exposure.report()["devices"]["a"]["max_requested"] == 3e-3
    assert bench.circuit.exposure.report()["devices"]["a"]["max_current"] == 3e-3


def test_compliance_within_a_pulse_is_seen_after_it(bench: Bench) -> None:
    bench.ask(f"{PULSE.format(sign=1)};:SOUR:CURR:COMP 0.5;:SOUR:WAVE:ARM;INIT")
    bench.later(1.0)
    assert bench.ask("STAT:MEAS:COND?;EVEN?") == "0;8"
    assert bench.pulses == [("a", 0.5 / PATH, 1e-4)]


@pytest.mark.parametrize("message", ["SOUR:CLE", "*RST", "OUTP 0"])
def test_current_and_wave_end_with(bench: Bench, message: str) -> None:
    bench.ask("SOUR:CURR 1E-3;:OUTP 1")
    assert bench.circuit.currents["a"] == 1e-3
    bench.ask(message)
    assert bench.ask("OUTP?") == "0"
    assert bench.circuit.currents["a"] == 0
    slow_pulse(bench)
    bench.ask("SOUR:WAVE:INIT")
    bench.ask(message)
    assert bench.ask("OUTP?;:SOUR:WAVE:ARM?") == "0;0"
    assert bench.circuit.currents["a"] == 0


COMMANDS = (
    "SOUR:CURR 1E-3", "SOUR:CURR 0", "OUTP 1", "OUTP 0", "SOUR:CLE", "SOUR:WAVE:ARM", "SOUR:WAVE:INIT",
    "SOUR:WAVE:ABOR", "*RST", PULSE.format(sign=1), "SOUR:WAVE:OFFS 1E-4", "SOUR:WAVE:FREQ 0.1",
    "SOUR:CURR:COMP 0.5", "SOUR:CURR:COMP 10",
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(COMMANDS), st.sampled_from((0.0, 1e-5, 3.0, 100.0))), max_size=12))
def test_whatever_was_sent_nothing_flows_with_the_output_off(steps: list[tuple[str, float]]) -> None:
    bench = Bench()
    for message, seconds in steps:
        bench.ask(message)
        bench.later(seconds)
        output, armed = bench.ask("OUTP?;:SOUR:WAVE:ARM?").split(";")
        flows = bench.circuit.currents["a"]
        assert armed <= output
        assert output == "1" or flows == 0
        assert abs(flows) <= bench.source.values["compliance"] / PATH * (1 + 1e-12)
    bench.ask("SOUR:WAVE:ABOR;:SOUR:CLE")
    assert bench.circuit.currents["a"] == 0
