"""``spinsweep emulate fault`` and its like: faults, exposure and time of an emulated bench from the command line."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from emulator.two_resistors import PULSE, Resistors, Wire, described
from instrument_emulator.control import Control
from instrument_emulator.errors import EmulatorError
from instrument_emulator.faults import KINDS
from instrument_emulator.server import Emulator
from spinsweep.cli import main

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(described(), Resistors()) as running:
        yield running


@pytest.fixture
def control(emulator: Emulator) -> Iterator[Control]:
    with Control(emulator.control.port) as client:
        yield client


@pytest.fixture
def typed(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> Typed:
    """Status, output and complaint of ``spinsweep emulate VERB PORT ...``."""

    def run(verb: str, *words: str, port: int = 0) -> tuple[int, str, str]:
        status = main(["emulate", verb, str(port or emulator.control.port), *words])
        out, error = capfd.readouterr()
        return status, out, error

    return run


def test_a_fault_is_set_listed_and_cleared(typed: Typed, control: Control) -> None:
    status, said, _ = typed("fault", "compliance", "--device", "a", "--set", "fraction=0.3", "--after", "2")
    assert (status, said) == (0, "compliance at source, device a: once after 2 (fraction 0.3)\n")
    typed("fault", "crlf", "--instrument", "meter")
    assert typed("fault", "slow", "--instrument", "meter", "--times", "3")[1].startswith("slow at meter: 3 times")
    _, listed, _ = typed("fault", "--list")
    assert [line.split()[0] for line in listed.splitlines()] == ["compliance", "crlf", "slow"]
    assert "crlf at meter: until cleared" in listed
    assert [fault["fault"] for fault in control.faults()] == ["compliance", "crlf", "slow"]
    assert typed("fault", "crlf", "--clear")[0] == 0
    assert [fault["fault"] for fault in control.faults()] == ["compliance", "slow"]
    typed("fault", "--clear", "--instrument", "source")
    assert [fault["fault"] for fault in control.faults()] == ["slow"]
    assert typed("fault", "--clear")[1] == "no fault is set\n"
    assert control.faults() == []


def test_values_have_the_kind_of_the_fault(typed: Typed, control: Control) -> None:
    typed("fault", "drop", "--instrument", "meter", "--set", "executed=false", "--match", "READ")
    typed("fault", "idn", "--instrument", "meter", "--set", "text=ACME,MODEL 7,1=1,1")
    assert [f.get("executed", f.get("text")) for f in control.faults()] == [False, "ACME,MODEL 7,1=1,1"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["opn"], "there is no fault 'opn' (did you mean 'open'?); faults are "),
        (["opn", "--clear"], "did you mean 'open'?"),
        (["open", "--device", "aa"], "device 'aa'; it is one of a, b (did you mean 'a'?)"),
        (["slow", "--instrument", "mter"], "it is one of source, meter, switch (did you mean 'meter'?)"),
        (["slow"], "instrument None; it is one of"),
        (["slow", "--instrument", "meter", "--set", "seconds=long"], "a value such as 1.0 is needed"),
        (["slow", "--instrument", "meter", "--set", "seconds"], "write KEY=VALUE"),
        (["slow", "--instrument", "meter", "--set", "second=1"], "its values are seconds (such as 1.0)"),
        (["drop", "--instrument", "meter", "--set", "executed=maybe"], "a value such as True is needed"),
        ([], "name a fault, or give --list or --clear"),
        (["open", "--list"], "it takes no fault"),
        (["open", "--after", "-1"], "(spinsweep emulate --help shows what it takes)"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(typed: Typed, control: Control, words: list[str], complaint: str) -> None:
    status, said, error = typed("fault", *words)
    assert (status, said, error.count("\n")) == (2, "", 1)
    assert complaint in error
    assert control.faults() == []


def test_exposure_is_a_table_or_all_that_is_counted(typed: Typed, emulator: Emulator, control: Control) -> None:
    switch, source = (Wire(emulator.ports[role].address) for role in ("switch", "source"))
    switch.ask("ROUT:CLOS (@1!1,1!11);*OPC?")
    for _ in range(2):
        source.ask(f"{PULSE.format(sign=1)};:SOUR:WAVE:ARM;INIT;*OPC?")
        control.clock(advance=1.0)
        source.ask("*OPC?")
    status, said, _ = typed("exposure")
    assert status == 0
    rows = {line.split()[0]: line.split() for line in said.splitlines()}
    assert rows["a"][1:5] == ["2", "0", "0.001", "A"]
    assert rows["all"][1] == "2"
    assert json.loads(typed("exposure", "--json")[1]) == control.exposure()
    for wire in (switch, source):
        wire.close()


def test_time_state_and_end(typed: Typed, emulator: Emulator) -> None:
    _, before, _ = typed("clock")
    _, after, _ = typed("clock", "--advance", "1e6")
    assert float(after.split()[2]) >= 1e6 > float(before.split()[2])
    assert "10000 seconds in each real one" in after
    assert json.loads(typed("state")[1])["source"]["wave"] == "idle"
    assert typed("quit")[0] == 0
    assert emulator.ended.wait(5)


def test_nobody_at_the_port_is_said_in_one_line(typed: Typed) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    status, _, error = typed("state", port=port)
    assert status == 2
    assert f"no emulator's control port at 127.0.0.1:{port}" in error
    assert error.count("\n") == 1


def test_a_port_of_something_else_is_said_in_one_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:

        def answer() -> None:
            link, _ = other.accept()
            with link:
                link.recv(100)
                link.sendall(b"220 mail\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            Control(other.getsockname()[1]) as client,
            pytest.raises(EmulatorError, match=r"answers b'220 mail\\n': it is no control port"),
        ):
            client.faults()
        thread.join()


def test_a_mistyped_command_is_no_bench_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "falt", "41004"]) == 2
    assert capfd.readouterr().err == "spinsweep: emulate falt: no such command; did you mean 'fault'?\n"


def test_the_help_has_a_line_for_every_fault(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "fault", "--help"]) == 0
    said = capfd.readouterr().out
    for name, kind in KINDS.items():
        assert f"{name} " in said
        assert kind.effect.split()[0] in said


def test_a_bench_file_is_served_as_before_also_by_its_full_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["emulate", "bench.toml", "--run", "true"]) == 0
    assert "control port" in capfd.readouterr().out
    assert main(["emulate", "--speed", "10", "serve", "bench.toml"]) == 2  # options come after the command
    assert main(["emulate", "serve", "bench.toml", "--run", "true"]) == 0
    assert main(["emulate", "--speed", "1e5", "bench.toml", "--run", "true"]) == 0
    assert main(["emulate"]) == 2
    assert "Missing argument" in capfd.readouterr().err
