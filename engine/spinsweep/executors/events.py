"""What happens to blocks while they stream, and what is to be done about it: the messages around the dispatcher.

Executors report events; the dispatcher answers with actions, which the driver carries out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from spinsweep.axis import Value
from spinsweep.cube import TIMED_OUT, Task
from spinsweep.ledger import Receipt


@dataclass(frozen=True)
class Attempt:
    """A task that is sent to the workers, once."""

    number: int
    """Names it in events; each is new."""
    task: Task
    retry: bool = False
    """Whether the task, or another one of its block, was sent before."""
    alone: bool = False
    """Whether it is the one cell of a block whose workers died, computed on a worker that has nothing else."""
    workers: tuple[str, ...] | None = None
    """The workers that may take it; None: any."""
    deaths: int = 0
    """How many workers have died of the task so far."""
    died_as: str = ""
    """The error that stands for these deaths; see :class:`WorkerKilled`."""
    losses: int = 0
    """How often its receipt was lost so far."""
    overruns: tuple[float, ...] = ()
    """Seconds that its only cell ran in jobs of a batch system whose time was over before it had ended."""
    needed_s: float = 0.0
    """Seconds that it probably takes; infinite: the whole time of a job."""
    overs: int = 0
    """How often its process held too much memory, and nothing of it was computed."""


@dataclass(frozen=True)
class WorkersChanged:
    """Which workers are ready for blocks; said when a run begins, and again every few seconds."""

    threads: Mapping[str, int]
    """How many blocks each worker computes at a time, by the worker's address or name."""
    missing: str = "a worker"
    """What the run waits for while there is none, in words."""
    lost: int = 0
    """How many workers have gone since the last such event, and left work to be done again."""
    retired: Collection[str] = ()
    """Workers that have gone as they were to: their job's time was over, or the cluster has grown smaller."""


@dataclass(frozen=True)
class LongAttempt:
    """An attempt that has been computed for long."""

    attempt: int
    """Its number."""
    worker: str
    """What computes it, in words."""
    seconds: float
    """Since it was begun, s."""
    cell: Mapping[str, Value] | None = None
    """Coordinates of the cell that is being computed, where that is known."""
    cell_seconds: float = 0.0
    """Since that cell was begun, s."""
    answers: bool = True
    """Whether the worker says what it does."""


@dataclass(frozen=True)
class LongRunning:
    """What has been computed for long; said every few seconds while there is any, and once when none is left."""

    attempts: Collection[LongAttempt]


@dataclass(frozen=True)
class Ended:
    """An attempt ended, as its class says."""

    attempt: int
    """Its number."""


@dataclass(frozen=True)
class Finished(Ended):
    """A block was computed and written."""

    receipt: Receipt


@dataclass(frozen=True)
class ReceiptLost(Ended):
    """A block may have been computed; its receipt went with its worker."""


@dataclass(frozen=True)
class WorkerKilled(Ended):
    """The process that computed a block died: out of memory, or a crash in native code."""

    error_type: str
    """Qualified name of the error that stands for it in the cube."""
    detail: str = ""
    """What else is known of it; kept as the error's traceback."""
    deaths: int = 1
    """How many workers died of this attempt: more than one where the executor tries it again by itself."""


@dataclass(frozen=True)
class Hung(Ended):
    """The process that computed a block ended itself: a cell ran longer than it may, and kept Python from running.

    (What else hangs is in the cube, and the rest of its block in the receipt: ``Finished``.)
    """

    error_type: str
    message: str
    stack: str

    @classmethod
    def of_stacks(cls, attempt: int, stacks: str) -> Hung:
        """Of an attempt whose process left these."""
        message = "ran longer than its timeout, in native code that kept its process from answering"
        return cls(attempt, TIMED_OUT, message, stacks)


@dataclass(frozen=True)
class OverMemory(Ended):
    """The process that computed a block was ended from outside, because it held more memory than a cell may use.

    (What a worker finds by itself is in the cube, or in the receipt: ``Finished``.)
    """

    message: str
    fresh: bool
    """Whether it was the first block of its process."""


@dataclass(frozen=True)
class Raised(Ended):
    """A block could not be written, or not even be begun. (What a cell raises is kept in the cube: ``Finished``.)"""

    error: str
    """``Type: message``."""


@dataclass(frozen=True)
class Unfinished(Ended):
    """A block was not begun, or ended before its result, which says nothing of its cells."""


@dataclass(frozen=True)
class OtherCodeFound(Ended):
    """A worker has other code than the driver; it computed nothing of the block."""

    worker: str
    message: str
    """The worker, and what differs."""


@dataclass(frozen=True)
class CubeMissing(Ended):
    """A worker does not find the run's cube, or an input; it computed nothing of the block."""

    worker: str
    message: str
    """The worker, what it does not find, and what to do."""


@dataclass(frozen=True)
class Aborted(Ended):
    """What the run measures with is not to be trusted any more."""

    reason: str


@dataclass(frozen=True)
class StopRequested:
    """The user asked the run to end soon."""


@dataclass(frozen=True)
class Computing:
    """The answer to :class:`FindComputing`."""

    workers: Mapping[int, str]
    """The worker of each attempt that is being computed."""
    alive: Collection[str]
    """All workers."""


@dataclass(frozen=True)
class NoAnswer:
    """:class:`FindComputing` was not answered in time."""

    by: str
    """Who does not answer, such as "the scheduler"."""


@dataclass(frozen=True)
class Dropped:
    """The answer to :class:`Cancel`."""

    attempts: Collection[int]
    """Those that bring no further event. The others had ended already."""


@dataclass(frozen=True)
class Tick:
    """All that has happened so far has been reported: now decide what to send."""


Event = WorkersChanged | Ended | StopRequested | Computing | NoAnswer | Dropped | Tick


@dataclass(frozen=True)
class Submit:
    """Send attempts to the workers."""

    attempts: tuple[Attempt, ...]
    """All for the same workers."""

    @property
    def workers(self) -> tuple[str, ...] | None:
        """The workers that may take them; None: any."""
        return self.attempts[0].workers


@dataclass(frozen=True)
class FindComputing:
    """Have workers begin nothing more, and find out what they compute: ``Computing`` or ``NoAnswer``."""


@dataclass(frozen=True)
class Cancel:
    """Drop attempts; ``Dropped`` is the answer."""

    attempts: tuple[int, ...]


@dataclass(frozen=True)
class RecordFailure:
    """Mark a task's cells failed in the cube: their workers died each time."""

    task: Task
    error_type: str
    message: str
    detail: str


@dataclass(frozen=True)
class Split:
    """A block is sent again as this many blocks."""

    parts: int


@dataclass(frozen=True)
class _Told:
    text: str


class Unwritten(_Told):
    """A block ended without a result and is not sent again."""


class TooManyFailures(_Told):
    """Why the run stops: nothing more is sent, as when the user stops it."""


class Waiting(_Told):
    """What the run waits for, in words; empty: nothing."""


class Note(_Told):
    """What the user should know."""


@dataclass(frozen=True)
class GiveUp:
    """End the run: it cannot go on."""

    reason: str
    outcome: str = ""
    """As the run's record says it; empty: "interrupted"."""


Action = (
    Submit | FindComputing | Cancel | RecordFailure | Split | Unwritten | TooManyFailures | Waiting | Note | GiveUp
)
