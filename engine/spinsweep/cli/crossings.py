"""``spinsweep crossings``: where the mean of an output crosses a threshold."""

from __future__ import annotations

from typing import Annotated

import typer

from spinsweep.cli.options import Level, Over, Store, TableForm
from spinsweep.cube import Cube
from spinsweep.printable import say


def crossings(
    store: Store,
    output: Annotated[str, typer.Argument(help="Name of an output, such as accuracy.")],
    threshold: Annotated[float, typer.Argument(help="In the unit of the output; after -- if it is negative.")],
    along: Annotated[str, typer.Option(metavar="AXIS", help="The axis of numbers along which the mean crosses it.")],
    over: Over = None,
    form: TableForm = "markdown",
    level: Level = 0.95,
) -> int:
    """Print where the mean of an output over its replicates first crosses a threshold along an axis.

    Each place has an interval over the replicates, and the table says whether there is none, one or several. A bound
    is infinite where the axis may be too short.

    Example:  spinsweep crossings results/codesign.zarr accuracy 0.9 --along variation --over seed
    """
    cube = Cube(store)  # a mistake is said before what follows is loaded

    from spinsweep.analysis.crossings import crossing, crossings_table

    say(crossings_table(crossing(cube.dataset(), output, threshold, along, over, level)).text(form))
    return 0
