"""The cells of a Dataset: their states, the outputs, and the Dataset with the cells that are not done blank."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinsweep.ledger import State

CELL_TYPE = "spinsweep_cell_type"
"""Key of a blanked variable's ``encoding``: its type before it was made float64, of which no file takes notice."""


def states(dataset: xr.Dataset) -> xr.DataArray:
    """State of each cell, (*axes) uint8; of a Dataset without a ledger all cells are done."""
    return dataset.get("cell_state", xr.DataArray(np.uint8(State.DONE)))


def outputs(dataset: xr.Dataset) -> list[str]:
    """Names of the variables over all axes of the cells, without the ledger."""
    axes = set(states(dataset).dims)
    return [str(n) for n, a in dataset.data_vars.items() if axes <= set(a.dims) and not str(n).startswith("cell_")]


def blanked(dataset: xr.Dataset, *, zeros: bool = False) -> xr.Dataset:
    """The Dataset with the cells that are not done blank; see :meth:`spinsweep.CubeView.finished`."""
    done = (states(dataset) == State.DONE).compute()
    if bool(done.all()):
        return dataset
    return dataset.assign({n: _blanked(dataset[n], done, zeros=zeros) for n in outputs(dataset)})


def type_of_cells(array: xr.DataArray) -> np.dtype[np.generic]:
    """Type of an output's numbers in the cube, also where blank cells made them float64."""
    known: np.dtype[np.generic] = np.dtype(array.encoding.get(CELL_TYPE, array.dtype))
    return known


def _blanked(array: xr.DataArray, done: xr.DataArray, *, zeros: bool) -> xr.DataArray:
    """The array with nothing where ``done`` is False: NaN, "" for texts, or zero for ``zeros``."""
    if array.dtype.kind in "OUST":
        return array.where(done, "")
    if array.dtype.kind not in "biu":
        return array.where(done)
    if zeros:
        return array.where(done, array.dtype.type(0))
    blank = array.astype(np.float64).where(done)
    blank.encoding[CELL_TYPE] = type_of_cells(array).name
    return blank
