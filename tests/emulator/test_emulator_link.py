"""The instruments over real connections: who may connect, what survives, what goes wrong on the wire."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest

from emulator.two_resistors import PULSE, Resistors, Wire, described
from instrument_emulator.control import Control
from instrument_emulator.errors import EmulatorError
from instrument_emulator.faults import KINDS
from instrument_emulator.server import Emulator

Connect = Callable[[str], Wire]


def end_of(wire: Wire) -> str:
    """How the other side ended the connection: FIN or RST."""
    try:
        return "FIN" if wire.line() == b"" else "line"
    except ConnectionResetError:
        return "RST"


def connected_again(connect: Connect, role: str) -> Wire:
    """A new connection once the port is free."""
    for _ in range(100):
        wire = connect(role)
        try:
            wire.ask("*OPC?")
            return wire
        except ConnectionError:
            time.sleep(0.01)
    raise AssertionError("the port does not come free")


def test_the_source_closes_a_second_connection_and_keeps_the_first(source: Wire, connect: Connect) -> None:
    second = connect("source")
    assert end_of(second) == "FIN"
    assert source.ask("*OPC?") == "1"
    source.close()
    assert connect("source").ask("*OPC?") == "1"


def test_the_meter_has_room_for_two(meter: Wire, connect: Connect) -> None:
    assert connect("meter").ask("*OPC?") == meter.ask("*OPC?") == "1"


@pytest.mark.parametrize("unclean", [False, True])
def test_output_and_wave_go_on_when_the_connection_ends(
    source: Wire, connect: Connect, control: Control, unclean: bool
) -> None:
    source.ask("SOUR:CURR 1E-4;:OUTP 1;*OPC?")
    if unclean:
        source.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    source.close()
    assert control.state()["source"]["output"]
    assert control.state()["devices"]["a"]["current"] == 1e-4
    again = connect("source")
    assert again.ask("OUTP?") == "1"
    assert again.ask(f"SOUR:CLE;{PULSE.format(sign=1)};:SOUR:WAVE:FREQ 0.001;ARM;INIT;*OPC?") == "1"
    again.close()
    assert control.state()["source"]["wave"] == "running"
    control.clock(advance=1000.0)
    assert control.state()["source"]["wave"] == "idle"
    assert control.exposure()["devices"]["a"]["positive_pulses"] == 1


def test_many_messages_at_once_are_answered_one_by_one(meter: Wire) -> None:
    meter.write("\n".join(["*OPC?", "VOLT:NPLC?;NPLC?", "", "*ESR?"]))
    assert [meter.line() for _ in range(3)] == [b"1\n", b"1.000000E+00;1.000000E+00\n", b"0\n"]


def test_a_message_in_pieces_is_one(meter: Wire) -> None:
    meter.socket.sendall(b"VOLT:NP")
    time.sleep(0.02)
    meter.socket.sendall(b"LC?\r\n")
    assert meter.line() == b"1.000000E+00\n"


def test_a_message_without_end_is_an_overrun(meter: Wire) -> None:
    for _ in range(20):
        meter.socket.sendall(b"x" * 65536)
    meter.write("")
    assert "-363" in meter.ask("STAT:QUE?") + meter.ask("STAT:QUE?")


def test_only_loopback_is_served() -> None:
    with pytest.raises(EmulatorError, match="loopback"):
        Emulator(described(meter={"resource": "TCPIP::192.0.2.1::5025::SOCKET"}), Resistors())


@pytest.mark.parametrize(
    "resource", ["GPIB0::16::INSTR", "TCPIP::127.0.0.1::INSTR", "TCPIP::127.0.0.1::70000::SOCKET"]
)
def test_an_address_that_no_emulator_can_serve_is_refused(resource: str) -> None:
    with pytest.raises(EmulatorError, match=r"meter: resource .*127\.0\.0\.1"):
        Emulator(described(meter={"resource": resource}), Resistors())


def test_a_real_serial_number_is_refused() -> None:
    with pytest.raises(EmulatorError, match="begin with EMU"):
        Emulator(described(source={"serial": "4559777"}), Resistors())


def test_a_port_that_is_taken_is_named(emulator: Emulator) -> None:
    port = emulator.ports["meter"].address[1]
    with pytest.raises(EmulatorError, match=f"meter: 127.0.0.1:{port} cannot be served"):
        Emulator(described(meter={"resource": f"TCPIP::127.0.0.1::{port}::SOCKET"}), Resistors())


def test_nobody_listens_while_connections_are_refused(emulator: Emulator, connect: Connect, control: Control) -> None:
    control.set("refuse", "source")
    with pytest.raises(ConnectionRefusedError):
        connect("source")
    control.clear("refuse")
    assert connect("source").ask("*OPC?") == "1"


def test_the_source_can_be_held_after_a_connection_has_ended(
    source: Wire, connect: Connect, control: Control
) -> None:
    control.set("hold", "source", seconds=0.3)
    source.close()
    time.sleep(0.05)
    assert end_of(connect("source")) == "FIN"
    time.sleep(0.35)
    assert connect("source").ask("*OPC?") == "1"


@pytest.mark.parametrize(("fault", "end"), [("drop", "FIN"), ("reset", "RST")])
@pytest.mark.parametrize("executed", [True, False])
def test_a_connection_can_end_before_or_after_a_message_is_done(
    source: Wire, connect: Connect, control: Control, fault: str, end: str, executed: bool
) -> None:
    control.set(fault, "source", match="COMP", executed=executed)
    assert source.ask("*OPC?") == "1"
    source.write("SOUR:CURR:COMP 5;COMP?")
    assert end_of(source) == end
    found = connected_again(connect, "source").ask("SOUR:CURR:COMP?")
    assert float(found) == (5.0 if executed else 10.0)


def test_faults_can_be_counted(source: Wire, control: Control) -> None:
    control.set("stray", "source", after=2, times=2, text="7")
    lines = []
    for _ in range(5):
        source.write("*OPC?")
    for _ in range(7):
        lines.append(source.line())
    assert lines == [b"1\n", b"1\n", b"1\n", b"7\n", b"1\n", b"7\n", b"1\n"]
    assert control.faults() == []


def test_the_rest_of_a_partial_line_comes_before_the_next_reply(meter: Wire, control: Control) -> None:
    control.set("partial", "meter")
    meter.write("*IDN?")
    meter.socket.settimeout(0.1)
    head = meter.socket.recv(4096)
    with pytest.raises(TimeoutError):
        meter.socket.recv(4096)
    meter.socket.settimeout(5)
    meter.write("*OPC?")
    tail = meter.line()
    assert (head + tail).startswith(b"KEITHLEY INSTRUMENTS INC.,MODEL 2000")
    assert meter.line() == b"1\n"


def test_a_slow_reply_is_late_and_then_answers_the_next_query(meter: Wire, control: Control) -> None:
    control.set("slow", "meter", seconds=0.2)
    meter.write("*IDN?")
    meter.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        meter.socket.recv(4096)
    meter.socket.settimeout(5)
    meter.write("*OPC?")
    assert meter.socket.recv(4096).startswith(b"KEITHLEY")


def test_garbage_is_no_ascii(meter: Wire, control: Control) -> None:
    control.set("garbage", "meter")
    meter.write("*IDN?")
    with pytest.raises(UnicodeDecodeError):
        meter.line().decode("ascii")
    assert meter.ask("*OPC?") == "1"


def test_lines_may_end_in_cr_lf(meter: Wire, control: Control) -> None:
    control.set("crlf", "meter", times=2)
    for _ in range(3):
        meter.write("*OPC?")
    assert [meter.line() for _ in range(3)] == [b"1\r\n", b"1\r\n", b"1\n"]


def test_another_identity_is_given(meter: Wire, control: Control) -> None:
    control.set("idn", "meter", text="ACME,MODEL 7,1,1")
    assert meter.ask("*IDN?") == "ACME,MODEL 7,1,1"
    control.clear()
    assert "MODEL 2000" in meter.ask("*IDN?")


def test_addresses_can_be_swapped(meter: Wire, source: Wire, control: Control) -> None:
    control.set("swap", "source", other="meter")
    assert "MODEL 2000" in source.ask("*IDN?")
    assert "MODEL 6221" in meter.ask("*IDN?")
    control.clear("swap")
    assert "MODEL 6221" in source.ask("*IDN?")


def test_a_power_cycle_loses_the_settings_and_sets_the_power_on_bit(source: Wire, control: Control) -> None:
    source.ask("SOUR:CURR:COMP 5;:SOUR:CURR 1E-4;:OUTP 1;*OPC?")
    control.set("power_cycle", "source", after=1)
    assert source.ask("*ESR?;:OUTP?") == "0;1"
    assert source.ask("*ESR?;:OUTP?;:SOUR:CURR:COMP?") == "128;0;1.000000E+01"
    assert control.state()["devices"]["a"]["current"] == 0


def test_the_error_queue_can_overflow(source: Wire, control: Control) -> None:
    control.set("errors", "source")
    codes = [int(source.ask("STAT:QUE?").split(",")[0]) for _ in range(11)]
    assert codes == [-221] * 9 + [-350, 0]  # of a 6221 (reference manual p. B-2); a 2000 says 350


def test_compliance_flows_less_and_is_told(source: Wire, control: Control) -> None:
    control.set("compliance", device="a", fraction=0.5)
    source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;INIT;*OPC?")
    control.clock(advance=1)
    assert source.ask("STAT:QUE?;:STAT:MEAS:EVEN?") == '0,"No error";8'
    assert control.exposure()["devices"]["a"]["max_pulse"] == 5e-4
    assert control.exposure()["devices"]["a"]["max_requested"] == 1e-3


def test_an_open_contact_is_in_compliance_at_any_current(source: Wire, meter: Wire, control: Control) -> None:
    control.set("open", device="a")
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    assert source.ask("STAT:MEAS:COND?") == "8"
    assert float(meter.ask("READ?")) == 0
    control.clear("open")
    assert source.ask("STAT:MEAS:COND?") == "0"
    assert float(meter.ask("READ?")) == 5e-5


def test_a_short_has_no_voltage(source: Wire, meter: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    control.set("short", device="a")
    assert float(meter.ask("READ?")) == 0
    control.set("short", device="b")
    control.clear("short")
    assert float(meter.ask("READ?")) == 5e-5


def test_a_stuck_device_feels_no_pulse(source: Wire, control: Control) -> None:
    control.set("stuck", device="a")
    source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;INIT;*OPC?")
    control.clock(advance=1)
    assert control.exposure()["devices"]["a"]["pulses"] == 1
    assert control.state()["devices"]["a"]["state"] == 0


def test_drift_of_the_bias_current_weakens_the_pulse(source: Wire, control: Control, emulator: Emulator) -> None:
    control.set("bias", device="a", relative=0.25)
    source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;INIT;*OPC?")
    control.clock(advance=1)
    assert control.exposure()["devices"]["a"]["max_pulse"] == 1e-3
    assert isinstance(emulator.circuit.dut, Resistors)
    assert emulator.circuit.dut.pulses == [("a", 8e-4, 1e-4)]


def test_drift_of_the_offset_moves_the_readings(source: Wire, meter: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    control.set("offset", device="a", ohm=3.0)
    assert float(meter.ask("READ?")) == pytest.approx(4 * 5e-5)


def test_a_fault_of_another_device_is_not_seen(source: Wire, meter: Wire, control: Control) -> None:
    for fault in ("open", "short", "stuck", "offset", "bias", "compliance", "overflow"):
        control.set(fault, device="b", instrument=KINDS[fault].roles[0])
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    assert float(meter.ask("READ?")) == 5e-5
    assert source.ask("STAT:MEAS:EVEN?") == "0"


@pytest.mark.parametrize(
    ("fault", "reply"), [("overflow", "+9.9E37"), ("nan", "NAN"), ("units", "+5.00000000E-05VDC")]
)
def test_a_reading_can_be_wrong_once(source: Wire, meter: Wire, control: Control, fault: str, reply: str) -> None:
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    control.set(fault, "meter", after=1)
    assert [meter.ask("READ?") for _ in range(3)] == ["+5.00000000E-05", reply, "+5.00000000E-05"]


def test_a_stale_reading_is_the_one_before(source: Wire, meter: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    meter.ask("READ?")
    source.ask("SOUR:CURR 2E-5;*OPC?")
    control.set("stale", "meter")
    assert [float(meter.ask("READ?")) for _ in range(2)] == [5e-5, 2e-5]


def test_arming_can_find_the_range_too_low(source: Wire, control: Control) -> None:
    control.set("range_low")
    assert source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;:STAT:QUE?;:OUTP?").startswith("-222")
    assert source.ask("STAT:OPER:EVEN?") == "0"
    assert source.ask("SOUR:WAVE:ARM;ARM?") == "1"


def test_arming_can_be_slow(source: Wire, control: Control) -> None:
    control.set("slow_arm", seconds=2000.0)  # 0.2 s on this bench
    start = time.monotonic()
    source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;INIT;*OPC?")
    assert time.monotonic() - start >= 0.2


def test_an_open_interlock_takes_the_output_off_and_keeps_it_off(source: Wire, control: Control) -> None:
    source.ask("SOUR:CURR 5E-5;:OUTP 1;*OPC?")
    control.set("interlock")
    assert source.ask("OUTP:INT:TRIP?;:OUTP?;:OUTP 1;:OUTP?;:STAT:QUE?").startswith("0;0;0;802")
    assert source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;:STAT:QUE?").startswith("802")
    assert source.ask("STAT:MEAS:COND?") == "2"
    control.clear()
    assert source.ask("OUTP:INT:TRIP?;:OUTP 1;:OUTP?") == "1;1"


def test_every_fault_can_be_set_and_cleared(control: Control, source: Wire) -> None:
    for name, kind in KINDS.items():
        control.set(name, kind.roles[0] if kind.roles else "source")
        assert [f["fault"] for f in control.faults()] == [name]
        control.clear(name)
        assert control.faults() == []
    source.ask("*OPC?")
