"""Owning a bench: the lease first, then the guard, then the instruments; and all of it back, in any case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.errors import BenchError

if TYPE_CHECKING:  # workers that only compute load none of it
    from engine.instruments.bench import Bench
    from engine.instruments.station import Station

_station: Station | None = None  # of this process; it owns one bench at most


@contextmanager
def own(bench: Bench, patience: float = 0.0) -> Iterator[Station]:
    """The connected bench, owned by this process until the block ends; waits ``patience`` s for another owner.

    Raises
    ------
    LeaseError
        Another process owns it.
    BenchError
        An instrument cannot be reached, is another one, or does not do as it is told.
    """
    from engine.instruments.guard import Guard
    from engine.instruments.lease import Lease
    from engine.instruments.station import Station

    global _station
    if _station is not None:
        raise BenchError(f"this process owns bench {_station.bench.name} already; one process, one bench")
    lease = Lease(bench).take(patience)
    try:
        guard = Guard(bench, lease, on_death=lambda: setattr(lease, "lost", "the guard died"))
        station = _station = Station(bench, lease)
        try:
            station.open()
            yield station
        finally:
            _station = None
            station.close()  # if this fails, the guard is left to do it
            guard.dismiss()
    finally:
        lease.release()


def owned() -> Station | None:
    """The station of this process, if it owns one."""
    return _station


def station(name: str) -> Station:
    """The station of the bench called ``name``, for block functions that run on its lane."""
    if _station is None or _station.bench.name != name:
        have = "none" if _station is None else _station.bench.name
        raise BenchError(f"the work needs bench {name}, and this process owns {have}; run it with --on BENCH.toml")
    return _station
