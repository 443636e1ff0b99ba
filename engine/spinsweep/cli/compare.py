"""``spinsweep compare``: what differs between two cubes, in words and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import Over, Store
from spinsweep.cube import Cube
from spinsweep.disk import write_whole
from spinsweep.errors import NotDrawn
from spinsweep.figure_files import content, settings
from spinsweep.figure_options import FigureOptions
from spinsweep.printable import say


def compare(
    first: Store,
    second: Annotated[str, typer.Argument(help="The other cube, over the same axes.")],
    over: Over = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a figure of each output that differs (PNG and SVG).")
    ] = None,
) -> int:
    """Say how two cubes differ in the cells that are done in both: the second less the first.

    For each output: how many numbers are equal bit for bit, the mean difference with its interval, paired over the
    replicates, and the cells that differ most. Cells that are done in one cube only are counted.

    Example:  spinsweep compare results/again.zarr results/before.zarr --over seed --out results/differences
    """
    from spinsweep.analysis.comparison import compare as compared
    from spinsweep.analysis.figures import of_outputs

    comparison = compared(Cube(first).dataset(), Cube(second).dataset(), over)
    for line in comparison.lines():
        say(line)
    if out is None:
        return 0
    differences, options = comparison.dataset(), FigureOptions()
    out.mkdir(parents=True, exist_ok=True)
    with settings(options):
        for name, build in of_outputs(differences, over and [d for d in over if d in differences.dims]).items():
            try:
                figure = build(differences, options)
            except NotDrawn as reason:
                say(f"not drawn {name}: {reason}")
                continue
            for suffix in ("png", "svg"):
                write_whole(str(out / f"{name}.{suffix}"), content(figure, suffix))
                say(out / f"{name}.{suffix}")
            caption = f"{build.caption(differences)} {first} is subtracted from {second}.\n"
            write_whole(str(out / f"{name}.md"), caption.encode())
            say(out / f"{name}.md")
    return 0
