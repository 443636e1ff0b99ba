"""Owning a bench: the leases first, then the guard, then the instruments; and all of it back, in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from spinsweep.errors import BenchError, InstrumentFault
from spinsweep.interrupts import Interrupts

if TYPE_CHECKING:  # workers that only compute load none of it
    from spinsweep.instruments.bench import Bench
    from spinsweep.instruments.lease import Lease
    from spinsweep.instruments.station import Station

_station: Station | None = None  # of this process; it owns one bench at most


@contextmanager
def own(
    bench: Bench,
    patience: float = 3.0,
    admit: Callable[[Lease], AbstractContextManager[object]] = nullcontext,
) -> Iterator[Station]:
    """The connected bench, owned by this process until the block ends.

    Parameters
    ----------
    patience
        How long to wait for another owner to go, and to try connections that are refused, s.
    admit
        Asked with this machine's lease before an instrument is touched, and left after the bench was made safe; may
        refuse by raising.

    Raises
    ------
    LeaseError
        Another process owns it.
    BenchError
        An instrument cannot be reached, is another one, or does not do as it is told; or the pulses of the devices
        are not known.
    """
    from spinsweep.instruments.guard import Guard, dirty, mark_clean, mark_dirty
    from spinsweep.instruments.lease import Lease
    from spinsweep.instruments.station import Station, pulses

    global _station
    if _station is not None:
        raise BenchError(f"this process owns bench {_station.bench.name} already; one process, one bench")
    lease = Lease(bench).take(patience)
    try:
        pulses(bench)  # without which no limit of a device's life could be kept
        with admit(lease):
            guard = Guard(bench, lease, on_death=lambda: setattr(lease, "lost", "the guard died"))
            station = Station(bench, lease)
            safe, was_dirty = False, dirty(bench)
            mark_dirty(bench)
            try:
                with Interrupts():
                    try:
                        station.open(patience)
                    except BenchError:
                        safe = station.made_safe or not was_dirty  # nothing was switched on: safe comes first
                        raise
                    _station = station
                    yield station
            finally:
                _station = None
                try:
                    if not safe:
                        station.close()
                        safe = True
                    else:
                        station.rack.close()
                    if safe:
                        mark_clean(bench)
                finally:
                    guard.dismiss(safe)
    finally:
        lease.release()


def owned() -> Station | None:
    """The station of this process, if it owns one."""
    return _station


def station(bench: Bench) -> Station:
    """The station of a bench, for block functions that run on its lane.

    Raises
    ------
    BenchError
        This process owns no bench, or another one.
    InstrumentFault
        The lane was started with another bench file than the run: nothing may be fired by it.
    """
    if _station is None or _station.bench.name != bench.name:
        have = "none" if _station is None else _station.bench.name
        raise BenchError(
            f"the work needs bench {bench.name}, and this process owns {have}; run it with --on BENCH.toml"
        )
    for key, value in bench.model_dump().items():
        if _station.bench.model_dump()[key] != value and key != "state":
            raise InstrumentFault(
                f"bench {bench.name}: the lane's bench file has another {key} than that of the run; "
                "start the lane again with the same file"
            )
    return _station
