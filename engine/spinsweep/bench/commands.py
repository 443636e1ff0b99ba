"""``spinsweep bench``: check a bench, make it safe, and plan a run on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from spinsweep.bench.bench_file import load
from spinsweep.bench.equipment import BenchEquipment
from spinsweep.bench.errors import DeviceFault, LeaseError
from spinsweep.cli.console import console, styled
from spinsweep.cli.options import Name, Seed, Set, requested
from spinsweep.errors import SpecError
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
    out.print("the bench is safe: 0 A, output off" + (", relays open" if described.switch else ""))
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
        lease.take()
    except LeaseError as refused:
        if not stop_owner:
            here = f"`spinsweep bench safe {bench} --stop-owner` ends it from here"
            raise LeaseError(f"{refused}. Ctrl-C there makes the bench safe; {here}") from None
        stop_owner_of(lease)
    try:
        make_safe(described)
    finally:
        lease.release()
    console().print("the bench is safe: 0 A, output off" + (", relays open" if described.switch else ""))
    return 0


@app.command()
def plan(name: Name, bench: BenchFile, settings: Set = None, seed: Seed = None, cycle: CycleName = None) -> int:
    """Show how long a sweep takes on a bench, how many pulses it fires, and how much of each device's life is left.

    It connects to no instrument.

    Example:  spinsweep bench plan characterization bench.toml --set cycles=100
    """
    from spinsweep.bench import cycles
    from spinsweep.bench.session import pulses

    described = load(bench)
    sweep = requested(name, settings, seed, BenchEquipment(bench))
    if sweep.bench_cycles is None:
        raise SpecError(f"sweep {name!r} does not say how many cycles it takes")
    numbers = sweep.bench_cycles(sweep)
    timing, each = described.timing, cycles.cycle(cycle)
    total = sum(numbers.values())
    one_by_one = total * each.time(timing)
    interleaved = max(max(numbers.values()) * each.time(timing), total * each.busy_time(timing))
    out = console()
    out.print(f"{sweep.title}: {total} cycles of {each.time(timing):g} s ({each.describe(timing)})")
    table = Table("", "", box=None, show_header=False, pad_edge=False)
    mark = {True: "  <- timing.interleave of the bench file", False: ""}
    table.add_row("time, one device after the other", duration(one_by_one) + mark[not timing.interleave])
    table.add_row("time, devices taking turns", f"at least {duration(interleaved)}" + mark[timing.interleave])
    if timing.speed != 1:
        shown = interleaved if timing.interleave else one_by_one
        table.add_row(
            f"emulated, {timing.speed:g} times as fast", f"{duration(shown / timing.speed)} and the traffic"
        )
    out.print(table)
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
