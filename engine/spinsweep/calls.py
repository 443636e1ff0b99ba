"""What is said of each call of a sweep's function while a block is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Coords = Mapping[str, tuple[Any, ...]]
"""Values along each axis: the box of cells that a call computes."""


class Calls:
    """Hears of the calls of one block, in the thread that makes them; this one takes no notice."""

    def began(self, coords: Coords, cells: int) -> None:
        """A call for so many cells begins."""

    def ended(self) -> None:
        """It returned or raised."""

    def computed(self, coords: Coords, values: Any, seconds: float, tries: int) -> None:
        """What is kept of these cells.

        Parameters
        ----------
        values : array by output, or the ``CellError``; of one cell or a box
        seconds : of the last call
        tries : calls that it took
        """


NOBODY = Calls()
