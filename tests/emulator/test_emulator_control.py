"""The control port: requests, replies, mistakes."""

from __future__ import annotations

import json
import re
import select

import pytest

from emulator.two_resistors import Resistors, Wire, described
from instrument_emulator.control import Control
from instrument_emulator.errors import EmulatorError
from instrument_emulator.server import Emulator


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ({"fault": "opn"}, "did you mean 'open'"),
        ({"fault": "drop"}, "instrument None; it is one of source, meter, switch"),
        ({"fault": "overflow", "instrument": "source"}, "it is one of meter"),
        ({"fault": "open", "device": "z"}, "device 'z'; it is one of a, b"),
        ({"fault": "interlock", "device": "a"}, "this fault has none"),
        ({"fault": "interlock", "after": -1}, "after -1; it must be a whole number from 0"),
        ({"fault": "slow", "instrument": "meter", "seconds": "long"}, "seconds (such as 1.0)"),
        ({"fault": "crlf", "instrument": "meter", "seconds": 1.0}, "its values are none"),
        ({"fault": "swap", "instrument": "meter", "other": "laser"}, "other 'laser'; it is one of"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_one_line(
    control: Control, request_: dict[str, object], wanted: str
) -> None:
    with pytest.raises(EmulatorError, match=re.escape(wanted)) as refused:
        control.set(**request_)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert control.faults() == []


@pytest.mark.parametrize("line", ["nonsense", "{}", "[1]", '{"do": "fly"}', '{"do": "clock", "advance": -1}'])
def test_a_request_that_is_none_is_answered_with_an_error(emulator: Emulator, line: str) -> None:
    wire = Wire(("127.0.0.1", emulator.control.port))
    assert list(json.loads(wire.ask(line))) == ["error"]
    assert "ok" in json.loads(wire.ask('{"do": "exposure"}'))
    wire.close()


def test_the_clock_runs_at_the_speed_of_the_bench_and_can_jump(control: Control) -> None:
    before = control.clock()
    assert before["speed"] == 1e4
    assert control.clock(advance=1e6)["time"] >= before["time"] + 1e6


def test_a_jump_of_the_clock_ends_a_wait(control: Control, meter: Wire) -> None:
    meter.write("TRIG:DEL 900000;:READ?")
    while not select.select([meter.socket], [], [], 0.01)[0]:
        control.clock(advance=1e6)
    assert float(meter.line()) > 9e37


def test_quitting_ends_the_emulator(emulator: Emulator, control: Control) -> None:
    assert not emulator.ended.is_set()
    control.quit()
    assert emulator.ended.wait(1)


def test_a_bench_without_a_switch_has_its_device_connected() -> None:
    with Emulator(described(switch=False), Resistors()) as emulator, Control(emulator.control.port) as control:
        assert list(emulator.ports) == ["source", "meter"]
        assert control.state()["devices"]["a"]["connected"]
        with pytest.raises(EmulatorError, match="one of none on this bench"):
            control.set("relay_open")


def test_a_control_port_where_nobody_is_says_so(emulator: Emulator) -> None:
    port = emulator.control.port
    emulator.control.close()
    with pytest.raises(EmulatorError, match=f"127.0.0.1:{port}"):
        Control(port)
