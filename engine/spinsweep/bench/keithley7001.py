"""Keithley 7001, the switch that connects one device at a time.

Relays are moved cold only: reed relays can weld when they switch a current (Keithley 707B manual, 2-87).  The switch
cannot know whether one flows: its caller has to have switched the source off, and verified it, before every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from spinsweep.bench.clock import Clock
from spinsweep.bench.errors import ConnectionLost, InstrumentFault
from spinsweep.bench.settings import ERRORS, number, refuse_errors
from spinsweep.bench.visa import Session


class Keithley7001:
    """The switch at the other end of ``session``.

    ``settle`` is the wait after relays moved, s of the ``clock``; ``channels`` (``card!channel``) are all that lead
    to devices, whose relays are verified.
    """

    def __init__(self, session: Session, clock: Clock, settle: float, channels: Sequence[str]) -> None:
        self.session = session
        self.clock = clock
        self.settle = settle
        self.channels = tuple(channels)

    def connect(self, channels: Sequence[str]) -> None:
        """Open all relays, then close these and no other; verified after each step.  The source must be off.

        Raises
        ------
        InstrumentFault
            A relay did not do as told; all are open again, or were told to be.
        ConnectionLost
            The link is not to be trusted any more.
        """
        self.open_all()
        try:
            self._switch(f":ROUT:CLOS {_list(channels)}", channels)
        except InstrumentFault:
            with suppress(InstrumentFault, ConnectionLost):
                self.open_all()
            raise

    def open_all(self) -> None:
        """Open all relays, in whatever state the switch is.  The source must be off.

        Raises
        ------
        InstrumentFault
            A relay is still closed.
        ConnectionLost
            The link is not to be trusted any more.
        """
        self._switch("*CLS;:ROUT:OPEN ALL", ())

    def _switch(self, command: str, closed: Sequence[str]) -> None:
        message = f"{command};*OPC?;:ROUT:CLOS? {_list(self.channels)};{ERRORS}"
        _, states, error = self.session.ask(message, 3)
        refuse_errors(self.session, error, f"told {command}")
        found = [number(self.session, state) for state in states.split(",")]
        if found != [float(c in closed) for c in self.channels]:
            is_closed = [c for c, state in zip(self.channels, found, strict=False) if state]
            what = f"closed are {_words(is_closed)} where {_words(closed)} should be"
            raise InstrumentFault(f"{self.session.name}: {what}; check its relays")
        self.clock.sleep(self.settle)


def _list(channels: Sequence[str]) -> str:
    return f"(@{','.join(channels)})"


def _words(channels: Sequence[str]) -> str:
    return ", ".join(channels) or "none"
