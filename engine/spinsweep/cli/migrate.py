"""``spinsweep migrate``: make a cube fit its sweep as it is now, without computing it again."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress

from spinsweep.cli.console import console
from spinsweep.cli.options import NamedSweep, Store, Trust, code_of, pairs
from spinsweep.cube import Cube
from spinsweep.discovery import find


def migrate(
    store: Store,
    add_parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A new parameter: the value that gives the old numbers."),
    ] = None,
    add_axis: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An axis that the sweep has at its neutral value alone; it can grow then."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUES", help="Values of an axis to drop, with their cells.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|URL", help="Make a new cube there and leave this one; object storage needs it."),
    ] = None,
    named_sweep: NamedSweep = None,
    trust: Trust = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Otherwise the steps are only shown.")] = False,
) -> int:
    """Show what would make a cube fit its sweep as it is now, and do it with --yes. Nothing is computed.

    Renamed axes and outputs, an axis or a parameter more, corrected units and long names, values to drop. Random
    streams keep their addresses. The exit status is 1 if there are steps that were only shown.

    Example:  spinsweep migrate results/walk.zarr --sweep walk.py:WALK
              spinsweep migrate results/walk.zarr --add-parameter offset=0 --drop seed=7 --yes
    """
    from spinsweep.cube.rewriting import require_place, rewrite
    from spinsweep.runs.migration import plan_migration

    cube = Cube(store)
    require_place(cube, into)
    sweep = find(code_of(cube, named_sweep, trust=trust))
    dropped = pairs(drop, "--drop")
    plan = plan_migration(cube, sweep, pairs(add_parameter, "--add-parameter"), dropped, add_axis or ())
    out = console()
    for step in plan.steps:
        out.print(step, soft_wrap=True)
    if not plan.steps:
        out.print(f"{store} fits the sweep; there is nothing to do", soft_wrap=True)
        return 0
    if not yes:
        out.print("nothing is changed yet; --yes does it", soft_wrap=True)
        return 1
    with Progress(console=console(stderr=True), transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("blocks", total=None)
        rewrite(cube, plan, lambda number, of: bar.update(task, completed=number, total=of), into)
    out.print(f"{into or store}: migrated; the attribute history says how", soft_wrap=True)
    return 0
