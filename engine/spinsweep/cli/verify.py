"""``spinsweep verify``: read all of a cube, name what is damaged, and repair it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress

from spinsweep.cli.console import console
from spinsweep.cli.options import Store
from spinsweep.cube import Cube, Damage, examine, repair


def verify(
    store: Store,
    mend: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Remove damaged cells (the next run computes them again) and restore coordinates and metadata. "
            "Measured and imported cells become failed.",
        ),
    ] = False,
) -> int:
    """Read every number of a cube and compare it with the checksums and digests that were written with it.

    The exit status is 0 if nothing is damaged or everything was repaired, else 1.

    Example:  spinsweep verify results/characterization.zarr --repair
    """
    out = console()
    with Progress(console=console(stderr=True), transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("blocks", total=None)

        def look(number: int, of: int) -> None:
            bar.update(task, completed=number, total=of)

        if mend:
            done = repair(store, look)
            damages, hopeless, lost = done.damages, done.hopeless, done.lost
        else:
            damages, hopeless = list(examine(store, look)), []
    for damage in damages:
        out.print(_line(damage), soft_wrap=True)
    if not damages:
        counts = Cube(store).counts()
        out.print(f"{store}: {counts.done} done cells, all as they were written", soft_wrap=True)
        return 0
    blocks = len({d.block_index for d in damages if d.block_index is not None})
    cells = sum(d.lost_cells for d in damages)
    if not mend:
        lost_cells = f"{cells} done cells in {blocks} blocks are lost"
        out.print(f"{store}: damaged; {lost_cells}; --repair restores what it can", soft_wrap=True)
        return 1
    then = lost.remedy or "the next run computes them again"
    if lost.cells:
        out.print(f"{lost.cells} cells in {lost.blocks} blocks are no longer done: {then}")
    for damage in hopeless:
        out.print(f"beyond repair: {_line(damage)}", soft_wrap=True)
    if not hopeless:
        out.print(f"{store}: repaired", soft_wrap=True)
    return 1 if hopeless else 0


def _line(damage: Damage) -> str:
    cells = f" ({damage.lost_cells} done cells)" if damage.lost_cells else ""
    return f"damaged  {damage.object_name}: {damage.problem}{cells}"
