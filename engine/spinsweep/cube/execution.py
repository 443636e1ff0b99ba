"""What a worker does with a task: compute the cells of its block that are not done, and write them."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from spinsweep.axis import Value
from spinsweep.blocks import as_boxes
from spinsweep.calls import NOBODY, Calls
from spinsweep.cube.stage_files import stage_files
from spinsweep.cube.task import Job, Mask, Task
from spinsweep.cube.time_limit import CallLimits, Hang, Kept, Reason, compute_within
from spinsweep.cube.writer import Writer, writer_of
from spinsweep.deviation import Deviation
from spinsweep.disk import machine_id
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError, Evaluated, empty, evaluate
from spinsweep.ledger import Receipt
from spinsweep.moments import as_stored
from spinsweep.spec import Sweep
from spinsweep.walltime import job_time

COMMONEST = 3  # errors of a block that its receipt counts
OTHER_NUMBERS = (
    "{} came out other than the cube holds: its code is not what computed the cell; what is there stays, and "
    "--mark-stale computes the whole cell again"
)


def execute(job: Job, task: Task) -> Receipt:
    """Compute and write one block; the whole of a task."""
    writer = writer_of(job.store, job.cube_id, job.epoch, job.run_id)
    if not writer.artifacts_checked:
        _require_same_artifacts(job, str(writer.cube.storage))
        writer.artifacts_checked = True
    coords = writer.coords(task.block)
    mask = writer.pending(task)
    if not mask.any():
        return Receipt(task.block, done=task.cells, failed=0, seconds=0.0, batch=task.batch)
    result, left, hang = _compute_within_limits(job, coords, mask)
    ended = mask if left is None else mask & ~left
    _fail_others(job, task, writer, result, ended)
    failed = writer.write(task, result, ended, job.origin.number, sync=job.synced_by != machine_id())
    done = task.cells - failed - (0 if left is None else int(left.sum()))
    receipt = Receipt(task.block, done, failed, float(result.duration[ended].sum()), batch=task.batch)
    if result.errors:
        cell, first = next(iter(result.errors.items()))
        errors = Counter(f"{error.type}: {error.message}" for error in result.errors.values())
        receipt = replace(
            receipt,
            first_error=f"{first.type}: {first.message}",
            first_failed=_in_cube(task, cell),
            errors=dict(errors.most_common(COMMONEST)),
        )
    if hang is None:
        return receipt
    over = hang.reason is Reason.JOB_OVER
    return replace(
        receipt,
        left=left if left is not None and left.any() else None,
        apart=hang.cells > 1 and hang.at_fault,
        hung=hang.reason in (Reason.TIMEOUT, Reason.MEMORY),
        over=hang.error.message if hang.reason is Reason.MEMORY and not hang.at_fault else "",
        overran=_in_block(coords, hang.coords) if over and hang.cells == 1 else (),
        overran_s=hang.seconds if over else 0.0,
    )


def _fail_others(job: Job, task: Task, writer: Writer, result: Evaluated, ended: Mask) -> None:
    """Have incomplete cells fail that were computed again with other numbers than the cube holds."""
    if not writer.cube.added_outputs:
        return
    incomplete, stored = writer.incomplete(task.block, ended)
    computed = {name: as_stored(result.values[name]) for name in stored}
    outputs = {output.name: output for output in job.sweep.outputs}
    for cell in map(tuple, np.argwhere(incomplete).tolist()):
        others = {}
        for name, held in stored.items() if cell not in result.errors else ():
            recomputed, kept = (np.asarray(array[cell], array.dtype) for array in (computed[name], held))
            if not (deviation := Deviation.of(recomputed, kept)).fits(outputs[name]):
                others[name] = deviation.line(outputs[name])
        if others:
            message = OTHER_NUMBERS.format(", ".join(others))
            result.errors[cell] = CellError("spinsweep.OtherNumbers", message, "\n".join(others.values()))


def record_result(job: Job, task: Task, result: Evaluated) -> Receipt:
    """Write the task's cells, which were computed before there was a task, and are good."""
    writer = writer_of(job.store, job.cube_id, job.epoch, job.run_id)
    writer.write(task, result, task.mask, job.origin.number, sync=job.synced_by != machine_id())
    return Receipt(task.block, task.cells, 0, float(result.duration[task.mask].sum()), batch=task.batch)


def record_failure(job: Job, task: Task, error: CellError) -> Receipt:
    """Mark a block's cells failed when its task could not, because its worker died each time."""
    writer = writer_of(job.store, job.cube_id, job.epoch, job.run_id)
    cells = [tuple(cell) for cell in np.argwhere(task.mask).tolist()]
    result = empty(job.sweep, task.mask.shape)
    result.errors.update(dict.fromkeys(cells, error))
    failed = writer.write(task, result, task.mask, job.origin.number, sync=job.synced_by != machine_id())
    text = f"{error.type}: {error.message}"
    first, errors = _in_cube(task, cells[0]), {text: failed}
    return Receipt(task.block, len(cells) - failed, failed, 0.0, text, first, errors, task.batch)


def other_artifacts(known: Mapping[str, Any], sweep: Sweep) -> str:
    """Which of the sweep's artifacts are not as ``known``, in words; "" when all that are known are."""
    ids = dict(sweep.artifact_ids(sweep)) if sweep.artifact_ids is not None else {}
    return ", ".join(
        f"{name} {json.dumps(known[name])} and here it is {json.dumps(value)}"
        for name, value in ids.items()
        if name in known and json.dumps(known[name]) != json.dumps(value)
    )


def _require_same_artifacts(job: Job, store: str) -> None:
    """``CubeError`` unless this process has the artifacts that the driver has."""
    if others := other_artifacts(job.artifact_ids, job.sweep):
        raise CubeError(
            f"{platform.node()} would add to {store} cells that rest on other things than the driver's: "
            f"the driver has {others}, as it may come out on another processor; bring that from the driver"
        )


def _compute_within_limits(
    job: Job, coords: Mapping[str, tuple[Value, ...]], mask: Mask
) -> tuple[Evaluated, Mask | None, Hang | None]:
    """The cells of ``mask`` as arrays of the whole block; if a call was given up, which are left out, and the call.

    A cell that was given up by itself is failed. Of a box of cells that were called together, none has a result: one
    of those left is at fault.
    """
    timeout, allowed, job_here = job.sweep.timeout, job.sweep.memory_bytes, job_time()
    if timeout is None and allowed is None and job_here is None:
        return _compute(job, coords, mask), None, None
    result = compute_within(CallLimits(timeout, allowed, job_here), partial(_compute, job, coords, mask))
    if isinstance(result, Evaluated):
        return result, None, None
    whole, ended = empty(job.sweep, mask.shape), np.zeros(mask.shape, bool)
    kept = list(result.kept)
    if result.cells == 1 and result.at_fault and result.reason is not Reason.JOB_OVER:
        kept.append(Kept(result.coords, result.error, result.seconds, 1))
    for part in kept:
        box = np.ix_(*([coords[name].index(value) for value in part.coords[name]] for name in coords))
        ended[box] = True
        whole.duration[box], whole.tries[box] = part.seconds, part.tries
        if isinstance(part.values, CellError):
            whole.errors[tuple(int(along.item()) for along in box)] = part.values
            continue
        for name, values in part.values.items():
            whole.values[name][box] = values
    return whole, mask & ~ended, result


def _compute(job: Job, coords: Mapping[str, tuple[Value, ...]], mask: Mask, calls: Calls = NOBODY) -> Evaluated:
    """The cells of ``mask`` computed, as arrays of the whole block."""
    boxes = as_boxes(mask)
    stages = stage_files(job.store, job.origin.number) if job.sweep.stages else None
    if len(boxes) == 1 and mask.all():
        return evaluate(job.sweep, coords, job.cube_id, stages, calls)
    whole = empty(job.sweep, mask.shape)
    for box in boxes:
        box_coords = {n: tuple(v[i] for i in indices) for (n, v), indices in zip(coords.items(), box, strict=True)}
        part = evaluate(job.sweep, box_coords, job.cube_id, stages, calls)
        region = np.ix_(*box)
        for name, values in part.values.items():
            whole.values[name][region] = values
        whole.duration[region], whole.tries[region] = part.duration, part.tries
        for cell, error in part.errors.items():
            whole.errors[tuple(int(indices[i]) for indices, i in zip(box, cell, strict=True))] = error
    return whole


def _in_cube(task: Task, cell: tuple[int, ...]) -> tuple[int, ...]:
    """Index in the cube of a cell of the block; () for none."""
    return tuple(s + i for s, i in zip(task.block.start, cell, strict=False))


def _in_block(coords: Mapping[str, tuple[Value, ...]], cell: Mapping[str, tuple[Value, ...]]) -> tuple[int, ...]:
    """Index in the block of one cell."""
    return tuple(values.index(cell[name][0]) for name, values in coords.items())
