"""What an executor is: five methods, behind which blocks are computed wherever it likes.

A package brings one under the entry point group ``spinsweep.executors``: a context manager such as ::

    @contextmanager
    def threads(context: Context) -> Iterator[Executor]:
        with ThreadPoolExecutor(context.workers) as pool:
            yield Threads(context, pool)

``spinsweep run NAME --executor threads`` and ``spinsweep.run(..., executor="threads")`` find it by its name. What is
sent when, and what happens about what went wrong, is not its business: :mod:`spinsweep.executors.dispatch` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from spinsweep.errors import CubeNotSeen, Fenced, OtherCode, RunAborted, WorkInterrupted
from spinsweep.executors import events
from spinsweep.executors.events import Attempt, Computing, Ended, LongAttempt, LongRunning, NoAnswer, WorkersChanged
from spinsweep.runs import Run


@dataclass(frozen=True)
class Context:
    """A run, and what an executor may ask of the driver that streams its blocks."""

    run: Run
    """``run.job`` is what all tasks share; a worker computes a block by ``spinsweep.cube.execute(job, task)``."""
    workers: int
    """How many blocks are to be computed at a time; at least 1."""
    wake: Callable[[], None]
    """Have the driver look for events at once. Any thread and any signal handler may call it."""
    show: Callable[[], None]
    """Show the run's progress as it is now. Any thread may call it."""
    stop_requested: Callable[[], bool]
    """Whether the user asked the run to end soon."""
    note_long: Callable[[Collection[LongAttempt]], None] = lambda attempts: None
    """Take over what is computed for long, as of ``LongRunning``, where ``events`` itself computes."""


class Executor(Protocol):
    """Computes the blocks of one run. Its methods are called in the driver's thread alone."""

    def submit(self, attempts: Sequence[Attempt], workers: Collection[str] | None) -> None:
        """Take attempts into the queue, in this order, without waiting for any.

        Parameters
        ----------
        workers : names of the workers that may compute them; None: any
        """

    def events(self) -> Iterable[WorkersChanged | NoAnswer | LongRunning | Ended]:
        """What has happened since the last call, without waiting for more.

        The first call tells the workers. Each attempt that was submitted and not dropped ends by one event. What is
        computed for long may be told, and is then shown; see :mod:`spinsweep.executors.long_running`.

        Raises
        ------
        RunnerError
            The run cannot go on.
        """

    def computing(self) -> Computing | NoAnswer:
        """Begin no further attempt from now on, and say which are being computed, and by which workers."""

    def cancel(self, attempts: Collection[int]) -> Collection[int]:
        """Drop attempts that have not ended; those that were dropped, of which no event comes."""

    def describe(self) -> str:
        """Where blocks are computed, such as "4 processes of this machine"; empty: not worth a line."""


Start = Callable[[Context], AbstractContextManager[Executor]]
"""Starts an executor; what it started ends with the block, at once if that is left by an ``Interrupted``."""


def in_process(start: Start) -> Start:
    """Mark an executor whose blocks never leave this process: its sweep need not be pickled."""
    start.in_process = True  # type: ignore[attr-defined]
    return start


def on_this_machine(start: Start) -> Start:
    """Mark an executor whose blocks are computed here: as many at a time as this machine has memory and GPUs for."""
    start.on_this_machine = True  # type: ignore[attr-defined]
    return start


def ended_by(attempt: int, error: Exception) -> Ended:
    """The event for what ``execute`` raised on a worker; a cube that a newer run took over ends this one."""
    match error:
        case Fenced():
            raise error
        case OtherCode():
            return events.OtherCodeFound(attempt, error.worker, str(error))
        case CubeNotSeen():
            return events.CubeMissing(attempt, error.worker, str(error))
        case WorkInterrupted():  # what it measured is kept
            return events.Unfinished(attempt)
        case RunAborted():
            return events.Aborted(attempt, str(error))
    return events.Raised(attempt, f"{type(error).__name__}: {error}")
