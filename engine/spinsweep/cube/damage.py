"""Damage: what of a cube is not as it was written.

Every array is stored with checksums, every block with a digest over its done cells, every coordinate and the root
with a copy. :func:`examine` reads all of a cube and names what is damaged; :mod:`spinsweep.cube.recovery` makes it
good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spinsweep.cube import digests
from spinsweep.cube.attributes import FORMAT, VERSION_NAME
from spinsweep.cube.block_array import BlockArray, DamagedChunk
from spinsweep.cube.cube import Cube
from spinsweep.cube.digests import BlockRecord
from spinsweep.cube.groups import ROOT_COPY, parse_node
from spinsweep.cube.root import require_valid_root
from spinsweep.cube.storage import Storage
from spinsweep.cube.stores import open_storage
from spinsweep.errors import CubeError
from spinsweep.ledger import holding

Index = tuple[int, ...]
Look = Callable[[int, int], None]
"""Called with the number of blocks that were read, and of all."""


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was written."""

    object_name: str
    """The object, seen from the cube."""
    problem: str
    """What is wrong with it, in words."""
    block_index: Index | None = None
    """The block that it is a part of, if it is of one."""
    lost_cells: int = 0
    """Done cells of that block that are lost; counted with the first damage of each block."""


class BlockChecker:
    """Compares a cube's blocks with their digests.

    The states are read once, when it is made, by the cube's only driver or by somebody who only looks.
    """

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self.damaged_states: set[Index] = set()
        """Blocks whose states are damaged; their cells count as absent."""
        self.states = cube.ledger("cell_state", self.damaged_states)
        self.arrays: dict[str, BlockArray] = {name: cube.array(name) for name in cube.cell_arrays}

    def held(self, index: Index) -> npt.NDArray[np.bool_]:
        """The cells of a block that hold numbers."""
        return holding(self._states(index))

    def _states(self, index: Index) -> npt.NDArray[np.uint8]:
        return np.asarray(self.states[self.cube.grid.block(index).region])

    def record(self, index: Index) -> BlockRecord | None:
        """What was written of a block; None where that is not known."""
        return BlockRecord.decode(self.cube.storage.read(digests.object_name(index)), self.cube.grid.chunk)

    def damages(self, index: Index) -> Iterator[Damage]:
        """What of a block is damaged."""
        held = self.held(index)
        lost = int(held.sum())
        values = {}
        for name, array in self.arrays.items():
            try:
                values[name] = array.read_block(index)
            except DamagedChunk as error:
                problem = str(error).partition(" is damaged: ")[2]
                lost_here = 0 if name == "cell_error" else lost
                yield Damage(f"{name}/{array.object_name(index)}", problem, index, lost_here)
                lost = 0
        if len(values) < len(self.arrays) or not held.any():
            return
        record = self.record(index)
        if record is None:
            problem = "the block's digest is missing or damaged"
        elif not record.fits(held, self._digested(index, values)):
            problem = "the block's numbers are not those that were written"
        else:
            return
        yield Damage(digests.object_name(index), problem, index, lost)

    def _digested(self, index: Index, values: digests.Arrays) -> digests.Arrays:
        return self.cube.as_digested({name: values[name] for name in self.cube.digested}, self._states(index))

    def incomplete(self, indices: list[Index]) -> set[Index]:
        """Blocks of which a chunk is missing or empty; only names and sizes are looked at."""
        incomplete: set[Index] = set()
        for name in self.cube.digested if indices else ():
            if name not in digests.SPARSE:
                sizes = self.arrays[name].sizes(indices)
                incomplete.update(index for index, size in zip(indices, sizes, strict=True) if size == 0)
        return incomplete

    def written(self) -> set[Index]:
        """Blocks that have a chunk in any array."""
        return {index for array in self.arrays.values() for index in array.written()}


def examine(store: str | Path | Storage, look: Look = lambda number, of: None) -> Iterator[Damage]:
    """Read all of a cube and yield what is damaged, as it is found.

    Raises
    ------
    CubeError
        There is no cube, or it has another format.
    """
    storage = open_storage(store)
    if root_is_damaged(storage):
        yield Damage("zarr.json", "the root is damaged; its copy is whole")
        return
    cube = Cube(storage)
    yield from damaged_objects(cube)
    yield from damaged_blocks(BlockChecker(cube), look)


def damaged_blocks(checker: BlockChecker, look: Look) -> Iterator[Damage]:
    """Damage of all blocks that have been written."""
    written = sorted(checker.written())
    for number, index in enumerate(written):
        look(number, len(written))
        yield from checker.damages(index)
    look(len(written), len(written))


def damaged_objects(cube: Cube) -> Iterator[Damage]:
    """Metadata and coordinates that are not as they were written."""
    yield from damaged_metadata(cube)
    for name in cube.coordinate_names:
        folders = cube.damaged_coordinates(name)
        for folder in folders:
            other = "both are damaged" if len(folders) == 2 else "the other is whole"
            yield Damage(f"{folder}/c", f"a coordinate stands here and in a copy; {other}")


def damaged_metadata(cube: Cube) -> Iterator[Damage]:
    """Metadata that are not JSON, or not what the root says of an array."""
    for name, known in cube.metadata.items():
        object_name = f"{name}/zarr.json"
        content = parse_node(cube.storage.read(object_name))
        if any(content.get(part) != known[part] for part in known if part not in ("shape", "attributes")):
            yield Damage(object_name, "the array's metadata are not those that the root holds")
    for folder in ("runs", "errors", "codes"):
        groups = sorted(name for name in cube.storage.names(folder) if name != "zarr.json")
        object_names = [f"{folder}/zarr.json", *(f"{folder}/{name}/zarr.json" for name in groups)]
        for object_name, data in zip(object_names, cube.storage.read_all(object_names), strict=True):
            if not parse_node(data):
                yield Damage(object_name, "the record cannot be read")
    if not _is_whole_root(cube.storage, ROOT_COPY):
        yield Damage(ROOT_COPY, "the copy of the root is damaged")


def root_is_damaged(storage: Storage) -> bool:
    """Whether the root is not as it was written, and its copy is."""
    return not _is_whole_root(storage, "zarr.json") and _is_whole_root(storage, ROOT_COPY)


def _is_whole_root(storage: Storage, name: str) -> bool:
    content = parse_node(storage.read(name))
    try:
        require_valid_root(content, str(storage))
    except CubeError:
        return False
    return bool(content) and content["attributes"].get(VERSION_NAME) == FORMAT
