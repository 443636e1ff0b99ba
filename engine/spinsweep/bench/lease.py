"""The right to own a bench: an operating-system lock on every address, and an epoch that only grows.

The lock of an address ends with the process that holds it, and is made of the address or of the serial number alone
(:mod:`spinsweep.bench.address_lock`), so that two bench files with a common instrument exclude each other, whoever
uses them and however they spell it.  A second lock, on a file in the bench's folder, keeps two benches with one
folder apart.

The epoch stands in the bench's folder; whoever takes the lease, or makes the bench safe for a dead owner, raises
it, and an owner with an older one may do nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from spinsweep import locks, system
from spinsweep.bench import shared_lease
from spinsweep.bench.address_lock import AddressLock, AddressTaken, Holder, hold, holder
from spinsweep.bench.address_lock import owner as owner
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import LeaseError

_DIGITS = 20
PATIENCE_S, FREE_S = 10.0, 30.0
"""That an owner has to end its cycle when it is told to, and that a watchdog has to make its bench safe, s."""


class BenchLease:
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
        self._held: list[AddressLock] = []
        self._answered = 0.0

    def take(self, timeout_s: float = 0.0) -> BenchLease:
        """Own every address of the bench, or ``LeaseError`` that says who does, after ``timeout_s`` s."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                for name in exclusive_names(self.bench):
                    self._hold(name)
                for name in exclusive_names(self.bench) if self.bench.lease else ():
                    shared_lease.hold(self._stack, self.bench.lease, name)
                self.bench.folder.mkdir(parents=True, exist_ok=True)
                _require_own(self.bench.folder)
                self._lock(self.bench.folder / "lock")
                self.raise_epoch()
            except LeaseError as refused:
                self.release()
                if time.monotonic() >= deadline:
                    raise (
                        self._owned_by_another(refused) if isinstance(refused, AddressTaken) else refused
                    ) from None
                time.sleep(0.02)
            except BaseException:
                self.release()
                raise
            else:
                return self

    def raise_epoch(self) -> None:
        """Take the next epoch; the lock is held."""
        if self._epoch_file < 0:
            self._epoch_file = os.open(self.bench.folder / "epoch", os.O_RDWR | os.O_CREAT | system.BINARY, 0o644)
            self._stack.callback(self._close_epoch)
        self.epoch = self._newest() + 1
        system.write_at(self._epoch_file, f"{self.epoch:0{_DIGITS}d}\n".encode(), 0)
        os.fsync(self._epoch_file)

    def check(self) -> None:
        """``LeaseError`` if the bench is no longer ours."""
        self._answer()
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
        digits = system.read_at(self._epoch_file, _DIGITS, 0)
        try:
            if not digits and (self.bench.folder / "journal").exists():
                raise ValueError
            return int(digits or b"0")
        except ValueError:
            raise LeaseError(
                f"{self.bench.folder / 'epoch'} is damaged; write a number into it that is larger than every epoch "
                "in the journals beside it"
            ) from None

    def _close_epoch(self) -> None:
        os.close(self._epoch_file)
        self._epoch_file = -1

    def _hold(self, address: str) -> None:
        """Take the machine's lock of an address."""
        taken = hold(address)
        self._held.append(taken)
        self._stack.callback(self._held.remove, taken)
        self._stack.callback(taken.close)

    def _answer(self) -> None:
        """Once a second, answer those who asked for the holder."""
        if (now := time.monotonic()) < self._answered + 1:
            return
        self._answered = now
        for held in self._held:
            held.answer()

    def _owned_by_another(self, refused: AddressTaken) -> LeaseError:
        address = str(refused)
        try:
            other = holder(address)
        except ConnectionRefusedError:  # it has just taken it, or given it back
            other = None
        return self._owned(address, "another process" if other is None else self._known(other))

    def _known(self, other: Holder) -> str:
        """The holder of an address in words; the bench's own folder knows more of its lanes."""
        with suppress(OSError, LeaseError):
            handle = _opened(self.bench.folder / "lock")
            try:
                who, number = _owner(system.read_at(handle, 4096, 0))
            finally:
                os.close(handle)
            if number == other.process:
                return who
        return f"a lane, process {other.process} on {system.host_name()} of user {other.user}"

    def _owned(self, what: str, who: str) -> LeaseError:
        return LeaseError(
            f"bench {self.bench.name} ({what}) is owned by {who}; only one lane can own it: "
            "wait for it to end, or send the work to its scheduler. No instrument was asked anything"
        )

    def _lock(self, path: Path) -> None:
        """Lock a file in the bench's folder."""
        while True:
            with ExitStack() as stack:
                handle = _opened(path)
                stack.callback(os.close, handle)
                try:
                    stack.callback(locks.lock_file(handle, path, shared=False, deadline=0.0, flags=os.O_RDWR))
                except BlockingIOError:
                    other, _ = _owner(system.read_at(handle, 4096, 0))
                    raise self._owned(f"folder {path.parent}", other) from None
                except OSError as error:
                    raise LeaseError(f"{path} cannot be locked ({error.strerror})") from None
                if _same(handle, path):  # else it was removed between the two steps
                    self._stack.callback(stack.pop_all().close)
                    break
        os.ftruncate(handle, 0)
        who = {"role": self.role, "process": os.getpid(), "host": system.host_name(), "time": time.time()}
        system.write_at(handle, json.dumps(who).encode(), 0)


def _require_own(folder: Path) -> None:
    """``LeaseError`` if everybody can write the folder, in which the counts of the devices' pulses stand."""
    if system.POSIX and folder.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        raise LeaseError(f"{folder} can be written by every user; run `chmod o-w {folder}`")


def stop_owner_of(lease: BenchLease) -> None:
    """End the process of this machine that owns the bench of a lease, and take the lease.

    It is told to end, then told again, and killed at last; its watchdog makes the bench safe then.

    Raises
    ------
    LeaseError
        The owner cannot be told, or there is none that this machine knows; or the bench stays taken.
    """
    for number, wait_s in ((signal.SIGTERM, PATIENCE_S), (signal.SIGTERM, PATIENCE_S), (system.KILL, FREE_S)):
        for process in owners(lease.bench):
            try:
                system.send(process, number)
            except ProcessLookupError:
                continue
            except PermissionError:
                raise LeaseError(
                    f"bench {lease.bench.name}: process {process} owns it and is another user's; "
                    "switch the source off by hand"
                ) from None
        with suppress(LeaseError):
            lease.take(wait_s)
            return
    lease.take()


def exclusive_names(bench: Bench) -> list[str]:
    """What nobody else may hold while the bench has an owner: all addresses, then the serial numbers."""
    of_each = [instrument.exclusive_names for instrument in bench.instruments.values()]
    return [*sorted({a for a, *_ in of_each}), *sorted({number for _, *numbers in of_each for number in numbers})]


def owners(bench: Bench) -> set[int]:
    """Processes of this machine that own the bench's instruments, as the kernel knows them."""
    owners = set()
    for name in exclusive_names(bench):
        with suppress(ConnectionRefusedError):
            if (other := holder(name)) is not None:
                owners.add(other.process)
    return owners - {os.getpid()}


def _opened(path: Path) -> int:
    """A file in the bench's folder: no link, no second name, nobody else's."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | system.NO_LINK | system.NO_WAIT | system.BINARY, 0o600)
    except OSError as error:
        raise LeaseError(
            f"{path} cannot be opened ({error.strerror}); it must be a file of yours in the folder of the bench"
        ) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid not in (system.user_id(), 0):
        os.close(handle)
        raise LeaseError(f"{path} belongs to another user or is not a plain file; remove it when no lane runs")
    return handle


def _owner(content: bytes) -> tuple[str, int]:
    """Who wrote that it holds a lock, in words, and the number of its process."""
    try:
        who = json.loads(content)
        since = time.strftime("%H:%M:%S", time.localtime(who["time"]))
        return f"{who['role']} process {who['process']} on {who['host']} since {since}", int(who["process"])
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return "another process", 0


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
