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


def test_a_reset_moves_no_relay_and_a_power_cycle_opens_all(switch: Wire, control: Control) -> None:
    switch.ask(f"ROUT:CLOS {A};*RST;*OPC?")  # 7001 manual p. 5-78
    assert connected(control) == ["a"]
    control.set("power_cycle", "switch")
    assert switch.ask("ROUT:CLOS:STAT?") == "(@)"


def test_a_pattern_of_relays_is_kept_and_stands_for_them_in_a_list(switch: Wire) -> None:
    assert switch.ask(f"ROUT:CLOS {A};MEM:SAVE M36;:ROUT:OPEN ALL;MEM:REC M36;:ROUT:CLOS:STAT?") == "(@1!1,1!11)"
    assert switch.ask("ROUT:OPEN ALL;CLOS (@M36,1!3);CLOS:STAT?;:ROUT:CLOS? (@M36)") == "(@1!1,1!3,1!11);1,1"
    switch.ask("ROUT:CLOS (@M37);*OPC?")
    assert switch.ask("STAT:QUE?").startswith("-221")
    assert switch.ask("*RST;:ROUT:OPEN ALL;MEM:REC M36;:ROUT:CLOS:STAT?") == "(@1!1,1!11)"


def test_cards_can_move_together_and_channels_one_at_a_time(switch: Wire) -> None:
    assert switch.ask("ROUT:CONF:CPA 1;:ROUT:CLOS (@1!5);CLOS:STAT?") == "(@1!5,2!5)"
    assert switch.ask("ROUT:OPEN (@2!5);CLOS:STAT?;:ROUT:CONF:CPA 0") == "(@)"
    assert switch.ask("ROUT:CONF:SCH 1;:ROUT:CLOS (@1!5);CLOS (@1!6);CLOS:STAT?") == "(@1!6)"


def test_a_scan_goes_through_its_list_one_channel_at_a_time(switch: Wire) -> None:
    switch.ask("ROUT:SCAN (@1!1:1!3);:TRIG:SOUR BUS;COUN:AUTO 1;*OPC?")
    assert switch.ask("ROUT:SCAN?;SCAN:POIN?") == "(@1!1,1!2,1!3);3"
    switch.write("INIT")
    closed = [switch.ask("*TRG;:ROUT:CLOS:STAT?") for _ in range(3)]
    assert closed == ["(@1!1)", "(@1!2)", "(@1!3)"]
    assert switch.ask("*TRG;:STAT:QUE?").startswith("-211")
    assert switch.ask("ROUT:OPEN ALL;:TRIG:SOUR IMM;:INIT;:ROUT:CLOS:STAT?;:STAT:OPER:COND?") == "(@1!3);1024"


def test_a_scan_switches_hot_only_where_current_flows(switch: Wire, source: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 1E-4;:OUTP 1;*OPC?")
    switch.ask(f"ROUT:OPEN ALL;SCAN {A};:INIT;*OPC?")
    assert control.exposure()["overall"]["hot_switchings"] > 1


def test_its_cards_are_multiplexers(switch: Wire) -> None:
    assert switch.ask("ROUT:CONF:SLOT1:CTYP?;:CONF:SLOT:CTYP?;:CONF:SLOT2:CTYP?") == "C7011;C7011;C7011"
    switch.ask("ROUT:CLOS (@1!4!1);*OPC?")  # a crosspoint of a matrix card
    assert switch.ask("STAT:QUE?").startswith("-222")


def test_a_list_may_have_blanks(switch: Wire) -> None:
    assert switch.ask(":CLOSE (@ 1!1, 1!2);:CLOS:STAT?;:OPEN ALL;CLOS:STAT?") == "(@1!1,1!2);(@)"
