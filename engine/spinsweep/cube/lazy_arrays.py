"""A cube's arrays for xarray: lazy, in pieces of many blocks each, read block by block.

A cell that takes long is a block of its own, so that a cube may have thousands of small blocks. zarr takes more than
a millisecond for a small chunk, and Dask as long for the task of it: minutes to read what a tenth of a second
computes. :class:`~spinsweep.cube.block_array.BlockArray` reads a small chunk in a twentieth of that. So a task of
Dask reads a piece: as many neighbouring blocks as are read in a fraction of a second.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from spinsweep.cube.block_array import BlockArray

PIECE_BYTES = 2**24
"""Of the largest array in a piece, unless its block is larger."""
PIECE_BLOCKS = 1024
"""In a piece: they are read in a tenth of a second."""


class LazyArray(BackendArray):
    """An array of which xarray reads a box at a time."""

    def __init__(self, array: BlockArray) -> None:
        self._array = array
        self.shape = (*array.grid.shape, *array.inner)
        self.dtype = array.dtype.newbyteorder("=")
        self._token = uuid.uuid4().hex

    def __dask_tokenize__(self) -> str:
        """Another one each time, since a cube fills while it is read."""
        return self._token

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        """What numbers and slices select, which xarray makes run upwards: the box around it is read."""
        box, within = [], list[int | slice]()
        for selected, length in zip(key, self.shape, strict=True):
            if isinstance(selected, slice):
                wanted = range(length)[selected]
                box.append(slice(wanted.start, wanted[-1] + 1 if wanted else wanted.start))
                within.append(slice(None, None, wanted.step))
            else:
                first = int(selected) % length
                box.append(slice(first, first + 1))
                within.append(0)
        return self._array.read_box(box).astype(self.dtype, copy=False)[tuple(within)]


def lazily(dataset: xr.Dataset, arrays: Mapping[str, BlockArray]) -> xr.Dataset:
    """The Dataset, as zarr gives it, with these of its arrays read here; texts stay zarr's."""
    ours = {name: array for name, array in arrays.items() if dataset[name].dtype == array.dtype}
    variables = {name: dataset.variables[name] for name in ours}
    return dataset.assign(
        {
            name: xr.Variable(
                was.dims, indexing.LazilyIndexedArray(LazyArray(ours[name])), was.attrs, dict(was.encoding)
            )
            for name, was in variables.items()
        }
    )


def pieces_of(dataset: xr.Dataset, arrays: Mapping[str, BlockArray]) -> dict[str, int]:
    """Values along each axis that a task reads: whole blocks, the last axes first."""
    largest = max(arrays.values(), key=lambda array: math.prod(array.inner) * array.dtype.itemsize)
    grid, each = largest.grid, math.prod(largest.inner) * largest.dtype.itemsize
    axes = [str(dim) for dim in dataset["cell_state"].dims]
    lengths = list(grid.chunk)
    blocks, size = PIECE_BLOCKS, PIECE_BYTES
    for axis in reversed(range(len(lengths))):
        fits = min(blocks, size // max(1, each * math.prod(lengths)))
        count = max(1, min(grid.lengths[axis], fits))
        blocks //= count
        lengths[axis] *= count
    return dict(zip(axes, (min(n, m) for n, m in zip(lengths, grid.shape, strict=True)), strict=True))


def blocks_of(array: xr.DataArray) -> int:
    """In how many chunks of its cube an array lies; 1 where that is not known."""
    chunk = array.encoding.get("chunks") or array.shape
    return math.prod(-(-n // max(1, c)) for n, c in zip(array.shape, chunk, strict=True))
