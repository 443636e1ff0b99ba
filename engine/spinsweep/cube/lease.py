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
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from spinsweep.errors import CubeError

if TYPE_CHECKING:
    from spinsweep.cube.remote import RemoteStorage

HEARTBEAT_S = 5.0  # seconds between two signs of life
LEASE_TTL_S = 20.0  # seconds without one after which a lease is taken over
MARGIN_S = 5.0  # seconds before that in which its owner begins nothing any more
POLL = 0.25  # seconds between two looks at another's lease

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine is suspended


class Lease:
    """The lease called ``name`` in ``place``; :meth:`held` takes it."""

    def __init__(self, place: RemoteStorage, name: str) -> None:
        self.place = place
        self.name = name
        self.siblings: list[str] = []
        """Names of all objects in ``place`` just after it was taken."""
        self._number = 0
        self._dead: list[int] = []
        self._mine: dict[str, Any] = {}
        self._renewed = 0.0
        self._ended = threading.Event()

    @contextmanager
    def held(self, timeout_s: float, wait_for_living: bool) -> Iterator[bool]:
        """Hold the lease and renew it; False if it was not free.

        Parameters
        ----------
        patience
            Seconds to wait; a dead owner's lease needs ``LEASE_TTL_S``.
        wait_for_living
            Wait also for an owner that is seen alive.
        """
        if not self._take(timeout_s, wait_for_living):
            yield False
            return
        self._ended.clear()
        beats = threading.Thread(target=self._beat, daemon=True)
        beats.start()
        try:
            yield True
        finally:
            self._ended.set()
            beats.join()
            with suppress(CubeError):  # then it dies by itself
                self._give_back()

    def check(self) -> None:
        """``CubeError`` if it may be another's by now."""
        if _now() - self._renewed > LEASE_TTL_S - MARGIN_S:
            raise CubeError(
                f"{self.place}/{self.name}: the storage did not answer, or this process stood still, for more than "
                f"{LEASE_TTL_S - MARGIN_S:.0f} s; nothing more is written"
            )

    def owner(self) -> str:
        """Who holds it, in words; "" if nobody does."""
        return str(self._newest().get("owner", ""))

    def alive(self) -> bool:
        """Whether its owner seems to live: its last beat is younger than ``LEASE_TTL_S``, if all clocks agree."""
        return bool(time.time() - self._newest().get("at", 0) < LEASE_TTL_S)

    def verify_create_if_absent(self) -> None:
        """``CubeError`` if the storage overwrites where it is asked to create only: then a lease holds nobody off."""
        if self.place.create(self._key(self._number), b"{}"):
            raise CubeError(
                f"{self.place}: this storage does not keep to If-None-Match and cannot keep two runs apart; "
                "take storage that does (Amazon S3, MinIO, ...), or a folder"
            )

    def _take(self, timeout_s: float, wait_for_living: bool) -> bool:
        deadline = _now() + timeout_s
        if self._first():
            return True
        seen: dict[int, bytes] = {}
        since = _now()
        while _now() < deadline:
            found = self._found()
            if not found:
                if self._first():
                    return True
            elif found != seen:
                if found.keys() == seen.keys() and not wait_for_living:
                    return False
                seen, since = found, _now()
            elif _now() - since > LEASE_TTL_S and self._create(max(found) + 1):
                if self._found(but=self._number) == seen:
                    self.siblings = self.place.names("")
                    self._dead = list(seen)
                    return True
                self.place.delete(self._key(self._number))
            time.sleep(POLL)
        return False

    def _first(self) -> bool:
        """Create ``x.1`` and hold it, if no other ``x.n`` is there."""
        if not self._create(1):
            return False
        self.siblings = self.place.names("")
        if self._numbers(self.siblings) == [1]:
            return True
        self.place.delete(self._key(1))
        return False

    def _create(self, number: int) -> bool:
        self._number, self._renewed = number, _now()
        owner = f"process {os.getpid()} on {os.uname().nodename}"
        self._mine = {"owner": owner, "token": uuid.uuid4().hex, "beat": 0, "at": time.time()}
        return self.place.create(self._key(number), _encoded(self._mine))

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            began = _now()
            with suppress(CubeError):  # it is tried again, and check() knows
                if self.place.read(self._key(self._number)) != _encoded(self._mine):
                    return  # the cube was removed, or the lease given to another and back
                self._mine = {**self._mine, "beat": self._mine["beat"] + 1, "at": time.time()}
                self.place.write(self._key(self._number), _encoded(self._mine))
                self._renewed = began

    def _give_back(self) -> None:
        for number in (*self._dead, self._number):
            self.place.delete(self._key(number))

    def _found(self, but: int = 0) -> dict[int, bytes]:
        """Every ``x.n`` by its number."""
        numbers = [n for n in self._numbers(self.place.names("")) if n != but]
        contents = self.place.read_all(map(self._key, numbers))
        return {n: data for n, data in zip(numbers, contents, strict=True) if data is not None}

    def _numbers(self, names: list[str]) -> list[int]:
        parts = (name.rpartition(".") for name in names)
        return sorted(int(number) for name, _, number in parts if name == self.name)

    def _newest(self) -> dict[str, Any]:
        found = self._found()
        return dict(json.loads(found[max(found)])) if found else {}

    def _key(self, number: int) -> str:
        return f"{self.name}.{number}"


def wait_until_expired(place: RemoteStorage, names: list[str], timeout_s: float) -> bool:
    """Wait until each of these leases was given back or is dead, and delete the dead; False after ``timeout_s`` s."""
    deadline = _now() + timeout_s
    seen: dict[str, tuple[bytes, float]] = {}
    while names:
        now = _now()
        contents = list(place.read_all(names))
        for name, data in zip(names, contents, strict=True):
            if data is not None and (name not in seen or data != seen[name][0]):
                seen[name] = data, now
        dead = [n for n, data in zip(names, contents, strict=True) if data and now - seen[n][1] > LEASE_TTL_S]
        for name in dead:
            place.delete(name)
        names = [n for n, data in zip(names, contents, strict=True) if data is not None and n not in dead]
        if names and now > deadline:
            return False
        time.sleep(POLL if names else 0)
    return True


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _now() -> float:
    return time.clock_gettime(_CLOCK)
