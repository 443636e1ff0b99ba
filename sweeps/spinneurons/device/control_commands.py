"""The commands that talk to an emulator's control port: faults, exposure, time, state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from instrument_emulator.control import Control
from instrument_emulator.errors import EmulatorError
from instrument_emulator.faults import KINDS, METER, SOURCE, SWITCH, unknown
from spinsweep.bench.errors import BenchError
from spinsweep.cli.console import console
from spinsweep.printable import say

Port = Annotated[
    int,
    typer.Argument(help="The control port, as `spinsweep emulate` says it.", min=1, max=65535, show_default=False),
]
_AT = {SOURCE: "Of the source", METER: "Of the meter", SWITCH: "Of the switch", "": "Of any instrument"}


def faults_help() -> str:
    """All faults with a line for each, by the instrument that has them, for the end of the help."""
    lines = []
    for role, title in _AT.items():
        lines.append(f"[bold]{title}[/bold]")
        for name, kind in KINDS.items():
            if kind.roles == ((role,) if role else ()):
                lines.append(f"  [cyan]{name:<12}[/cyan]  {kind.effect}")
    return "\n".join(lines)


def fault(
    port: Port,
    name: Annotated[str | None, typer.Argument(help="The fault; see below.", show_default="all")] = None,
    instrument: Annotated[
        str | None, typer.Option(metavar="ROLE", help="The instrument that has it.", show_default="the only one")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device that has it, where it can be one.", show_default="all")
    ] = None,
    after: Annotated[int, typer.Option(help="So many occasions, or messages, pass before.", min=0)] = 0,
    times: Annotated[
        int | None,
        typer.Option(help="So many are hit; 0: until it is cleared.", min=0, show_default="1, of lasting faults 0"),
    ] = None,
    match: Annotated[str, typer.Option(help="Count only messages that contain this text.", show_default="any")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A value of it.", show_default="none"),
    ] = None,
    shown: Annotated[bool, typer.Option("--list", help="Show the faults that are set, and set none.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Clear the fault, or all of them.")] = False,
) -> None:
    """Inject a fault into an emulated bench, list those that are set, or clear them.

    Example:  spinsweep emulate fault 41004 compliance --device bar0 --set fraction=0.3
              spinsweep emulate fault 41004 slow --instrument meter --after 10 --times 2
              spinsweep emulate fault 41004 --clear
    """
    if not (shown or clear) and name is None:
        raise BenchError(f"emulate fault {port}: name a fault, or give --list or --clear")
    if shown and (clear or name is not None):
        raise BenchError("emulate fault --list: shows what is set; it takes no fault and no --clear")
    values = dict(_value(str(name), text) for text in settings or ())
    with _connected(port) as link:
        if clear:
            _require_known(name)
            link.clear(name, instrument)
        elif name is not None:
            link.set(name, instrument, device, after=after, times=times, match=match, **values)
        faults = link.faults()
    for report in faults[-1:] if name is not None and not clear else faults:
        say(_line_of(report))
    if not faults:
        say("no fault is set")


def exposure(
    port: Port, as_json: Annotated[bool, typer.Option("--json", help="Everything that is counted, as JSON.")] = False
) -> None:
    """Say what was done to the devices of an emulated bench so far: pulses, currents, switching under current.

    Example:  spinsweep emulate exposure 41004
    """
    with _connected(port) as link:
        counted = link.exposure()
    if as_json:
        say(json.dumps(counted))
        return
    table = Table("device", "pulses +", "pulses -", "largest pulse", "largest steady", "least gap", "hot switchings",
                  box=None, header_style="bold", pad_edge=False)  # fmt: skip
    for device, count in {**counted["devices"], "all": counted["overall"]}.items():
        gap = count["min_gap"]
        table.add_row(device, str(count["positive_pulses"]), str(count["negative_pulses"]),
                      f"{count['max_pulse']:.4g} A", f"{count['max_steady']:.4g} A",
                      "" if gap is None else f"{gap:.4g} s", str(count["hot_switchings"]))  # fmt: skip
    console().print(table)


def clock(
    port: Port,
    advance: Annotated[float, typer.Option(metavar="SECONDS", help="Let so much bench time pass.", min=0)] = 0,
) -> None:
    """Say the time of an emulated bench, after it has gone forward by --advance.

    Example:  spinsweep emulate clock 41004 --advance 3600
    """
    with _connected(port) as link:
        time = link.clock(advance)
    say(f"bench time {time['time']:.6g} s, {time['speed']:g} seconds in each real one")


def state(port: Port) -> None:
    """Show instruments and devices of an emulated bench as they are now, as JSON.

    Example:  spinsweep emulate state 41004
    """
    with _connected(port) as link:
        say(json.dumps(link.state(), indent=2))


def quit(port: Port) -> None:
    """End an emulator.

    Example:  spinsweep emulate quit 41004
    """
    with _connected(port) as link:
        link.quit()


@contextmanager
def _connected(port: int) -> Iterator[Control]:
    """A connection to the control port; what the emulator refuses is a mistake in what was asked."""
    try:
        with Control(port) as link:
            yield link
    except EmulatorError as error:
        raise BenchError(str(error)) from None


def _require_known(name: str | None) -> None:
    if name is not None and name not in KINDS:
        raise BenchError(unknown(name))


def _value(fault: str, text: str) -> tuple[str, Any]:
    """Key and value of ``KEY=VALUE``, the value of the kind that the fault has there."""
    key, equals, value = text.partition("=")
    if not equals:
        raise BenchError(f"--set {text}: write KEY=VALUE")
    kind = KINDS.get(fault)
    default = kind.values.get(key) if kind else None
    try:
        if isinstance(default, bool):
            return key, {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return key, float(value) if isinstance(default, float) else value
    except (KeyError, ValueError):
        raise BenchError(f"--set {text}: a value such as {default} is needed") from None


def _line_of(report: Mapping[str, Any]) -> str:
    """A fault that is set, in one line."""
    known = ("fault", "instrument", "device", "after", "times")
    values = ", ".join(f"{key} {value}" for key, value in report.items() if key not in known)
    device = f", device {report['device']}" if report["device"] else ""
    after = f" after {report['after']}" if report["after"] else ""
    times = {None: "until cleared", 1: "once"}.get(report["times"], f"{report['times']} times")
    return f"{report['fault']} at {report['instrument']}{device}: {times}{after}{f' ({values})' if values else ''}"
