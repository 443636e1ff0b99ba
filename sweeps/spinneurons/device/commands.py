"""The verb that the devices add to the command line: ``spinsweep emulate``.

``emulate BENCH`` serves a bench (:func:`serve`); ``emulate fault`` and its like talk to one that is served.
"""

from __future__ import annotations

import difflib
import shlex
import shutil
import socket
import subprocess
import tomllib
from contextlib import ExitStack
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from instrument_emulator.dut import DutModel
from instrument_emulator.errors import EmulatorError
from instrument_emulator.server import Emulator
from spinneurons.device import control_commands as control
from spinneurons.device.dut import HallBars, ReplayedDevices
from spinneurons.device.emulation import description
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.registry import class_of, family_of
from spinsweep.bench.bench_file import Bench, load, parse
from spinsweep.bench.errors import BenchError
from spinsweep.cube import Cube
from spinsweep.errors import CubeError
from spinsweep.interrupts import Interrupts
from spinsweep.printable import say

TEMPLATE = Path(__file__).parent / "data" / "bench.toml"


class _ServeByDefault(TyperGroup):
    """``emulate BENCH`` means ``emulate serve BENCH``; a bench file with the name of a command is ``./fault``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        close = difflib.get_close_matches(args[0], self.commands, n=1) if len(args) > 1 else []
        if close and args[0] not in self.commands and not args[1].startswith("-"):
            raise BenchError(f"emulate {args[0]}: no such command; did you mean {close[0]!r}?")
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


emulate = typer.Typer(
    cls=_ServeByDefault,
    help="Serve the instruments of a bench file on this machine, with simulated devices behind them.",
    epilog="Example:  spinsweep emulate bench.toml\n\n`emulate BENCH` is short for `emulate serve BENCH`; "
    "`spinsweep emulate serve --help` shows its options.",
)
emulate.command(epilog=control.faults_help())(control.fault)
for talk in (control.exposure, control.clock, control.state, control.quit):
    emulate.command()(talk)


@emulate.command()
def serve(
    bench: Annotated[
        Path, typer.Argument(help="The bench file; it is written first if it does not exist.", show_default=False)
    ],
    card: Annotated[
        Path | None, typer.Option(help="Device card of the emulated devices.", show_default="the built-in one")
    ] = None,
    recording: Annotated[
        str | None, typer.Option(help="Characterization cube to play back instead of a card.", show_default="none")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the switching outcomes and the noise.", min=0)] = 0,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Seconds of the bench's clock in each real second.", show_default="timing.speed of the bench"
        ),
    ] = None,
    control_port: Annotated[
        int, typer.Option(help="Port through which faults are injected; 0 takes any free one.", min=0, max=65535)
    ] = 0,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this command once the instruments answer, and end with it.",
            show_default="until Ctrl-C",
        ),
    ] = None,
) -> int:
    """Serve the instruments of a bench file on this machine, with simulated devices behind them.

    Drivers talk to the emulated source, meter and switch as they would to real ones, at the addresses in the bench
    file. Through the control port `spinsweep emulate fault` and its like inject faults and say what was done.

    Example:  spinsweep emulate bench.toml
              spinsweep emulate bench.toml --run "spinsweep bench check bench.toml"
    """
    if speed is not None and not 1 <= speed <= 1e7:
        raise BenchError(f"--speed {speed:g}: must be a number from 1 (real time) to 1e7")
    new = None if bench.exists() else bench_text(speed or 1000.0)
    described = load(bench) if new is None else parse(tomllib.loads(new), str(bench))
    devices = dut(described, card, recording, seed)
    words = None if run is None else _words(run)
    with ExitStack() as stack:
        try:
            emulator = stack.enter_context(Emulator(description(described, speed), devices, control_port))
        except EmulatorError as error:
            raise BenchError(str(error)) from None
        if new is not None:
            bench.parent.mkdir(parents=True, exist_ok=True)
            bench.write_text(new, encoding="utf-8")
            say(f"wrote {bench}")
        stack.enter_context(Interrupts(emulator.ended.set))
        addresses = ", ".join(f"{role} {port.address[0]}:{port.address[1]}" for role, port in emulator.ports.items())
        say(f"emulated bench {described.name} at {addresses}; control port {emulator.control.port}; Ctrl-C ends it")
        status = 0 if words is None else _status(words, emulator)
        while words is None and not emulator.ended.wait(0.2):
            pass
        exposure = emulator.exposure()
    overall, used = exposure["overall"], [name for name, d in exposure["devices"].items() if d["pulses"]]
    say(
        f"ended after {overall['pulses']} pulses on {len(used)} devices, "
        f"largest current {overall['max_current']:.3g} A, {overall['hot_switchings']} hot switchings"
    )
    return status


def _words(command: str) -> list[str]:
    """The words of a command that can be run."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BenchError(f"--run {command}: cannot be run ({error})") from None
    if not words or shutil.which(words[0]) is None:
        raise BenchError(f"--run {command}: cannot be run; give a command that the shell finds, and its words")
    return words


def _status(words: list[str], emulator: Emulator) -> int:
    """The exit status of a command that runs beside the emulator; it is ended when the emulator is to end."""
    try:
        process = subprocess.Popen(words)
    except OSError as error:
        raise BenchError(f"--run {shlex.join(words)}: cannot be run ({error})") from None
    while process.poll() is None:
        if emulator.ended.wait(0.05):
            process.terminate()
            process.wait()
    return process.returncode


def bench_text(speed: float) -> str:
    """The text of a new bench file of four emulated 0.5 um bars with a switch, at ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [s.getsockname()[1] for s in sockets]
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        source=ports[0], meter=ports[1], switch=ports[2], speed=f"{speed:g}"
    )


def dut(bench: Bench, card: Path | None, recording: str | Path | None, seed: int) -> DutModel:
    """What hangs on the wires of the bench: devices of a card, or of a recording.

    Raises
    ------
    BenchError
        The card or the recording cannot be used, or a device has no labels ``width`` and ``device``.
    """
    devices = {d.name: _labels(d.name, d.labels) for d in bench.device}
    sign = bench.polarity.reset_pulse
    if recording is None:
        try:
            chosen = cards.load(card)
        except cards.CardError as error:
            raise BenchError(str(error)) from None
        if class_of(chosen) is not HallBar:
            raise BenchError(f"--card {card}: its family is {chosen['family']}; only Hall bars are emulated")
        bars = HallBar(chosen).with_reset_state(bench.polarity.reset_state)
        return HallBars(bars.card, devices, seed, sign)
    if card is not None:
        raise BenchError("--card and --recording: a recording needs no card; give one of the two")
    cube = Cube(recording)
    if cube.attributes.sweep != "characterization":
        raise CubeError(
            f"{recording} holds the sweep {cube.attributes.sweep}; only a characterization can be played back"
        )
    current = family_of(cube.attributes.params.get("card") or cards.default()).read_current
    return ReplayedDevices(cube.dataset(), devices, current, sign)


def _labels(name: str, labels: dict[str, Any]) -> tuple[float, int]:
    width, device = labels.get("width"), labels.get("device")
    if not isinstance(width, int | float) or not isinstance(device, int) or width <= 0 or device < 0:
        raise BenchError(f"device {name}: labels {labels}; write labels = {{width = 0.5, device = 0}}")
    return float(width), device
