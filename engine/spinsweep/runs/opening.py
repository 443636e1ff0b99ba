"""Open a run: make or grow the cube, keep other drivers out, announce the run, and record how it ended."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinsweep import provenance
from spinsweep.cube import CLEAN, Cube, Durable, Job, create, keep_origin, machine_id, open_storage, recover
from spinsweep.discovery import reference_of
from spinsweep.errors import CubeError
from spinsweep.ledger import Counts, State
from spinsweep.origins import Origins, compare_origins
from spinsweep.progress import Progress
from spinsweep.provenance import Origin
from spinsweep.runs.block_size import block_shape
from spinsweep.runs.checks import check, keeps_cells, require_cells, require_inputs, rests_on_other_artifacts
from spinsweep.runs.notes import notes
from spinsweep.runs.opened import Run
from spinsweep.runs.record import RunRecorder
from spinsweep.runs.sampling import Kept, Sample, keep_sample, sample
from spinsweep.spec import Sweep
from spinsweep.until import ATTRIBUTE, Until

if TYPE_CHECKING:
    from spinsweep.runs.rounds import Rounds

__all__ = ["Run", "open_run"]


@contextmanager
def open_run(
    sweep: Sweep,
    store: str | Path,
    *,
    block: int | Mapping[str, int] | None = None,
    workers: int = 1,
    retry_failed: bool = False,
    mark_stale: bool | npt.NDArray[np.bool_] = False,
    allow_mixed: bool = False,
    attrs: Mapping[str, Any] | None = None,
    until: Until | None = None,
    sampler: Callable[[Sweep, Kept], Sample] = sample,
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
        An array of the cube's shape: mark these cells alone, of the same definition.
    allow_mixed
        Let workers with other code compute as well; each cell names what computed it.
    attrs
        Attributes of a cube that is made, beside ours.
    until
        Which replicates are computed, in rounds (:mod:`spinsweep.runs.rounds`); those of the sweep are the first one.
    sampler
        Computes a few cells of a new cube, whose blocks are chosen; the cells are kept.

    Raises
    ------
    CubeError
        Another driver writes the cube, or it holds another definition.
    SpecError
        The sweep wants none of its cells.
    """
    require_cells(sweep)
    storage = open_storage(store).absolute()
    require_inputs(sweep)
    rounds = None if until is None else _rounds(sweep, until)
    origin = Origin.of(sweep)  # before any cell is computed: what code keeps between calls is not its own
    sampled: Sample | None = None
    created = not storage.exists("zarr.json")
    if created:
        initial = {"sweep_reference": reference_of(sweep), "created": provenance.now()}
        begun = sweep if rounds is None else rounds.first
        if block is None and sweep.is_timed:
            sampled = sampler(begun, (str(storage), origin.number))
        shape = block_shape(begun, block, workers, math.inf if sampled is None else sampled.cell_seconds)
        whole = sweep if rounds is None else rounds.sweep
        create(storage, whole, shape, {**initial, **(attrs or {})}, origin.number)
    cube = Cube(storage)
    sweep = sweep.keeping(cube.axis_names)
    if until is not None:
        rounds = _rounds(sweep, until)
        sweep = rounds.sweep
    if mark_stale is not True:
        sweep = sweep.settled(cube.attributes.params)
    cube.write_guard.prepare()
    with cube.write_guard.hold_driver_lock():
        cube = cube.reopen()
        everything = mark_stale is True
        check(cube, sweep, mark_stale=everything)
        stale = rests_on_other_artifacts(cube, sweep, retry_failed=retry_failed, mark_stale=everything)
        record = RunRecorder(sweep, origin)
        epoch = _announce(cube, record)
        lost = recover(cube, epoch)
        keep_origin(cube.storage, origin)
        others = _mark_stale(cube, sweep, origin, everything=stale, other_code=everything)
        cube = cube.grow(sweep)
        if not isinstance(mark_stale, bool):
            _mark_cells(cube, sweep, mark_stale)
        job = _job(cube, sweep, epoch, origin, allow_mixed=allow_mixed)
        run = _planned(cube, sweep, job, rounds, retry_failed=retry_failed)
        record.write(cube, epoch, ended_before=Counts.of(run.state).ended)
        # of the parameters, what cannot change a number may have changed
        record.commit(cube, parameters=json.dumps(sweep.identifying_params))
        run.notes.extend(notes(run, created=created, block=block, others=others, lost=lost))
        with _recorded(run, record):
            _prepare(run)
            with run.durable.syncing():
                if sampled is not None:
                    keep_sample(run, sampled)
                yield run
            run.finish()


def _announce(cube: Cube, record: RunRecorder) -> int:
    """Begin an epoch, in which tasks of earlier runs cannot write, and leave the run's record; the epoch."""
    earlier = [run for _, run in cube.run_records()[-1:]]
    with cube.write_guard.begin_epoch() as epoch:
        if any(run is None or run.outcome not in CLEAN or run.workers_lost for run in earlier):
            cube.storage.remove_partial_files()
        record.write(cube, epoch)
    return epoch


def _mark_stale(cube: Cube, sweep: Sweep, origin: Origin, *, everything: bool, other_code: bool) -> Origins:
    """Mark stale what is to be computed again; what other code computed and stays.

    Parameters
    ----------
    everything : whether the cells rest on other artifacts than new ones would
    other_code : whether cells of other code are marked
    """
    others = compare_origins(cube, origin)
    if cube.differences(sweep) or everything:
        cube.mark_stale(sweep)
        return dataclasses.replace(others, code=(), environment=())
    if other_code and others.code and not keeps_cells(cube, sweep):
        cube.mark_stale(sweep, others.cells)
        return dataclasses.replace(others, code=())
    return others


def _mark_cells(cube: Cube, sweep: Sweep, cells: npt.NDArray[np.bool_]) -> None:
    """Mark cells stale of a cube that may have grown since they were chosen."""
    if any(now < then for now, then in zip(cube.shape, cells.shape, strict=True)):
        raise CubeError(f"{cube.storage} was replaced by another cube just now; run the same command again")
    whole = np.zeros(cube.shape, np.bool_)
    whole[tuple(map(slice, cells.shape))] = cells
    if whole.any():
        cube.mark_stale(sweep, whole)


def _job(cube: Cube, sweep: Sweep, epoch: int, origin: Origin, *, allow_mixed: bool) -> Job:
    """What every task shares: of the sweep's axes, which may be long, only what they are called and mean."""
    lean = sweep.with_one_value_an_axis()
    return Job(lean, str(cube.storage), cube.attributes.cube_id, epoch, origin, allow_mixed, synced_by=machine_id())


def _planned(cube: Cube, sweep: Sweep, job: Job, rounds: Rounds | None, *, retry_failed: bool) -> Run:
    requested, progress = cube.requested(sweep), Progress(0, 0, time.monotonic())
    durable = Durable(cube.storage, job.epoch)
    if rounds is None:
        before = cube.ledger("cell_state") if ATTRIBUTE in cube.attributes.others else None
        run = Run(sweep, cube, job, cube.mark_wanted(sweep), requested, retry_failed, progress, durable)
        if before is not None and (now := int(((before == State.UNWANTED) & (run.state == State.ABSENT)).sum())):
            run.notes.append(
                f"{now} cells are computed that an earlier run had left out; --until would leave them out again"
            )
        run.count_tasks()
        return run
    run = Run(sweep, cube, job, cube.ledger("cell_state"), requested, retry_failed, progress, durable, rounds)
    run.choose()
    return run


def _rounds(sweep: Sweep, until: Until) -> Rounds:
    from spinsweep.runs.rounds import Rounds  # late: scipy takes long to load

    return Rounds.of(sweep, until)


def _prepare(run: Run) -> None:
    """Have the sweep prepare itself for cells that are to be computed, and keep what it rests on in the cube."""
    sweep = run.sweep
    if run.progress.blocks and sweep.prepare is not None:
        sweep.prepare(sweep)
    if run.progress.blocks and sweep.artifact_ids is not None:
        run.job = dataclasses.replace(run.job, artifact_ids=sweep.artifact_ids(sweep))
        run.cube.commit(run.cube.attributes.with_artifacts(run.job.artifact_ids))


@contextmanager
def _recorded(run: Run, record: RunRecorder) -> Iterator[None]:
    """Record how the run ends, however it does; a cube that it made and put nothing into is removed."""
    cube, epoch, abandoned = run.cube, run.job.epoch, False
    run.keep_workers = lambda: record.write(cube, epoch, workers=tuple(run.workers))
    run.keep_long = lambda report: record.write(cube, epoch, long=report and report.to_json())
    try:
        yield
    except BaseException:
        abandoned = epoch == 1 and not run.begun  # its cluster did not start
        raise
    finally:
        record.end(run)
        if abandoned:
            cube.remove()
        else:
            record.commit(cube)
            record.write(cube, epoch)
