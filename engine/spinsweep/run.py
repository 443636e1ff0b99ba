"""One run of a sweep into its cube: what is missing, in which blocks, and what came of it.

    with open_run(sweep, "results/x.zarr") as run:
        for task in run.tasks():
            run.note(execute(run.job, task))

Where the tasks are executed is the runners' business.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep import provenance
from spinsweep.axis import closest
from spinsweep.blocks import choose_chunk
from spinsweep.cube import (
    CLEAN,
    Cube,
    Durable,
    Job,
    Lost,
    Task,
    compressed_fraction,
    create,
    keep_origin,
    machine,
    open_storage,
    other_artifacts,
    recover,
    write_group,
)
from spinsweep.errors import CubeError, SpecError
from spinsweep.evaluate import evaluate
from spinsweep.ledger import Counts, Receipt, State, wanted
from spinsweep.origins import Origins, found_origins
from spinsweep.progress import Progress
from spinsweep.spec import Sweep

BLOCK_SECONDS = 1.0  # aim of one task: long against Dask's few ms a task, short against patience
BLOCK_BYTES = 64_000_000  # of one block's outputs at most, before compression
BLOCKS_PER_WORKER = 8  # at least, so that the last block does not leave the others idle
WORKERS_SECONDS = 10.0  # between writes of the run's record, while workers come
SAMPLE_SECONDS = 0.1  # a sample this long tells a cell's time well enough


@dataclass
class Run:
    """A run that has been announced in the cube; see :func:`open_run`."""

    sweep: Sweep
    cube: Cube
    job: Job
    state: npt.NDArray[np.uint8]
    requested: tuple[npt.NDArray[np.bool_], ...]
    """Along each axis of the cube, whether the sweep asks for that value."""
    retry_failed: bool
    progress: Progress
    durable: Durable
    begun: bool = False
    """Whether any task was made."""
    outcome: str = "interrupted"
    ended: Counts | None = None
    unwritten_blocks: list[str] = field(default_factory=list)
    """Blocks that ended without a receipt, in words."""
    _kept: int = 0
    _keep_at: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What the user should know."""
    workers: list[Mapping[str, Any]] = field(default_factory=list)
    """What computed blocks, each as its first receipt told it."""
    keep_workers: Callable[[], None] = lambda: None
    """Write the workers into the run's record."""

    def tasks(self) -> Iterator[Task]:
        """The tasks of this run, made one by one as they are asked for."""
        for task in _tasks(self.cube, self.state, self.requested, self.retry_failed):
            self.begun = True
            yield dataclasses.replace(task, batch=self.durable.sent(task))

    @property
    def failed_before(self) -> int:
        """Cells asked for that had failed when the run began."""
        return Counts.of(self.state[np.ix_(*self.requested)]).failed

    def begin(self) -> None:
        """Workers are ready: rates count from here."""
        self.progress.began = time.monotonic()

    def note(self, receipt: Receipt) -> None:
        """Count a block that ended.

        Raises
        ------
        CubeError
            The disk did not take what was written.
        """
        if receipt.worker is not None:
            self.workers.append(receipt.worker)
        if len(self.workers) > self._kept and time.monotonic() >= self._keep_at:
            self._kept, self._keep_at = len(self.workers), time.monotonic() + WORKERS_SECONDS
            self.keep_workers()
        self.progress.note(receipt)
        self.durable.came(receipt)

    def on_lane_report(self, report: Mapping[str, Any]) -> None:
        """Take over what a lane says of this run: its experiment, train, and cycles."""
        if str(report["experiment"]).startswith(self.job.cube_id):
            cell = str(report["experiment"]).rpartition("/")[2]
            self.progress.activity = f"{cell}: {report['train']}, {report['cycles']} cycles since the lane began"

    def finish(self) -> Counts:
        """Say how the run ended, from the cube; the cells asked for by state. Once: later calls repeat the first."""
        if self.ended is None:
            self.ended = self.counts()
            if self.outcome != "stopped":
                self.outcome = "complete" if self.ended.done == self.ended.total else "failed cells"
        return self.ended

    @property
    def complete(self) -> bool:
        """Whether every cell asked for is done at the end."""
        ended = self.finish()
        return ended.done == ended.total

    def counts(self) -> Counts:
        """The cells asked for, by state, now."""
        return Counts.of(self.cube.ledger("cell_state")[np.ix_(*self.requested)])


@contextmanager
def open_run(
    sweep: Sweep,
    store: str | Path,
    *,
    block: int | Mapping[str, int] | None = None,
    workers: int = 1,
    retry_failed: bool = False,
    mark_stale: bool = False,
    allow_mixed: bool = False,
    attrs: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """Create or grow the cube, announce a run in it and yield the :class:`Run`; its end is recorded on exit.

    Parameters
    ----------
    store
        A folder, or a URL such as ``s3://bucket/walk.zarr``.
    block
        Cells in a block, or block length by axis; None: chosen from the measured time of a cell, so that a
        block takes about a second. Never changes a result. A cube keeps the blocks that it was made with.
    workers
        How many tasks will run at a time; only used to choose the block.
    mark_stale
        Mark the cells stale that other code computed. When the cube holds another definition, mark all and take over
        this one. What was measured on a bench or read from a log stays as long as the definition is the same.
    allow_mixed
        Let workers with other code compute as well; each cell names what computed it.

    Raises
    ------
    CubeError
        Another driver writes the cube, or it holds another definition.
    """
    place = open_storage(store).absolute()
    origin = provenance.Origin.of(sweep)  # before any cell is computed: what code keeps between calls is not its own
    made = not place.exists("zarr.json")
    if made:
        where = {"sweep_reference": reference_of(sweep), "created": provenance.now()}
        create(place, sweep, block_shape(sweep, block, workers), {**where, **(attrs or {})}, origin.number)
    cube = Cube(place)
    cube.write_guard.prepare()
    with cube.write_guard.hold_driver_lock():
        cube = cube.again()
        check(cube, sweep, mark_stale)
        rests_on_others = _rests_on_others(cube, sweep, retry_failed, mark_stale)
        record = provenance.collect(sweep, origin) | {"start": provenance.now(), "end": None, "outcome": "running"}
        earlier = [record or {} for _, record in cube.run_records()[-1:]]
        killed = any(run.get("outcome") not in CLEAN for run in earlier)
        with cube.write_guard.begin_epoch() as epoch:
            if killed or any(run.get("workers_lost") for run in earlier):
                cube.remove_partial_files()
            write_group(cube.write_guard.run_path(epoch), record)
        lost = recover(cube, epoch)
        keep_origin(cube.path, origin)
        others = found_origins(cube, origin)
        if cube.differences(sweep) or rests_on_others:
            cube.mark_stale(sweep)
            others = dataclasses.replace(others, code=(), world=())
        elif mark_stale and others.code and not _keeps(cube, sweep):
            cube.mark_stale(sweep, others.cells)
            others = dataclasses.replace(others, code=())
        cube = cube.grow(sweep)
        run = _planned(cube, sweep, epoch, retry_failed, origin, allow_mixed)
        record |= {"ended_before": Counts.of(run.state).ended}
        write_group(cube.write_guard.run_path(epoch), record)
        # of the parameters, what cannot change a number may have changed
        cube.commit({"provenance": json.dumps(record), "parameters": json.dumps(sweep.params)})
        run.notes.extend(_notes(run, made, block, others))
        if lost.blocks:
            run.notes.append(_said_of_loss(cube, lost))
        abandoned = False
        try:
            if run.progress.blocks and sweep.prepare is not None:
                sweep.prepare(sweep)
            if run.progress.blocks and sweep.artifact_ids is not None:
                run.job = dataclasses.replace(run.job, artifact_ids=sweep.artifact_ids(sweep))
                cube.commit(run.job.artifact_ids)
            run.keep_workers = lambda: write_group(
                cube.write_guard.run_path(epoch), record | {"workers": run.workers}
            )
            with run.durable.syncing():
                yield run
            run.finish()
        except BaseException:
            abandoned = epoch == 1 and not run.begun  # its cluster did not start
            raise
        finally:
            record |= {"end": provenance.now(), "outcome": run.outcome, "cells": run.progress.cells_ended}
            record |= {"workers_lost": run.progress.workers_lost, "workers": _workers(run)}
            if abandoned:
                cube.remove()
            else:
                cube.commit({"provenance": json.dumps(record)})
                write_group(cube.write_guard.run_path(epoch), record)


def _rests_on_others(cube: Cube, sweep: Sweep, retry_failed: bool, mark_stale: bool) -> bool:
    """Whether the done cells rest on other attributes than new ones would: an error, unless they are to be stale."""
    if sweep.artifact_ids is None:
        return False
    state = cube.ledger("cell_state")
    here = state[np.ix_(*cube.requested(sweep))]
    works = here.shape != sweep.shape or wanted(here, retry_failed=retry_failed).any() or mark_stale
    if not works or not (state == State.DONE).any():
        return False
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    others = other_artifacts(cube.attrs, sweep)
    if others and not mark_stale:
        raise CubeError(
            f"{cube.path} was computed with {others}, as it may come out on another processor; bring that "
            "from where the cube was made, take another --store, or --mark-stale to compute its cells again"
        )
    return bool(others)


def _keeps(cube: Cube, sweep: Sweep) -> bool:
    """Whether cells stay whatever code is here now: measured on a bench, or read from a log."""
    return sweep.measured or "measured_on" in cube.attrs or "imported_from" in cube.attrs


def _workers(run: Run) -> list[Mapping[str, Any]]:
    """What computed the run's blocks; where no worker told, it was this process."""
    if run.progress.blocks_ended and not run.workers:
        return [provenance.worker(run.job.origin, "")]
    return run.workers


def _notes(run: Run, made: bool, block: int | Mapping[str, int] | None, others: Origins) -> Iterator[str]:
    """What the user should know before the work begins."""
    cube, blocks = run.cube, run.progress.blocks
    have = ", ".join(f"{n}={c}" for n, c in zip(cube.axis_names, cube.grid.chunk, strict=True))
    for cells, what in others.code:
        stay = "what was measured or imported stays as it is"
        if not _keeps(cube, run.sweep):
            stay = "they stay as they are, --mark-stale computes them again"
        yield f"{cells} cells that are there were computed by other code ({what}): {stay}"
    for cells, what in others.world if blocks else ():
        yield f"{cells} cells that are there were computed elsewhere ({what}), where last digits may differ"
    yield from (note for note in run.job.origin.code.notes if blocks)
    if block is not None and not made and not _has_blocks(cube, run.sweep, block):
        yield f"the cube was made with blocks of {have} and keeps them; --block is for a new one"
    elif not made and blocks > 10_000 and run.progress.cells < 10 * blocks:
        yield f"{blocks} blocks of {have}, as the cube was made when it was small; a new --store cuts larger ones"


def _said_of_loss(cube: Cube, lost: Lost) -> str:
    then = lost.remedy or "they are computed again"
    return f"{lost.cells} cells in {lost.blocks} blocks were done, and are damaged or missing in {cube.path}: {then}"


def block_shape(
    sweep: Sweep, block: int | Mapping[str, int] | None, workers: int, cell_seconds: float | None = None
) -> tuple[int, ...]:
    """Shape of a block: as given, or from a cell's time (measured when None)."""
    first = [sweep.axis_names.index(name) for name in sweep.shared_axes]
    if isinstance(block, Mapping):
        for name, length in block.items():
            if length < 1:
                raise SpecError(f"--block {name}={length}: a block is one cell long at least")
            sweep.axis(name)
        return tuple(
            min(block.get(name, 1), length) for name, length in zip(sweep.axis_names, sweep.shape, strict=True)
        )
    if block is not None:
        if block < 1:
            raise SpecError(f"--block {block}: a block has one cell at least")
        return choose_chunk(sweep.shape, block, first)
    if sweep.resources:
        return (1,) * len(sweep.axes)  # it may act on the world: never sampled
    seconds = sample(sweep).cell_seconds if cell_seconds is None else cell_seconds
    return choose_chunk(sweep.shape, _cells_per_block(sweep, seconds, workers), first)


@dataclass(frozen=True)
class Sample:
    """What computing a few cells tells about all of them."""

    cell_seconds: float
    compressed: float
    """Size of the outputs on disk over their size in memory."""
    error: str = ""
    """``Type: message`` of a cell, when every cell of the sample failed."""


def sample(sweep: Sweep) -> Sample:
    """Measured in this process: larger and larger boxes of cells until one takes long enough; nothing is written."""
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    first = [sweep.axis_names.index(name) for name in sweep.shared_axes]
    count = least = sweep.shared_cells
    total = math.prod(sweep.shape)
    while True:
        shape = choose_chunk(sweep.shape, count, first)
        coords = {a.name: a.values[:n] for a, n in zip(sweep.axes, shape, strict=True)}
        began = time.perf_counter()
        result = evaluate(sweep, coords)
        seconds = time.perf_counter() - began
        warm = count > least or seconds > 10 * SAMPLE_SECONDS
        if (warm and seconds >= SAMPLE_SECONDS) or count >= total:
            failed = list(result.errors.values()) if len(result.errors) == math.prod(shape) else []
            error = f"{failed[0].type}: {failed[0].message}" if failed else ""
            return Sample(seconds / math.prod(shape), compressed_fraction(result.values.values()), error)
        count = min(total, count * (4 if seconds < SAMPLE_SECONDS / 4 else 2))


def _cells_per_block(sweep: Sweep, cell_seconds: float, workers: int) -> int:
    by_time = BLOCK_SECONDS / max(cell_seconds, 1e-9)
    by_memory = BLOCK_BYTES / sweep.cell_bytes
    by_share = math.prod(sweep.shape) / (BLOCKS_PER_WORKER * workers)
    return max(1, round(min(max(min(by_time, by_share), sweep.shared_cells), by_memory)))


def reference_of(sweep: Sweep) -> str:
    """``MODULE:NAME`` or ``FILE.py:NAME`` by which the sweep is found again, or its name."""
    module = sys.modules.get(getattr(sweep.function, "__module__", ""))
    for name, value in vars(module).items() if module else ():
        if isinstance(value, Sweep) and value.name == sweep.name:
            file = getattr(module, "__file__", None)
            installed = module is not None and module.__name__ != "__main__" and "." in module.__name__
            return f"{Path(file).resolve()}:{name}" if file and not installed else f"{module.__name__}:{name}"  # type: ignore[union-attr]
    return sweep.name


def _has_blocks(cube: Cube, sweep: Sweep, block: int | Mapping[str, int]) -> bool:
    """Whether the cube's blocks are those that ``block`` would give."""
    whole = sweep.with_values(None, **cube.axes)
    return block_shape(whole, block, 1) == cube.grid.chunk


def check(cube: Cube, sweep: Sweep, mark_stale: bool = False) -> None:
    """Refuse what must not be done to this cube, before anything is written."""
    differences = cube.differences(sweep)
    fixed = [d for d in differences if d[0].split(".")[0].split("[")[0] in ("name", "axes", "dims", "outputs")]
    if fixed:
        name, old, new = next((d for d in differences if d[0].startswith("parameters.")), fixed[0])
        raise CubeError(
            f"{cube.path} holds another sweep: {name} is {_short(old)} there, {_short(new)} asked, and its arrays "
            "cannot change; take another --store"
        )
    for name, old, new in differences:
        if not mark_stale:
            raise CubeError(
                f"{cube.path} was made with {name} = {_short(old)}, now {_short(new)} is asked; "
                "take another --store, or --mark-stale to compute its cells again"
            )


def _planned(
    cube: Cube, sweep: Sweep, epoch: int, retry_failed: bool, origin: provenance.Origin, allow_mixed: bool
) -> Run:
    state = cube.ledger("cell_state")
    requested = cube.requested(sweep)
    cells = blocks = 0
    for task in _tasks(cube, state, requested, retry_failed):
        cells += task.cells
        blocks += 1
    lean = dataclasses.replace(sweep, axes=tuple(dataclasses.replace(a, values=a.values[:1]) for a in sweep.axes))
    job = Job(lean, str(cube.path), cube.attrs["cube_id"], epoch, origin, allow_mixed, synced_by=machine())
    durable = Durable(cube.path, epoch)
    return Run(sweep, cube, job, state, requested, retry_failed, Progress(cells, blocks, time.monotonic()), durable)


def _tasks(
    cube: Cube, state: npt.NDArray[np.uint8], requested: tuple[npt.NDArray[np.bool_], ...], retry_failed: bool
) -> Iterator[Task]:
    """One task for each block that holds a cell to compute."""
    for block in cube.grid.blocks(requested):
        here = state[block.region]
        mask = wanted(here, retry_failed=retry_failed)
        for axis, whole in enumerate(requested):
            part = whole[block.region[axis]]
            if not part.all():
                mask = mask & part.reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
        if mask.any():
            yield Task(block, None if mask.all() and not here.any() else mask)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def cell_coords(sweep: Sweep, cube: Cube, settings: Mapping[str, str]) -> dict[str, Any]:
    """One cell's coordinates from ``axis=value`` texts; every axis must be named and the value be in the cube."""
    for name in settings:
        if name not in cube.axis_names:
            known = ", ".join(cube.axis_names)
            raise SpecError(f"{cube.path} has no axis {name!r}{closest(name, cube.axis_names)}; its axes are {known}")
    if missing := [n for n in cube.axis_names if n not in settings]:
        raise SpecError(
            f"axis {missing[0]!r} is not given; a cell needs {' '.join(n + '=...' for n in cube.axis_names)}"
        )
    coords = {}
    for name, text in settings.items():
        values = sweep.axis(name).parse(text)
        if len(values) != 1:
            raise SpecError(f"axis {name!r}: {text!r} is {len(values)} values; one cell has one")
        if values[0] not in cube.axes[name]:
            have = ", ".join(str(v) for v in cube.axes[name][:20]) + (", ..." if len(cube.axes[name]) > 20 else "")
            raise SpecError(f"axis {name!r}: the cube has no {values[0]}; it has {have}")
        coords[name] = values[0]
    return coords


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
