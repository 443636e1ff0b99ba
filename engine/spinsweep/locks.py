"""Locks of files that end with the process that holds them, the kernel's or those of a portable library.

On Linux and macOS they are ``flock`` and ``fcntl`` ranges, on the file itself.  Where there is no ``fcntl`` (Windows)
portalocker takes the system's lock.  A file that is locked there cannot be read by others, who want to know whose
lock it is; so another file is locked, of the same name with ``.lock`` behind it.  It stays when the lock ends.  Locks
of the two kinds do not see each other: processes that share files are all on systems with ``fcntl``, or all on
others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spinsweep import system

POLL_S = 0.02
"""Between two attempts to lock a file."""


def _kernel() -> Any:
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


_fcntl = _kernel()
KERNEL = _fcntl is not None
"""Whether locks are the kernel's; else they are portalocker's."""


@contextmanager
def file_locked(handle: int, path: str, *, shared: bool, deadline: float | None, flags: int) -> Iterator[None]:
    """Lock the file ``handle`` that is open under ``path``, until it is closed or the block ends.

    Parameters
    ----------
    shared : beside others that hold it so
    deadline : monotonic time until which to wait for it, s; None: for as long as it takes
    flags : with which it was opened

    Raises
    ------
    BlockingIOError
        It is not free in time.
    """
    if not KERNEL:
        with _other_file_locked(f"{path}.lock", shared=shared, deadline=deadline, flags=flags):
            yield
        return
    kind = _fcntl.LOCK_SH if shared else _fcntl.LOCK_EX
    if deadline is None:
        _fcntl.flock(handle, kind)
    else:
        while not _taken(handle, kind):
            _wait(deadline)
    yield  # the caller closes the handle, which ends the lock


def _taken(handle: int, kind: int) -> bool:
    try:
        _fcntl.flock(handle, kind | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def byte_locked(handle: int, path: str, number: int) -> Iterator[None]:
    """Lock one byte of the file ``handle`` that is open under ``path``; it may lie beyond the end of the file.

    Without the kernel's locks there is one for all bytes.
    """
    if not KERNEL:
        with _other_file_locked(f"{path}.lock", shared=False, deadline=None, flags=os.O_RDWR):
            yield
        return
    _fcntl.lockf(handle, _fcntl.LOCK_EX, 1, number)
    yield


@contextmanager
def _other_file_locked(path: str, *, shared: bool, deadline: float | None, flags: int) -> Iterator[None]:
    """Lock a file that is made for it; who would only read makes none, and finds that there is none."""
    import portalocker

    writes = flags & (os.O_RDWR | os.O_WRONLY)
    kind = portalocker.LockFlags.SHARED if shared else portalocker.LockFlags.EXCLUSIVE
    handle = os.open(
        path, (os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY) | system.NO_LINK | system.BINARY, 0o666
    )
    try:
        while True:
            try:
                portalocker.lock(handle, kind | portalocker.LockFlags.NON_BLOCKING)
                break
            except portalocker.AlreadyLocked:
                _wait(deadline)
        try:
            yield
        finally:
            portalocker.unlock(handle)  # Windows may take its time with the lock of a handle that is closed
    finally:
        os.close(handle)


def _wait(deadline: float | None) -> None:
    """``BlockingIOError`` at the deadline."""
    if deadline is not None and time.monotonic() >= deadline:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    time.sleep(POLL_S)
