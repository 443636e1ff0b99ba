"""Which axes an output has, what each is for in a figure or a table, and which figure shows the output best."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinsweep.axis import REPLICATES, closest
from spinsweep.errors import NotDrawn, SpecError

MOST_SERIES = 6
"""Lines or colours in one panel."""
FEW_NUMBERS = 4
"""Values of a second axis of numbers that are lines; more make a heat map."""
MOST_PANELS = 12


@dataclass(frozen=True)
class Design:
    """The dims of an output by what they are for; a dim of one value is none of them."""

    replicates: tuple[str, ...]
    numeric: tuple[str, ...]
    """Dims of numbers or times, the longest first."""
    categories: tuple[str, ...]
    """Dims of names or booleans, the longest first."""

    @classmethod
    def of(cls, values: xr.DataArray, over: Sequence[str] | str | None = None) -> Design:
        """The design of an output.

        Parameters
        ----------
        values : (...) of any type
        over : the dims that are replicates; None: those named as in ``REPLICATES``

        Raises
        ------
        SpecError
            The output has no dim of that name.
        """
        over = replicates(values, over)
        rest = [str(d) for d in values.dims if d not in over and values.sizes[d] > 1]
        rest.sort(key=lambda d: -values.sizes[d])  # stable: of equal lengths the first comes first
        numeric = tuple(d for d in rest if is_numeric(values, d))
        return cls(tuple(d for d in over if values.sizes[d] > 1), numeric, tuple(d for d in rest if d not in numeric))


def replicates(values: xr.DataArray | xr.Dataset, over: Sequence[str] | str | None) -> tuple[str, ...]:
    """The dims that are replicates, in the order of ``values``; ``SpecError`` if one of ``over`` is not there."""
    dims = [str(d) for d in values.dims]
    if over is None:
        return tuple(d for d in dims if d in REPLICATES)
    names = [over] if isinstance(over, str) else list(over)
    for name in names:
        if name not in dims:
            raise SpecError(f"there is no axis {name!r}{closest(name, dims)}; there are {', '.join(dims) or 'none'}")
    return tuple(d for d in dims if d in names)


def is_numeric(values: xr.DataArray, dim: str) -> bool:
    """Whether the values of a dim are numbers or times, in which there is a between."""
    return dim not in values.coords or values[dim].dtype.kind in "iufmM"


@dataclass(frozen=True)
class FigureLayout:
    """What is where in a figure of one output."""

    kind: Literal["lines", "map", "points", "replicates"]
    x: str
    """Dim along the axis; of points, whose names are beside each other from top to bottom, the dim of these."""
    y: str = ""
    """Second dim of a map."""
    colour: str = ""
    """Dim whose values are lines or points of different colours."""
    panels: tuple[str, ...] = ()
    """Dims that each panel has one value of."""

    @classmethod
    def of(cls, values: xr.DataArray, design: Design) -> FigureLayout:
        """The figure that shows an output of such a design.

        Raises
        ------
        NotDrawn
            The output has one value.
        """
        numeric, categories = design.numeric, design.categories
        if not numeric and not categories:
            if not design.replicates:
                raise NotDrawn("it has one value and no axis to draw it along")
            return cls("replicates", design.replicates[0])
        if len(numeric) > 1 and values.sizes[numeric[1]] > FEW_NUMBERS:
            return cls("map", numeric[0], numeric[1], panels=_rest(values, design, numeric[:2]))
        x = (numeric or categories)[0]
        colours = [d for d in categories if d != x and values.sizes[d] <= MOST_SERIES] or list(numeric[1:2])
        colour = colours[0] if colours else ""
        return cls("lines" if numeric else "points", x, colour=colour, panels=_rest(values, design, (x, colour)))


def _rest(values: xr.DataArray, design: Design, used: Iterable[str]) -> tuple[str, ...]:
    """The dims that no part of a panel shows, in the order of the output."""
    left = {*design.numeric, *design.categories} - set(used)
    return tuple(str(d) for d in values.dims if d in left)


def panels(values: xr.DataArray, dims: Sequence[str]) -> tuple[list[dict[Hashable, int]], int]:
    """Indices of the panels along ``dims``, at most ``MOST_PANELS``, evenly spaced, and how many there are."""
    every = [
        dict(zip(dims, index, strict=True)) for index in itertools.product(*(range(values.sizes[d]) for d in dims))
    ]
    shown = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST_PANELS)).round().astype(int))
    return [dict[Hashable, int](every[i]) for i in shown], len(every)


def is_share(values: xr.DataArray, cells: np.dtype[np.generic]) -> bool:
    """Whether an output says yes or no: booleans, or whole numbers that are all 0 or 1.

    Parameters
    ----------
    values : with NaN where cells are not done
    cells : type of the numbers in the cube
    """
    if cells.kind == "b":
        return True
    return cells.kind in "iu" and bool(((values == 0) | (values == 1) | values.isnull()).all())


def spacing(numbers: npt.NDArray[Any]) -> Literal["linear", "log", "symlog"]:
    """The scale on which numbers are spread evenly: logarithmic, linear about 0 if that is one of them, or linear."""
    if numbers.dtype.kind in "mM" or numbers.size < 4:
        return "linear"
    ordered = np.sort(np.asarray(numbers, np.float64))
    above = ordered[ordered > 0]
    if above.size < 3 or above.size < ordered.size - 1 or ordered[0] < 0 or above[-1] < 10 * above[0]:
        return "linear"
    if unevenness(np.log(above)) >= 0.5 * unevenness(above):
        return "linear"
    return "log" if above.size == ordered.size else "symlog"


def unevenness(ordered: npt.NDArray[Any]) -> float:
    """How much the steps differ, over their mean."""
    steps = np.diff(ordered)
    return float(np.std(steps) / np.mean(steps))


def text_of(value: Any) -> str:
    """A value of an axis as it is printed."""
    plain = value.item() if hasattr(value, "item") and np.asarray(value).dtype.kind not in "mM" else value
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    return f"{plain:.6g}".replace("-", "−") if isinstance(plain, int | float) else str(plain)
