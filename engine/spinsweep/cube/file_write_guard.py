"""The write guard on a file system, of the system's locks: of whole files, and of one byte for each block.

They end with the process that holds them. A task holds a shared lock while it checks its epoch and writes; a new run
takes the exclusive one to announce itself. The locks' files carry the cube's identity and are made with the cube:
where another cube stands at the path now, they are missing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from spinsweep import locks, system
from spinsweep.cube.storage import Storage
from spinsweep.cube.write_guard import WRITE_TIMEOUT_S, WriteGuard
from spinsweep.disk import file_lock
from spinsweep.errors import CubeError, Fenced
from spinsweep.process import this_process

DRIVER_LOCK_TIMEOUT_S = 2.0
"""How long a new driver waits for another, or for a look at who drives, to end."""


class FileWriteGuard(WriteGuard):
    """The locks of a cube, as files in ``folder``."""

    _one_block: ClassVar = threading.Lock()
    """Threads of one process share its locks of bytes, and would not keep each other out."""

    def __init__(self, storage: Storage, folder: Path, cube_id: str) -> None:
        super().__init__(storage, cube_id)
        self._fence, self._blocks, self._driver = (folder / f".{n}-{cube_id}" for n in ("fence", "blocks", "driver"))

    def prepare(self) -> None:
        for file in (self._fence, self._blocks, self._driver):
            if not file.exists():
                file.touch()

    @contextmanager
    def lock_block(self, epoch: int, block: int) -> Iterator[Storage]:
        try:
            with file_lock(self._fence, shared=True), self._one_block, self._lock_byte(block):
                if self.storage.exists(f"runs/{epoch + 1:06d}"):
                    raise Fenced(f"{self.storage}: a newer run than {epoch} owns this cube; nothing was written")
                yield self.storage
        except FileNotFoundError as error:
            if error.filename in map(str, (self._fence, self._blocks)):
                raise Fenced(f"{self.storage} was removed or replaced while this run went on") from None
            raise

    @contextmanager
    def _lock_byte(self, number: int) -> Iterator[None]:
        """Lock one byte of the blocks' file, which may lie beyond its end."""
        handle = os.open(self._blocks, os.O_RDWR | system.BINARY)
        try:
            unlock = locks.lock_byte(handle, self._blocks, number)
            try:
                yield
            finally:
                unlock()
        finally:
            os.close(handle)

    @contextmanager
    def begin_epoch(self) -> Iterator[int]:
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self._fence, timeout_s=WRITE_TIMEOUT_S))
            except BlockingIOError:
                raise CubeError(
                    f"{self.storage}: a task of an earlier run still writes after {WRITE_TIMEOUT_S:.0f} s"
                ) from None
            yield self.newest_epoch() + 1

    def has_driver(self) -> bool:
        try:
            with file_lock(self._driver, shared=True, timeout_s=0, flags=os.O_RDONLY):
                return False
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False

    @contextmanager
    def hold_driver_lock(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                handle = stack.enter_context(file_lock(self._driver, timeout_s=DRIVER_LOCK_TIMEOUT_S))
            except BlockingIOError:
                owner = self._driver.read_text() or "another process"
                raise CubeError(
                    f"{self.storage} is being written by {owner}; wait for it to end, or take another --store"
                ) from None
            os.ftruncate(handle, 0)
            os.write(handle, this_process().encode())
            yield
