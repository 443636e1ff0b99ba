"""The instruments of a bench, connected together: opened, brought into the safe state, started, closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from spinsweep.bench import auxiliary
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.capabilities import (
    METER,
    SOURCE,
    SWITCH,
    Auxiliary,
    PulseSource,
    Router,
    Surroundings,
    VoltageReader,
)
from spinsweep.bench.clock import Clock
from spinsweep.bench.drivers import driver
from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault
from spinsweep.bench.gpib_adapter import Bus
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.sharing import relay_of
from spinsweep.bench.visa import CONNECT_TIMEOUT_S, Session


class Instruments:
    """Sessions and drivers of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.clock = Clock(bench.timing.speed)
        self.sessions = _sessions(bench)
        """By role; one that shares its instrument has the session of the other."""
        surroundings = Surroundings(self.clock, bench.timing.mains, bench.channels)
        players: dict[str, Any] = {}

        def made(role: str) -> Any:
            if role not in players:
                section = bench.instruments[role]
                players[role] = (
                    made(section.shares).sharing(role, section, surroundings)
                    if section.shares
                    else driver(section.driver)(self.sessions[role], section, surroundings)
                )
            return players[role]

        self.source: PulseSource = made(SOURCE)
        self.meter: VoltageReader = made(METER)
        if (around := getattr(self.meter, "around", None)) is not None:
            self.source = around(self.source)
        self.switch: Router | None = None if bench.switch is None else made(SWITCH)
        self.auxiliary: dict[str, Auxiliary] = {name: made(name) for name in bench.auxiliary}
        """By name; their drivers may have further methods, for experiments that know them."""

    def open(self, timeout_s: float = CONNECT_TIMEOUT_S, check: Callable[[], None] = lambda: None) -> None:
        """Open the links, source first, and bring the bench into its safe state as each answers.

        ``check`` is called between attempts to connect and may end them by raising.

        Raises
        ------
        BenchError
            An instrument cannot be reached, is another than the bench file says, or does not get safe.
        """
        opened: list[Session] = []

        def connect(role: str) -> None:
            session = self.sessions[role]
            if session.carrier is not None and session.carrier[0] not in opened:
                session.carrier[0].open(timeout_s, check)
                opened.append(session.carrier[0])
            if session not in opened:
                session.open(timeout_s, check)
                opened.append(session)

        try:
            connect(SOURCE)
            self.source.safe()
            if self.switch is not None:
                connect(SWITCH)
                self.switch.open_all()
        except (ConnectionLost, InstrumentFault):  # a field goes down also where the source does not answer
            with suppress(BenchError):
                auxiliary.open_all(self.auxiliary, connect)
            raise
        auxiliary.open_all(self.auxiliary, connect)
        connect(METER)

    def start(self) -> None:
        """Reset the instruments and set them up, everything read back."""
        self.source.start(self.bench.source.compliance)
        self.meter.start()
        for instrument in self.auxiliary.values():
            instrument.start()

    def powered_on(self) -> bool:
        """Whether an instrument was switched on since this was asked last: its settings are gone then."""
        return any([session.powered_on() for session in set(self.sessions.values())])

    def safe(self) -> None:
        """0 A, output off, then relays open: never under current; then the auxiliary instruments."""
        try:
            self.source.safe()
            if self.switch is not None:
                self.switch.open_all()
        except (ConnectionLost, InstrumentFault):
            with suppress(BenchError):
                auxiliary.make_safe(self.auxiliary)
            raise
        auxiliary.make_safe(self.auxiliary)

    def close(self) -> None:
        """Close the links as they are."""
        for session in self.sessions.values():
            with suppress(BenchError):
                session.close()


def _sessions(bench: Bench) -> dict[str, Session]:
    """A session for each instrument, by all the roles that it plays."""
    sessions: dict[str, Session] = {}
    buses: dict[str, Bus] = {}
    direct = sorted(bench.instruments, key=lambda role: _rests_on_another(bench.instruments[role]))
    for role in direct:  # those that others rest on come first
        section = bench.instruments[role]
        if section.shares:
            sessions[role] = sessions[section.shares]
        elif section.behind:
            relay = relay_of(driver(bench.instruments[section.behind].driver))
            assert relay is not None  # the bench file was checked
            sessions[role] = Session(section, bench.backend, carrier=(sessions[section.behind], relay))
        else:
            sessions[role] = Session(section, bench.backend, buses)
    return {role: sessions[role] for role in bench.instruments}


def _rests_on_another(section: InstrumentSection) -> bool:
    return bool(section.shares or section.behind)
