"""The machine's lock of one name: an instrument's address or its serial number.

On Linux it is a name in the machine's abstract namespace of sockets.  There is no file that somebody could remove or
replace, and the kernel says who holds it.  What it cannot do: any user may take the name of a free address, and the
kernel then says who it is; and programs in another network namespace have names of their own.

Elsewhere (Windows, macOS) it is a locked file in a folder of the machine, and weaker: whoever may write there can
remove or replace the file, who holds it is what its holder wrote, and the file of one user is refused to others.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from spinsweep.bench.errors import LeaseError
from spinsweep.disk import file_lock, machine_id
from spinsweep.system import NO_LINK, current_user, user_name

SOCKETS = hasattr(socket, "AF_UNIX") and hasattr(socket, "SO_PEERCRED")
"""Whether the kernel has abstract names, and tells who holds one: Linux."""
ASKING_S = 0.2
"""For which a file is tried: somebody who only asks who holds it has it for an instant."""


class AddressTaken(LeaseError):
    """Another process holds the address that is the message."""


class Holder(NamedTuple):
    """Who holds a lock."""

    process: int
    user: str


class SocketLock:
    """An abstract name, held until :meth:`close` or the end of this process."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # no program that is started inherits it
        try:
            self._socket.bind(_name(address))
            self._socket.listen(socket.SOMAXCONN)  # each who asks takes a slot until it is answered
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise LeaseError(f"{address} cannot be locked ({error.strerror})") from None
            raise AddressTaken(address) from None
        self._socket.setblocking(False)

    def answer(self) -> None:
        """Close the connections of those who asked for the holder: the kernel has answered them."""
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


class FileLock:
    """A locked file, held likewise."""

    def __init__(self, address: str) -> None:
        self._stack = ExitStack()
        path = _file(address)
        try:
            _make_shared(path.parent)
            lock = file_lock(path, timeout_s=ASKING_S, flags=os.O_RDWR | os.O_CREAT | NO_LINK)
            handle = self._stack.enter_context(lock)
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(Holder(os.getpid(), current_user())).encode())
        except BlockingIOError:
            raise AddressTaken(address) from None
        except OSError as error:
            self._stack.close()
            raise LeaseError(
                f"{address} cannot be locked ({error.strerror}): {path} must be a file of yours; "
                "remove it when no lane runs"
            ) from None

    def answer(self) -> None:
        """Nothing: the file says it."""

    def close(self) -> None:
        """Give it back."""
        self._stack.close()


AddressLock = SocketLock | FileLock


def hold(address: str) -> AddressLock:
    """Take the machine's lock of an address.

    Raises
    ------
    AddressTaken
        Another process holds it.
    LeaseError
        It cannot be locked.
    """
    return SocketLock(address) if SOCKETS else FileLock(address)


def holder(address: str) -> Holder | None:
    """Who holds an address on this machine; None: it is not known, or it is nobody.

    Raises
    ------
    ConnectionRefusedError
        Nobody holds it, or only since a moment.
    """
    return _socket_holder(address) if SOCKETS else _file_holder(address)


def owner(address: str) -> str:
    """Who holds an address on this machine now, in words; empty if nobody does."""
    try:
        other = holder(address)
    except ConnectionRefusedError:
        return ""
    return "another process" if other is None else f"process {other.process} of user {other.user}"


def scope() -> str:
    """Names the processes that see each other's locks: of one machine, and on Linux of one network namespace."""
    try:
        network = str(Path("/proc/self/ns/net").readlink())
    except OSError:
        network = ""
    return " ".join([machine_id(), network, os.environ.get("SPINSWEEP_LOCKS", "")])


def _digest(address: str) -> str:
    apart = os.environ.get("SPINSWEEP_LOCKS", "")  # lanes with other words here are as on another machine
    return hashlib.sha256(json.dumps([apart, address]).encode()).hexdigest()


def _name(address: str) -> bytes:
    """The abstract name of an address: it belongs to no file, so that nobody can remove it while it is held."""
    return b"\0spinsweep-" + _digest(address).encode()


def _file(address: str) -> Path:
    """The file of an address, where neither the user nor the folder of temporary files changes it."""
    return Path(os.environ.get("PROGRAMDATA") or "/var/tmp") / "spinsweep-locks" / f"{_digest(address)}.json"


def _make_shared(folder: Path) -> None:
    """Make a folder in which every user can make files of their own."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)


def _socket_holder(address: str) -> Holder | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(_name(address))
        except BlockingIOError:  # others ask, and it answers nobody
            return None
        process, number, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Holder(process, user_name(number)) if process else None  # 0: of another namespace


def _file_holder(address: str) -> Holder | None:
    path = _file(address)
    try:
        with file_lock(path, shared=True, timeout_s=0, flags=os.O_RDONLY):
            raise ConnectionRefusedError
    except FileNotFoundError:
        raise ConnectionRefusedError from None
    except BlockingIOError:
        time.sleep(ASKING_S / 4)  # a new holder writes itself down as soon as it has the lock
    try:
        process, user = json.loads(path.read_bytes())
        return Holder(int(process), str(user))
    except (OSError, ValueError, TypeError):
        return None
