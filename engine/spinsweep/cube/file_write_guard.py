"""The fence on a file system, of the kernel's locks: ``flock``, and ``fcntl`` ranges for blocks.

They end with the process that holds them. A task holds a shared lock while it checks its epoch and writes; a new run
takes the exclusive one to announce itself. The locks' files carry the cube's identity and are made with the cube:
where another cube stands at the path now, they are missing.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spinsweep.cube.write_guard import LOCK_TIMEOUT_S, WriteGuard
from spinsweep.errors import CubeError, Fenced

if TYPE_CHECKING:
    from spinsweep.cube.storage import Storage

DRIVER_LOCK_TIMEOUT_S = 2.0  # seconds that a new driver waits for another, or for a look at who drives, to end

_one_at_a_time = threading.Lock()  # threads of one process share its fcntl locks


class FileWriteGuard(WriteGuard):
    """The locks of a cube, as files in ``folder``."""

    def __init__(self, place: Storage, folder: Path, cube_id: str) -> None:
        super().__init__(place, cube_id)
        self._fence, self._blocks, self._driver = (folder / f".{n}-{cube_id}" for n in ("fence", "blocks", "driver"))

    def prepare(self) -> None:
        for file in (self._fence, self._blocks, self._driver):
            if not file.exists():
                file.touch()

    @contextmanager
    def lock_block(self, epoch: int, block: int) -> Iterator[Storage]:
        try:
            with _locked(self._fence, fcntl.LOCK_SH), _one_at_a_time, self._block(block):
                if self.place.exists(f"runs/{epoch + 1:06d}"):
                    raise Fenced(f"{self.place}: a newer run than {epoch} owns this cube; nothing was written")
                yield self.place
        except FileNotFoundError as error:
            if error.filename in map(str, (self._fence, self._blocks)):
                raise Fenced(f"{self.place} was removed or replaced while this run went on") from None
            raise

    @contextmanager
    def _block(self, number: int) -> Iterator[None]:
        handle = os.open(self._blocks, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX, 1, number)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def begin_epoch(self) -> Iterator[int]:
        with _locked_within(self._fence, fcntl.LOCK_EX, LOCK_TIMEOUT_S) as handle:
            if handle is None:
                raise CubeError(f"{self.place}: a task of an earlier run still writes after {LOCK_TIMEOUT_S:.0f} s")
            yield self.newest() + 1

    def has_driver(self) -> bool:
        try:
            with _locked(self._driver, fcntl.LOCK_SH | fcntl.LOCK_NB, os.O_RDONLY):
                return False
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False

    def check(self) -> None:
        """Nothing: the kernel takes no lock away."""

    @contextmanager
    def hold_driver_lock(self) -> Iterator[None]:
        with _locked_within(self._driver, fcntl.LOCK_EX, DRIVER_LOCK_TIMEOUT_S) as handle:
            if handle is None:
                owner = self._driver.read_text() or "another process"
                raise CubeError(
                    f"{self.place} is being written by {owner}; wait for it to end, or take another --store"
                )
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {os.uname().nodename}".encode())
            yield


@contextmanager
def _locked(path: Path, how: int, mode: int = os.O_RDWR) -> Iterator[int]:
    handle = os.open(path, mode | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _locked_within(path: Path, how: int, seconds: float) -> Iterator[int | None]:
    """The lock, or None if it is not free within ``seconds``."""
    deadline = time.monotonic() + seconds
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(handle, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield None
                    return
                time.sleep(0.02)
        yield handle
    finally:
        os.close(handle)
