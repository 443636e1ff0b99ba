"""Owning a bench: the leases first, then the watchdog, then the instruments; in the end all of it is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from spinsweep.bench.errors import BenchError, InstrumentFault
from spinsweep.interrupts import Interrupts

if TYPE_CHECKING:  # workers that only compute load none of it
    from spinsweep.bench.bench_file import Bench
    from spinsweep.bench.lease import BenchLease
    from spinsweep.bench.session import BenchSession


class _Process:
    """What this process owns: one bench at most."""

    session: BenchSession | None = None


_process = _Process()


@contextmanager
def acquire_bench(
    bench: Bench, timeout_s: float = 3.0, admit: Callable[[BenchLease], AbstractContextManager[object]] = nullcontext
) -> Iterator[BenchSession]:
    """The connected bench, owned by this process until the block ends.

    Parameters
    ----------
    timeout_s
        How long to wait for another owner to go, and to try connections that are refused, s.
    admit
        Entered with this machine's lease before an instrument is touched, and left after the bench was made safe;
        may refuse by raising.

    Raises
    ------
    LeaseError
        Another process owns it.
    BenchError
        An instrument cannot be reached, is another one, or does not respond as it should; or the number of pulses
        that the devices have had is not known.
    """
    from spinsweep.bench import logbook
    from spinsweep.bench.journal import refuse_any_lost
    from spinsweep.bench.lease import BenchLease
    from spinsweep.bench.pulse_counts import pulses
    from spinsweep.bench.session import BenchSession
    from spinsweep.bench.watchdog import Watchdog, dirty, mark_clean, mark_dirty

    if _process.session is not None:
        raise BenchError(
            f"this process already owns bench {_process.session.bench.name}; a process can own one bench"
        )
    lease = BenchLease(bench).take(timeout_s)
    try:
        pulses(bench)  # without which no limit of a device's life could be kept
        refuse_any_lost(bench.folder)
        with admit(lease):
            watchdog = Watchdog(bench, lease, on_death=lambda: setattr(lease, "lost", "the watchdog died"))
            session = BenchSession(bench, lease)
            safe, was_dirty, before = False, dirty(bench), pulses(bench)
            mark_dirty(bench)
            logbook.note(bench, logbook.OPENED, lane=lease.epoch)
            try:
                with Interrupts():
                    try:
                        session.open(timeout_s)
                    except BenchError:
                        # nothing was switched on: safe comes first
                        safe = not session.field_left and (session.made_safe or not was_dirty)
                        raise
                    _process.session = session
                    yield session
            finally:
                _process.session = None
                try:
                    if not safe:
                        session.close()
                        safe = True
                    else:
                        session.instruments.close()
                    if safe:
                        mark_clean(bench)
                finally:
                    try:
                        fired = before, pulses(bench)
                        logbook.closed(bench, lease.epoch, fired, session.work, session.faults, safe=safe)
                    finally:
                        watchdog.dismiss(safe=safe)
    finally:
        lease.release()


def current_session(bench: Bench) -> BenchSession:
    """The session of a bench, for block functions that run on its lane.

    Raises
    ------
    BenchError
        This process owns no bench, or another one.
    InstrumentFault
        The lane was started with another bench file than the run: nothing may be fired by it.
    """
    session = _process.session
    if session is None or session.bench.name != bench.name:
        here = "none" if session is None else session.bench.name
        raise BenchError(
            f"this work needs bench {bench.name}, but this process owns {here}; run it with --on BENCH.toml"
        )
    lane_file = session.bench.model_dump()
    for key, value in bench.model_dump().items():
        if lane_file[key] != value and key != "state":
            raise InstrumentFault(
                f"bench {bench.name}: the lane's bench file has another {key} than that of the run; "
                "start the lane again with the same file"
            )
    return session
