"""What a worker does with a block: compute its cells, write its chunks, then its states.

Order is what makes a kill harmless: every output's chunk, attempt, duration, error and the digest of all these, and
the states last. Each chunk is written whole and replaces the old one in one step; a chunk belongs to one block. A
done cell is not written again: its numbers change only after the driver has taken its state away.

Order alone does not survive a power cut. A new block is synced with the others of its second
(:mod:`spinsweep.cube.durable`), since a cut can take nothing from it that was there before. A chunk that holds done
cells already is replaced with a sync at each step. So is what a machine writes that is not the driver's, whose kernel
the driver cannot ask; its files are on a network's file system, which syncs a file when it is closed.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value
from spinsweep.blocks import Block, as_boxes
from spinsweep.cube import digests
from spinsweep.cube.chunks import DamagedChunk
from spinsweep.cube.digests import SPARSE, Entry, Record
from spinsweep.cube.disk import machine
from spinsweep.cube.layout import Cube, error_path, write_group
from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError, Evaluated, evaluate
from spinsweep.ledger import Receipt, State
from spinsweep.provenance import Origin
from spinsweep.spec import Sweep

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A block and its cells to compute."""

    block: Block
    wanted: Mask | None = None
    """Which cells, in the block's shape; None: all of them, and nothing was in the block before."""
    batch: int = 0
    """Of tasks that were made between two syncs; see :mod:`spinsweep.cube.durable`."""

    @property
    def mask(self) -> Mask:
        """The cells to compute, in the block's shape."""
        return np.ones(self.block.shape, bool) if self.wanted is None else self.wanted

    @property
    def cells(self) -> int:
        """Number of cells to compute."""
        return self.block.size if self.wanted is None else int(self.wanted.sum())


class Writer:
    """One process's open arrays of a cube, for the tasks of one run."""

    def __init__(self, store: str, epoch: int) -> None:
        self.cube = Cube(store)
        self.epoch = epoch
        self._agrees = False
        self._arrays = {n: self.cube.chunks(n) for n in self.cube.cell_arrays}

    def agree(self, job: Job) -> None:
        """Raise unless this process finds the attributes that the driver found; looked at once."""
        if not self._agrees and (others := other_artifacts(job.artifact_ids, job.sweep)):
            raise CubeError(
                f"{platform.node()} would add to {self.cube.path} cells that rest on other things than the driver's: "
                f"the driver has {others}, as it may come out on another processor; bring that from the driver"
            )
        self._agrees = True

    def coords(self, block: Block) -> dict[str, tuple[Value, ...]]:
        """Axis values of a block."""
        return {n: self.cube.axes[n][s] for n, s in zip(self.cube.axis_names, block.region, strict=True)}

    def left(self, task: Task) -> Mask:
        """The task's cells that are not done: another copy of it may have written them, and its receipt be lost."""
        before = self._states(self.cube.grid.index(task.block.start), task.block.shape)
        return task.mask if before is None else task.mask & (before != State.DONE)

    def write(self, task: Task, result: Evaluated, mask: Mask, code: int, sync: bool = False) -> int:
        """Write the cells of ``mask`` (shape of the block) and their ledger, the states last.

        What another copy of the task has done meanwhile stays. Returns the number of failed cells that were written.

        Parameters
        ----------
        code
            Number of what computed them.
        sync
            Wait until each object outlives a power cut.
        """
        block = task.block
        failed = np.zeros(mask.shape, bool)
        errors = np.zeros(mask.shape, np.int64)
        references: dict[CellError, int] = {}
        for cell in result.errors:
            failed[cell] = True
        place = self.cube.grid.index(block.start)
        with self.cube.write_guard.lock_block(self.epoch, self.cube.grid.number(place)) as path:
            before = self._states(place, block.shape)
            done = np.zeros(mask.shape, bool) if before is None else before == State.DONE
            mask = mask & ~done
            if not mask.any():
                return 0
            for cell, error in result.errors.items():
                if error not in references:
                    references[error] = keep_error(path, error)
                errors[cell] = references[error]
            parts = {**result.values, "cell_attempt": mask.astype(np.uint16), "cell_duration": result.duration}
            parts["cell_code"] = np.full(mask.shape, code, np.int64)
            states = np.where(failed, State.FAILED, State.DONE).astype(np.uint8)
            old: list[Entry] = []
            if before is None:
                states[~mask] = State.ABSENT
            else:
                there = {name: self._get(name, place, done) for name in (*parts, "cell_error")}
                parts["cell_attempt"] += there["cell_attempt"]
                errors = _merged(there.pop("cell_error"), errors, mask)
                old = [Entry.of(done, there, self.cube.grid.chunk)] if done.any() else []
                parts = {name: _merged(there[name], values, mask) for name, values in parts.items()}
                states = _merged(before, states, mask)
            new = Entry.of(done | (mask & ~failed), parts, self.cube.grid.chunk)
            parts["cell_error"] = errors
            objects = {
                self._name(name, place): self._arrays[name].encoded(values)
                for name, values in parts.items()
                if name not in SPARSE or self._needs_chunk(name, place, values)
            }
            record = digests.name(place)
            objects[record] = Record(self.epoch, task.batch, (*old, new)).encoded()
            sync = sync or bool(old)
            path.write_all(objects, sync)
            path.write(self._name("cell_state", place), self._arrays["cell_state"].encoded(states), sync)
            if old:
                path.write(record, Record(self.epoch, task.batch, (new,)).encoded(), sync)
        return int((failed & mask).sum())

    def _states(self, place: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
        """The states of the block at a place; None where nothing, or nothing whole, is written yet."""
        array = self._arrays["cell_state"]
        try:
            return array.find(place, shape)
        except DamagedChunk:
            return None

    def _needs_chunk(self, name: str, place: tuple[int, ...], values: npt.NDArray[Any]) -> bool:
        """Whether the fill value does not say it all, or a killed task may have left something else."""
        array = self._arrays[name]
        return bool((values != array.fill).any()) or array.exists(place)

    def _get(self, name: str, place: tuple[int, ...], done: Mask) -> npt.NDArray[Any]:
        """The block's part of an array; a copy. A damaged chunk is an error if it holds done cells."""
        array = self._arrays[name]
        shape = (*done.shape, *array.chunk[done.ndim :])
        try:
            return array.read_one(array.of_block(place), shape)
        except DamagedChunk as error:
            if done.any():
                raise CubeError(
                    f"{error}; `spinsweep verify {self.cube.path} --repair` takes its cells away"
                ) from None
            return np.full(shape, array.fill, array.dtype)

    def _name(self, name: str, place: tuple[int, ...]) -> str:
        """The object of the block's chunk of an array."""
        array = self._arrays[name]
        return f"{name}/{array.name(array.of_block(place))}"


def _merged(there: npt.NDArray[Any], new: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """``there`` with the cells of ``mask`` from ``new``."""
    merged = there.copy()
    merged[mask] = new[mask]
    return merged


def other_artifacts(known: Mapping[str, Any], sweep: Sweep) -> str:
    """What of the sweep's attributes is not as ``known``, in words; "" when all that is known is."""
    found = dict(sweep.artifact_ids(sweep)) if sweep.artifact_ids is not None else {}
    return ", ".join(
        f"{name} {json.dumps(known[name])} and here it is {json.dumps(value)}"
        for name, value in found.items()
        if name in known and json.dumps(known[name]) != json.dumps(value)
    )


def execute(job: Job, task: Task) -> Receipt:
    """Compute and write one block; the whole of a task."""
    writer = _writer(job.store, job.cube_id, job.epoch)
    writer.agree(job)
    coords = writer.coords(task.block)
    mask = writer.left(task)
    if not mask.any():
        return Receipt(task.block, done=task.cells, failed=0, seconds=0.0, batch=task.batch)
    result = _compute(job, coords, mask)
    failed = writer.write(task, result, mask, job.origin.number, job.synced_by != machine())
    place, first = next(iter(result.errors.items()), ((), None))
    return Receipt(
        task.block,
        done=task.cells - failed,
        failed=failed,
        seconds=float(result.duration[mask].sum()),
        first_error=f"{first.type}: {first.message}" if first else "",
        first_failed=_in_cube(task, place),
        batch=task.batch,
    )


@dataclass(frozen=True)
class Job:
    """What every task of a run shares."""

    sweep: Sweep
    store: str
    """The cube's place, as every worker can name it."""
    cube_id: str
    """Tells a cube from another one made later at the same place."""
    epoch: int
    origin: Origin
    """What computes the cells here: the driver's, until a worker puts its own."""
    allow_mixed: bool = False
    """Whether workers with other code compute as well."""
    artifact_ids: Mapping[str, Any] = field(default_factory=dict)
    """The sweep's own, as the driver found them."""
    synced_by: str = ""
    """The machine whose driver syncs what is written there; others sync by themselves."""

    def __getstate__(self) -> dict[str, Any]:
        if self.store.startswith("memory://"):
            raise CubeError(f"{self.store} is in this process's memory, where no worker finds it: use no workers")
        return vars(self)


def record_failure(job: Job, task: Task, error: CellError) -> Receipt:
    """Mark a block's cells failed when its task could not, because its worker died each time."""
    writer = _writer(job.store, job.cube_id, job.epoch)
    mask = task.mask
    sweep = job.sweep
    values = {o.name: np.full(mask.shape + sweep.output_shape(o), o.fill, o.dtype) for o in sweep.outputs}
    places = [tuple(int(i) for i in place) for place in np.argwhere(mask)]
    result = Evaluated(values, np.zeros(mask.shape, np.float32), dict.fromkeys(places, error))
    failed = writer.write(task, result, mask, job.origin.number, job.synced_by != machine())
    said = f"{error.type}: {error.message}"
    return Receipt(task.block, len(places) - failed, failed, 0.0, said, _in_cube(task, places[0]), task.batch)


def _in_cube(task: Task, place: tuple[int, ...]) -> tuple[int, ...]:
    """Index in the cube of a cell of the block; () for none."""
    return tuple(s + p for s, p in zip(task.block.start, place, strict=False))


def keep_error(path: Storage, error: CellError) -> int:
    """Store an error under a reference made from its content, once; returns the reference."""
    text = "\0".join((error.type, error.message, error.traceback))
    reference = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 or 1
    group = error_path(path, reference)
    if b'"message"' not in (group.read("zarr.json") or b""):  # a power cut may leave an empty one
        write_group(group, {"type": error.type, "message": error.message, "traceback": error.traceback})
    return reference


def _compute(job: Job, coords: Mapping[str, tuple[Value, ...]], mask: Mask) -> Evaluated:
    """The cells of ``mask`` computed, as arrays of the whole block."""
    sweep = job.sweep
    parts = as_boxes(mask)
    if len(parts) == 1 and mask.all():
        return evaluate(sweep, coords, job.cube_id)
    values = {o.name: np.full(mask.shape + sweep.output_shape(o), o.fill, o.dtype) for o in sweep.outputs}
    whole = Evaluated(values, np.zeros(mask.shape, np.float32), {})
    for sets in parts:
        chosen = {n: tuple(v[i] for i in s) for (n, v), s in zip(coords.items(), sets, strict=True)}
        part = evaluate(sweep, chosen, job.cube_id)
        place = np.ix_(*sets)
        for name, value in part.values.items():
            whole.values[name][place] = value
        whole.duration[place] = part.duration
        for index, error in part.errors.items():
            whole.errors[tuple(int(s[i]) for s, i in zip(sets, index, strict=True))] = error
    return whole


@lru_cache(maxsize=8)
def _writer(store: str, cube_id: str, epoch: int) -> Writer:
    writer = Writer(store, epoch)
    if writer.cube.attrs["cube_id"] != cube_id:
        raise CubeError(f"{store} was replaced by another cube while this run went on")
    return writer
