"""Every address that can be tried here: sockets with any terminator, RS-232, and a GPIB bus behind an adapter."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated import HIGH, LOW
from serial_cable import SerialCable
from served import bench_of, served_problem, serving, started

from instrument_emulator.gpib_adapter import AdapterPort
from instrument_emulator.server import Emulator
from spinsweep.bench import gpib_adapter
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault
from spinsweep.bench.instruments import Instruments
from spinsweep.bench.lease import exclusive_names

SOURCE = """
[source]
driver = "keithley-6221"
resource = "TCPIP::127.0.0.1::PORT0::SOCKET"
serial = "EMU6221"
range = 2e-3
compliance = 10.0
"""
METER = """
[meter]
driver = "keithley-2000"
resource = "TCPIP::127.0.0.1::PORT1::SOCKET"
serial = "EMU2000"
nplc = 1.0
"""
ADAPTER = 'adapter = "TCPIP::127.0.0.1::PORT2::SOCKET"'
BUS = """
[source]
driver = "keithley-6221"
resource = "GPIB0::12::INSTR"
serial = "EMU6221"
adapter = "TCPIP::127.0.0.1::PORT2::SOCKET"
range = 2e-3
compliance = 10.0
[meter]
driver = "keithley-2000"
resource = "GPIB0::16::INSTR"
serial = "EMU2000"
adapter = "TCPIP::127.0.0.1::PORT2::SOCKET"
nplc = 1.0
"""
READ = 5e-5


def measured(instruments: Instruments) -> list[float]:
    """What is read after a pulse of either sign, V."""
    volts = []
    for sign in (-1, 1):
        instruments.source.pulse(sign * 1e-3, 1e-4)
        instruments.source.read_on(READ)
        reading = instruments.meter.read()
        instruments.source.read_off()
        assert reading.valid
        volts.append(reading.volts)
    return volts


EXPECTED = pytest.approx([LOW * READ, HIGH * READ], rel=1e-6)


# Terminators.


@pytest.mark.parametrize("terminator", ["LF", "CR", "CRLF", "LFCR"])
def test_any_terminator_of_an_instrument_is_a_key(tmp_path: Path, terminator: str) -> None:
    bench = bench_of(f'{SOURCE}{METER}terminator = "{terminator}"\n', tmp_path)
    with serving(bench), started(bench) as instruments:
        assert measured(instruments) == EXPECTED


def test_another_terminator_than_the_instruments_is_a_lost_connection(tmp_path: Path) -> None:
    bench = bench_of(f'{SOURCE}{METER}terminator = "CR"\ntimeout = 0.3\n', tmp_path)
    with serving(bench):
        instruments = Instruments(_other(bench, terminator="LF"))
        with pytest.raises(ConnectionLost, match="no complete reply"):
            instruments.open(0)
        instruments.close()


def _other(bench: Bench, **values: object) -> Bench:
    """A bench with other keys of the meter."""
    return bench.model_copy(update={"meter": bench.meter.model_copy(update=values)})


# RS-232.


@pytest.fixture
def serial_bench(tmp_path: Path) -> Iterator[tuple[Bench, SerialCable]]:
    """A bench whose meter has a serial cable."""
    bench = bench_of(SOURCE + METER, tmp_path)
    with serving(bench) as emulator, SerialCable(emulator.ports["meter"].address[1]) as cable:
        keys = {"resource": f"ASRL{cable.name}::INSTR", "baud": 19200, "flow": "xon-xoff", "timeout": 1.0}
        yield _other(bench, **keys), cable


def test_an_instrument_on_rs232_is_measured_with(serial_bench: tuple[Bench, SerialCable]) -> None:
    bench, cable = serial_bench
    with started(bench) as instruments:
        assert measured(instruments) == EXPECTED
    assert b":READ?" in cable.carried


def test_what_comes_on_rs232_without_a_question_is_seen_before_the_next(
    serial_bench: tuple[Bench, SerialCable],
) -> None:
    bench, cable = serial_bench
    with started(bench) as instruments:
        cable.say(b"+1.0E-3\n")
        time.sleep(0.05)
        before = len(cable.carried)
        with pytest.raises(ConnectionLost, match=r"b'\+1\.0E-3\\n' came without a question"):
            instruments.meter.read()
        assert len(cable.carried) == before
        instruments.sessions["meter"].open(5)
        instruments.meter.start()
        assert instruments.meter.read().valid


def test_a_cable_that_is_pulled_out_is_a_lost_connection(serial_bench: tuple[Bench, SerialCable]) -> None:
    bench, cable = serial_bench
    with started(bench) as instruments:
        cable.pull()
        with pytest.raises(ConnectionLost):
            instruments.meter.read()
        with pytest.raises(ConnectionLost):
            instruments.sessions["meter"].open(0)


def test_a_serial_port_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    bench = bench_of(SOURCE + METER.replace("TCPIP::127.0.0.1::PORT1::SOCKET", "ASRL/dev/ttyNONE::INSTR"), tmp_path)
    session = Instruments(bench).sessions["meter"]
    with pytest.raises(BenchError, match="ttyNONE") as refused:
        session.open(0)
    assert "\n" not in str(refused.value)


def test_keys_of_rs232_are_for_rs232() -> None:
    for keys in ("baud = 19200", 'flow = "rts-cts"'):
        said = served_problem(f"{SOURCE}{METER}{keys}\n")
        assert "meter: baud and flow are of RS-232, and 'TCPIP::127.0.0.1" in said
    assert "flow: input should be" in served_problem(f'{SOURCE}{METER}flow = "hardware"\n')


# A GPIB bus behind a Prologix adapter.


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[tuple[Bench, Emulator, AdapterPort]]:
    bench = bench_of(BUS, tmp_path)
    with serving(bench) as emulator:
        port = emulator.ports["source"]
        assert isinstance(port, AdapterPort)
        yield bench, emulator, port


def test_instruments_on_the_bus_of_an_adapter_are_measured_with(bus: tuple[Bench, Emulator, AdapterPort]) -> None:
    bench, emulator, port = bus
    with started(bench) as instruments:
        assert measured(instruments) == EXPECTED
        assert port.settings["++auto"] == 0
        assert port.settings["++read_tmo_ms"] == 3000
        assert port.settings["++savecfg"] == 0
    assert emulator.exposure()["overall"]["pulses"] == 2
    assert port.connections == 1
    assert exclusive_names(bench) == [f"TCPIP::127.0.0.1::{port.address[1]}::SOCKET"]


def test_the_memory_of_an_ar488_is_left_alone(
    bus: tuple[Bench, Emulator, AdapterPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instrument_emulator.gpib_adapter.VERSION", "AR488 GPIB controller, ver. 0.51.18")
    bench, _, port = bus
    with started(bench) as instruments:
        assert measured(instruments) == EXPECTED
        assert port.settings["++savecfg"] == 1


def test_an_adapter_on_a_serial_port_is_one_too(bus: tuple[Bench, Emulator, AdapterPort]) -> None:
    bench, _, port = bus
    with SerialCable(port.address[1]) as cable:
        keys = {"adapter": f"ASRL{cable.name}::INSTR", "baud": 115200}
        changed = {role: getattr(bench, role).model_copy(update=keys) for role in ("source", "meter")}
        with started(bench.model_copy(update=changed)) as instruments:
            assert measured(instruments) == EXPECTED


def test_the_adapter_gives_up_after_3_s_and_is_told_to_read_again(
    bus: tuple[Bench, Emulator, AdapterPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gpib_adapter.SETTINGS, "++read_tmo_ms", "20")
    monkeypatch.setattr(gpib_adapter, "PATIENCE_S", 0.05)
    bench, emulator, _ = bus
    with started(bench) as instruments:
        emulator.circuit.faults.set("slow", "meter", match="READ?", seconds=0.3)
        assert instruments.meter.read().valid


def test_what_is_no_adapter_is_refused_with_its_words(tmp_path: Path) -> None:
    bench = bench_of(SOURCE + METER.replace("TCPIP::127.0.0.1::PORT1::SOCKET", "GPIB::5::INSTR") + ADAPTER, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"KEITHLEY INSTRUMENTS INC.,MODEL 2000,1,A08\n")
                connection.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        session = Instruments(_other(bench, adapter=f"TCPIP::127.0.0.1::{port}::SOCKET")).sessions["meter"]
        with pytest.raises(ConnectionLost, match=r"MODEL 2000.* answered \+\+ver, which is no Prologix or AR488"):
            session.open(0)
        thread.join()


def test_what_the_adapter_itself_replies_is_no_reply_of_an_instrument(
    bus: tuple[Bench, Emulator, AdapterPort],
) -> None:
    bench, _, port = bus
    with started(bench) as instruments:
        port._read = lambda: b"Unrecognized command\r\n"  # type: ignore[method-assign]
        with pytest.raises(ConnectionLost, match="the adapter, not the instrument, replied 'Unrecognized command"):
            instruments.meter.read()


def test_a_lost_question_closes_the_bus_for_all_and_each_comes_back(
    bus: tuple[Bench, Emulator, AdapterPort],
) -> None:
    bench, emulator, port = bus
    with started(bench) as instruments:
        emulator.circuit.faults.set("drop", "meter", match="READ?")
        with pytest.raises(ConnectionLost, match="closed the connection"):
            instruments.meter.read()
        with pytest.raises(ConnectionLost, match="the link to the adapter was lost in a question to another"):
            instruments.source.safe()
        instruments.open(5)
        instruments.start()
        assert instruments.meter.read().valid
        assert port.connections == 2


def test_a_message_with_the_adapters_own_signs_reaches_the_instrument(
    bus: tuple[Bench, Emulator, AdapterPort],
) -> None:
    bench, _, _ = bus
    with started(bench) as instruments:
        session = instruments.sessions["meter"]
        assert float(session.ask(":TRIG:DEL +1.5e+0;:TRIG:DEL?", 1)[0]) == 1.5


def test_nobody_at_a_gpib_address_is_told(tmp_path: Path) -> None:
    bench = bench_of(BUS, tmp_path)
    with serving(bench):
        instruments = Instruments(_other(bench, resource="GPIB0::17::INSTR", timeout=0.2))
        with pytest.raises(ConnectionLost, match=r"no complete reply within 0\.2 s at GPIB address 17"):
            instruments.open(0)
        instruments.close()


def test_another_instrument_at_a_gpib_address_is_refused(tmp_path: Path) -> None:
    bench = bench_of(BUS, tmp_path)
    with serving(bench):
        instruments = Instruments(_other(bench, resource="GPIB0::12::INSTR"))
        with pytest.raises(InstrumentFault, match=r"GPIB0::12::INSTR of TCPIP.*MODEL 6221.* answered"):
            instruments.open(0)
        instruments.close()


def test_an_adapter_has_instruments_at_gpib_addresses() -> None:
    said = served_problem(SOURCE + METER + ADAPTER)
    assert "behind an adapter it is an address such as GPIB0::12::INSTR" in said
    assert "stands twice" in served_problem(BUS.replace("::16::", "::12::"))


def test_the_twin_of_an_adapter_answers_for_itself(bus: tuple[Bench, Emulator, AdapterPort]) -> None:
    _, _, port = bus
    with socket.create_connection(port.address) as link:
        reader = link.makefile("rb")

        def ask(text: bytes) -> str:
            link.sendall(text)
            return reader.readline().decode().strip()

        assert ask(b"++ver\n").startswith("Prologix")
        assert ask(b"++addr 16\n++addr\r\n") == "16"
        assert ask(b"++frobnicate\n") == "Unrecognized command"
        assert ask(b"++auto 0\n++auto\n") == "0"
        assert ask(b"*IDN?\n++read eoi\n").startswith("KEITHLEY INSTRUMENTS INC.,MODEL 2000")
        assert ask(b"*IDN?\n*IDN?\n++read eoi\n").startswith("KEITHLEY")
        assert "-410" in ask(b"SYST:ERR?\n++read\n")
        assert ask(b"++auto 1\n*OPC?\n") == "1"
        assert int(ask(b"++spoll\n")) >= 0
