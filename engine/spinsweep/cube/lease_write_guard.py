"""The write guard on object storage, of leases.

A task takes the lease of its block, then looks for newer epochs, then writes; a new run creates its epoch's object,
then waits for the blocks whose leases are held. So a task is waited for, or sees the new epoch and is refused, as on
a file system.

What is weaker: a lease of a dead process ends only ``LEASE_TTL_S`` later, so the same command waits that long
after a kill; and a request that the storage carries out long after it was sent (:mod:`spinsweep.cube.lease`) cannot
be called back. If it was a block's, the cells in it are the same numbers that the new run computes, for cells are
functions of their coordinates; it does harm only if the block meanwhile got other cells by growth or a retry,
or was marked stale.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from spinsweep.cube.lease import HEARTBEAT_S, LEASE_TTL_S, Lease, wait_until_expired
from spinsweep.cube.storage import ObjectStorage
from spinsweep.cube.write_guard import WRITE_TIMEOUT_S, WriteGuard
from spinsweep.errors import CubeError, Fenced

EPOCH, BLOCK = "epoch-", "block-"


class LeaseWriteGuard(WriteGuard):
    """The leases of a cube on object storage."""

    storage: ObjectStorage

    def __init__(self, storage: ObjectStorage, cube_id: str) -> None:
        super().__init__(storage, cube_id)
        self._shared = storage / f"cell_state/.writing-{cube_id}"
        self._driver = driver_lease(storage)

    def newest_epoch(self) -> int:
        return max(super().newest_epoch(), *_epochs(self._shared.names("")), 0)

    @contextmanager
    def hold_driver_lock(self) -> Iterator[None]:
        with hold_driver_lock(self.storage, self._driver):
            yield

    def has_driver(self) -> bool:
        return self._driver.alive()

    def check(self) -> None:
        self._driver.check()

    @contextmanager
    def begin_epoch(self) -> Iterator[int]:
        self.check()
        epoch = self.newest_epoch() + 1
        if not self._shared.create(f"{EPOCH}{epoch:06d}", uuid.uuid4().bytes):
            raise Fenced(f"{self.storage}: another run has announced itself")
        blocks = [n for n in self._shared.names("") if n.startswith(BLOCK)]
        if not wait_until_expired(self._shared, blocks, WRITE_TIMEOUT_S):
            raise CubeError(f"{self.storage}: a task of an earlier run still writes after {WRITE_TIMEOUT_S:.0f} s")
        yield epoch

    @contextmanager
    def lock_block(self, epoch: int, block: int) -> Iterator[ObjectStorage]:
        lease = Lease(self._shared, f"{BLOCK}{block}")
        with lease.held(WRITE_TIMEOUT_S, wait_for_living=True) as ours:
            if not ours:
                raise CubeError(
                    f"{self.storage}: another copy of block {block} still writes after {WRITE_TIMEOUT_S:.0f} s"
                )
            epochs = _epochs(lease.siblings)
            if epoch not in epochs:
                raise Fenced(f"{self.storage} was removed or replaced while this run went on")
            if max(epochs) > epoch:
                raise Fenced(f"{self.storage}: a newer run than {epoch} owns this cube; nothing was written")
            yield self.storage.checked(lease.check)


def driver_lease(storage: ObjectStorage) -> Lease:
    """The right to make, or to drive, the cube in a storage; not a part of the cube, which need not be there yet."""
    return Lease(storage / "cell_state/.driver", "driver")


@contextmanager
def hold_driver_lock(storage: ObjectStorage, lease: Lease) -> Iterator[None]:
    """Hold a driver's lease, or ``CubeError`` that says who does, or that the storage cannot keep two apart."""
    with lease.held(LEASE_TTL_S + 2 * HEARTBEAT_S, wait_for_living=False) as ours:
        if not ours:
            raise CubeError(
                f"{storage} is being written by {lease.owner() or 'another process'}; "
                "wait for it to end, or take another --store"
            )
        lease.verify_create_if_absent()
        yield


def _epochs(names: list[str]) -> list[int]:
    return [int(name.removeprefix(EPOCH)) for name in names if name.startswith(EPOCH)]
