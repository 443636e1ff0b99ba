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


def holding(dataset: xr.Dataset, output: str, state: xr.DataArray | None = None) -> xr.DataArray:
    """Whether each cell has its numbers of that output, (*axes) bool: it is done, or lacks only others.

    Parameters
    ----------
    state : the states if they are in memory already
    """
    state = states(dataset) if state is None else state
    added = str(dataset.attrs.get("added_outputs", "")).split()
    done = state == State.DONE
    return done | (state == State.INCOMPLETE) if added and output not in added else done


def outputs(dataset: xr.Dataset) -> list[str]:
    """Names of the variables over all axes of the cells, without the ledger."""
    axes = set(states(dataset).dims)
    return [str(n) for n, a in dataset.data_vars.items() if axes <= set(a.dims) and not str(n).startswith("cell_")]


def blanked(dataset: xr.Dataset, *, zeros: bool = False) -> xr.Dataset:
    """The Dataset with the cells that are not done blank; see :meth:`spinsweep.CubeView.finished`."""
    state = states(dataset).compute()
    if bool((state == State.DONE).all()):
        return dataset
    held = {name: holding(dataset, name, state) for name in outputs(dataset)}
    return dataset.assign(
        {n: _blanked(dataset[n], present, zeros=zeros) for n, present in held.items() if not bool(present.all())}
    )


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
