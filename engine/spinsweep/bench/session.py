"""The bench as its owner holds it: connected, safe between actions, one device routed at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from spinsweep.bench import auxiliary, pulse_counts
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.capabilities import Envelope
from spinsweep.bench.errors import BenchError, ConnectionLost
from spinsweep.bench.instruments import Instruments
from spinsweep.bench.lease import BenchLease
from spinsweep.bench.live import Live
from spinsweep.bench.parts import Device
from spinsweep.bench.visa import CONNECT_TIMEOUT_S
from spinsweep.errors import Stopped
from spinsweep.messages import LaneReport
from spinsweep.work import cancelled, report

CLOSE_TIMEOUT_S = 10.0  # that a broken link is tried anew at the end; then the watchdog makes the bench safe
REPORT_INTERVAL_S = 1.0


class BenchSession:
    """The connected bench; :func:`spinsweep.bench.acquire.acquire_bench` makes and ends it."""

    def __init__(self, bench: Bench, lease: BenchLease) -> None:
        self.bench = bench
        self.lease = lease
        self.instruments = Instruments(bench)
        self.io = threading.RLock()
        self.stopping = threading.Event()
        self.hurry = threading.Event()
        """Set to end the cycle in hand as well, at its next rest."""
        self.made_safe = False
        """The safe state was reached on this bench since it is ours."""
        self.field_left = False
        """Auxiliary instruments were started, not well, and did not get safe again."""
        self._auxiliary_down = False
        """They were made safe after a fault, and are started again before the next train."""
        self.rested = 0.0
        """Bench time before which no device is pulsed: an earlier lane may have pulsed it just now, s."""
        self.ready: dict[str, float] = {}
        """Bench time before which a device must rest, s."""
        self.figures: dict[str, float] = {}
        """What the work in hand says of itself, such as its loss; reported with the progress."""
        self.work: Counter[str] = Counter()
        """Cycles since the lane began, by experiment."""
        self.faults: list[str] = []
        """What went wrong since the lane began, for the log book."""
        self.live = Live()
        """What the work in hand shows of itself."""
        self._last_report = 0.0
        self._route = ""

    def open(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect, make safe, verify and set up; refused connections are tried again for ``timeout_s`` s."""
        with self.io:
            self.lease.check()
            self._route = ""
            self.instruments.close()
            self.instruments.open(timeout_s, self.check)
            self.made_safe = True
            try:
                self.instruments.start()
            except BaseException:  # a field may be on its way up
                self.field_left = True
                with suppress(BenchError):
                    auxiliary.make_safe(self.instruments.auxiliary)
                    self.field_left = False
                raise
            self._auxiliary_down = False
            self.rested = self.rested or self.instruments.clock.now() + self.bench.timing.gap

    def refresh(self) -> None:
        """Between trains: set up again what a power cycle may have undone, and find the meter's zero."""
        self.check()
        try:
            if self.instruments.powered_on() or self._auxiliary_down:
                self.open()
            if self._route and self.instruments.switch is not None:
                self.instruments.switch.verify(self.bench.named(self._route).channels)
            self.instruments.meter.rezero()
        except ConnectionLost:
            self.open()
            self.instruments.meter.rezero()

    def stop(self, timeout_s: float) -> None:
        """From another thread: give the cycle in hand up, make the bench safe, and let nothing more be done.

        Raises
        ------
        BenchError
            The bench is not known to be safe: the action in hand did not end in time, or an instrument does not
            respond as it should.
        """
        self.stopping.set()
        self.hurry.set()
        if not self.io.acquire(timeout=timeout_s):
            raise BenchError(f"the action in hand did not end within {timeout_s:g} s")
        try:
            self._make_safe()
        finally:
            self.io.release()

    def _make_safe(self) -> None:
        try:
            self.safe()
        except BenchError:  # the link is broken: once more on a new one
            self.instruments.close()
            self.instruments.open(CLOSE_TIMEOUT_S)

    def verify(self) -> None:
        """Before each pulse: the auxiliary instruments are as they should be, or it raises."""
        auxiliary.verify(self.instruments.auxiliary)

    def measured(self) -> dict[str, float]:
        """What the auxiliary instruments measure now, by column; a broken link is opened anew first."""
        try:
            return auxiliary.measured(self.bench.auxiliary, self.instruments.auxiliary)
        except ConnectionLost:
            self.open()
            return auxiliary.measured(self.bench.auxiliary, self.instruments.auxiliary)

    def close(self, timeout_s: float = 30.0) -> None:
        """End what is going on, make the bench safe, and close the links."""
        self.stopping.set()
        locked = self.io.acquire(timeout=timeout_s)
        try:
            self._make_safe()
        finally:
            self.instruments.close()
            if locked:
                self.io.release()

    def safe(self) -> None:
        """0 A, output off, relays open, then the auxiliary instruments."""
        self._route = ""
        self._auxiliary_down = bool(self.instruments.auxiliary)
        self.instruments.safe()

    def check(self) -> None:
        """``LeaseError`` or ``Stopped`` if nothing more may be done."""
        self.lease.check()
        if self.stopping.is_set() or self.lease.cut_off.is_set() or cancelled():
            raise Stopped(f"bench {self.bench.name}: stopped on demand; what was measured is in the journal")

    def done(self, experiment: str, train: str) -> None:
        """Count a cycle."""
        self.work[experiment] += 1
        self.tell(experiment, train)

    def tell(self, experiment: str, train: str) -> None:
        """Report what is being done, once a second at most."""
        if time.monotonic() > self._last_report + REPORT_INTERVAL_S:
            self._last_report = time.monotonic()
            doing = LaneReport(
                **pulse_counts.wear(self.bench),
                experiment=experiment,
                train=train,
                cycles=self.work.total(),
                figures=self.figures,
            )
            report(self.live.completed(doing).to_json())

    def route(self, device: Device) -> None:
        """Connect a device, with the source off, and hold the source to its limits."""
        if self._route == device.name:
            return
        self._route = ""
        if self.instruments.switch is not None:
            self.instruments.switch.connect(device.channels)
        limits = self.bench.limits_of(device)
        self.instruments.source.limit(
            Envelope(limits.max_pulse, limits.max_read, limits.min_width, limits.max_width, limits.max_compliance),
            self.bench.range_of(device),
        )
        self._route = device.name

    def count_pulses(self, planned: Mapping[str, int]) -> None:
        """Add pulses that are going to be fired, or ``LimitError`` if a device would get too many."""
        pulse_counts.add(self.bench, planned)
