"""What of a run outlives a power cut, without a task that waits for a disk.

A sync costs milliseconds, a block's files tenths of one. So the driver syncs the whole file system about once a
second (``syncfs``) for all blocks at a time. Tasks that are made between two syncs are one *batch*; a batch is
durable when all of its receipts had come before a sync began. ``cell_state/.durable/N`` holds the newest batch up to
which all are.

After a run that did not end by itself, the blocks of later batches are checked by their digests before they count as
done (:mod:`spinsweep.cube.recovery`).
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from spinsweep.cube.storage import Storage
from spinsweep.cube.task import Task
from spinsweep.errors import CubeError
from spinsweep.ledger import Receipt

SYNC_INTERVAL_S = 1.0
FOLDER = "cell_state/.durable"


class Durable:
    """The batches of the run of an epoch into a cube."""

    def __init__(self, storage: Storage, epoch: int) -> None:
        self._storage = storage
        self._epoch = epoch
        self._lock = threading.Lock()
        self._batch = 1
        self._unended: Counter[int] = Counter()
        """Cells by batch whose receipts are still to come."""
        self._marked = 0
        self._ended = threading.Event()
        self._error = ""

    def count_task(self, task: Task) -> int:
        """Count a new task; returns the batch that it belongs to."""
        with self._lock:
            self._unended[self._batch] += task.cells
            return self._batch

    def count_receipt(self, receipt: Receipt) -> None:
        """Count a receipt.

        Raises
        ------
        CubeError
            The disk reported an error on a sync.
        """
        if self._error:
            raise CubeError(self._error)
        with self._lock:
            self._unended[receipt.batch] -= receipt.done + receipt.failed
            if self._unended[receipt.batch] <= 0:
                del self._unended[receipt.batch]

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Sync about once a second; the commit that ends the run syncs what is left."""
        thread = threading.Thread(target=self._sync_repeatedly, name="sync", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if self._error:
            raise CubeError(self._error)

    def _sync_repeatedly(self) -> None:
        try:
            while not self._ended.wait(SYNC_INTERVAL_S):
                self.sync()
        except (OSError, CubeError) as error:
            self._error = f"{self._storage}: the disk did not take what was written: {error}"

    def sync(self) -> None:
        """Make what has been written durable, and say up to which batch that is all."""
        with self._lock:
            complete = min(self._unended, default=self._batch + 1) - 1
            self._batch += 1
        if complete > self._marked:
            self._storage.sync()
            self._storage.write(f"{FOLDER}/{self._epoch:06d}", json.dumps({"batch": complete}).encode())
            self._marked = complete


def durable_batch(storage: Storage, epoch: int) -> int:
    """The newest batch of a run up to which all is durable; 0 where nothing is known."""
    try:
        return int(json.loads(storage.read(f"{FOLDER}/{epoch:06d}") or b"")["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
