"""Cells that run longer than they may, or than the job of a batch system that computes them, or use more memory.

A block with such a limit is computed in a thread of its own. A cell that hangs cannot be ended there: its thread is
abandoned, what the block has so far is kept, and the process is to be replaced.

Native code that holds Python's lock keeps this from running. Then, in a worker process, a thread of ``faulthandler``
writes the stacks and ends the process.
"""

from __future__ import annotations

import contextvars
import faulthandler
import math
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from io import FileIO
from pathlib import Path
from typing import Any

from spinsweep.calls import Calls, Coords
from spinsweep.captured import printed_by
from spinsweep.cube.memory_limit import OUT_OF_MEMORY, POLL_S, MemoryWatch, used_more
from spinsweep.evaluate import CellError, Evaluated
from spinsweep.walltime import JobTime

TIMED_OUT = "spinsweep.TimedOut"
"""Type of the error of a cell that hung."""
GRACE_S = 3.0  # after the limit, in which Python has to notice, before faulthandler ends the process
NAME_BYTES = 4000  # of a block's name
MAX_STACKS = 100_000  # characters
LONGEST_WAIT_S = 3600.0  # at a time: a lock's wait has a largest value
LOOK_S = 0.5  # between looks at whether a batch system wants its job to end


class Reason(Enum):
    """Why a call was given up."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    """The process held too much."""
    JOB_OVER = "job over"
    """The time of the job was over."""
    TOLD_TO_END = "told to end"
    """The batch system wanted the job to end before its time was over."""


@dataclass(frozen=True)
class CallLimits:
    """What the cells of a block may take; None: any."""

    timeout: float | None = None
    """Of one cell, s."""
    memory: int | None = None
    """Bytes that this process may hold for a cell."""
    job: JobTime | None = None
    """The job of a batch system in which this process computes."""


@dataclass(frozen=True)
class Kept:
    """What a call gave."""

    coords: Coords
    values: Any
    seconds: float
    tries: int


@dataclass(frozen=True)
class Hang:
    """A call that was given up, and what had ended before it."""

    kept: Sequence[Kept]
    coords: Coords
    """Of the call."""
    cells: int
    """That it was for."""
    seconds: float
    """That it ran."""
    reason: Reason
    error: CellError
    """With its stack."""
    at_fault: bool = True
    """Whether a cell of this call is at fault, and not what the process computed before it."""


class _Abandoned(BaseException):
    """Ends a thread that nobody waits for any more."""


class LastResort:
    """Ends this process, a worker, where native code lets no Python run; it guards one call at a time.

    What it leaves is a file: the name of the block in hand, in ``NAME_BYTES``, and then the stacks.
    """

    block: object = ""
    """The block in hand, by the name whose text is written."""
    _path: Path | None = None  # None: the process is not ended
    _file: FileIO | None = None
    _named: object = None  # in the file

    @classmethod
    def begin(cls, path: Path) -> None:
        """Have stacks written there, and the process ended, from now on."""
        cls._path = path

    @classmethod
    def end(cls) -> None:
        """No longer."""
        if cls._path is not None:
            cls.disarm()
            cls._path.unlink(missing_ok=True)
            cls._path = cls._file = cls._named = None

    @classmethod
    def arm(cls, seconds: float) -> None:
        """For the call that begins."""
        if cls._path is None:
            return
        if cls._file is None or cls._named != cls.block:
            cls._file = cls._file or FileIO(cls._path, "w")
            cls._file.seek(0)
            cls._file.write(str(cls.block).encode(errors="replace")[:NAME_BYTES].ljust(NAME_BYTES))
            cls._named = cls.block
        faulthandler.dump_traceback_later(seconds + GRACE_S, exit=True, file=cls._file)

    @classmethod
    def disarm(cls) -> None:
        """The call ended."""
        if cls._file is not None:
            faulthandler.cancel_dump_traceback_later()

    @staticmethod
    def left(path: Path) -> tuple[str, str] | None:
        """Name of the block and stacks that a process left that was ended; None: it was not."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        stacks = content[NAME_BYTES:].decode(errors="replace")[:MAX_STACKS]
        return (content[:NAME_BYTES].decode(errors="replace").strip(), stacks) if stacks else None


class TimedCalls(Calls):
    """The calls of a block whose cells may each take ``timeout`` seconds, in a process that may be watched."""

    def __init__(self, limits: CallLimits) -> None:
        self._timeout = math.inf if limits.timeout is None else limits.timeout
        self._allowed, self._job = limits.memory, limits.job
        self.watch = None if limits.memory is None else MemoryWatch(limits.memory)
        self._lock = threading.Lock()
        self._kept: list[Kept] = []
        self._running: tuple[Coords, int] | None = None
        self._began = self._until = 0.0
        self._abandoned = False

    def began(self, coords: Coords, cells: int) -> None:
        """Its time begins."""
        with self._lock:
            self._require_wanted()
            self._running, self._began = (coords, cells), time.monotonic()
            self._until = self._began + self._timeout * cells
        if self._timeout < math.inf:
            LastResort.arm(self._timeout * cells)

    def ended(self) -> None:
        """In time."""
        LastResort.disarm()
        with self._lock:
            self._require_wanted()
            self._running = None
        if self.watch is not None:
            self.watch.ended()

    def computed(self, coords: Coords, values: Any, seconds: float, tries: int) -> None:
        """Kept, should a later call hang."""
        with self._lock:
            self._require_wanted()
            self._kept.append(Kept(coords, values, seconds, tries))

    def _require_wanted(self) -> None:
        if self._abandoned:
            raise _Abandoned

    @property
    def wait_s(self) -> float:
        """After which it is worth looking for a hang."""
        with self._lock:
            left = self._until - time.monotonic() if self._running else self._timeout
        longest = LONGEST_WAIT_S if self._job is None else LOOK_S
        return min(max(left, 0.0), longest if self.watch is None else POLL_S)

    def abandon(self, thread: threading.Thread) -> Hang | None:
        """The call that takes more than it may, whose thread is given up; None: there is none."""
        held = None if self.watch is None else self.watch.excess()
        with self._lock:
            if self._running is None or (reason := self._reason(held)) is None:
                return None
            self._abandoned = True
            (coords, cells), seconds = self._running, time.monotonic() - self._began
        LastResort.disarm()
        printed = printed_by(thread).encode(errors="backslashreplace").decode()
        if reason is not Reason.MEMORY or held is None or self.watch is None or self._allowed is None:
            message = f"ran longer than its timeout of {self._timeout:g} s"
            error = CellError(TIMED_OUT, message, _stack(thread, "its time had passed"), printed)
            return Hang(tuple(self._kept), coords, cells, seconds, reason, error, reason is not Reason.TOLD_TO_END)
        stack = _stack(thread, "it was ended")
        error = CellError(OUT_OF_MEMORY, used_more(self._allowed, held), stack, printed)
        at_fault = self.watch.give_up(thread, _Abandoned, held)
        return Hang(tuple(self._kept), coords, cells, seconds, reason, error, at_fault)

    def _reason(self, held: int | None) -> Reason | None:
        """Why the call that runs is to be given up; None: it is not."""
        if held is not None:
            return Reason.MEMORY
        if time.monotonic() >= self._until:
            return Reason.TIMEOUT
        if self._job is None or self._job.left > 0:
            return None
        return Reason.TOLD_TO_END if self._job.told_to_end else Reason.JOB_OVER


def _stack(thread: threading.Thread, when: str) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    lines = traceback.format_stack(frame)[-100:] if frame is not None else []
    # what called the function of the sweep is the same in every block
    first = next((n for n, line in enumerate(lines) if "in _called" in line), -1) + 1
    return "".join([f"Where it was when {when} (most recent call last):\n", *lines[first:]])


def compute_within(limits: CallLimits, compute: Callable[[Calls], Evaluated]) -> Evaluated | Hang:
    """What ``compute`` returns or raises; or one of its calls that was given up.

    Parameters
    ----------
    compute : is told where its calls are to be reported; runs in a thread, with this one's context
    """
    calls = TimedCalls(limits)
    results: queue.SimpleQueue[Evaluated | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(compute(calls))
        except BaseException as error:
            results.put(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="cells", daemon=True)
    with calls.watch.computing() if calls.watch is not None else nullcontext():
        thread.start()
        while True:
            try:
                result = results.get(timeout=calls.wait_s)
            except queue.Empty:
                if (hang := calls.abandon(thread)) is not None:
                    return hang
                continue
            thread.join()
            if isinstance(result, BaseException):
                raise result
            return result
