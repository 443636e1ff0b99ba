"""Locks of files that end with the process that holds them, the kernel's or those of a portable library.

On Linux and macOS they are ``flock`` and ``fcntl`` ranges, on the file itself.  Where there is no ``fcntl`` (Windows)
portalocker takes the system's lock.  A file that is locked there cannot be read by others, who want to know whose
lock it is; so another file is locked, of the same name with ``.lock`` behind it.  It stays when the lock ends.  Locks
of the two kinds do not see each other: processes that share files are all on systems with ``fcntl``, or all on
others.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
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


def lock_file(
    handle: int, path: str | Path, *, shared: bool, deadline: float | None, flags: int
) -> Callable[[], object]:
    """Lock the file ``handle`` that is open under ``path``; call the result before the handle is closed.

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
        return _lock_other_file(f"{path}.lock", shared=shared, deadline=deadline, flags=flags)
    kind = _fcntl.LOCK_SH if shared else _fcntl.LOCK_EX
    if deadline is None:
        _fcntl.flock(handle, kind)
    else:
        while not _taken(handle, kind):
            _wait(deadline)
    return _closing_is_enough


def lock_byte(handle: int, path: str | Path, number: int) -> Callable[[], object]:
    """Lock one byte of the file ``handle`` that is open under ``path``, likewise; it may lie beyond the file's end.

    Without the kernel's locks there is one for all bytes.
    """
    if not KERNEL:
        return _lock_other_file(f"{path}.lock", shared=False, deadline=None, flags=os.O_RDWR)
    _fcntl.lockf(handle, _fcntl.LOCK_EX, 1, number)
    return _closing_is_enough


def _closing_is_enough() -> None:
    """The kernel's lock ends as its file is closed."""


def _taken(handle: int, kind: int) -> bool:
    try:
        _fcntl.flock(handle, kind | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_other_file(path: str, *, shared: bool, deadline: float | None, flags: int) -> Callable[[], object]:
    """Lock a file that is made for it; who would only read makes none, and finds that there is none."""
    import portalocker

    writes = flags & (os.O_RDWR | os.O_WRONLY)
    opening = os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY
    kind = portalocker.LockFlags.SHARED if shared else portalocker.LockFlags.EXCLUSIVE
    with ExitStack() as stack:
        handle = os.open(path, opening | system.NO_LINK | system.BINARY, 0o666)
        stack.callback(os.close, handle)
        while True:
            try:
                portalocker.lock(handle, kind | portalocker.LockFlags.NON_BLOCKING)
                break
            except portalocker.AlreadyLocked:
                _wait(deadline)
        stack.callback(portalocker.unlock, handle)  # Windows may take its time with the lock of a closed file
        return stack.pop_all().close


def _wait(deadline: float | None) -> None:
    """``BlockingIOError`` at the deadline."""
    if deadline is not None and time.monotonic() >= deadline:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    time.sleep(POLL_S)
