"""A lock on object storage: a lease that must be renewed, made of nothing but the creation of objects.

Object storage has no locks, and nobody there notices that a process died. What S3, Google Cloud Storage and Azure
all have is to create an object only if it is not there (S3: ``If-None-Match: *``), and listings that show what was
written before. A lease called ``x`` is the object ``x.1``. Its owner writes a new beat into it every ``HEARTBEAT_S``
seconds, and deletes it at the end. Who finds it unchanged for ``LEASE_TTL_S`` seconds, by its own clock, takes it
over by creating ``x.2``, and so on: of those who try, one succeeds. Clocks of different machines are never compared.

No two hold a lease, for

* who created ``x.1`` looks whether any other ``x.n`` is there, and then gives way;
* who created ``x.n+1`` looks whether those up to ``x.n`` still are what it saw unchanged, and else gives way;
* an owner deletes those that it saw dead before its own.

An owner that was stopped for longer (a suspended machine, a network that was cut) finds out by its clock
(:meth:`Lease.check`). What it cannot take back is a request that it had sent before and that the storage
carries out later than ``LEASE_TTL_S`` - ``MARGIN_S`` after the last beat.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from spinsweep.cube.storage import ObjectStorage
from spinsweep.errors import CubeError
from spinsweep.process import this_process
from spinsweep.system import time_since_boot

HEARTBEAT_S = 5.0
"""Between two signs of life."""
LEASE_TTL_S = 20.0
"""Without a sign of life, after which a lease is taken over."""
MARGIN_S = 5.0
"""Before that, in which its owner begins nothing any more."""
POLL_S = 0.25
"""Between two looks at another's lease."""


class Lease:
    """The lease called ``name`` in ``storage``; :meth:`held` takes it."""

    def __init__(self, storage: ObjectStorage, name: str) -> None:
        self.storage = storage
        self.name = name
        self.siblings: list[str] = []
        """Names of all objects in ``storage`` just after it was taken."""
        self._number = 0
        self._dead: list[int] = []
        self._content: dict[str, Any] = {}
        self._renewed = 0.0
        self._ended = threading.Event()

    @contextmanager
    def held(self, timeout_s: float, *, wait_for_living: bool) -> Iterator[bool]:
        """Hold the lease and renew it; False if it was not free.

        Parameters
        ----------
        timeout_s
            How long to wait; a dead owner's lease needs ``LEASE_TTL_S``.
        wait_for_living
            Wait also for an owner that is seen alive.
        """
        if not self._acquire(timeout_s, wait_for_living=wait_for_living):
            yield False
            return
        self._ended.clear()
        heartbeat = threading.Thread(target=self._renew, daemon=True)
        heartbeat.start()
        try:
            yield True
        finally:
            self._ended.set()
            heartbeat.join()
            with suppress(CubeError):  # then it dies by itself
                for number in (*self._dead, self._number):
                    self.storage.delete(self._key(number))

    def check(self) -> None:
        """``CubeError`` if it may be another's by now."""
        if _now() - self._renewed > LEASE_TTL_S - MARGIN_S:
            raise CubeError(
                f"{self.storage}/{self.name}: the storage did not answer, or this process stood still, for more than "
                f"{LEASE_TTL_S - MARGIN_S:.0f} s; nothing more is written"
            )

    def owner(self) -> str:
        """Who holds it, in words; "" if nobody does."""
        return str(self._latest().get("owner", ""))

    def alive(self) -> bool:
        """Whether its owner seems to live: its last beat is younger than ``LEASE_TTL_S``, if all clocks agree."""
        return bool(time.time() - self._latest().get("at", 0) < LEASE_TTL_S)

    def verify_create_if_absent(self) -> None:
        """``CubeError`` if the storage overwrites where it is asked to create only: then a lease holds nobody off."""
        if self.storage.create(self._key(self._number), b"{}"):
            raise CubeError(
                f"{self.storage}: this storage does not keep to If-None-Match and cannot keep two runs apart; "
                "take storage that does (Amazon S3, MinIO, ...), or a folder"
            )

    def _acquire(self, timeout_s: float, *, wait_for_living: bool) -> bool:
        deadline = _now() + timeout_s
        if self._create_first():
            return True
        seen: dict[int, bytes] = {}
        since = _now()
        while _now() < deadline:
            entries = self._entries()
            if not entries:
                if self._create_first():
                    return True
            elif entries != seen:
                if entries.keys() == seen.keys() and not wait_for_living:
                    return False
                seen, since = entries, _now()
            elif _now() - since > LEASE_TTL_S and self._create(max(entries) + 1):
                if self._entries(other_than=self._number) == seen:
                    self.siblings = self.storage.names("")
                    self._dead = list(seen)
                    return True
                self.storage.delete(self._key(self._number))
            time.sleep(POLL_S)
        return False

    def _create_first(self) -> bool:
        """Create ``x.1`` and hold it, if no other ``x.n`` is there."""
        if not self._create(1):
            return False
        self.siblings = self.storage.names("")
        if self._numbers(self.siblings) == [1]:
            return True
        self.storage.delete(self._key(1))
        return False

    def _create(self, number: int) -> bool:
        self._number, self._renewed = number, _now()
        self._content = {"owner": this_process(), "token": uuid.uuid4().hex, "beat": 0, "at": time.time()}
        return self.storage.create(self._key(number), _encoded(self._content))

    def _renew(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            began = _now()
            with suppress(CubeError):  # it is tried again, and check() knows
                if self.storage.read(self._key(self._number)) != _encoded(self._content):
                    return  # the cube was removed, or the lease given to another and back
                self._content = {**self._content, "beat": self._content["beat"] + 1, "at": time.time()}
                self.storage.write(self._key(self._number), _encoded(self._content))
                self._renewed = began

    def _entries(self, other_than: int = 0) -> dict[int, bytes]:
        """Every ``x.n`` by its number."""
        numbers = [n for n in self._numbers(self.storage.names("")) if n != other_than]
        contents = self.storage.read_all(map(self._key, numbers))
        return {n: data for n, data in zip(numbers, contents, strict=True) if data is not None}

    def _numbers(self, names: list[str]) -> list[int]:
        parts = (name.rpartition(".") for name in names)
        return sorted(int(number) for name, _, number in parts if name == self.name)

    def _latest(self) -> dict[str, Any]:
        entries = self._entries()
        return dict(json.loads(entries[max(entries)])) if entries else {}

    def _key(self, number: int) -> str:
        return f"{self.name}.{number}"


def wait_until_expired(storage: ObjectStorage, names: list[str], timeout_s: float) -> bool:
    """Wait until each of these leases was given back or is dead, and delete the dead; False after ``timeout_s`` s."""
    deadline = _now() + timeout_s
    seen: dict[str, tuple[bytes, float]] = {}
    while names:
        now = _now()
        contents = list(storage.read_all(names))
        for name, data in zip(names, contents, strict=True):
            if data is not None and (name not in seen or data != seen[name][0]):
                seen[name] = data, now
        dead = [n for n, data in zip(names, contents, strict=True) if data and now - seen[n][1] > LEASE_TTL_S]
        for name in dead:
            storage.delete(name)
        names = [n for n, data in zip(names, contents, strict=True) if data is not None and n not in dead]
        if names and now > deadline:
            return False
        time.sleep(POLL_S if names else 0)
    return True


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _now() -> float:
    return time_since_boot()  # goes on while the machine is suspended
