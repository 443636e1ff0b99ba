"""What is said of each call of a sweep's function while a block is computed."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
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


class InHand:
    """The call that is being made in a block, for another thread to look at; two assignments a call, and no lock."""

    __slots__ = ("began", "call")

    def __init__(self) -> None:
        self.call: Any = None
        """The ``Cell``, or the ``Cells`` of one cell, that the function was called with; None: no single cell."""
        self.began = 0.0
        """When, s of ``time.perf_counter``."""


IN_HAND: ContextVar[InHand | None] = ContextVar("IN_HAND", default=None)
"""Set by who computes a block and wants to know its cell; a copy of the context takes it to another thread."""
