"""The error tree. Every message is one line: what is wrong, where, and what would be right.

    SpinsweepError
    ├── SpecError      a sweep's description, an axis, a parameter or a value asked for   (also a ValueError)
    ├── OutputError    a block function returned something else than the sweep declares    (also a ValueError)
    ├── CubeError      a store that is missing, foreign, locked or of another definition
    │   └── Fenced     a task of an older run came too late and must not write
    ├── RunnerError    the cluster is gone or cannot run the sweep
    │   └── OtherCode  a worker has other code than the driver and must not compute
    ├── Stopped        work ended before its end, on demand: it says nothing of the cell
    └── BenchError     a bench file, or a bench that cannot do what was asked
        ├── LimitError       a value beyond a limit: nothing was sent
        ├── LeaseError       the bench is another's, or is no longer ours
        ├── ConnectionLost   the link is not to be trusted any more: connect again, with the whole handshake
        ├── InstrumentFault  an instrument reported an error or read back something else: stop, repeat nothing
        │   └── InterlockOpen    the interlock is open: a human has to close it
        └── DeviceFault      a device under test is open, short or stuck: leave it out, others go on

The command line prints ``SpecError``, ``CubeError``, ``RunnerError`` and ``BenchError`` as one line and ends with
status 2.
``OutputError`` and what a block function raises belong to cells: they are kept in the cube.
"""


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


class OtherCode(RunnerError):
    """A worker has other code than the driver: nothing of it was computed.

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


class Stopped(SpinsweepError):
    """The work was told to end early: the cell stays as it was, what was measured stays in the journal."""


class BenchError(SpinsweepError):
    """A bench file is wrong, or the bench cannot do what was asked."""


class LimitError(BenchError):
    """A value beyond a limit of the bench file; nothing was sent."""


class LeaseError(BenchError):
    """Another process owns the bench, or this one does no longer."""


class ConnectionLost(BenchError):
    """A link broke, timed out or answered out of step: nothing on it is to be trusted any more."""


class InstrumentFault(BenchError):
    """An instrument reported an error, or its settings read back otherwise than sent: stop, repeat nothing."""


class InterlockOpen(InstrumentFault):
    """The source's interlock is open, and nothing can flow until a human closes it."""


class DeviceFault(BenchError):
    """A device under test is open, short or stuck; others can go on."""
