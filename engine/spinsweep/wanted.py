"""Which cells of a grid are wanted, where it is not all of them.

A sweep says so by a function of a cell's coordinates, or by a list of what wanted cells have: each item names the
values of some axes, and holds for all values of the others.

    wanted=lambda cell: cell["low"] < cell["high"]
    wanted=zipped(width=(0.5, 1.0, 2.0), current=(1e-3, 2e-3, 4e-3))
    wanted=[{"kernel": "linear", "degree": 1}, {"kernel": "polynomial"}]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Axis, Value, canonical, closest, key, listed
from spinsweep.errors import SpecError
from spinsweep.printable import brief, said

Wanted = Callable[[Mapping[str, Value]], bool] | Sequence[Mapping[str, Value]]


def zipped(**values: Iterable[Value]) -> list[dict[str, Value]]:
    """Values of several axes that belong together, one of each axis to one of each other: for ``Sweep(wanted=...)``.

    Raises
    ------
    SpecError
        They are not equally many.
    """
    columns = {name: listed(column) for name, column in values.items()}
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{len(column)} of {name}" for name, column in columns.items())
        raise SpecError(f"zipped axes need equally many values, not {lengths}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def checked(where: str, wanted: Any, axes: Sequence[Axis]) -> Wanted:
    """A function, or a tuple of items with canonical values; ``SpecError`` for anything else."""
    if callable(wanted):
        return wanted  # type: ignore[no-any-return]
    by_name = {axis.name: axis for axis in axes}
    if isinstance(wanted, str | Mapping) or not isinstance(wanted, Iterable):
        raise SpecError(f"{where}: wanted must be a function of a cell, or a list of mappings, not {brief(wanted)}")
    items = []
    for number, item in enumerate(wanted):
        what = f"{where}: wanted[{number}]"
        if not isinstance(item, Mapping):
            raise SpecError(f"{what} must be a mapping of axes to values, not {brief(item)}")
        if unknown := [name for name in item if name not in by_name]:
            raise SpecError(f"{what} names {brief(unknown[0])}, which is no axis{closest(str(unknown[0]), by_name)}")
        try:
            items.append({name: canonical(value, by_name[name].kind) for name, value in item.items()})
        except SpecError as error:
            raise SpecError(f"{what}: {error}") from None
    if not items:
        raise SpecError(f"{where}: wanted names no cell; leave it out to compute all")
    return tuple(items)


def mask(
    wanted: Wanted, axes: Mapping[str, Sequence[Value]], constants: Mapping[str, Value]
) -> npt.NDArray[np.bool_]:
    """Which cells of the product of ``axes`` are wanted, in its shape.

    Parameters
    ----------
    constants : values of axes that the cube lacks

    Raises
    ------
    SpecError
        The function raises, or returns neither true nor false.
    """
    shape = tuple(map(len, axes.values()))
    if not callable(wanted):
        return _listed(wanted, axes, constants)
    cells = np.zeros(shape, np.bool_)
    for place, point in enumerate(itertools.product(*axes.values())):
        coords = {**constants, **dict(zip(axes, point, strict=True))}
        try:
            answer = wanted(coords)
        except Exception as error:  # the function is the user's
            raise SpecError(f"wanted raised {said(error)} at {_words(axes, point)}") from error
        if not isinstance(answer, bool | np.bool_):
            raise SpecError(f"wanted returned {brief(answer)} at {_words(axes, point)}; it returns true or false")
        cells.flat[place] = answer
    return cells


def _listed(
    items: Sequence[Mapping[str, Value]], axes: Mapping[str, Sequence[Value]], constants: Mapping[str, Value]
) -> npt.NDArray[np.bool_]:
    cells = np.zeros(tuple(map(len, axes.values())), np.bool_)
    places = {name: {key(value): place for place, value in enumerate(values)} for name, values in axes.items()}
    for item in items:
        if any(key(item[name]) != key(value) for name, value in constants.items() if name in item):
            continue
        index = [places[name].get(key(item[name]), -1) if name in item else slice(None) for name in axes]
        if -1 not in index:
            cells[tuple(index)] = True
    return cells


def _words(axes: Iterable[str], point: Sequence[Value]) -> str:
    return " ".join(f"{name}={key(value)}" for name, value in zip(axes, point, strict=True))
