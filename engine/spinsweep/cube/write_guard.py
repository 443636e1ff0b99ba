"""Who may write: one driver a cube, no task of an older run, and one task a block at a time.

Every run has an epoch, a number that only grows. A task makes sure that its epoch is still the newest and writes;
a new run announces its epoch and waits for the writes that go on. So a task that was left behind by a killed
driver either has written before the new run looks at the cube, or is refused; and so is one whose cube was removed,
also where another cube stands in its storage now.

Dask may run a block twice at a time, when it takes a busy worker for dead, and cells of a block that killed its
worker are tried one by one. Writes into one block are kept apart.

On a file system the kernel's locks do this (:mod:`spinsweep.cube.file_write_guard`), on object storage leases
(:mod:`spinsweep.cube.lease_write_guard`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from spinsweep.cube.storage import Storage

WRITE_TIMEOUT_S = 60.0
"""How long a new run waits for the writes of an older one to end, and a task for another copy of it."""


class WriteGuard(ABC):
    """The guard of one cube; what it needs lies in the state array's folder, where zarr looks for nothing."""

    def __init__(self, storage: Storage, cube_id: str) -> None:
        self.storage = storage
        self.cube_id = cube_id

    def newest_epoch(self) -> int:
        """The newest run's epoch, 0 before the first."""
        return max((int(name) for name in self.storage.names("runs") if name.isdigit()), default=0)

    def prepare(self) -> None:  # noqa: B027 - nothing, where the first run makes what tasks look for
        """Make what a copy of a cube may lack."""

    @abstractmethod
    def hold_driver_lock(self) -> AbstractContextManager[None]:
        """Be the only driver of this cube, or ``CubeError`` that says who is."""

    @abstractmethod
    def has_driver(self) -> bool:
        """Whether a driver is at work on this cube now."""

    def check(self) -> None:  # noqa: B027 - nothing, where the kernel keeps the lock
        """``CubeError`` if this driver may not be the only one any more."""

    @abstractmethod
    def begin_epoch(self) -> AbstractContextManager[int]:
        """A new run's epoch; on entry the writes of older runs have ended, and no more begin.

        Raises
        ------
        CubeError
            A task of an earlier run still writes after ``WRITE_TIMEOUT_S``.
        """

    @abstractmethod
    def lock_block(self, epoch: int, block: int) -> AbstractContextManager[Storage]:
        """Be the only writer of a block and hold off new runs; yields the cube's storage to write through.

        Raises
        ------
        Fenced
            There is a newer run or another cube.
        """
