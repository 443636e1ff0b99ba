"""Relays: what they connect, and what is noted of how they were moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.two_resistors import CHANNELS, PULSE, Wire
from instrument_emulator.control import Control

Connect = Callable[[str], Wire]
A, B = (f"(@{','.join(CHANNELS[d])})" for d in "ab")


@pytest.fixture
def switch(connect: Connect) -> Wire:
    wire = connect("switch")
    wire.ask("*ESR?")
    return wire


def connected(control: Control) -> list[str]:
    return [name for name, d in control.state()["devices"].items() if d["connected"]]


def test_all_relays_of_a_device_have_to_be_closed(switch: Wire, control: Control) -> None:
    assert switch.ask("ROUT:CLOS (@1!1);CLOS? (@1!1,1!11);:ROUT:OPEN? (@1!1,1!11)") == "1,0;0,1"
    assert connected(control) == []
    assert switch.ask("ROUT:CLOS (@1!11);CLOS:STAT?") == "(@1!1,1!11)"
    assert connected(control) == ["a"]
    assert switch.ask("OPEN (@1!1);:ROUT:CLOS:STAT?;:ROUT:OPEN ALL;CLOS:STAT?") == "(@1!11);(@)"
    assert connected(control) == []


def test_relays_stay_as_they_are_when_the_connection_ends(switch: Wire, control: Control) -> None:
    switch.ask(f"ROUT:CLOS {A};*OPC?")
    switch.close()
    assert connected(control) == ["a"]


def test_two_devices_at_once_share_the_current_and_are_noted(switch: Wire, source: Wire, control: Control) -> None:
    switch.ask(f"ROUT:CLOS {B};*OPC?")
    assert control.exposure()["overall"]["two_connected"] == 1
    source.ask("SOUR:CURR 1E-4;:OUTP 1;*OPC?")
    assert [d["current"] for d in control.state()["devices"].values()] == pytest.approx([5e-5, 5e-5])


def test_moving_a_relay_while_current_flows_is_noted(switch: Wire, source: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 1E-4;:OUTP 1;*OPC?")
    switch.ask("ROUT:OPEN ALL;*OPC?")
    exposure = control.exposure()
    assert exposure["overall"]["hot_switchings"] == exposure["devices"]["a"]["hot_switchings"] == 1
    assert exposure["devices"]["b"]["hot_switchings"] == 0
    assert source.ask("STAT:MEAS:COND?") == "8"  # nothing is connected
    source.ask("SOUR:CLE;*OPC?")
    switch.ask(f"ROUT:CLOS {B};*OPC?;:ROUT:OPEN ALL")
    assert control.exposure()["overall"]["hot_switchings"] == 1


def test_a_meter_without_a_device_overflows(switch: Wire, meter: Wire) -> None:
    assert meter.ask("READ?") == "+9.9E37"


def test_a_relay_can_fail_to_close(switch: Wire, control: Control) -> None:
    control.set("relay_open", channel="1!11")
    assert switch.ask(f"ROUT:CLOS {A};CLOS? {A}") == "1,0"
    assert connected(control) == []
    control.clear()
    assert switch.ask(f"ROUT:CLOS? {A}") == "1,1"


def test_a_second_relay_can_stay_closed(switch: Wire, control: Control) -> None:
    for channel in CHANNELS["b"]:
        control.set("relay_closed", channel=channel)
    assert switch.ask(f"ROUT:OPEN ALL;CLOS {A};CLOS:STAT?") == "(@1!1,1!2,1!11,1!12)"
    assert control.exposure()["overall"]["two_connected"] == 1


def test_the_audit_counts_pulses_currents_and_the_least_gap(switch: Wire, source: Wire, control: Control) -> None:
    assert control.exposure()["overall"]["min_gap"] is None
    for sign, gap in ((1, 0), (-1, 1e4), (-1, 3e4)):
        control.clock(advance=gap)
        source.ask(f"{PULSE.format(sign=sign)};:SOUR:WAVE:ARM;INIT;*OPC?")
        while source.ask("OUTP?") == "1":
            pass
    source.ask("SOUR:CURR 1E-3;:OUTP 1;*OPC?")
    source.ask("SOUR:CLE;*OPC?")
    exposure = control.exposure()
    assert exposure["devices"]["b"]["pulses"] == 0
    for tally in (exposure["overall"], exposure["devices"]["a"]):
        assert (tally["pulses"], tally["positive_pulses"], tally["negative_pulses"]) == (3, 1, 2)
        assert (tally["max_pulse"], tally["max_steady"], tally["max_current"]) == (1e-3, 1e-3, 1e-3)
        assert 1e4 <= tally["min_gap"] < 2.9e4
