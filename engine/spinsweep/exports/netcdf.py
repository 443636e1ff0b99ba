"""A cube as netCDF 4, as ``open_cube`` gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spinsweep.analysis.cells import holding
from spinsweep.errors import CubeError
from spinsweep.reading import CubeView

COMPRESSION = {"zlib": True, "complevel": 1, "shuffle": True}
EXACT = 2**53
"""Whole numbers up to this one are exact as float64."""


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write all variables, blank where a cell is not done.

    Parameters
    ----------
    dataset : a cube as it is stored, lazily, in pieces

    Raises
    ------
    CubeError
        Whole numbers would lose digits beside blank cells.
    """
    import dask

    with dask.config.set(scheduler="threads"):
        _require_exact(dataset)
        finished = CubeView(dataset).finished().drop_encoding()
        finished.attrs = _plain(finished.attrs)
        for variable in finished.variables.values():
            variable.attrs = _plain(variable.attrs)
        encoding = {n: dict(COMPRESSION) for n, a in finished.data_vars.items() if a.ndim and a.dtype.kind in "biuf"}
        finished.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def _require_exact(dataset: xr.Dataset) -> None:
    """Booleans and whole numbers become float64 where a cell is blank."""
    axes = set(CubeView(dataset).done.dims)
    for name, array in dataset.data_vars.items():
        is_output = axes <= set(array.dims) and not str(name).startswith("cell_")
        if is_output and array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            present = holding(dataset, str(name))
            if bool(present.all()):
                continue
            held = array.where(present, 0)
            low, high = int(held.min()), int(held.max())
            if max(-low, high) > EXACT:
                raise CubeError(
                    f"{name} has whole numbers beyond 2^53, which netCDF cannot hold beside blank cells as xarray "
                    "reads them; export a .parquet, .csv or .zip, or compute the cells that are missing"
                )


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as netCDF takes them: texts, numbers of 64 bits and lists of these; others as JSON."""
    return {
        str(name): value if _fits(value) else json.dumps(value, default=str) for name, value in attributes.items()
    }


def _fits(value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or value is None:
        return False
    if isinstance(value, list | tuple):
        return len({type(v) for v in value}) == 1 and all(_fits(v) and not isinstance(v, list) for v in value)
    return isinstance(value, str | float | np.number | np.ndarray) or (
        isinstance(value, int) and -(2**63) <= value < 2**63
    )
