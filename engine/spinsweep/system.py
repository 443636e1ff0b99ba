"""What differs between systems: signals and their mask, sessions, users, and what files can do.

What Windows lacks is called from here and from :mod:`spinsweep.locks` alone, or where ``POSIX`` was asked.  Windows
has no hang-up (a console that closes sends ``SIGBREAK``), no mask of signals, no session, no number of a user, and
its files are text unless they are opened as binary.
"""

from __future__ import annotations

import getpass
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

POSIX = hasattr(signal, "pthread_sigmask") and hasattr(os, "geteuid")
"""Whether signals, sessions and owners of files are those of POSIX."""

_HANG_UP: Any = [getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)]
END_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM, *_HANG_UP)
"""What tells a process to end."""
TERMINAL_SIGNALS: frozenset[signal.Signals] = frozenset((signal.SIGINT, *_HANG_UP))
"""What a terminal sends to every process that it runs in the foreground."""
KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Ends a process that cannot refuse; on Windows ``SIGTERM`` does, for ``os.kill`` terminates the process with it."""
OWN_SESSION: Mapping[str, Any] = (
    {"start_new_session": True} if POSIX else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
)
"""Arguments of ``subprocess.Popen`` for a process that hears nothing of this one's terminal."""

BINARY: int = getattr(os, "O_BINARY", 0)
"""Flag of ``os.open``: no byte is changed.  (No program inherits what ``os.open`` opens, on any system.)"""
NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)
"""Flags of ``os.open``: a link is refused; a pipe in place of a file is not waited for."""


def mask(signals: Iterable[signal.Signals]) -> set[int | signal.Signals] | None:
    """Hold signals back from this thread; what was held back before. None where no signal can be."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, signals) if POSIX else None


def unmask(before: set[int | signal.Signals] | None) -> None:
    """Hold back what was held back before :func:`mask`."""
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def masked(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """Signals wait until the block has ended; processes and threads started inside never see them."""
    before = mask(signals)
    try:
        yield
    finally:
        unmask(before)


def send(process: int, number: int) -> None:
    """Send a signal to a process.

    Raises
    ------
    ProcessLookupError
        There is none.
    PermissionError
        It is another user's.
    """
    try:
        os.kill(process, number)
    except OSError as error:
        if getattr(error, "winerror", None) == _NO_SUCH_PROCESS:
            raise ProcessLookupError(*error.args) from None
        raise


_NO_SUCH_PROCESS = 87  # Windows: ERROR_INVALID_PARAMETER, of OpenProcess


def tell_to_end(process: subprocess.Popen[bytes]) -> None:
    """Tell a child of :data:`OWN_SESSION` to end, which it hears as one of :data:`END_SIGNALS`."""
    request = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)  # Windows would end it at once with SIGTERM
    process.send_signal(request)


def host_name() -> str:
    """This machine's name in its network."""
    return os.uname().nodename if hasattr(os, "uname") else platform.node()


def user_id() -> int:
    """The number of the user this process acts for, as files name their owners: 0 of all on Windows."""
    return os.geteuid() if POSIX else 0


def user_name(number: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"user {number}"


def current_user() -> str:
    """The name of the user of this process, or its number where it has none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return str(user_id())


def time_since_boot() -> float:
    """A clock that nobody sets and, on Linux and Windows, goes on while the machine is suspended, s."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def data_sync(handle: int) -> None:
    """Return when a file's bytes and its size outlive a power cut; its times need not."""
    getattr(os, "fdatasync", os.fsync)(handle)


def read_at(handle: int, size: int, offset: int) -> bytes:
    """Read at a place of a file, from any thread."""
    if hasattr(os, "pread"):
        return os.pread(handle, size, offset)
    with _placing:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, size)


def write_at(handle: int, data: bytes, offset: int) -> int:
    """Write at a place of a file, from any thread; how many bytes it took."""
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, data, offset)
    with _placing:
        os.lseek(handle, offset, os.SEEK_SET)
        return os.write(handle, data)


_placing = threading.Lock()  # the place of a handle moves where it cannot be given
