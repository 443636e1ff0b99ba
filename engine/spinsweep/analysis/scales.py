"""Axes with their names and units: SI prefixes, and the scale that spreads the values of an axis best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from spinsweep.analysis.design import spacing, text_of, unevenness
from spinsweep.analysis.look import prefix_power, si_unit, symbol
from spinsweep.si import PREFIXED


@dataclass(frozen=True)
class AxisLabel:
    """A quantity as a figure shows it: divided by ``factor``, under ``label``."""

    label: str
    factor: float = 1.0

    @classmethod
    def of(cls, array: xr.DataArray, numbers: npt.ArrayLike, name: str = "") -> AxisLabel:
        """The name and unit of an array, with the prefix that suits the numbers that are shown."""
        unit = str(array.attrs.get("units", "1"))
        text = name or str(array.attrs.get("long_name") or array.name)
        text = f"{text[:1].upper()}{text[1:]}" if " " in text or "long_name" in array.attrs else text
        if unit in ("1", ""):
            return cls(text)
        if unit not in PREFIXED:
            return cls(f"{text} ({symbol(unit)})")
        power = min(12, max(-15, prefix_power(numbers)))
        return cls(f"{text} ({si_unit(unit, power)})", 10.0**power)


def coordinate(values: xr.DataArray, dim: str) -> xr.DataArray:
    """The values of a dim; indices where it has none."""
    return values[dim].rename(dim)


def axis_of(values: xr.DataArray, dim: str) -> tuple[AxisLabel, npt.NDArray[Any]]:
    """Name of a numeric dim, and its numbers as they are drawn."""
    array = coordinate(values, dim)
    if array.dtype.kind in "mM":
        return AxisLabel(AxisLabel.of(array, []).label), array.values
    sizes = np.abs(array.values[array.values != 0])
    over_decades = sizes.size and sizes.max() >= 1e3 * sizes.min()  # no prefix suits all of them
    shown = AxisLabel.of(array, [1.0] if over_decades else array.values)
    return shown, array.values / shown.factor


def title_of(values: xr.DataArray, dim: str) -> str:
    """Name of a dim with its unit, without a prefix: what the values of :func:`value_text` are of."""
    unit = str(values[dim].attrs.get("units", "1"))
    return dim if unit in ("1", "") else f"{dim} ({symbol(unit)})"


def value_text(values: xr.DataArray, dim: str, index: int) -> str:
    """``width = 0.3 µm``."""
    unit = str(values[dim].attrs.get("units", "1"))
    shown = text_of(values[dim].values[index])
    return f"{dim} = {shown}" if unit in ("1", "") else f"{dim} = {shown} {symbol(unit)}"


def set_scale(ax: Axes, numbers: npt.NDArray[Any]) -> None:
    """A logarithmic axis where the numbers are spread evenly on it, linear about 0 if that is one of them."""
    scale = spacing(numbers)
    if scale == "linear":
        return
    ordered = np.sort(np.asarray(numbers, np.float64))
    above = ordered[ordered > 0]
    if scale == "symlog":
        ax.set_xscale("symlog", linthresh=above[0])
        return
    ax.set_xscale("log")
    if above[-1] < 100 * above[0]:  # powers of ten are too few to read a value by
        shown = above[np.unique(np.linspace(0, above.size - 1, 5).round().astype(int))]
        ax.set_xticks(shown.tolist(), [text_of(value) for value in shown])
        ax.xaxis.set_minor_locator(NullLocator())


def is_even(numbers: npt.NDArray[Any]) -> bool:
    """Whether the numbers are evenly spaced."""
    return numbers.dtype.kind in "mM" or numbers.size < 3 or unevenness(np.sort(numbers)) < 0.01
