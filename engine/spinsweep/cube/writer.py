"""How a worker writes a block into the cube: its chunks, then its states.

Order is what makes a kill harmless: every output's chunk, attempt, duration, error and the digest of all these, and
the states last. Each chunk is written whole and replaces the old one in one step; a chunk belongs to one block. A
done cell is not written again: its numbers change only after the driver has taken its state away.

Order alone does not survive a power cut. A new block is synced with the others of its second
(:mod:`spinsweep.cube.durable`), since a cut can take nothing from it that was there before. A chunk that holds done
cells already is replaced with a sync at each step. So is what a machine writes that is not the driver's, whose kernel
the driver cannot ask; its files are on a network's file system, which syncs a file when it is closed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value
from spinsweep.blocks import Block
from spinsweep.cube import digests
from spinsweep.cube.block_array import DamagedChunk
from spinsweep.cube.cube import Cube
from spinsweep.cube.digests import SPARSE, BlockRecord, DigestEntry
from spinsweep.cube.groups import keep_error
from spinsweep.cube.task import Mask, Task
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError, Evaluated
from spinsweep.ledger import State, holding
from spinsweep.moments import as_stored

Index = tuple[int, ...]


class Writer:
    """One process's open arrays of a cube, for the tasks of one run."""

    def __init__(self, store: str, epoch: int) -> None:
        self.cube = Cube(store)
        self.epoch = epoch
        self.artifacts_checked = False
        self._arrays = {n: self.cube.array(n) for n in self.cube.cell_arrays}

    def coords(self, block: Block) -> dict[str, tuple[Value, ...]]:
        """Axis values of a block."""
        return {n: self.cube.axes[n][s] for n, s in zip(self.cube.axis_names, block.region, strict=True)}

    def pending(self, task: Task) -> Mask:
        """The task's cells that are not done: another copy of it may have written them, and its receipt be lost."""
        before = self._states(self.cube.grid.index(task.block.start))
        return task.mask if before is None else task.mask & (before != State.DONE)

    def write(self, task: Task, result: Evaluated, mask: Mask, code: int, *, sync: bool = False) -> int:
        """Write the cells of ``mask`` (shape of the block) and their ledger, the states last.

        What another copy of the task has done meanwhile stays. Of an incomplete cell only the outputs that it lacks
        are written, and what computed it; if it failed, only its error. Returns the number of failed cells that were
        written.

        Parameters
        ----------
        code
            Number of what computed them.
        sync
            Wait until each object outlives a power cut.
        """
        failed = np.zeros(mask.shape, bool)
        for cell in result.errors:
            failed[cell] = True
        index = self.cube.grid.index(task.block.start)
        with self.cube.write_guard.lock_block(self.epoch, self.cube.grid.number(index)) as storage:
            before = self._states(index)
            mask = mask if before is None else mask & (before != State.DONE)
            if not mask.any():
                return 0
            errors = np.zeros(mask.shape, np.int64)
            references: dict[CellError, int] = {}
            for cell, error in result.errors.items():
                if error not in references:
                    references[error] = keep_error(storage, error)
                errors[cell] = references[error]
            values = {name: as_stored(array) for name, array in result.values.items()}
            tries = np.where(mask, result.tries, 0).astype(np.uint16)
            parts = {**values, "cell_attempt": tries, "cell_duration": result.duration}
            parts["cell_code"] = np.full(mask.shape, code, np.int64)
            states = np.where(failed, State.FAILED, State.DONE).astype(np.uint8)
            old: list[DigestEntry] = []
            if before is None:
                states[~mask] = State.ABSENT
            else:
                held = holding(before)
                stored = {name: self._stored(name, index, held) for name in (*parts, "cell_error")}
                parts["cell_attempt"] += stored["cell_attempt"]
                errors = _merged(stored.pop("cell_error"), errors, mask)
                old = [self._entry(before, stored)] if held.any() else []
                late = self.cube.late_arrays
                new_cells, completed = mask & ~held, mask & ~(held & failed)
                for name, values in parts.items():
                    parts[name] = _merged(stored[name], values, completed if name in late else new_cells)
                states[failed & held] = State.INCOMPLETE
                states = _merged(before, states, mask)
            new = self._entry(states, parts)
            parts["cell_error"] = errors
            objects = {
                self._object_name(name, index): self._arrays[name].encode(values)
                for name, values in parts.items()
                if name not in SPARSE or self._needs_chunk(name, index, values)
            }
            record = digests.object_name(index)
            objects[record] = BlockRecord(self.epoch, task.batch, (*old, new)).encode()
            sync = sync or bool(old)
            storage.write_all(objects, sync=sync)
            state_chunk = self._arrays["cell_state"].encode(states)
            storage.write(self._object_name("cell_state", index), state_chunk, sync=sync)
            if old:
                storage.write(record, BlockRecord(self.epoch, task.batch, (new,)).encode(), sync=sync)
        return int((failed & mask).sum())

    def incomplete(self, block: Block, mask: Mask) -> tuple[Mask, dict[str, npt.NDArray[Any]]]:
        """Which cells of ``mask`` are incomplete, and the outputs that they have, if there are any."""
        index = self.cube.grid.index(block.start)
        before = self._states(index)
        incomplete = mask & False if before is None else mask & (before == State.INCOMPLETE)
        if not incomplete.any():
            return incomplete, {}
        held = [name for name in self.cube.output_names if name not in self.cube.added_outputs]
        return incomplete, {name: self._stored(name, index, incomplete) for name in held}

    def _entry(self, states: npt.NDArray[np.uint8], arrays: digests.Arrays) -> DigestEntry:
        """Of the cells of a block that hold numbers."""
        return DigestEntry.of(holding(states), self.cube.as_digested(arrays, states), self.cube.grid.chunk)

    def _states(self, index: Index) -> npt.NDArray[np.uint8] | None:
        """The states of a block; None where nothing, or nothing whole, is written yet."""
        try:
            return self._arrays["cell_state"].find_block(index)
        except DamagedChunk:
            return None

    def _needs_chunk(self, name: str, index: Index, values: npt.NDArray[Any]) -> bool:
        """Whether the fill value does not say it all, or a killed task may have left something else."""
        array = self._arrays[name]
        return bool((values != array.fill).any()) or array.exists(index)

    def _stored(self, name: str, index: Index, held: Mask) -> npt.NDArray[Any]:
        """A copy of a block of an array. A damaged chunk is an error if it holds numbers of cells."""
        array = self._arrays[name]
        try:
            return array.read_block(index)
        except DamagedChunk as error:
            if held.any():
                raise CubeError(
                    f"{error}; `spinsweep verify {self.cube.storage} --repair` takes its cells away"
                ) from None
            return np.full((*held.shape, *array.inner), array.fill, array.dtype)

    def _object_name(self, name: str, index: Index) -> str:
        """The object of a block of an array."""
        return f"{name}/{self._arrays[name].object_name(index)}"


def _merged(stored: npt.NDArray[Any], new: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """``stored`` with the cells of ``mask`` from ``new``."""
    merged = stored.copy()
    merged[mask] = new[mask]
    return merged


@lru_cache(maxsize=8)
def writer_of(store: str, cube_id: str, epoch: int, run_id: str) -> Writer:
    """This process's writer for a run.

    Epochs do not tell runs apart in one process: a cube that is put back from a copy has the same ones again.

    Raises
    ------
    CubeError
        Another cube is there now.
    """
    writer = Writer(store, epoch)
    if writer.cube.attributes.cube_id != cube_id:
        raise CubeError(f"{store} was replaced by another cube while this run went on")
    return writer
