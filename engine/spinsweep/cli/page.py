"""``spinsweep page``: what a cube holds, as one HTML file to keep, send and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import Store, declared_views
from spinsweep.cube import Cube
from spinsweep.printable import say


def page(
    store: Store,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file to write.", show_default="beside the cube: STORE.html, without .zarr"
        ),
    ] = None,
) -> int:
    """Write a page about a cube: one HTML file that needs nothing beside it.

    It has the sweep, the cells by state, a figure of each output, the failures by error with a command for each, the
    runs with their rates, the last one beside the one before it, code, packages and machines, and links to figures
    that `spinsweep figures` drew. It replaces an earlier page of the same cube, and no other file. The page of a
    cube at a URL goes into results/.

    Example:  spinsweep page results/characterization.zarr
    """
    from spinsweep.saved_page.writing import save_page  # late: xarray and matplotlib take long to load

    cube = Cube(store)
    say(f"page      {save_page(cube, output, views=declared_views(cube))}")
    return 0
