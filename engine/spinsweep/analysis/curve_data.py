"""The curves of a view as numbers and words, for whatever draws them.  Imports nothing that takes long to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from spinsweep.views import View

LEVEL = 0.95
"""Confidence of the intervals."""

Floats = npt.NDArray[np.float64]
Scale = Literal["linear", "log", "symlog"]


@dataclass(frozen=True)
class DrawnCurve:
    """One line."""

    label: str
    """The value of the axis ``lines``; "" where there is one curve."""
    x: Floats
    """(n,) in the unit of ``Curves.x``, ascending, or positions 0, 1, ... of its words; NaN where it is not known."""
    mean: Floats
    """(n,) NaN where no cell is done."""
    low: Floats
    """(n,) lower bound of the interval of the mean; NaN where fewer than two replicates are done."""
    high: Floats
    count: npt.NDArray[np.int64]
    """(n,) numbers in the mean."""


@dataclass(frozen=True)
class Quantity:
    """What an axis of a drawing shows."""

    name: str
    label: str
    """What people call it, without its unit."""
    unit: str
    """As the sweep declares it; ``"1"`` for a pure number."""
    words: tuple[str, ...] = ()
    """At the positions 0, 1, ..., where its values are no numbers."""


@dataclass(frozen=True)
class Curves:
    """The lines of a view."""

    view: View
    """With what it left out."""
    lines: tuple[DrawnCurve, ...]
    more: int
    """Values of the axis ``lines`` that are not drawn; those that are, are evenly spaced along it."""
    x: Quantity
    y: Quantity
    scale: Scale
    """Of x, by how its values are spread."""
    each: Quantity | None
    """What tells the lines apart; None where there is one."""
    ordered: bool
    """Whether the lines are of numbers."""
    over: str
    """The replicates whose interval is drawn; "" for none."""
    averaged: tuple[str, ...]
    """Further axes and inner dims over which the mean is taken first."""
    last: tuple[str, ...]
    """Inner dims of which the last value is taken."""
    method: str
    """Of the interval."""
    is_share: bool
    """Whether means are shares, which are from 0 to 1; bounds by Student's t may lie outside."""
    grouped: tuple[str, ...]
    """Of x and the replicates, those that have too many values, so that neighbours are averaged."""

    def caption(self) -> str:
        """What the lines and bands are, in words."""
        means = [*([self.over] if self.over else []), *self.averaged]
        text = f"Mean over {', '.join(means)}" if means else "Values"
        if self.last:
            text += f", at the last {' and '.join(self.last)}"
        if self.over:
            text += f"; bands: {100 * LEVEL:g} % interval of the mean over {self.over} ({self.method})"
        if self.grouped:
            text += f"; neighbours along {' and '.join(self.grouped)} are averaged"
        return text
