"""Who may write: one driver a cube, and no task of an older run.

Every run has an epoch, a number that only grows. A task holds a shared lock while it checks that its epoch is
still the newest and writes; a new run takes the exclusive lock to announce its epoch. So a task that was left
behind by a killed driver either has written before the new run looks at the cube, or is refused. Locks are the
kernel's (``flock``): they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import CubeError, Fenced

PATIENCE = 60.0  # seconds that a new run waits for the writes of an older one to end


class Fence:
    """The locks of the cube at ``path``; they lie in the state array's folder, where zarr looks for nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fence = path / "cell_state" / ".fence"
        self._driver = path / "cell_state" / ".driver"

    def newest(self) -> int:
        """The newest run's epoch, 0 before the first."""
        names = [p.name for p in (self.path / "runs").iterdir()] if (self.path / "runs").is_dir() else []
        return max((int(n) for n in names if n.isdigit()), default=0)

    def run_path(self, epoch: int) -> Path:
        """The group that records the run of that epoch."""
        return self.path / "runs" / f"{epoch:06d}"

    @contextmanager
    def writing(self, epoch: int) -> Iterator[None]:
        """Hold off new runs while a task of ``epoch`` writes; ``Fenced`` if there is a newer run."""
        with _locked(self._fence, fcntl.LOCK_SH):
            if (self.run_path(epoch + 1)).exists():
                raise Fenced(f"{self.path}: a newer run than {epoch} owns this cube; nothing was written")
            yield

    @contextmanager
    def announcing(self) -> Iterator[None]:
        """Wait for running writes to end and keep others from beginning."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with _locked(self._fence, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    yield
                    return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CubeError(
                        f"{self.path}: a task of an earlier run still writes after {PATIENCE:.0f} s"
                    ) from None
                time.sleep(0.02)

    def driven(self) -> bool:
        """Whether a driver is at work on this cube now."""
        if not self._driver.exists():
            return False
        try:
            with _locked(self._driver, fcntl.LOCK_SH | fcntl.LOCK_NB):
                return False
        except BlockingIOError:
            return True

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Be the only driver of this cube, or ``CubeError`` that says who is."""
        try:
            with _locked(self._driver, fcntl.LOCK_EX | fcntl.LOCK_NB) as handle:
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {os.uname().nodename}".encode())
                yield
        except BlockingIOError:
            owner = self._driver.read_text() or "another process"
            raise CubeError(
                f"{self.path} is being written by {owner}; wait for it to end, or take another --store"
            ) from None


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, how)
        yield handle
    finally:
        os.close(handle)
