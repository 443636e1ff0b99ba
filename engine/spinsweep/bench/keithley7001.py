"""Keithley 7001, the switch that connects one device at a time.

Relays are moved cold only: reed relays can weld when they switch a current (Keithley 707B manual, 2-87).  The switch
cannot know whether one flows: its caller has to have switched the source off, and verified it, before every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import SWITCH, Router, Surroundings
from spinsweep.bench.errors import ConnectionLost, InstrumentFault
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.settings import ERRORS, number, refuse_errors

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session


class Keithley7001Section(InstrumentSection):
    """``[switch]`` with ``driver = "keithley-7001"``."""

    model: ClassVar[str] = "7001"

    settle: Annotated[float, Field(ge=0, le=10)] = 0.01
    """Wait after relays have moved, s."""


class Keithley7001(Router):
    """The switch at the other end of ``session``.

    All relays that lead to devices are verified at each step.
    """

    Section = Keithley7001Section
    roles = (SWITCH,)

    def __init__(self, session: Session, section: Keithley7001Section, surroundings: Surroundings) -> None:
        self.session = session
        self.clock = surroundings.clock
        self.settle = section.settle
        self.channels = surroundings.channels

    def connect(self, channels: Sequence[str]) -> None:
        """Open all relays, then close these and no other; verified after each step.  The source must be off.

        Raises
        ------
        InstrumentFault
            A relay did not move as it should; all are open again, or were sent the command to open.
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

    def verify(self, channels: Sequence[str]) -> None:
        """``InstrumentFault`` unless these relays are closed and no other of the devices' is; moves none."""
        states, error = self.session.ask(f":ROUT:CLOS? {_list(self.channels)};{ERRORS}", 2)
        refuse_errors(self.session, error, "its relays were looked at")
        self._refuse_other(states, channels)

    def _switch(self, command: str, closed: Sequence[str]) -> None:
        message = f"{command};*OPC?;:ROUT:CLOS? {_list(self.channels)};{ERRORS}"
        _, states, error = self.session.ask(message, 3)
        refuse_errors(self.session, error, f"{command} was sent")
        self._refuse_other(states, closed)
        self.clock.sleep(self.settle)

    def _refuse_other(self, states: str, closed: Sequence[str]) -> None:
        positions = [number(self.session, state) for state in states.split(",")]
        if positions != [float(c in closed) for c in self.channels]:
            is_closed = [c for c, state in zip(self.channels, positions, strict=False) if state]
            what = f"closed relays are {_words(is_closed)} instead of {_words(closed)}"
            raise InstrumentFault(f"{self.session.name}: {what}; check the relays")


def _list(channels: Sequence[str]) -> str:
    return f"(@{','.join(channels)})"


def _words(channels: Sequence[str]) -> str:
    return ", ".join(channels) or "none"
