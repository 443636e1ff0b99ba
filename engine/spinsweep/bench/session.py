"""The bench as its owner holds it: connected, safe between actions, one device routed at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from spinsweep.bench import auxiliary
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.capabilities import Envelope
from spinsweep.bench.errors import BenchError, ConnectionLost, LimitError
from spinsweep.bench.instruments import Instruments
from spinsweep.bench.lease import BenchLease
from spinsweep.bench.parts import Device
from spinsweep.bench.visa import CONNECT_TIMEOUT_S
from spinsweep.disk import write_whole
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
        self.cycles = 0
        """Cycles since the lane began."""
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
            try:
                self.safe()
            except BenchError:  # the link is broken: once more on a new one
                self.instruments.close()
                self.instruments.open(CLOSE_TIMEOUT_S)
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
        self.cycles += 1
        self.tell(experiment, train)

    def tell(self, experiment: str, train: str) -> None:
        """Report what is being done, once a second at most."""
        if time.monotonic() > self._last_report + REPORT_INTERVAL_S:
            self._last_report = time.monotonic()
            doing = LaneReport(
                **wear(self.bench), experiment=experiment, train=train, cycles=self.cycles, figures=self.figures
            )
            report(doing.to_json())

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
        counted = pulses(self.bench)
        for name, more in planned.items():
            total = counted.get(name, 0) + more
            most = self.bench.limits_of(self.bench.named(name)).max_pulses
            if total > most:
                raise LimitError(
                    f"device {name}: {total} pulses in its life with this train, limits.max_pulses is {most}"
                )
            counted[name] = total
        # a train's journal is on the disk before it is fired, and so are its pulses
        write_whole(str(_pulses_path(self.bench)), json.dumps(counted).encode(), sync=True)


def pulses(bench: Bench) -> dict[str, int]:
    """Pulses of each device so far in its life on a bench; at most one train too many.

    Raises
    ------
    BenchError
        The file that counts them is damaged, or gone though the journals know of trains.
    """
    path, problem = _pulses_path(bench), "is damaged"
    counted = None
    try:
        counted = json.loads(path.read_bytes())
    except FileNotFoundError:
        problem = "is gone"
        if not any(b'"op":"intent"' in j.read_bytes() for j in (bench.folder / "journal").glob("*.jsonl")):
            return {}
    except ValueError:
        pass
    if not isinstance(counted, dict) or not all(isinstance(n, int) and n >= 0 for n in counted.values()):
        raise BenchError(
            f"{path} {problem}, so the number of pulses that the devices have had is not known; write "
            f'it into that file, as {{"{bench.device[0].name}": 1200}} (the journals beside it say what was fired). '
            "No pulse is sent until then."
        )
    return counted


def wear(bench: Bench) -> dict[str, Any]:
    """Pulses of the bench's devices in their life, and which of them is nearest to its limit, and how near."""
    counted = pulses(bench)
    wear = {d.name: counted.get(d.name, 0) / bench.limits_of(d).max_pulses for d in bench.device}
    worn = max(wear, key=lambda name: wear[name])
    return {"bench": bench.name, "pulses": sum(counted.values()), "worn": worn, "wear": wear[worn]}


def _pulses_path(bench: Bench) -> Path:
    return bench.folder / "pulses.json"
