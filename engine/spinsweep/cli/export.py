"""``spinsweep export``: a cube as netCDF, a table, or an archive of few files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import Store
from spinsweep.printable import say


def export(
    store: Store,
    file: Annotated[
        Path,
        typer.Argument(
            help="What to write, by the end of its name: .nc is netCDF 4; .csv and .parquet are tables; .zip and "
            ".zarr are archives: the whole cube in few files, which open_cube and xarray read."
        ),
    ],
    outputs: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these outputs.", show_default="all of them")
    ] = None,
    sort: Annotated[
        bool, typer.Option("--sorted", help="Put the values along each axis in order; a cube appends new ones.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of an earlier export.")] = False,
) -> int:
    """Write a cube as a file of another kind, with units and attributes. Cells that are not done are blank.

    A table has a row for each cell, or for each value of the inner dims of its outputs. Big cubes go in pieces.

    Example:  spinsweep export results/characterization.zarr bars.nc
              spinsweep export results/characterization.zarr bars.csv --outputs i_bias,i0 --sorted
    """
    from spinsweep.exports import export as write

    names = [name.strip() for name in (outputs or "").split(",") if name.strip()]
    done = write(store, file, outputs=names, sort=sort, force=force)
    counts = done.counts
    blank = [f"{n} {what}" for what, n in counts.as_dict().items() if n and what != "done"]
    rows = "" if done.rows is None else f"{done.rows} rows of "
    said = f"{file}: {rows}{counts.total} cells" + (f"; blank are {', '.join(blank)}" if blank else ", all done")
    say(said)
    if done.left_out:
        say(f"left out: {', '.join(done.left_out)}")
    return 0
