"""The error tree. Every message is one line: what is wrong, where, and what would be right.

    SpinsweepError
    ├── SpecError      a sweep's description, an axis, a parameter or a value asked for   (also a ValueError)
    ├── OutputError    a block function returned something else than the sweep declares    (also a ValueError)
    ├── CubeError      a store that is missing, foreign, locked or of another definition
    │   └── Fenced     a task of an older run came too late and must not write
    └── RunnerError    the cluster is gone or cannot run the sweep

The command line prints ``SpecError``, ``CubeError`` and ``RunnerError`` as one line and ends with status 2.
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
