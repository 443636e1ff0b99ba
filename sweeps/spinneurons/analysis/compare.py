"""What differs between two cubes: of two cards, two root seeds, a model and a measurement."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spinneurons.analysis.cubes import parameters
from spinsweep.reading import CubeView

SETTINGS = ("i_write", "curve_i_write", "h_x", "h_z")
"""Variables that say what was set at each index of an inner dim: write currents and fields."""


def compare(first: xr.Dataset, second: xr.Dataset, settings: Sequence[str] = SETTINGS) -> pd.DataFrame:
    """Each variable in the cells that are done in both cubes.

    The cubes are matched by their coordinates, whatever the order of their dims.  An inner dim such as ``current``
    has indices alone: if one of the ``settings`` says that another value was set (by more than a millionth) in any of
    the cells, the variables along its inner dims are not compared.  Inner dims of two lengths are compared at the
    labels that both have.  The column ``note`` says either.

    Parameters
    ----------
    first, second : cubes over the same cell axes, in the same units
    settings : names of the variables that hold what was set along inner dims

    Returns
    -------
    One row a variable: ``equal`` (share of the numbers that are the same bit for bit, NaN equal to NaN),
    ``mean_difference``, ``rms_difference`` and ``largest_difference`` (second less first, in the variable's
    ``units``) over the numbers that are finite in both, NaN where nothing is compared; ``cells`` compared, NaN if
    neither cube has a ``cell_state``; and ``note``

    Raises
    ------
    ValueError
        No variable is in both; one, or a coordinate, has other units; a coordinate has one value in each cube and
        they differ, or is an axis in one of them alone; or the cell axes differ.
    """
    names = [str(n) for n in first.data_vars if n in second.data_vars and not str(n).startswith("cell_")]
    if not names:
        raise ValueError(
            f"no variable is in both: {_text(first.data_vars)} in the first, {_text(second.data_vars)} in the second"
        )
    _check_units(first, second, [*names, *_common_coordinates(first, second)])
    _check_cells(first, second)
    a, b, bare = _aligned(first, second)
    both = _both_done(a, b)
    mask = xr.DataArray(True) if both is None else both
    otherwise = {
        n: set(a[n].dims) - set(mask.dims) for n in settings if n in a and n in b and _set_otherwise(a[n], b[n], mask)
    }
    rows = []
    for name in names:
        note = _why_not(first[name], second[name], bare, {} if name in settings else otherwise)
        row = _NOTHING if note else _compared(_values(a[name], mask), _values(_like(b[name], a[name]), mask))
        note = note or _shortened(first[name], second[name], a[name], mask)
        rows.append({"variable": name, **row, "units": _units(first[name]), "note": note})
    table = pd.DataFrame(rows).set_index("variable")
    table.insert(len(table.columns) - 1, "cells", np.nan if both is None else int(both.sum()))
    return table


def parameter_differences(first: xr.Dataset, second: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    """Parameters of the sweeps that made two cubes, where they differ: ``section.key`` -> (first, second)."""
    return dict(_differences("", parameters(first), parameters(second)))


def _check_units(first: xr.Dataset, second: xr.Dataset, names: Iterable[str]) -> None:
    for name in names:
        one, other = _units(first[name]), _units(second[name])
        if one != other:
            raise ValueError(
                f"{name} has units {one!r} in the first cube and {other!r} in the second (no attribute is '1'); set "
                "its units, or convert one with spinneurons.analysis.units.in_unit"
            )


def _check_cells(first: xr.Dataset, second: xr.Dataset) -> None:
    """Whether the two are of the same cell axes, and at the same values of those that were selected."""
    for name in _common_coordinates(first, second):
        one, other = first[name], second[name]
        if (one.ndim == 0) != (other.ndim == 0):
            raise ValueError(f"{name} has one value in one cube and an axis in the other; select the same in both")
        if one.ndim == 0 and one.item() != other.item() and one.notnull() | other.notnull():
            raise ValueError(
                f"{name} is {one.item()} in the first cube and {other.item()} in the second; select the same, or "
                f"drop_vars({name!r}) to compare them nevertheless"
            )
    axes = [cube["cell_state"].dims for cube in (first, second) if "cell_state" in cube]
    if axes and set(axes[0]) != set(axes[-1]):
        raise ValueError(f"the cell axes are {_text(axes[0])} in the first cube and {_text(axes[-1])} in the second")


def _aligned(first: xr.Dataset, second: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset, list[Hashable]]:
    """Both at the labels they have in common, without dims of two lengths that lack labels; and those dims."""
    unequal = [d for d in first.dims if d in second.dims and first.sizes[d] != second.sizes[d]]
    bare = [d for d in unequal if not (d in first.indexes and d in second.indexes)]
    a, b = xr.align(first.drop_dims(bare), second.drop_dims(bare), join="inner")
    return a, b, bare


def _common_coordinates(first: xr.Dataset, second: xr.Dataset) -> list[str]:
    return [str(n) for n in first.coords if n in second.coords]


def _both_done(a: xr.Dataset, b: xr.Dataset) -> xr.DataArray | None:
    """Where the cells are done in each cube that has a ledger; None if neither has."""
    states = [CubeView(cube).done.compute() for cube in (a, b) if "cell_state" in cube]
    return states[0] & states[-1] if states else None


def _set_otherwise(a: xr.DataArray, b: xr.DataArray, mask: xr.DataArray) -> bool:
    """Whether a setting with inner dims differs in any of the cells."""
    if set(a.dims) != set(b.dims) or set(a.dims) <= set(mask.dims):
        return False
    x, y = _values(a, mask), _values(_like(b, a), mask)
    largest = np.max(np.abs(x), where=np.isfinite(x), initial=0.0)
    return not np.allclose(x, y, rtol=1e-6, atol=1e-9 * largest, equal_nan=True)


def _why_not(
    one: xr.DataArray, other: xr.DataArray, bare: Sequence[Hashable], otherwise: dict[str, set[Hashable]]
) -> str:
    """Why a variable is not compared; "" if it is."""
    if set(one.dims) != set(other.dims):
        return f"not compared: over {_text(one.dims)} here, {_text(other.dims)} there"
    for dim in bare:
        if dim in one.dims:
            return f"not compared: {one.sizes[dim]} and {other.sizes[dim]} along {dim}, without coordinates"
    for name, inner in otherwise.items():
        if inner <= set(one.dims):
            return f"not compared: {name} differs along {_text(d for d in one.dims if d in inner)}"
    return ""


def _shortened(one: xr.DataArray, other: xr.DataArray, aligned: xr.DataArray, mask: xr.DataArray) -> str:
    """Which inner dims of a compared variable had two lengths."""
    parts = [
        f"{one.sizes[d]} and {other.sizes[d]} along {d}, {aligned.sizes[d]} in both"
        for d in one.dims
        if d not in mask.dims and one.sizes[d] != other.sizes[d]
    ]
    return "; ".join(parts)


def _units(array: xr.DataArray) -> str:
    return str(array.attrs.get("units", "1"))


def _text(names: Iterable[Hashable]) -> str:
    return ", ".join(map(str, names)) or "nothing"


def _like(array: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    return array.transpose(*other.dims)


def _values(array: xr.DataArray, mask: xr.DataArray) -> Any:
    """The values in the masked cells, flat; where any is along axes of the mask that the array does not have."""
    over = mask.any([d for d in mask.dims if d not in array.dims])
    order = [d for d in array.dims if d in over.dims]
    shape = [array.sizes[d] if d in over.dims else 1 for d in array.dims]
    return array.values[np.broadcast_to(over.transpose(*order).values.reshape(shape), array.shape)]


_NOTHING = dict.fromkeys(("equal", "mean_difference", "rms_difference", "largest_difference"), np.nan)


def _compared(a: Any, b: Any) -> dict[str, float]:
    kind = np.result_type(a, b).kind
    equal = (a == b) | ((a != a) & (b != b)) if kind == "f" else a == b
    difference = b.astype(np.float64) - a.astype(np.float64)
    finite = difference[np.isfinite(difference)]
    if not finite.size:
        return {**_NOTHING, "equal": float(equal.mean()) if equal.size else np.nan}
    return {
        "equal": float(equal.mean()),
        "mean_difference": float(finite.mean()),
        "rms_difference": float(np.sqrt(np.mean(finite**2))),
        "largest_difference": float(np.abs(finite).max()),
    }


def _differences(name: str, a: Any, b: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for part in dict.fromkeys([*a, *b]):
            yield from _differences(f"{name}.{part}" if name else part, a.get(part), b.get(part))
    elif a != b:
        yield name, (a, b)
