"""Files that are whole or not there, what a power cut leaves of them, and locks that end with their process.

``write()`` may take fewer bytes than it is given: on a disk that fills up, beyond a limit on the size of files, and
2147479552 bytes at most on Linux. So a file is written under a temporary name until all of it is there, and only then
renamed.

A rename outlives the process at once, and a power cut only after a sync. The kernel may bring a rename to the disk
before the bytes of the file, and a cut in between leaves an empty file under the right name. ``sync=True`` waits for
the bytes before the rename and for the rename after it; :func:`sync_all` does so once for everything on the disk.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from spinsweep import locks, system

REPLACE_TIMEOUT_S = 2.0
"""That a file which others read on Windows is tried to be replaced."""
SYNCS_ALL = hasattr(os, "sync")
"""Whether everything can be synced at once; else each file is as it is written, which takes longer."""
_PROCESS_TOKEN = uuid.uuid4().hex[:16]
_file_numbers = itertools.count()


def write_whole(path: str, data: bytes, *, sync: bool = False, before: Callable[[], None] | None = None) -> None:
    """Put or replace the file at ``path`` in one step; its folder must be there.

    Parameters
    ----------
    sync
        Return only when the file outlives a power cut.
    before
        Called when all bytes are written, before they are seen under their name, in place of a sync of this file.

    Raises
    ------
    OSError
        Not all of it could be written; ``filename`` says which file, and what was there before is untouched.
    """
    temporary = f"{path}.{_PROCESS_TOKEN}{os.getpid():x}-{next(_file_numbers)}.partial"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.BINARY, 0o666)
        try:
            unwritten = memoryview(data)
            while unwritten:
                unwritten = unwritten[os.write(handle, unwritten) :]
            if os.fstat(handle).st_size != len(data):
                raise OSError(errno.EIO, "the file system kept only a part of it")
            if (sync and before is None) or not SYNCS_ALL:
                os.fsync(handle)
        finally:
            os.close(handle)  # NFS tells of a full disk only here
        if before is not None:
            before()
        _replace(temporary, path)
        if sync:
            sync_folder(os.path.dirname(path))  # noqa: PTH120
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise OSError(error.errno, error.strerror, path) from None


def _replace(new: str, old: str) -> None:
    """Windows refuses for as long as somebody has the old file open."""
    deadline = time.monotonic() + (0.0 if system.POSIX else REPLACE_TIMEOUT_S)
    while True:
        try:
            return os.replace(new, old)  # noqa: PTH105
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(locks.POLL_S)


RENAME_EXCHANGE = 2
"""Flag of Linux's ``renameat2``: two names change places, and both are there at any moment."""
AT_FDCWD = -100


def exchange(new: str, old: str) -> None:
    """Have two folders change their names in one step.

    Where the kernel or the file system cannot do that (macOS, Windows, NFS), ``old`` is moved away first, and for an
    instant there is none.
    """
    libc = _libc()
    if hasattr(libc, "renameat2"):
        if libc.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), RENAME_EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), old)
    aside = f"{new}.old"
    os.rename(old, aside)  # noqa: PTH104
    try:
        os.rename(new, old)  # noqa: PTH104
    except OSError:
        os.rename(aside, old)  # noqa: PTH104
        raise
    os.rename(aside, new)  # noqa: PTH104


def sync_folder(path: str) -> None:
    """Return when the names in a folder outlive a power cut; at once on Windows, which opens no folder.

    NTFS keeps a journal of names: after a power cut there is the folder as it was before or after.
    """
    if not system.POSIX:
        return
    handle = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(handle)


def sync_all(path: str) -> None:
    """Return when everything written so far by this machine to the file system of ``path`` outlives a power cut.

    Raises
    ------
    OSError
        The disk reported an error: some of it may be lost.
    """
    if not SYNCS_ALL:
        return
    call = _syncfs()
    if call is None:
        os.sync()
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        if call(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(handle)


def _libc() -> Any:
    """The C library of this process; Windows has none under this name."""
    return ctypes.CDLL(None, use_errno=True) if system.POSIX else None


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Linux's ``syncfs``, which Python does not offer; it syncs one file system where ``sync`` syncs all."""
    call: Callable[[int], int] | None = getattr(_libc(), "syncfs", None)
    return call


@contextmanager
def file_lock(
    path: Path, *, shared: bool = False, timeout_s: float | None = None, flags: int = os.O_RDWR
) -> Iterator[int]:
    """Hold the kernel's lock of a file, which ends with this process, however that ends; its descriptor.

    Parameters
    ----------
    shared : beside others that hold it so
    timeout_s : how long to wait for it; None: for as long as it takes
    flags : how the file is opened

    Raises
    ------
    BlockingIOError
        It is not free in time.
    """
    handle = os.open(path, flags | system.BINARY, 0o666)
    try:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        unlock = locks.lock_file(handle, path, shared=shared, deadline=deadline, flags=flags)
        try:
            yield handle
        finally:
            unlock()
    finally:
        os.close(handle)


@cache
def machine_id() -> str:
    """Names this machine since its last start: what its kernel holds in memory is lost with it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()
