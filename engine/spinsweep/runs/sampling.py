"""A few cells, computed to find out how long one takes: here, or in a process of their own.

What was computed is kept: a run writes it into the cube that it makes.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt

from spinsweep import memory
from spinsweep.axis import Value
from spinsweep.blocks import as_boxes
from spinsweep.calls import NOBODY, Calls
from spinsweep.cell_function import is_per_cell
from spinsweep.cube import (
    CallLimits,
    Hang,
    Task,
    compressed_fraction,
    compute_within,
    record_result,
    stage_files,
    used_more,
)
from spinsweep.evaluate import Evaluated, empty, evaluate
from spinsweep.interrupts import sigint_blocked
from spinsweep.ledger import State
from spinsweep.machine import Machine
from spinsweep.process import SAFE_PATH, environment
from spinsweep.reaper_process import kill_marked, marking
from spinsweep.resources import THREAD_SETTINGS
from spinsweep.runs.opened import Run
from spinsweep.spec import Sweep
from spinsweep.stages import Keeper
from spinsweep.user_modules import UserModules

SAMPLE_S = 0.1  # a sample this long tells a cell's time well enough
SAMPLE_BYTES = 64_000_000  # of outputs at most
LONGEST_S = 60.0  # that a process may compute: then a cell is long enough for a block of its own
READY = "ready"
DIED = "the process that computed a few cells to choose the blocks"
LOOK_S = 0.1  # between looks at the memory that it holds


@dataclass(frozen=True)
class Sample:
    """What computing a few cells says about all of them."""

    cell_seconds: float
    """Infinite if nothing is known, since the cells ended or held their process."""
    compressed: float
    """Size of the outputs on disk over their size in memory."""
    error: str = ""
    """``Type: message`` of a cell, when every cell of the sample failed."""
    computed: Evaluated | None = None
    """The cells at the low end of each axis; none where nothing is known."""
    note: str = ""
    """What the user should know."""


UNKNOWN = Sample(math.inf, 1.0)
Kept = tuple[str, int]
"""Where results of stages are kept: the storage of the cube that is to be made, and the number of what computes."""


def sample(sweep: Sweep, kept: Kept | None = None) -> Sample:
    """Measured in this process; nothing is written but results of stages."""
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    last = UNKNOWN
    for last in _steps(sweep, kept):  # noqa: B007 - the last one is the best
        pass
    return last


def _steps(sweep: Sweep, kept: Kept | None) -> Iterator[Sample]:
    """Larger and larger boxes of cells, until one takes long enough, or a cell longer than its timeout."""
    first = [sweep.axis_names.index(name) for name in sweep.shared_axes if name in sweep.axis_names]
    count = least = sweep.shared_cells
    total = math.prod(sweep.shape)
    known = empty(sweep, (0,) * len(sweep.axes))
    stages = stage_files(*kept) if kept and sweep.stages else None
    while True:
        shape = _box(sweep.shape, count, first)
        extended = _extended(sweep, known, shape, stages)
        if extended is None:
            return  # a cell hangs: a worker, which can be replaced, computes it and says so
        known, seconds, cells = extended
        if not cells:  # none of these is wanted
            count = min(total, count * 4)
            continue
        failed = list(known.errors.values()) if len(known.errors) == _wanted(sweep, shape).sum() else []
        error = f"{failed[0].type}: {failed[0].message}" if failed else ""
        yield Sample(seconds / cells, compressed_fraction(known.values.values()), error, known)
        # the first box pays for imports and compilation, and tells only when it takes long in any case
        warm = count > least or seconds > 10 * SAMPLE_S
        if (warm and seconds >= SAMPLE_S) or count >= total or count * sweep.cell_bytes >= SAMPLE_BYTES:
            return
        count = min(total, count * (4 if seconds < SAMPLE_S / 4 else 2))


def _box(shape: tuple[int, ...], cells: int, first: Sequence[int]) -> tuple[int, ...]:
    """A box of about so many cells, which holds every smaller one; axes are filled as those of a block are."""
    lengths = [1] * len(shape)
    for axis in [*first, *(i for i in reversed(range(len(shape))) if i not in first)]:
        lengths[axis] = min(shape[axis], max(1, cells))
        cells //= lengths[axis]
    return tuple(lengths)


def _wanted(sweep: Sweep, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which cells of a box at the low end of each axis are wanted."""
    if sweep.wanted_mask is None:
        return np.ones(shape, bool)
    return np.array(sweep.wanted_mask[tuple(map(slice, shape))])


def _extended(
    sweep: Sweep, known: Evaluated, shape: tuple[int, ...], stages: Keeper | None
) -> tuple[Evaluated, float, int] | None:
    """The box of that shape; the seconds that its new cells took, and how many they are. None if one of them hangs.

    Cells that are known are not computed again, unless a function of a whole block would have to take the others one
    by one.
    """
    old = tuple(map(slice, np.minimum(known.duration.shape, shape)))
    wanted = _wanted(sweep, shape)
    new = wanted.copy()
    new[old] = False
    boxes = as_boxes(new) if new.any() else []
    if not boxes or (len(boxes) > 1 and not is_per_cell(sweep.function)):
        new = wanted
        boxes = as_boxes(new) if new.any() else []
    whole = empty(sweep, shape)
    for name, values in whole.values.items():
        values[old] = known.values[name][old]
    whole.duration[old], whole.tries[old] = known.duration[old], known.tries[old]
    whole.errors.update({cell: error for cell, error in known.errors.items() if not new[cell]})
    began = time.perf_counter()
    for box in boxes:
        coords = {a.name: tuple(a.values[i] for i in along) for a, along in zip(sweep.axes, box, strict=True)}
        part, region = _computed(sweep, coords, stages), np.ix_(*box)
        if part is None:
            return None
        for name, values in part.values.items():
            whole.values[name][region] = values
        whole.duration[region], whole.tries[region] = part.duration, part.tries
        for cell, error in part.errors.items():
            whole.errors[tuple(int(along[i]) for along, i in zip(box, cell, strict=True))] = error
    return whole, time.perf_counter() - began, int(new.sum())


def _computed(sweep: Sweep, coords: Mapping[str, tuple[Value, ...]], stages: Keeper | None) -> Evaluated | None:
    """These cells; None if one of them takes longer than it may."""

    def compute(calls: Calls = NOBODY) -> Evaluated:
        return evaluate(sweep, coords, stages=stages, calls=calls)

    if sweep.timeout is None:
        return compute()
    result = compute_within(CallLimits(sweep.timeout), compute)
    return None if isinstance(result, Hang) else result


def sample_elsewhere(sweep: Sweep, kept: Kept | None = None) -> Sample:
    """Measured in a process of its own, which cells may end or hold; nothing is written but results of stages."""
    if sweep.memory_bytes is not None and sweep.memory_bytes > Machine.here().memory:
        return Sample(math.inf, 1.0)  # workers elsewhere have more
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    token = f"sample-{uuid.uuid4().hex}"
    variables = {name: os.environ.get(name) or "1" for name in (*THREAD_SETTINGS, SAFE_PATH)}
    with marking(token), sigint_blocked(), environment(variables):
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    try:
        question = pickle.dumps((sys.path, UserModules.finder().shared(), cloudpickle.dumps(sweep), kept))
        return _asked(process, question, sweep.memory_bytes)
    finally:
        process.kill()
        process.wait()
        kill_marked(token, {os.getpid()})


def keep_sample(run: Run, sampled: Sample) -> None:
    """Write the good cells of a sample into the cube that the run has just made, and count them as computed by it.

    Workers compute the others: what fails is theirs to say. They compute a whole sweep again that took no time, so
    that a run on workers has work for them.
    """
    if sampled.note:
        run.notes.append(sampled.note)
    computed = sampled.computed
    if computed is None or (computed.duration.shape == run.cube.shape and computed.duration.sum() < SAMPLE_S):
        return
    sampled_shape: tuple[int, ...] = computed.duration.shape
    good = _wanted(run.sweep, sampled_shape)
    for cell in computed.errors:
        good[cell] = False
    touched = [np.arange(length) < part for length, part in zip(run.cube.shape, sampled_shape, strict=True)]
    for block in run.cube.grid.blocks(touched):
        mask = np.zeros(block.shape, bool)
        inside = tuple(slice(s.start, min(s.stop, part)) for s, part in zip(block.region, sampled_shape, strict=True))
        within = tuple(slice(0, s.stop - s.start) for s in inside)
        mask[within] = good[inside]
        if not mask.any():
            continue
        result = empty(run.sweep, block.shape)
        for name, values in computed.values.items():
            result.values[name][within] = values[inside]
        result.duration[within], result.tries[within] = computed.duration[inside], computed.tries[inside]
        task = Task(block, mask)
        task = dataclasses.replace(task, batch=run.durable.count_task(task))
        run.note(record_result(run.job, task, result))
        run.state[block.region][mask] = State.DONE
        if not mask.all():
            run.progress.blocks += 1


def _asked(process: subprocess.Popen[bytes], question: bytes, allowed: int | None) -> Sample:
    """The best answer of the process, however it ends.

    Parameters
    ----------
    allowed : bytes that it may hold; None: any
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_exchange, args=(process, question, answers), name="sample", daemon=True).start()
    best, until = UNKNOWN, math.inf
    while True:
        if (left := until - time.monotonic()) <= 0:
            return best
        if allowed is not None and (held := memory.more_than(process.pid, allowed)) is not None:
            note = f"{DIED} {used_more(allowed, held)}; workers compute them again"
            return dataclasses.replace(best, note=note)
        try:
            answer = answers.get(timeout=min(left, LONGEST_S if allowed is None else LOOK_S))
        except queue.Empty:
            continue
        if answer is None:
            if process.wait() == 0:
                return best
            note = f"{DIED} ended with exit code {process.returncode}; workers compute them again"
            return dataclasses.replace(best, note=note)
        if answer == READY:
            until = time.monotonic() + LONGEST_S
        else:
            best = answer


def _exchange(process: subprocess.Popen[bytes], question: bytes, answers: queue.SimpleQueue[Any]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError, EOFError, pickle.UnpicklingError, ValueError):
        with process.stdin:
            process.stdin.write(question)
        with process.stdout:
            while True:
                answers.put(pickle.load(process.stdout))
    answers.put(None)


def main() -> None:
    """The process: what it prints goes where errors go."""
    memory.be_ended_first()
    question = sys.stdin.buffer.read()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ[SAFE_PATH] = ""  # programs that a cell starts find the files beside them
    sys.path[:], folders, pickled, kept = pickle.loads(question)
    UserModules.finder().add_shared(folders)
    sweep = pickle.loads(pickled)
    pickle.dump(READY, answers)
    answers.flush()
    for answer in _steps(sweep, kept):
        pickle.dump(answer, answers)
        answers.flush()
    answers.close()
    os._exit(0)
