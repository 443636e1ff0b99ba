"""Weights on a crossbar: differential pairs of conductances on tiles, with finite levels and stuck cells (Fig. S10).

    w = w_max (g+ - g-),    g in units of the largest conductance, G0 w_max

Each output has two columns, one for each sign; a weight programs one cell of its pair and leaves the other at 0.
With the defaults a layer is ideal and the mapping changes no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.chip import Programmed

Floats = npt.NDArray[np.float32]

ROWS = COLUMNS = 128
"""Default size of a tile."""
SIZES = (784, 400, 10)
"""Of the paper's network."""


@dataclass(frozen=True)
class Tiles:
    """How one layer is cut into arrays."""

    inputs: int
    outputs: int
    rows: int = ROWS
    columns: int = COLUMNS

    @property
    def down(self) -> int:
        """Tiles that share the inputs."""
        return -(-self.inputs // self.rows)

    @property
    def across(self) -> int:
        """Tiles that share the outputs, of which each takes a pair of columns."""
        return -(-self.outputs // (self.columns // 2))

    @property
    def count(self) -> int:
        return self.down * self.across

    @property
    def used(self) -> float:
        """Part of the cells of all tiles that belong to a weight."""
        return 2 * self.inputs * self.outputs / (self.count * self.rows * self.columns)


def layers(rows: int = ROWS, columns: int = COLUMNS, sizes: Sequence[int] = SIZES) -> tuple[Tiles, ...]:
    """The layers of a network of those ``sizes``, inputs first, on tiles of ``rows`` and ``columns``."""
    return tuple(Tiles(inputs, outputs, rows, columns) for inputs, outputs in pairwise(sizes))


def pairs(w: Floats) -> tuple[Floats, float]:
    """Conductances (2, inputs, outputs) from 0 to 1, positive columns first, and w_max, the weight of 1."""
    largest = float(np.abs(w).max()) or 1.0
    return np.asarray(np.stack([np.maximum(w, 0), np.maximum(-w, 0)]) / largest, np.float32), largest


def program(
    w: Floats, faults: np.random.Generator, levels: int = 0, stuck_off: float = 0.0, stuck_on: float = 0.0
) -> Programmed:
    """The layer as programmed.

    Parameters
    ----------
    w : (inputs, outputs)
    faults : its next 2 * w.size numbers decide which cells are stuck; a larger share adds to the same cells
    levels : conductances that a cell can have, evenly from 0 to the largest; 0: any
    stuck_off, stuck_on : share of cells that stay at 0, or at the largest conductance, whatever is programmed

    Raises
    ------
    ValueError
        One level.
    """
    if levels == 1:
        raise ValueError("a cell has at least 2 conductance levels; 0 stands for any conductance")
    u = faults.random((2, *w.shape), np.float32)
    if not (levels or stuck_off or stuck_on):
        return Programmed.ideal(w)
    g, largest = pairs(w)
    if levels:
        g = np.rint(g * np.float32(levels - 1)) / np.float32(levels - 1)
    off, on = u < stuck_off, u > 1 - stuck_on
    free = np.where(off | on, np.float32(0), g)
    g = np.where(on, np.float32(1), np.where(off, np.float32(0), g))
    return Programmed((g[0] - g[1]) * np.float32(largest), (free[0] - free[1]) * np.float32(largest))
