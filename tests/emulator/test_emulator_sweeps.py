"""Sweeps and lists of the source; delta modes, which nobody can run here; setups that are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.test_emulator_source import Bench
from emulator.two_resistors import PATH


@pytest.fixture
def bench() -> Bench:
    return Bench()


def levels(bench: Bench) -> list[float]:
    """Currents that the device has felt, apart from 0 A."""
    return [pytest.approx(current) for _, current, _ in bench.pulses]


def test_a_linear_sweep_flows_step_by_step_and_stays_at_its_last_level(bench: Bench) -> None:
    bench.ask("SOUR:SWE:SPAC LIN;:SOUR:CURR:STAR 1E-3;STOP 3E-3;STEP 1E-3;:SOUR:DEL 10;:SOUR:SWE:COUN 1;ARM")
    assert bench.ask("OUTP?;:SOUR:SWE:ARM?;:STAT:OPER:COND?") == "1;1;0"
    assert bench.circuit.currents["a"] == 0
    bench.ask("INIT")
    for expected in (1e-3, 2e-3, 3e-3):
        assert bench.ask("STAT:OPER:COND?") == "8"  # sweeping
        assert bench.circuit.currents["a"] == pytest.approx(expected)
        bench.later(10)
    assert bench.ask("STAT:OPER:COND?;:OUTP?") == "1026;1"  # done and idle, and the output is on
    assert bench.circuit.currents["a"] == pytest.approx(3e-3)
    bench.ask("OUTP 0")
    assert levels(bench) == [1e-3, 2e-3, 3e-3]
    assert bench.error() == 0


def test_a_sweep_can_go_down_by_decades_and_again(bench: Bench) -> None:
    bench.ask("SOUR:SWE:SPAC LOG;POIN 3;COUN 2;:SOUR:CURR:STAR 1E-2;STOP 1E-4;:SOUR:DEL 1;:SOUR:SWE:ARM;:INIT")
    bench.later(10)
    bench.ask("SOUR:SWE:ABOR;*OPC?;:SOUR:CLE")
    assert levels(bench) == [1e-2, 1e-3, 1e-4] * 2
    bench.ask("SOUR:CURR:STAR -1E-3;:SOUR:SWE:ARM")  # no logarithm goes through 0
    assert bench.error() == -221


def test_a_list_has_delays_and_limits_of_its_own(bench: Bench) -> None:
    bench.ask(
        "SOUR:SWE:SPAC LIST;:SOUR:LIST:CURR 1E-3,-2E-3;CURR:APP 5E-3;:SOUR:LIST:DEL 2,3;:SOUR:LIST:COMP 10,10,1"
    )
    asked = "SOUR:LIST:CURR:POIN?;:SOUR:LIST:CURR?;:SOUR:LIST:COMP:POIN?"
    assert bench.ask(asked) == "3;1.000000E-03,-2.000000E-03,5.000000E-03;3"
    bench.ask("SOUR:SWE:ARM;:INIT")
    bench.later(100)
    assert bench.ask("OUTP?") == "1"
    assert bench.ask("STAT:MEAS:COND?") == "8"  # the last one is clipped at 1 V
    bench.ask("SOUR:CLE")
    assert levels(bench) == [1e-3, -2e-3, 1 / PATH]
    assert [round(width) for _, _, width in bench.pulses[:2]] == [2, 3]


def test_levels_beyond_a_fixed_range_end_there(bench: Bench) -> None:
    bench.ask("SOUR:CURR:RANG 2E-3;:SOUR:CURR:STAR 1E-3;STOP 5E-3;STEP 1E-3;:SOUR:SWE:RANG FIX;:SOUR:DEL 1")
    bench.ask("SOUR:SWE:ARM;:INIT")
    bench.later(100)
    bench.ask("SOUR:CLE")
    assert levels(bench) == [1e-3, 2e-3, 2.1e-3, 2.1e-3, 2.1e-3]  # 6221 reference manual p. 4-9


def test_compliance_can_end_a_sweep(bench: Bench) -> None:
    bench.ask("SOUR:CURR:COMP 1.5;STAR 1E-3;STOP 5E-3;STEP 1E-3;:SOUR:DEL 1;:SOUR:SWE:CAB 1;ARM;:INIT")
    bench.later(100)
    assert bench.ask("OUTP?;:SOUR:SWE:ARM?") == "0;0"
    assert int(bench.ask("STAT:OPER:EVEN?")) & 4
    assert len(bench.pulses) < 3


@pytest.mark.parametrize("end", ["SOUR:SWE:ABOR", "ABOR", "SOUR:CLE", "OUTP 0", "*RST"])
def test_a_sweep_without_end_flows_until(bench: Bench, end: str) -> None:
    bench.ask("SOUR:CURR:STAR 1E-3;STOP 2E-3;:SOUR:SWE:POIN 2;COUN INF;:SOUR:DEL 0.001;:SOUR:SWE:ARM;:INIT")
    bench.later(1e6)
    assert bench.ask("OUTP?;:STAT:OPER:COND?") == "1;8"
    assert bench.circuit.exposure.report()["devices"]["a"]["max_steady"] == pytest.approx(2e-3)
    bench.ask(end)
    assert bench.ask("OUTP?;:SOUR:SWE:ARM?") == "0;0"
    assert bench.circuit.currents["a"] == 0
    bench.later(1e3)
    assert bench.ask("OUTP?") == "0"


def test_a_sweep_waits_for_the_bus(bench: Bench) -> None:
    bench.ask("*TRG")
    assert bench.error() == -211
    bench.ask("SOUR:CURR:STAR 1E-3;STOP 2E-3;:SOUR:SWE:POIN 2;:ARM:SOUR BUS;:SOUR:SWE:ARM;:INIT")
    bench.later(100)
    assert bench.ask("STAT:OPER:COND?") == "64"
    assert bench.circuit.currents["a"] == 0
    bench.ask("INIT")
    assert bench.error() == -213
    bench.ask("*TRG")
    assert bench.circuit.currents["a"] == pytest.approx(1e-3)


@pytest.mark.parametrize("wrong", ["SOUR:CURR:STAR 0", "SOUR:SWE:POIN 5", "SOUR:LIST:CURR 1E-3", "SOUR:WAVE:ARM"])
def test_what_is_armed_cannot_be_changed(bench: Bench, wrong: str) -> None:
    bench.ask(f"SOUR:SWE:ARM;:{wrong}")
    assert bench.error() == -221


def test_a_sweep_is_not_armed_beside_a_wave_nor_with_an_open_interlock(bench: Bench) -> None:
    bench.ask("SOUR:WAVE:ARM;:SOUR:SWE:ARM")
    assert bench.error() == -221
    bench.ask("SOUR:WAVE:ABOR")
    bench.circuit.faults.set("interlock")
    bench.source.faults_changed()
    bench.ask("SOUR:SWE:ARM")
    assert bench.error() == 802
    bench.ask("INIT")
    assert bench.error() == -221


AMPERE = st.floats(-0.1, 0.1)


@given(st.lists(st.tuples(st.sampled_from(["STAR", "STOP", "CENT"]), AMPERE), max_size=4), st.integers(2, 100))
def test_settings_of_a_sweep_follow_each_other(steps: list[tuple[str, float]], points: int) -> None:
    bench = Bench()
    for name, value in steps:
        bench.ask(f"SOUR:CURR:{name} {value!r}")
    bench.ask(f"SOUR:SWE:POIN {points}")
    v = bench.source.values  # 6221 reference manual p. 4-22
    assert v["center"] == pytest.approx((v["start"] + v["stop"]) / 2, abs=1e-15)
    assert v["span"] == pytest.approx(abs(v["stop"] - v["start"]), abs=1e-15)
    assert v["step"] == pytest.approx(v["span"] / (points - 1), abs=1e-15)
    bench.ask("SOUR:CURR:STEP 0.001")
    assert v["points"] == pytest.approx(v["span"] / 1e-3, abs=2)


@pytest.mark.parametrize("mode", ["DELT", "PDEL", "DCON"])
def test_delta_modes_can_be_set_and_not_armed(bench: Bench, mode: str) -> None:
    assert bench.ask(f"SOUR:{mode}:NVPR?;ARM?") == "0;0"
    bench.ask(f"SOUR:{mode}:ARM")
    assert bench.error() == -241  # hardware missing: no 2182A
    bench.ask("SENS:DATA?")
    assert bench.error() == -221  # no delta mode runs: user's manual p. 5-41
    bench.ask("TRAC:DATA?")
    assert bench.error() == -230
    assert (
        bench.ask("SOUR:DELT:HIGH 2E-3;LOW?;COUN INF;COUN?;:UNIT OHMS;:UNIT:VOLT:DC?") == "-2.000000E-03;+9.9E37;OHMS"
    )


def test_what_would_go_to_a_nanovoltmeter_finds_none(bench: Bench) -> None:
    bench.ask("SYST:COMM:SER:SEND '*IDN?'")
    assert bench.error() == -241
    bench.ask("SYST:COMM:SER:ENT?")
    assert bench.error() == -241


def test_a_setup_comes_back_with_the_output_off(bench: Bench) -> None:
    bench.ask("SOUR:CURR:COMP 5;:SOUR:CURR 1E-3;:OUTP 1;*SAV 3;*RST")
    assert bench.ask("SOUR:CURR:COMP?;:OUTP?") == "1.000000E+01;0"
    bench.source.power_cycle()
    assert bench.ask("*RCL 3;:SOUR:CURR:COMP?;:SOUR:CURR?;:OUTP?") == "5.000000E+00;1.000000E-03;0"
    assert bench.circuit.currents["a"] == 0
    assert bench.ask("*RCL 4;:SOUR:CURR:COMP?") == "1.000000E+01"  # nothing was kept there
    bench.ask("*SAV 5")
    assert bench.error() == -222


def test_a_preset_is_a_reset_with_some_settings_of_its_own(bench: Bench) -> None:
    bench.ask("SOUR:CURR 1E-3;:OUTP 1;:SYST:PRES")
    assert bench.ask("OUTP?;:SOUR:CURR?;:FORM:BORD?;*RST;:FORM:BORD?") == "0;0.000000E+00;SWAP;NORM"
    assert bench.circuit.currents["a"] == 0


RegisterValue = Callable[[str], int]


@pytest.mark.parametrize(
    ("name", "read"), [("ASC", int), ("HEX", lambda t: int(t[2:], 16)), ("BIN", lambda t: int(t[2:], 2))]
)
def test_registers_are_written_in_the_base_that_is_set(bench: Bench, name: str, read: RegisterValue) -> None:
    bench.ask(f"FORM:SREG {name};*ESE #B100100;:STAT:OPER:ENAB #H400")
    assert [read(text) for text in bench.ask("*ESE?;:STAT:OPER:ENAB?").split(";")] == [36, 1024]


@pytest.mark.parametrize(
    ("error", "bit"), [("SOUR:WAVE:ARM;FREQ 1", 16), ("SOUR:DELT:ARM", 16), ("SOUR:NONSENSE", 32)]
)
def test_an_error_sets_the_bit_of_its_class(bench: Bench, error: str, bit: int) -> None:
    assert bench.ask(f"*CLS;:{error}") == ""
    assert bench.ask("*ESR?") == str(bit)  # 6221 reference manual p. 11-11
