"""Cells of cubes in a cube that is being made: by their coordinates, checked, and digested anew.

The cubes that they come from stay as they are. A cell is copied with its ledger; what was not computed is not copied.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value, key
from spinsweep.blocks import BlockGrid
from spinsweep.cube import digests
from spinsweep.cube.block_array import BlockArray, DamagedChunk
from spinsweep.cube.cube import Cube
from spinsweep.cube.digests import SPARSE, BlockRecord, DigestEntry
from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError
from spinsweep.ledger import State, holding

Index = tuple[int, ...]
Arrays = dict[str, npt.NDArray[Any]]
KEPT_BYTES = 2**28
"""Of blocks that are kept in memory because the next ones may need them again."""
RECORDS = ("runs", "errors", "codes")
"""Groups of a cube that hold only attributes."""


class CellSource:
    """The cells of a cube where another one has them.

    Parameters
    ----------
    cube : the cube that they come from
    axes : values along each axis of the other cube
    names : arrays of the other cube that are called otherwise here, and how
    axis_names : axes of the other cube that are called otherwise here, and how
    added : axes that this cube lacks, with the value at which its cells are
    """

    def __init__(
        self,
        cube: Cube,
        axes: Mapping[str, Sequence[Value]],
        names: Mapping[str, str] | None = None,
        axis_names: Mapping[str, str] | None = None,
        added: Mapping[str, Value] | None = None,
    ) -> None:
        self.cube = cube
        self._names = names or {}
        self._places: list[npt.NDArray[np.intp]] = []
        self._own_axes: list[int] = []
        for position, (name, values) in enumerate(axes.items()):
            if added and name in added:
                have = {key(added[name]): 0}
            else:
                have = {key(v): i for i, v in enumerate(cube.axes[(axis_names or {}).get(name, name)])}
                self._own_axes.append(position)
            self._places.append(np.array([have.get(key(v), -1) for v in values], np.intp))
        self._added_axes = tuple(i for i in range(len(axes)) if i not in self._own_axes)
        self._blocks: OrderedDict[Index, Arrays] = OrderedDict()
        self._kept_bytes = 0

    def has(self, region: tuple[slice, ...]) -> npt.NDArray[np.bool_]:
        """Which cells in a box of the other cube this one has, computed or not."""
        here = [along[cut] >= 0 for along, cut in zip(self._places, region, strict=True)]
        return np.asarray(reduce(np.logical_and.outer, here))

    def read(self, region: tuple[slice, ...], arrays: Mapping[str, BlockArray]) -> Arrays | None:
        """The cells in a box of the other cube, by its names; None where there is none.

        Parameters
        ----------
        arrays : those of the other cube; their fill values stand where this cube has no cell

        Raises
        ------
        CubeError
            A block is damaged.
        """
        places = [along[cut] for along, cut in zip(self._places, region, strict=True)]
        if not all((along >= 0).any() for along in places):
            return None
        lengths = tuple(map(len, places))
        box = {n: np.full((*lengths, *a.inner), a.fill, a.dtype) for n, a in arrays.items()}
        chunk = self.cube.grid.chunk
        along_own = [places[i] for i in self._own_axes]
        touched = [np.unique(along[along >= 0] // c).tolist() for along, c in zip(along_own, chunk, strict=True)]
        for index in itertools.product(*touched):
            block = self._block(index)
            if len(block) == 1:  # nothing was computed
                continue
            inside = [np.flatnonzero(a // c == i) for a, c, i in zip(along_own, chunk, index, strict=True)]
            within = np.ix_(*(a[k] % c for a, k, c in zip(along_own, inside, chunk, strict=True)))
            here = list(inside)
            for position in self._added_axes:
                here.insert(position, np.flatnonzero(places[position] >= 0))
            for name, values in box.items():
                if (name_here := self._names.get(name, name)) not in block:  # an output that came later
                    continue
                copied = block[name_here][within]
                values[np.ix_(*here)] = np.expand_dims(copied, self._added_axes)
        return box

    def _block(self, index: Index) -> Arrays:
        """Arrays of a block; its states alone where nothing was computed."""
        if index in self._blocks:
            self._blocks.move_to_end(index)
            return self._blocks[index]
        block = self._checked(index)
        self._blocks[index] = block
        self._kept_bytes += _bytes(block)
        while len(self._blocks) > 1 and self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= _bytes(self._blocks.popitem(last=False)[1])
        return block

    def _checked(self, index: Index) -> Arrays:
        cube = self.cube
        try:
            block = {"cell_state": cube.array("cell_state").read_block(index)}  # first: what it calls done is there
            if not block["cell_state"].any():
                return block
            block |= {n: cube.array(n).read_block(index) for n in cube.cell_arrays if n != "cell_state"}
        except DamagedChunk as error:
            raise CubeError(f"{error}; `spinsweep verify {cube.storage} --repair` takes its cells away") from None
        held = holding(block["cell_state"])
        digested = cube.as_digested({n: block[n] for n in cube.digested}, block["cell_state"])
        record = BlockRecord.decode(cube.storage.read(digests.object_name(index)), cube.grid.chunk)
        if held.any() and (record is None or not record.fits(held, digested)):
            raise CubeError(
                f"{cube.storage} is damaged: the numbers of the block {'.'.join(map(str, index))} are not those that "
                f"were written; `spinsweep verify {cube.storage} --repair` takes its cells away"
            )
        return block


class CellTarget:
    """The arrays of a cube that is being made, by blocks.

    Parameters
    ----------
    storage : of the new cube
    metadata : of each of its arrays over cells
    axes : number of its axes
    added_outputs : those that its incomplete cells lack
    """

    def __init__(
        self, storage: Storage, metadata: Mapping[str, Any], axes: int, added_outputs: Sequence[str] = ()
    ) -> None:
        self._storage = storage
        self._late = (*added_outputs, "cell_code") if added_outputs else ()
        self.arrays = {name: BlockArray(storage / name, content, axes) for name, content in metadata.items()}
        """By name, outputs and ledger."""
        self.grid: BlockGrid = self.arrays["cell_state"].grid
        """Its cells and blocks."""

    def write(self, index: Index, values: Arrays) -> None:
        """Write a block in which some cell was computed, with a digest of those that hold numbers."""
        if not values["cell_state"].any():
            return
        held = holding(values["cell_state"])
        objects = {
            f"{name}/{array.object_name(index)}": array.encode(values[name])
            for name, array in self.arrays.items()
            if name not in SPARSE or (values[name] != array.fill).any()
        }
        if held.any():
            digested = {n: v for n, v in values.items() if n not in digests.LEFT_OUT}
            fills = {name: self.arrays[name].fill for name in self._late}
            seen = digests.as_digested(digested, values["cell_state"] == State.INCOMPLETE, fills)
            entry = DigestEntry.of(held, seen, self.grid.chunk)
            objects[digests.object_name(index)] = BlockRecord(0, 0, (entry,)).encode()
        self._storage.write_all(objects)


def all_indices(grid: BlockGrid) -> list[Index]:
    """Indices of all blocks, last axis fastest."""
    return [tuple(index) for index in np.ndindex(*grid.lengths)] if math.prod(grid.lengths) else []


def _bytes(block: Arrays) -> int:
    return sum(array.nbytes for array in block.values())


def copy_objects(source: Storage, target: Storage, folder: str) -> None:
    """Copy what lies in a folder of a cube as it is."""
    names = [f"{folder}/{name}" for name in sorted(source.files(folder)) if not name.endswith(".partial")]
    for name, data in zip(names, source.read_all(names), strict=True):
        if data is not None:
            target.write(name, data)
