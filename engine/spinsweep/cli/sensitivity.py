"""``spinsweep sensitivity``: how much of an output's variance each axis explains."""

from __future__ import annotations

from typing import Annotated

import typer

from spinsweep.cli.options import Level, Over, Store, TableForm
from spinsweep.cube import Cube
from spinsweep.printable import say


def sensitivity(
    store: Store,
    output: Annotated[str, typer.Argument(help="Name of an output, such as accuracy.")],
    over: Over = None,
    form: TableForm = "markdown",
    level: Level = 0.95,
) -> int:
    """Print the share of an output's variance that each axis explains, alone and with its interactions.

    These are the Sobol indices of the grid, with intervals over the replicates. The grid must be full.

    Example:  spinsweep sensitivity results/codesign.zarr accuracy --over seed
    """
    cube = Cube(store)  # a mistake is said before what follows is loaded

    from spinsweep.analysis.sensitivity import sensitivity as indices
    from spinsweep.analysis.sensitivity import sensitivity_table

    say(sensitivity_table(indices(cube.dataset(), output, over, level)).text(form))
    return 0
