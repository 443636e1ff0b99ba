"""Panels of the widths of a cube: one for each, or for each group of widths where there are too many."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinsweep.analysis.look import COLUMN, MM, PAGE

MANY_WIDTHS = 12
"""From here on panels of widths are small: bars that are each measured with a width of their own."""
TALLEST = 225 * MM
"""Height of a page, inches."""


class WidthPanel(NamedTuple):
    """The panel of one width in a grid, or of several widths that follow each other."""

    ax: Axes
    leftmost: bool
    lowest: bool
    """No other panel is below it."""
    widths: list[int]
    """Their places in the cube."""
    is_small: bool
    """Without room for names of axes of its own."""


def panels_of_widths(cube: xr.Dataset, figure: Figure, row_height: float, **share: Any) -> list[WidthPanel]:
    """A panel for each width of the cube, or for each group of widths where a page has no room for all.

    Three are in a row, or six small ones where there are many widths; the figure takes the size that they need.  Of
    one column, it has two or three in a row.

    Parameters
    ----------
    row_height : inches
    share : ``sharex`` and ``sharey`` of the panels
    """
    count, fixed = cube.sizes["width"], getattr(figure, "columns", None)
    most_small = (3 if fixed == 1 else 6) * int(1.5 * TALLEST / row_height)
    is_small = MANY_WIDTHS < count <= most_small
    most = {1: (2, 3), 2: (3, 6), None: (3, 6)}[fixed][is_small]
    row_height *= 2 / 3 if is_small else 1
    columns = min(most, count)
    rows = min(-(-count // columns), 4 if count > most_small else int(TALLEST / row_height))
    groups = [group.tolist() for group in np.array_split(np.arange(count), min(count, rows * columns))]
    if fixed is None:
        figure.set_figwidth(PAGE * columns / 3 if 1 < columns < 3 else COLUMN if columns == 1 else PAGE)
    figure.set_figheight(4 * MM + rows * row_height)
    axes = figure.subplots(rows, columns, squeeze=False, **share).ravel()
    for ax in axes[len(groups) :]:
        ax.remove()
    return [
        WidthPanel(axes[i], i % columns == 0, i + columns >= len(groups), group, is_small)
        for i, group in enumerate(groups)
    ]
