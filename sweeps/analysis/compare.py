"""What differs between two cubes: of two cards, two root seeds, a model and a measurement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sweeps.device import style


def compare(first: xr.Dataset, second: xr.Dataset) -> pd.DataFrame:
    """Each variable in the cells that are done in both cubes.

    Parameters
    ----------
    first, second : cubes; their common variables are compared where their coordinates agree

    Returns
    -------
    One row a variable: ``cells`` compared, ``equal`` (share of the numbers that are the same bit for bit, NaN equal
    to NaN), ``mean_difference``, ``rms_difference`` and ``largest_difference`` (second less first, in the variable's
    ``units``) over the numbers that are finite in both
    """
    a, b = xr.align(first, second, join="inner")
    common = [n for n in a.data_vars if n in b and not str(n).startswith("cell_") and a[n].dims == b[n].dims]
    if "cell_state" in a and "cell_state" in b:
        both = (a["cell_state"] == 1) & (b["cell_state"] == 1)
        cells = int(both.sum())
    else:
        both, cells = xr.DataArray(True), 0
    rows = [_compared(str(n), _values(a[n], both), _values(b[n], both), a[n].attrs.get("units", "1")) for n in common]
    found = pd.DataFrame(rows).set_index("variable")
    return found.assign(cells=cells) if cells else found


def parameter_differences(first: xr.Dataset, second: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    """Parameters of the sweeps that made two cubes, where they differ: ``section.key`` -> (first, second)."""
    return dict(_differences("", style.parameters(first), style.parameters(second)))


def _values(array: xr.DataArray, both: xr.DataArray) -> Any:
    return array.values[np.broadcast_to(both.broadcast_like(array).transpose(*array.dims), array.shape)]


def _compared(name: str, a: Any, b: Any, units: str) -> dict[str, Any]:
    kind = np.result_type(a, b).kind
    equal = (a == b) | ((a != a) & (b != b)) if kind == "f" else a == b
    difference = b.astype(np.float64) - a.astype(np.float64)
    finite = difference[np.isfinite(difference)]
    size = np.abs(finite)
    return {
        "variable": name,
        "equal": float(equal.mean()) if equal.size else np.nan,
        "mean_difference": float(finite.mean()) if finite.size else np.nan,
        "rms_difference": float(np.sqrt(np.mean(finite**2))) if finite.size else np.nan,
        "largest_difference": float(size.max()) if finite.size else np.nan,
        "units": units,
    }


def _differences(name: str, a: Any, b: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for part in dict.fromkeys([*a, *b]):
            yield from _differences(f"{name}.{part}" if name else part, a.get(part), b.get(part))
    elif a != b:
        yield name, (a, b)
