"""Owning a bench: the leases first, then the guard, then the instruments; and all of it back, in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from spinsweep.bench.errors import BenchError, InstrumentFault
from spinsweep.interrupts import Interrupts

if TYPE_CHECKING:  # workers that only compute load none of it
    from spinsweep.bench.bench_file import Bench
    from spinsweep.bench.lease import Lease
    from spinsweep.bench.session import BenchSession

_session: BenchSession | None = None  # of this process; it owns one bench at most


@contextmanager
def acquire_bench(
    bench: Bench,
    timeout_s: float = 3.0,
    admit: Callable[[Lease], AbstractContextManager[object]] = nullcontext,
) -> Iterator[BenchSession]:
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
    from spinsweep.bench.lease import Lease
    from spinsweep.bench.session import BenchSession, pulses
    from spinsweep.bench.watchdog import Watchdog, dirty, mark_clean, mark_dirty

    global _session
    if _session is not None:
        raise BenchError(f"this process owns bench {_session.bench.name} already; one process, one bench")
    lease = Lease(bench).take(timeout_s)
    try:
        pulses(bench)  # without which no limit of a device's life could be kept
        with admit(lease):
            watchdog = Watchdog(bench, lease, on_death=lambda: setattr(lease, "lost", "the guard died"))
            session = BenchSession(bench, lease)
            safe, was_dirty = False, dirty(bench)
            mark_dirty(bench)
            try:
                with Interrupts():
                    try:
                        session.open(timeout_s)
                    except BenchError:
                        safe = session.made_safe or not was_dirty  # nothing was switched on: safe comes first
                        raise
                    _session = session
                    yield session
            finally:
                _session = None
                try:
                    if not safe:
                        session.close()
                        safe = True
                    else:
                        session.instruments.close()
                    if safe:
                        mark_clean(bench)
                finally:
                    watchdog.dismiss(safe)
    finally:
        lease.release()


def session(bench: Bench) -> BenchSession:
    """The station of a bench, for block functions that run on its lane.

    Raises
    ------
    BenchError
        This process owns no bench, or another one.
    InstrumentFault
        The lane was started with another bench file than the run: nothing may be fired by it.
    """
    if _session is None or _session.bench.name != bench.name:
        have = "none" if _session is None else _session.bench.name
        raise BenchError(
            f"the work needs bench {bench.name}, and this process owns {have}; run it with --on BENCH.toml"
        )
    for key, value in bench.model_dump().items():
        if _session.bench.model_dump()[key] != value and key != "state":
            raise InstrumentFault(
                f"bench {bench.name}: the lane's bench file has another {key} than that of the run; "
                "start the lane again with the same file"
            )
    return _session
