"""``spinsweep bench``: check a bench, make it safe, and plan a run on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from spinsweep.bench import cycle_time, logbook
from spinsweep.bench.bench_file import Bench, load
from spinsweep.bench.cycles import Cycle
from spinsweep.bench.equipment import BenchEquipment
from spinsweep.bench.errors import BenchError, DeviceFault, LeaseError
from spinsweep.bench.parts import Device
from spinsweep.bench.turns import CycleTimes, TrainPlan, alternative, course, mode
from spinsweep.cli.console import console, styled
from spinsweep.cli.options import Name, Seed, Set, requested
from spinsweep.errors import SpecError
from spinsweep.printable import say
from spinsweep.progress import duration

BenchFile = Annotated[Path, typer.Argument(metavar="BENCH.toml", help="The bench file.", show_default=False)]

CycleName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Installed pulse cycle to run on each device.", show_default="the one that is installed"
    ),
]

app = typer.Typer(no_args_is_help=True, help="Check a bench, make it safe, and plan a run on it.")


@app.command()
def check(bench: BenchFile, cycle: CycleName = None) -> int:
    """Connect, verify every instrument and route, and try each device with a few pulses.

    Without a section `check` in the bench file no pulse is fired. The exit status is 0 if all is well, and 1 if a
    device is not.

    Example:  spinsweep bench check bench.toml
    """
    from spinsweep.bench import cycles
    from spinsweep.bench.acquire import acquire_bench

    described = load(bench)
    out = console()
    trials = [d for d in described.device if described.check_of(d)]
    tried = cycles.cycle(cycle) if trials else None
    if tried is not None:
        number = len(trials) * tried.trial_cycles
        seconds = number * tried.time(described.timing) / described.timing.speed
        out.print(f"{number * tried.pulses} pulses on {len(trials)} devices, about {duration(seconds)}")
    columns = tried.trial_columns if tried else ()
    with acquire_bench(described) as session:
        for role, instrument in described.instruments.items():
            out.print(f"{role:<7} {instrument.model} serial {instrument.serial} {instrument.place}", highlight=False)
        table = Table("device", "route", "limits", *columns, "", box=None, header_style="bold", pad_edge=False)
        faults = 0
        for device in described.device:
            session.route(device)
            limits = described.limits_of(device)
            route = " ".join(device.channels) or "wired"
            row = [device.name, route, f"{limits.max_pulse:g} A, {limits.max_read:g} A"]
            blank, trial = [""] * len(columns), described.check_of(device)
            if tried is None or trial is None:
                table.add_row(*row, *blank, "not tried")
                continue
            try:
                table.add_row(*row, *tried.try_device(session, device, trial), styled("good", "green"))
            except DeviceFault as error:
                faults += 1
                table.add_row(*row, *blank, styled(str(error), "bold red"))
        out.print(table)
    out.print(_safe_words(described))
    return 1 if faults else 0


@app.command()
def safe(
    bench: BenchFile,
    stop_owner: Annotated[
        bool,
        typer.Option("--stop-owner", help="End the lane that owns the bench first, by force if it does not end."),
    ] = False,
) -> int:
    """Make a bench safe, and do nothing else: wave aborted, 0 A, output off, relays open.

    It fires no pulse and needs no watchdog. While a lane owns the bench, Ctrl-C in its terminal makes the bench safe;
    where nobody is at it, --stop-owner does.

    Example:  spinsweep bench safe bench.toml
    """
    from spinsweep.bench.lease import BenchLease, stop_owner_of
    from spinsweep.bench.make_safe import make_safe

    described = load(bench)
    lease = BenchLease(described, "a command that makes it safe,")
    try:
        lease.take(2.0)  # the watchdog of a lane that has just died makes it safe by itself
    except LeaseError as refused:
        if not stop_owner:
            here = f"`spinsweep bench safe {bench} --stop-owner` ends it from here"
            raise LeaseError(f"{refused}. Ctrl-C there makes the bench safe; {here}") from None
        stop_owner_of(lease)
    try:
        make_safe(described)
    finally:
        lease.release()
    logbook.note(described, logbook.MADE_SAFE)
    console().print(_safe_words(described))
    return 0


def _safe_words(described: Bench) -> str:
    """What a safe bench is, for the instruments it has."""
    relays = ", relays open" if described.switch else ""
    others = f", {', '.join(described.auxiliary)} safe" if described.auxiliary else ""
    return f"the bench is safe: 0 A, output off{relays}{others}"


@app.command()
def log(
    bench: BenchFile,
    last: Annotated[int, typer.Option(help="Show so many events.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print every event as a line of JSON.")] = False,
) -> int:
    """Show who owned a bench when, what was measured, the pulses of each device, and what went wrong.

    Example:  spinsweep bench log bench.toml --last 50
    """
    rows = logbook.read(load(bench))
    if as_json:
        for row in rows:
            say(json.dumps(row))
        return 0
    out = console()
    table = Table("time", "who", "what", "faults", box=None, header_style="bold", pad_edge=False)
    for row in rows[-last:]:
        table.add_row(*logbook.words(row))
    out.print(table if rows else "nothing yet")
    if len(rows) > last:
        out.print(f"{len(rows) - last} earlier events: --last {len(rows)}")
    return 0


def _measure(described: Bench, device: Device, each: Cycle) -> None:
    """Try a device, which notes how long its cycles take."""
    from spinsweep.bench.acquire import acquire_bench

    trial = described.check_of(device)
    if trial is None:
        raise BenchError(f"--measure fires pulses on {device.name}; write a section [check] with their currents")
    console().print(f"{each.trial_cycles * each.pulses} pulses on {device.name}")
    with acquire_bench(described) as session:
        session.route(device)
        each.try_device(session, device, trial)


def _as_measured(described: Bench, each: Cycle, total: int) -> str:
    """A line of the plan: the time of all cycles, one after the other, as one was measured."""
    known = cycle_time.measured(described, type(each).__name__)
    if known is None:
        return "The instruments' own time is not in these: --measure, or `spinsweep bench check`, times a real cycle."
    more = known.seconds / each.time(described.timing) - 1 if described.timing.speed == 1 else 0.0
    text = f"As measured, one after the other: {duration(known.seconds * total)}, {known.seconds:.3g} s a cycle"
    return text + f" on {known.device}, {known.date}" + (f" ({more:+.0%})" if more else "")


@app.command()
def plan(
    name: Name,
    bench: BenchFile,
    settings: Set = None,
    seed: Seed = None,
    cycle: CycleName = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Try the sweep's first device, as bench check does, and time its cycles."),
    ] = False,
) -> int:
    """Show how long a sweep takes on a bench, how many pulses it fires, and how much of each device's life is left.

    Without --measure it connects to no instrument.

    Example:  spinsweep bench plan characterization bench.toml --set cycles=100
              spinsweep bench plan characterization bench.toml --measure
    """
    from spinsweep.bench import cycles
    from spinsweep.bench.pulse_counts import pulses

    described = load(bench)
    sweep = requested(name, settings, seed, BenchEquipment(bench))
    if sweep.bench_cycles is None:
        raise SpecError(f"sweep {name!r} does not say how many cycles it takes")
    numbers = sweep.bench_cycles(sweep)
    timing, each = described.timing, cycles.cycle(cycle)
    if measure:
        _measure(described, described.named(next(iter(numbers))), each)
    out = console()
    out.print(
        f"{sweep.title}: {sum(numbers.values())} cycles of {each.time(timing):g} s ({each.describe(timing)})",
        soft_wrap=True,
    )
    out.print(_courses(described, sweep.bench_trains(sweep) if sweep.bench_trains else [(1, numbers)], each))
    out.print(_as_measured(described, each, sum(numbers.values())), soft_wrap=True)
    lives = Table(
        "device", "pulses", "so far", "limits.max_pulses", "used after", box=None, header_style="bold", pad_edge=False
    )
    so_far = pulses(described)
    beyond = []
    for device, number in numbers.items():
        most, before = described.limits_of(described.named(device)).max_pulses, so_far.get(device, 0)
        more = each.pulses * number
        lives.add_row(device, str(more), str(before), str(most), f"{(before + more) / most:.2%}")
        if before + more > most:
            beyond.append(device)
    out.print(lives)
    if beyond:
        out.print(
            styled(f"{', '.join(beyond)}: more pulses than limits.max_pulses; the run would be refused", "bold red")
        )
    return 1 if beyond else 0


def _courses(bench: Bench, trains: Sequence[TrainPlan], each: CycleTimes) -> Table:
    """Time and relay movements of both ways through the trains, with a mark at the one that will be taken."""
    size, why = mode(bench, trains)
    one_by_one = course(bench, trains, each, 1)
    turns = course(bench, trains, each, size if size > 1 else alternative(bench))
    taken, speed = (turns if size > 1 else one_by_one), bench.timing.speed
    mark = f"  <- {why}"
    ways = [("one device after the other", one_by_one, size == 1, "")]
    if any(len(cycles) > 1 for _, cycles in trains):
        ways.append(("devices taking turns", turns, size > 1, "at least "))
    columns = ("", "time", "relay movements", "closings of one relay", "")
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for name, way, is_taken, bound in ways:
        wear = (f"about {way.movements:,}", f"{way.closings:,}") if bench.switch else ("no switch", "")
        table.add_row(name, bound + duration(way.seconds), *wear, mark if is_taken else "")
    if size > 1:
        table.add_row("saved by taking turns", f"up to {duration(one_by_one.seconds - turns.seconds)}")
    if speed != 1:
        table.add_row(f"emulated, {speed:g} times as fast", f"{duration(taken.seconds / speed)} and the traffic")
    return table
