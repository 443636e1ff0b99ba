"""``spinsweep bench``: look a bench over, and plan a run on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from spinsweep.bench.bench_file import Bench, load
from spinsweep.bench.equipment import BenchEquipment
from spinsweep.bench.errors import DeviceFault
from spinsweep.bench.parts import Check, Device
from spinsweep.cli.console import console, styled
from spinsweep.cli.options import Name, Seed, Set, requested
from spinsweep.errors import SpecError
from spinsweep.progress import duration

BenchFile = Annotated[Path, typer.Argument(metavar="BENCH.toml", help="The bench file.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Look a bench over, and plan a run on it.")


@app.command()
def check(bench: BenchFile) -> int:
    """Connect, verify every instrument and route, and try each device with a few pulses.

    Without a section [check] in the bench file no pulse is fired. Status 0 when all is well, 1 when a device is not.

    Example:  spinsweep bench check bench.toml
    """
    from spinsweep.bench.acquire import acquire_bench
    from spinsweep.bench.pulse_trains import CALIBRATION

    described = load(bench)
    out = console()
    trials = [d for d in described.device if described.check_of(d)]
    if trials:
        seconds = len(trials) * CALIBRATION * described.cycle_time / described.timing.speed
        out.print(f"{len(trials) * 2 * CALIBRATION} pulses on {len(trials)} devices, about {duration(seconds)}")
    with acquire_bench(described) as session:
        for role, instrument in described.instruments.items():
            out.print(
                f"{role:<7} {instrument.model} serial {instrument.serial} at {instrument.resource}", highlight=False
            )
        table = Table(
            "device", "route", "limits", "read noise", "low", "high", "contrast", "cycle", "",
            box=None, header_style="bold", pad_edge=False,
        )  # fmt: skip
        faults = 0
        for device in described.device:
            session.route(device)
            trial = described.check_of(device)
            limits = described.limits_of(device)
            row: list[str | Text] = [
                device.name,
                " ".join(device.channels) or "wired",
                f"{limits.max_pulse:g} A, {limits.max_read:g} A",
            ]
            try:
                table.add_row(
                    *row, *(_tried(described, device, trial) if trial else ["", "", "", "", "", "not tried"])
                )
            except DeviceFault as error:
                faults += 1
                table.add_row(*row, "", "", "", "", "", styled(str(error), "bold red"))
        out.print(table)
    out.print("the bench is safe: 0 A, output off" + (", relays open" if described.switch else ""))
    return 1 if faults else 0


def _tried(bench: Bench, device: Device, trial: Check) -> list[str | Text]:
    """A device's read noise, levels, contrast and time of a cycle, from a few cycles."""
    from spinsweep.bench.acquire import session
    from spinsweep.bench.pulse_trains import PulseTrains

    here = session(bench)
    sign = bench.polarity.reset_pulse
    with PulseTrains(here, f"check {here.lease.epoch}") as experiment:
        began = here.instruments.clock.now()
        levels = experiment.calibrate(device.name, -sign * trial.pulse, sign * trial.pulse, trial.read)
        (record,) = (r for r in experiment.journal.trains.values() if r.plan["devices"] == [device.name])
        took = (here.instruments.clock.now() - began) / record.length
        volts = np.array(list(record.results.values()))
    noise = float(np.sqrt(np.mean(np.var(volts, axis=0, ddof=1)))) if len(volts) > 1 else float("nan")
    apart = levels.high - levels.low
    return [
        f"{noise:.2g} V",
        f"{levels.low / trial.read:.4g} ohm",
        f"{levels.high / trial.read:.4g} ohm",
        f"{apart / trial.read:.4g} ohm" + (f" = {apart / noise:.0f} sigma" if noise > 0 else ""),
        f"{took:.3g} s",
        styled("good", "green"),
    ]


@app.command()
def plan(name: Name, bench: BenchFile, settings: Set = None, seed: Seed = None) -> int:
    """Say how long a sweep takes on a bench, how many pulses that is, and what is left of each device's life.

    Nothing is connected.

    Example:  spinsweep bench plan characterization bench.toml --set cycles=100
    """
    from spinsweep.bench.session import pulses

    described = load(bench)
    sweep = requested(name, settings, seed, BenchEquipment(bench))
    if sweep.bench_cycles is None:
        raise SpecError(f"sweep {name!r} does not say how many cycles it takes")
    cycles = sweep.bench_cycles(sweep)
    total = sum(cycles.values())
    one_by_one = total * described.cycle_time
    together = max(max(cycles.values()) * described.cycle_time, total * described.busy_time)
    out = console()
    timing = described.timing
    out.print(
        f"{sweep.title}: {total} cycles of {described.cycle_time:g} s "
        f"(2 pulses of {timing.pulse_width:g} s, 2 reads of {timing.read_time:g} s, 4 rests of {timing.gap:g} s)"
    )
    table = Table("", "", box=None, show_header=False, pad_edge=False)
    mark = {True: "  <- timing.interleave of the bench file", False: ""}
    table.add_row("time, one device after the other", duration(one_by_one) + mark[not timing.interleave])
    table.add_row("time, devices taking turns", f"{duration(together)} at least" + mark[timing.interleave])
    if timing.speed != 1:
        shown = together if timing.interleave else one_by_one
        table.add_row(
            f"emulated, {timing.speed:g} times as fast", f"{duration(shown / timing.speed)} and the traffic"
        )
    out.print(table)
    lives = Table(
        "device", "pulses", "so far", "limits.max_pulses", "used after", box=None, header_style="bold", pad_edge=False
    )
    so_far = pulses(described)
    beyond = []
    for device, number in cycles.items():
        most, before = described.limits_of(described.named(device)).max_pulses, so_far.get(device, 0)
        lives.add_row(device, str(2 * number), str(before), str(most), f"{(before + 2 * number) / most:.2%}")
        if before + 2 * number > most:
            beyond.append(device)
    out.print(lives)
    if beyond:
        out.print(
            styled(f"{', '.join(beyond)}: more pulses than limits.max_pulses; the run would be refused", "bold red")
        )
    return 1 if beyond else 0
