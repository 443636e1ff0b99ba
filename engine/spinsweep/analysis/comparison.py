"""What differs between two cubes, cell by cell: in words, and as the figure of the differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from spinsweep.analysis.cells import outputs, states
from spinsweep.analysis.design import replicates, text_of
from spinsweep.analysis.estimates import estimate, numbers
from spinsweep.errors import SpecError
from spinsweep.ledger import State

LARGEST = 3
"""Cells that are named, of those that differ most."""


@dataclass(frozen=True)
class OutputDifference:
    """The second cube less the first in one output, in the cells that are done in both."""

    output: str
    difference: xr.DataArray
    """(*axes, *inner dims), NaN where either has no number."""
    equal: int
    """Numbers that are the same bit for bit."""
    compared: int
    """Numbers that are in both."""
    mean: float
    low: float
    """Bounds of the mean difference by Student's t over the replicates, paired; NaN with fewer than two."""
    high: float
    largest: tuple[tuple[str, float], ...]
    """Where the difference is largest, and how large: coordinates in words, the largest first."""
    left_out: str = ""
    """Why it is not compared; "" if it is."""


@dataclass(frozen=True)
class Comparison:
    """Two cubes side by side."""

    common: int
    """Cells that are done in both."""
    only_first: int
    """Cells that are done in the first alone, as the axes of the second lack them or they are not done there."""
    only_second: int
    outputs: tuple[OutputDifference, ...]
    over: tuple[str, ...]
    level: float

    def dataset(self) -> xr.Dataset:
        """The differences as outputs, for figures and tables; without those in which all numbers are equal."""
        return xr.Dataset({o.output: o.difference for o in self.outputs if o.equal < o.compared})

    def lines(self) -> Iterator[str]:
        """The comparison in words."""
        only = f"{self.only_first} in the first only, {self.only_second} in the second only"
        yield f"{self.common} cells are done in both, {only}"
        for one in self.outputs:
            if one.left_out:
                yield f"{one.output}: not compared: {one.left_out}"
                continue
            if not one.compared:
                yield f"{one.output}: no number is in both"
                continue
            yield f"{one.output}: {_summary(one, self.over, self.level)}"
            for where, value in one.largest:
                yield f"  {value:+.4g}{_unit(one.difference)} at {where}"


def compare(
    first: xr.Dataset, second: xr.Dataset, over: Sequence[str] | str | None = None, level: float = 0.95
) -> Comparison:
    """Compare two cubes in the cells that are done in both.

    Parameters
    ----------
    first, second : cubes over the same axes; matched by the values of these, in any order
    over : axes that are replicates, over which differences are paired; None: those with names such as ``seed``
    level : confidence of the interval of the mean difference, which is over all cells that both have

    Raises
    ------
    SpecError
        The axes differ, no output is in both, or ``over`` names no axis.
    """
    dims = [sorted(map(str, states(cube).dims)) for cube in (first, second)]
    if dims[0] != dims[1]:
        one, other = (", ".join(names) or "none" for names in dims)
        raise SpecError(
            f"the axes are {one} in the first cube and {other} in the second; select a value of those that one lacks"
        )
    names = [n for n in outputs(first) if n in outputs(second)]
    if not names:
        raise SpecError(
            f"no output is in both cubes: {', '.join(outputs(first))} in the first, {', '.join(outputs(second))} in "
            "the second"
        )
    repeated = replicates(first, over)
    done = [(states(cube) == State.DONE).compute() for cube in (first, second)]
    both = xr.align(*done, join="inner")
    common = int((both[0] & both[1]).sum())
    differences = tuple(_difference(first, second, name, repeated, level) for name in names)
    return Comparison(common, int(done[0].sum()) - common, int(done[1].sum()) - common, differences, repeated, level)


def _difference(
    first: xr.Dataset, second: xr.Dataset, name: str, repeated: Sequence[str], level: float
) -> OutputDifference:
    try:
        one, other = numbers(first, name), numbers(second, name)
    except SpecError as reason:
        return _left_out(name, str(reason))
    units = [str(a.attrs.get("units", "1")) for a in (one, other)]
    if units[0] != units[1]:
        return _left_out(name, f"its unit is {units[0]} in the first cube and {units[1]} in the second")
    if set(one.dims) != set(other.dims):
        return _left_out(name, "its dims differ")
    lengths = [d for d in one.dims if d not in one.coords and one.sizes[d] != other.sizes[d]]
    if lengths:
        return _left_out(name, f"{', '.join(map(str, lengths))} has two lengths")
    a, b = xr.align(one, other, join="inner")
    b = b.transpose(*a.dims)
    attrs = {k: v for k, v in one.attrs.items() if k == "units"}
    label = f"difference of {one.attrs.get('long_name') or name}"
    difference = (b - a).assign_attrs(attrs, long_name=label, is_share=False, is_magnitude=False)
    over = [d for d in difference.dims if d in repeated]
    rest = [d for d in difference.dims if d not in repeated]
    paired = estimate(difference.mean(rest).assign_attrs(is_share=False), [str(d) for d in over], level)
    compared = int(difference.notnull().sum())
    mean, low, high = (float(paired[n]) for n in ("mean", "low", "high"))
    largest, equal = tuple(_largest(difference)), int((a == b).sum())
    return OutputDifference(name, difference.rename(name), equal, compared, mean, low, high, largest)


def _left_out(name: str, reason: str) -> OutputDifference:
    return OutputDifference(name, xr.DataArray(np.nan), 0, 0, np.nan, np.nan, np.nan, (), reason)


def _largest(difference: xr.DataArray) -> Iterator[tuple[str, float]]:
    flat = np.nan_to_num(np.abs(difference.values)).ravel()
    for place in np.argsort(-flat, kind="stable")[:LARGEST]:
        if flat[place] > 0:
            index: dict[Any, Any] = dict(zip(difference.dims, np.unravel_index(place, difference.shape), strict=True))
            cell = difference.isel(index)
            where = [f"{d} = {text_of(cell[d].values if d in cell.coords else i)}" for d, i in index.items()]
            yield ", ".join(where), float(cell)


def _summary(one: OutputDifference, over: Sequence[str], level: float) -> str:
    if one.equal == one.compared:
        return f"all {one.compared} numbers are equal"
    unit = _unit(one.difference)
    text = f"{one.equal} of {one.compared} numbers are equal; mean difference {one.mean:+.4g}{unit}"
    if np.isfinite(one.low):
        text += f" ({100 * level:g} % interval over {over[0]}: {one.low:+.4g} to {one.high:+.4g}{unit})"
    return text


def _unit(array: xr.DataArray) -> str:
    unit = str(array.attrs.get("units", "1"))
    return "" if unit == "1" else f" {unit}"
