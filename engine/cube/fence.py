"""Who may write: one driver a cube, no task of an older run, and one task a block at a time.

Every run has an epoch, a number that only grows. A task holds a shared lock while it checks that its epoch is
still the newest and writes; a new run takes the exclusive lock to announce its epoch. So a task that was left
behind by a killed driver either has written before the new run looks at the cube, or is refused. The lock's file
carries the cube's identity and is made with the cube: where another cube stands at the path now, it is missing.

Dask may run a block twice at a time, when it takes a busy worker for dead. A lock of the block keeps the writes of
the two apart.

Locks are the kernel's (``flock``, and ``fcntl`` ranges for blocks): they end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import CubeError, Fenced

PATIENCE = 60.0  # seconds that a new run waits for the writes of an older one to end
DRIVER_PATIENCE = 2.0  # seconds that a new driver waits for another, or for a look at who drives, to end

_one_at_a_time = threading.Lock()  # threads of one process share its fcntl locks


class Fence:
    """The locks of the cube at ``path``; they lie in the state array's folder, where zarr looks for nothing."""

    def __init__(self, path: Path, cube_id: str) -> None:
        self.path = path
        folder = path / "cell_state"
        self._fence, self._blocks, self._driver = (folder / f".{n}-{cube_id}" for n in ("fence", "blocks", "driver"))

    @property
    def files(self) -> tuple[Path, ...]:
        """The locks' files, to be made with the cube."""
        return (self._fence, self._blocks, self._driver)

    def newest(self) -> int:
        """The newest run's epoch, 0 before the first."""
        names = [p.name for p in (self.path / "runs").iterdir()] if (self.path / "runs").is_dir() else []
        return max((int(n) for n in names if n.isdigit()), default=0)

    def run_path(self, epoch: int) -> Path:
        """The group that records the run of that epoch."""
        return self.path / "runs" / f"{epoch:06d}"

    @contextmanager
    def writing(self, epoch: int, block: int) -> Iterator[None]:
        """Be the only writer of a block and hold off new runs; ``Fenced`` if there is a newer run or another cube."""
        try:
            with _locked(self._fence, fcntl.LOCK_SH), _one_at_a_time, self._block(block):
                if self.run_path(epoch + 1).exists():
                    raise Fenced(f"{self.path}: a newer run than {epoch} owns this cube; nothing was written")
                yield
        except FileNotFoundError as error:
            if error.filename in map(str, self.files):
                raise Fenced(f"{self.path} was removed or replaced while this run went on") from None
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
    def announcing(self) -> Iterator[None]:
        """Wait for running writes to end and keep others from beginning."""
        with _patiently(self._fence, fcntl.LOCK_EX, PATIENCE) as handle:
            if handle is None:
                raise CubeError(f"{self.path}: a task of an earlier run still writes after {PATIENCE:.0f} s")
            yield

    def driven(self) -> bool:
        """Whether a driver is at work on this cube now."""
        try:
            with _locked(self._driver, fcntl.LOCK_SH | fcntl.LOCK_NB, os.O_RDONLY):
                return False
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Be the only driver of this cube, or ``CubeError`` that says who is."""
        with _patiently(self._driver, fcntl.LOCK_EX, DRIVER_PATIENCE) as handle:
            if handle is None:
                owner = self._driver.read_text() or "another process"
                raise CubeError(
                    f"{self.path} is being written by {owner}; wait for it to end, or take another --store"
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
def _patiently(path: Path, how: int, seconds: float) -> Iterator[int | None]:
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
