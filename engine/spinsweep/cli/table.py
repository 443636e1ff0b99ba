"""``spinsweep table``: means and half widths of one output, for a paper."""

from __future__ import annotations

from typing import Annotated

import typer

from spinsweep.cli.options import Level, Over, Store, TableForm
from spinsweep.cube import Cube
from spinsweep.printable import say


def table(
    store: Store,
    output: Annotated[str, typer.Argument(help="Name of an output, such as accuracy.")],
    over: Over = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS",
            help="The axis whose values are columns; '' for none.",
            show_default="of several, the last of at most six values",
        ),
    ] = None,
    form: TableForm = "markdown",
    level: Level = 0.95,
) -> int:
    """Print the means of an output over its replicates, each with the half width of its interval.

    A share (an output of booleans, or of numbers that are all 0 or 1) has Wilson's interval. LaTeX needs the package
    booktabs. Means that lack replicates have a *, and those without a number are –; the note below counts both.

    Example:  spinsweep table results/codesign.zarr accuracy --over seed --format latex
    """
    cube = Cube(store)  # a mistake is said before what follows is loaded

    from spinsweep.analysis.tables import table as made

    say(made(cube.dataset(), output, over, columns, level).text(form))
    return 0
