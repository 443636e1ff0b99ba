"""The instruments of a bench, connected together: opened, brought into the safe state, started, closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from spinsweep.bench.bench_file import Bench
from spinsweep.bench.clock import Clock
from spinsweep.bench.errors import BenchError
from spinsweep.bench.keithley2000 import Keithley2000
from spinsweep.bench.keithley6221 import Keithley6221
from spinsweep.bench.keithley7001 import Keithley7001
from spinsweep.bench.visa import CONNECT_TIMEOUT_S, Session


class Instruments:
    """Sessions and drivers of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.clock = Clock(bench.timing.speed)
        self.sessions = {role: Session(i, bench.backend) for role, i in bench.instruments.items()}
        self.source = Keithley6221(self.sessions["source"], self.clock, bench.source.arm_settle)
        self.meter = Keithley2000(self.sessions["meter"], bench.meter.range, bench.meter.nplc, bench.timing.mains)
        self.switch = (
            None
            if bench.switch is None
            else Keithley7001(
                self.sessions["switch"],
                self.clock,
                bench.switch.settle,
                [c for d in bench.device for c in d.channels],
            )
        )
        self.bench = bench

    def open(self, timeout_s: float = CONNECT_TIMEOUT_S, check: Callable[[], None] = lambda: None) -> None:
        """Open the links, source first, and bring the bench into its safe state as each answers.

        ``check`` is called between attempts to connect and may end them by raising.

        Raises
        ------
        BenchError
            An instrument cannot be reached, is another than the bench file says, or does not get safe.
        """
        self.sessions["source"].open(timeout_s, check)
        self.source.safe()
        if self.switch is not None:
            self.sessions["switch"].open(timeout_s, check)
            self.switch.open_all()
        self.sessions["meter"].open(timeout_s, check)

    def start(self) -> None:
        """Reset the instruments and set them up, everything read back."""
        self.source.start(self.bench.source.compliance)
        self.meter.start()

    def powered_on(self) -> bool:
        """Whether an instrument was switched on since this was asked last: its settings are gone then."""
        return any([session.powered_on() for session in self.sessions.values()])

    def safe(self) -> None:
        """0 A, output off, then relays open: never under current."""
        self.source.safe()
        if self.switch is not None:
            self.switch.open_all()

    def close(self) -> None:
        """Close the links as they are."""
        for session in self.sessions.values():
            with suppress(BenchError):
                session.close()
