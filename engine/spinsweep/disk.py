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
import fcntl
import itertools
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

POLL_S = 0.02
"""Between two attempts to lock a file."""
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
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            unwritten = memoryview(data)
            while unwritten:
                unwritten = unwritten[os.write(handle, unwritten) :]
            if os.fstat(handle).st_size != len(data):
                raise OSError(errno.EIO, "the file system kept only a part of it")
            if sync and before is None:
                os.fsync(handle)
        finally:
            os.close(handle)  # NFS tells of a full disk only here
        if before is not None:
            before()
        os.replace(temporary, path)  # noqa: PTH105
        if sync:
            sync_folder(os.path.dirname(path))  # noqa: PTH120
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise OSError(error.errno, error.strerror, path) from None


RENAME_EXCHANGE = 2
"""Flag of Linux's ``renameat2``: two names change places, and both are there at any moment."""
AT_FDCWD = -100


def exchange(new: str, old: str) -> None:
    """Have two folders change their names in one step.

    Where the kernel or the file system cannot do that (macOS, NFS), ``old`` is moved away first, and for an instant
    there is none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
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
    """Return when the names in a folder outlive a power cut."""
    handle = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
    call = _syncfs()
    if call is None:
        os.sync()
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if call(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(handle)


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Linux's ``syncfs``, which Python does not offer; it syncs one file system where ``sync`` syncs all."""
    call: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
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
    flags : how the file is opened, beside ``O_CLOEXEC``

    Raises
    ------
    BlockingIOError
        It is not free in time.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    handle = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        if timeout_s is None:
            fcntl.flock(handle, kind)
        else:
            _lock_before(time.monotonic() + timeout_s, handle, kind)
        yield handle
    finally:
        os.close(handle)


def _lock_before(deadline: float, handle: int, kind: int) -> None:
    while True:
        try:
            return fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_S)


@cache
def machine_id() -> str:
    """Names this machine since its last start: what its kernel holds in memory is lost with it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()
