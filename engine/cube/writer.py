"""What a worker does with a block: compute its cells, write its chunks, then its states.

Order is what makes a kill harmless: every output's chunk, then attempt, duration and error, and the state last.
Each chunk is written whole and replaces the old one in one step; a chunk belongs to one block.
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

from engine.axis import Value
from engine.blocks import Block, boxes
from engine.cube.chunks import Chunks, usual
from engine.cube.layout import Cube, error_path, write_group
from engine.cube.place import Place
from engine.errors import CubeError
from engine.evaluate import CellError, Evaluated, evaluate
from engine.ledger import Receipt, State
from engine.spec import Sweep

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A block and its cells to compute."""

    block: Block
    wanted: Mask | None = None
    """Which cells, in the block's shape; None: all of them, and nothing was in the block before."""

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
        self._arrays = {
            name: Chunks(self.cube.path / name, metadata) if usual(metadata) else self.cube.array(name, "r+")
            for name, metadata in self.cube.metadata.items()
            if metadata["dimension_names"][: len(self.cube.axis_names)] == list(self.cube.axis_names)
            and name not in (*self.cube.axis_names, *self.cube.attrs.get("coordinates", "").split())
        }

    def agree(self, job: Job) -> None:
        """Raise unless this process finds the attributes that the driver found; looked at once."""
        if not self._agrees and (others := other_attributes(job.attributes, job.sweep)):
            raise CubeError(
                f"{platform.node()} would add to {self.cube.path} cells that rest on other things than the driver's: "
                f"the driver has {others}, as it may come out on another processor; bring that from the driver"
            )
        self._agrees = True

    def coords(self, block: Block) -> dict[str, tuple[Value, ...]]:
        """Axis values of a block."""
        return {n: self.cube.axes[n][s] for n, s in zip(self.cube.axis_names, block.region, strict=True)}

    def place(self, block: Block) -> tuple[int, ...]:
        """The block's place in the grid of blocks."""
        return tuple(s // c for s, c in zip(block.start, self.cube.chunk, strict=True))

    def number(self, block: Block) -> int:
        """The same as one number."""
        grid = [-(-n // c) for n, c in zip(self.cube.shape, self.cube.chunk, strict=True)]
        return int(np.ravel_multi_index(self.place(block), grid))

    def write(self, task: Task, result: Evaluated, mask: Mask) -> int:
        """Write the cells of ``mask`` (shape of the block) and their ledger, the states last.

        A failure never replaces what another copy of the task has done meanwhile. Returns the number of failed
        cells that were written.
        """
        fresh = task.wanted is None
        block = task.block
        failed = np.zeros(mask.shape, bool)
        errors = np.zeros(mask.shape, np.int64)
        references: dict[CellError, int] = {}
        for place in result.errors:
            failed[place] = True
        with self.cube.fence.writing(self.epoch, self.number(block)) as path:
            if failed.any():
                mask = mask & ~(failed & (self._get("cell_state", block) == State.DONE))
                fresh = fresh and bool(mask.all())
            for place, error in result.errors.items():
                if error not in references:
                    references[error] = keep_error(path, error)
                errors[place] = references[error]
            attempt = np.ones(mask.shape, np.uint16)
            if not fresh:
                attempt += self._get("cell_attempt", block)
            parts = {**result.values, "cell_attempt": attempt, "cell_duration": result.duration}
            if not fresh or failed.any() or self._has_errors(block):
                parts["cell_error"] = errors
            self._put(path, block, parts, mask, fresh)
            states = np.where(failed, State.FAILED, State.DONE).astype(np.uint8)
            self._put(path, block, {"cell_state": states}, mask, fresh)
        return int((failed & mask).sum())

    def _has_errors(self, block: Block) -> bool:
        """Whether a killed task left errors in the block."""
        array = self._arrays["cell_error"]
        return array.exists(self.place(block)) if isinstance(array, Chunks) else True

    def _get(self, name: str, block: Block) -> npt.NDArray[Any]:
        """The block's part of an array; a copy."""
        array = self._arrays[name]
        if not isinstance(array, Chunks):
            return np.array(array[block.region])
        return array.read_one(self._index(array, block), (*block.shape, *array.chunk[len(block.start) :]))

    def _index(self, array: Chunks, block: Block) -> tuple[int, ...]:
        """The block's one chunk of an array: inner dims are not cut."""
        return (*self.place(block), *(0 for _ in array.chunk[len(block.start) :]))

    def _put(self, path: Place, block: Block, parts: Mapping[str, npt.NDArray[Any]], mask: Mask, fresh: bool) -> None:
        """Write the block's part of some arrays; in no order, but all are there on return."""
        objects = {}
        for name, values in parts.items():
            if not fresh:
                merged = self._get(name, block)
                merged[mask] = values[mask]
                values = merged
            array = self._arrays[name]
            if isinstance(array, Chunks):
                objects[f"{name}/{array.name(self._index(array, block))}"] = array.encoded(values)
            else:
                path.check()
                array[block.region] = values
        path.write_all(objects)


def other_attributes(known: Mapping[str, Any], sweep: Sweep) -> str:
    """What of the sweep's attributes is not as ``known``, in words; "" when all that is known is."""
    found = dict(sweep.attributes(sweep)) if sweep.attributes is not None else {}
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
    mask = task.mask
    result = _compute(job, coords, mask)
    failed = writer.write(task, result, mask)
    place, first = next(iter(result.errors.items()), ((), None))
    return Receipt(
        task.block,
        done=int(mask.sum()) - failed,
        failed=failed,
        seconds=float(result.duration[mask].sum()),
        first_error=f"{first.type}: {first.message}" if first else "",
        first_failed=_in_cube(task, place),
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
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The sweep's own, as the driver found them."""

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
    failed = writer.write(task, result, mask)
    said = f"{error.type}: {error.message}"
    return Receipt(task.block, len(places) - failed, failed, 0.0, said, _in_cube(task, places[0]))


def _in_cube(task: Task, place: tuple[int, ...]) -> tuple[int, ...]:
    """Index in the cube of a cell of the block; () for none."""
    return tuple(s + p for s, p in zip(task.block.start, place, strict=False))


def keep_error(path: Place, error: CellError) -> int:
    """Store an error under a reference made from its content, once; returns the reference."""
    text = "\0".join((error.type, error.message, error.traceback))
    reference = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 or 1
    group = error_path(path, reference)
    if not group.exists("zarr.json"):
        write_group(group, {"type": error.type, "message": error.message, "traceback": error.traceback}, sync=False)
    return reference


def _compute(job: Job, coords: Mapping[str, tuple[Value, ...]], mask: Mask) -> Evaluated:
    """The cells of ``mask`` computed, as arrays of the whole block."""
    sweep = job.sweep
    parts = boxes(mask)
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
