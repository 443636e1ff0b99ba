"""The right to own a bench: an operating-system lock on every address, and an epoch that only grows.

The lock is the kernel's and ends with the process that holds it.  Its file is named by the address alone, so that
two bench files with a common instrument exclude each other.  The epoch stands in the bench's folder; whoever takes
the lease, or makes the bench safe for a dead owner, raises it, and an owner with an older one may do nothing more.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from engine.errors import LeaseError
from engine.instruments.bench import Bench

_DIGITS = 20


class Lease:
    """The lease of a bench; :meth:`take` it, then :meth:`check` before each command."""

    def __init__(self, bench: Bench, role: str = "a lane,") -> None:
        self.bench = bench
        self.role = role
        self.epoch = 0
        self.valid_until = float("inf")
        """Monotonic time at which the lease ends unless it is renewed, s."""
        self.lost = ""
        """Why the lease is no longer ours."""
        self.cut_off = threading.Event()
        """Whoever renews it does not answer: nothing new is begun until it does."""
        self._stack = ExitStack()
        self._epoch_file = -1

    def take(self, patience: float = 0.0) -> Lease:
        """Own every address of the bench, or ``LeaseError`` that says who does, after ``patience`` s."""
        deadline = time.monotonic() + patience
        while True:
            try:
                for address in sorted(i.address for i in self.bench.instruments.values()):
                    self._lock(address, lock_path(address))
                self.bench.folder.mkdir(parents=True, exist_ok=True)
                self._lock(f"folder {self.bench.folder}", self.bench.folder / "lock")
                self.raise_epoch()
            except LeaseError:
                self.release()
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
            except BaseException:
                self.release()
                raise
            else:
                return self

    def raise_epoch(self) -> None:
        """Take the next epoch; the lock is held."""
        if self._epoch_file < 0:
            self._epoch_file = os.open(self.bench.folder / "epoch", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._stack.callback(self._close_epoch)
        self.epoch = self._newest() + 1
        os.pwrite(self._epoch_file, f"{self.epoch:0{_DIGITS}d}\n".encode(), 0)
        os.fsync(self._epoch_file)

    def check(self) -> None:
        """``LeaseError`` if the bench is no longer ours."""
        if not self.lost:
            if self._epoch_file < 0:
                self.lost = "the lease was given back"
            elif self._newest() != self.epoch:
                self.lost = f"lane {self._newest()} has taken over"
            elif time.monotonic() >= self.valid_until:
                self.lost = "the lease was not renewed in time"
        if self.lost:
            raise LeaseError(f"bench {self.bench.name} is no longer owned by lane {self.epoch}: {self.lost}")

    def release(self) -> None:
        """Give the bench back."""
        self._stack.close()

    def _newest(self) -> int:
        found = os.pread(self._epoch_file, _DIGITS, 0)
        try:
            if not found and (self.bench.folder / "journal").exists():
                raise ValueError
            return int(found or b"0")
        except ValueError:
            raise LeaseError(
                f"{self.bench.folder / 'epoch'} is damaged; write a number into it that is larger than any epoch in "
                "the journals beside it"
            ) from None

    def _close_epoch(self) -> None:
        os.close(self._epoch_file)
        self._epoch_file = -1

    def _lock(self, what: str, path: Path) -> None:
        while True:
            handle = _opened(path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = _owner(os.pread(handle, 4096, 0))
                os.close(handle)
                raise LeaseError(
                    f"bench {self.bench.name} ({what}) is owned by {owner}; only one lane can own it: "
                    "wait for it to end, or send the work to its scheduler"
                ) from None
            if _same(handle, path):
                break
            os.close(handle)  # it was removed between the two steps
        self._stack.callback(os.close, handle)
        os.ftruncate(handle, 0)
        who = {"role": self.role, "process": os.getpid(), "host": os.uname().nodename, "time": time.time()}
        os.pwrite(handle, json.dumps(who).encode(), 0)


def _opened(path: Path) -> int:
    """The lock's file, which all users may lock."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        with suppress(PermissionError):
            os.fchmod(handle, 0o666)
        return handle
    except PermissionError:
        raise LeaseError(f"{path} cannot be opened: another user owns it; make it writable for all") from None


def lock_path(resource: str) -> Path:
    """The lock's file of a VISA address, common to all users of this machine."""
    given = os.environ.get("SPINSWEEP_LOCKS")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / "spinsweep-locks"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)
    name = hashlib.sha256(resource.encode()).hexdigest()[:24]
    return folder / f"{name}.lock"


def owner(resource: str) -> str:
    """Who holds an address now, in words; empty if nobody does."""
    try:
        handle = os.open(lock_path(resource), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner(os.pread(handle, 4096, 0))
    finally:
        os.close(handle)
    return ""


def _owner(content: bytes) -> str:
    try:
        who = json.loads(content)
        since = time.strftime("%H:%M:%S", time.localtime(who["time"]))
        return f"{who['role']} process {who['process']} on {who['host']} since {since}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
