"""The error tree. Every message is one line: what is wrong, where, and what would be right.

    SpinsweepError
    ├── SpecError      a sweep's description, an axis, a parameter or a value asked for   (also a ValueError)
    ├── OutputError    a block function returned something else than the sweep declares    (also a ValueError)
    ├── CubeError      a store that is missing, foreign, locked or of another definition
    │   └── Fenced     a task of an older run came too late and must not write
    ├── RunnerError    the cluster is gone or cannot run the sweep
    │   ├── OtherCode  a worker has other code than the driver and must not compute
    │   ├── CubeNotSeen  a worker does not find the cube where the driver has it
    │   └── SweepFailed  cells that ``spinsweep.run`` was asked for failed
    ├── WorkInterrupted  work that acts on the world ended early: it says nothing of the cell, which is begun again
    │   └── Stopped          on demand
    ├── NotDrawn       a figure shows what this cube does not hold
    └── RunAborted     equipment is not to be trusted: nothing more is begun, what was measured is kept

A package that measures derives its own from WorkInterrupted and RunAborted; see :mod:`spinsweep.bench.errors`. The
command line prints each of these as one line and ends with status 2.
``OutputError`` and what a block function raises belong to cells: they are kept in the cube.
"""

from __future__ import annotations

from typing import Any


class SpinsweepError(Exception):
    """Base of all errors that spinsweep raises on purpose."""


class SpecError(SpinsweepError, ValueError):
    """A sweep, axis, parameter or value that cannot be; nothing was written."""


class OutputError(SpinsweepError, ValueError):
    """A block function's result does not fit the outputs that its sweep declares."""


class CubeError(SpinsweepError):
    """A store cannot be used as it was asked to be; nothing was written."""


class Fenced(CubeError):
    """A newer run owns the cube: this task's results were not written."""


class RunnerError(SpinsweepError):
    """The cluster cannot go on; the cube keeps what is done."""


class RefusedWorker(RunnerError):
    """A worker must not compute for a run: nothing was computed there.

    Parameters
    ----------
    message : one line
    worker : its address
    """

    def __init__(self, message: str, worker: str) -> None:
        super().__init__(message, worker)
        self.worker = worker

    def __str__(self) -> str:
        return str(self.args[0])


class OtherCode(RefusedWorker):
    """A worker has other code than the driver."""


class CubeNotSeen(RefusedWorker):
    """A worker does not find the cube, or one that is an input, where the driver has it."""


class SweepFailed(RunnerError):
    """Cells failed that ``spinsweep.run`` was asked for; all others are in the cube.

    Parameters
    ----------
    message : one line: how many, their errors, the first one's coordinates, where its traceback is
    result : the :class:`spinsweep.executors.running.Result` of the run
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def dataset(self) -> Any:
        """The cells that were asked for, as an xarray Dataset, blank where a cell failed."""
        return self.result.dataset


class WorkInterrupted(SpinsweepError):
    """Work that acts on the world ended before its result: it says nothing of the cell, whose block is sent again."""


class RunAborted(SpinsweepError):
    """What the run measures with is not to be trusted: nothing more of it is begun; what was measured is kept."""


class NotDrawn(SpinsweepError):
    """A figure shows what this cube does not hold, such as a second day: no figure is made, and nothing is wrong."""


class Stopped(WorkInterrupted):
    """The work was told to end early: the cell stays as it was, what was measured stays in the journal."""
