"""A supply that drives a magnet: what those of all makes have in common.

The field is never switched, it is ramped: up at ``ramp`` when the bench starts, down at ``safe_ramp`` at every end,
whoever ends it.  A magnet's inductance answers a current that is cut with a voltage, which a supply may not survive.
All that is asked for is refused beyond ``max_current``, by the bench file first and by the driver again.

A magnet may have a remanence: the field is ``current / current_per_tesla`` where that was calibrated on the way up
from 0 A.  A gaussmeter beside it (:mod:`~spinsweep.bench.lakeshore475`) measures what is there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import AUXILIARY, Auxiliary, Surroundings
from spinsweep.bench.errors import InstrumentFault, LimitError
from spinsweep.bench.parts import Positive, Timing
from spinsweep.bench.section import InstrumentSection, Wired

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

POLL_S = 0.2
"""Bench time between two looks at a current that ramps, and between two steps of one that is ramped in steps."""
LATE = 1.5
"""A ramp may take so many times as long as planned, and ``OVERTIME_S`` more."""
OVERTIME_S = 5.0


class FieldSupplySection(InstrumentSection):
    """``[auxiliary.NAME]`` of a field supply."""

    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "field", "current_per_tesla")
    rating: ClassVar[float] = 0.0
    """Largest current of the model, A."""

    field: Annotated[float, Field(ge=-20, le=20)]
    """While the bench is in use, T, either sign; 200 Oe are 0.02 T."""
    current_per_tesla: Positive
    """Calibration of the magnet, A/T."""
    max_current: Positive
    """Never exceeded, either sign, A."""
    ramp: Positive
    """Largest rate of the field on the way up, T/s."""
    safe_ramp: Positive | None = None
    """The same on the way down, at every end, also after a death, T/s; as ``ramp`` where it is left out."""
    tolerance: Positive
    """How far the measured field may be off, T."""
    settle: Annotated[float, Field(ge=0, le=30)] = 1.0
    """How long the measured field has to be within the tolerance before anything is fired, s."""

    @property
    def columns(self) -> Mapping[str, str]:
        """The field by the measured current, T."""
        return {"field": "T"}

    @property
    def current(self) -> float:
        """Of the field, A."""
        return self.field * self.current_per_tesla

    @property
    def rate_up(self) -> float:
        """A/s."""
        return self.ramp * self.current_per_tesla

    @property
    def rate_down(self) -> float:
        """A/s."""
        return (self.safe_ramp or self.ramp) * self.current_per_tesla

    @property
    def ramp_times(self) -> tuple[float, float]:
        """From ``max_current`` to 0 A, and from there to the field, s."""
        return self.max_current / self.rate_down, abs(self.current) / self.rate_up + self.settle

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Currents beyond the limit or the model."""
        if abs(self.current) > self.max_current:
            needed = f"field {self.field:g} T needs {self.current:g} A"
            yield f"{needed}; max_current is {self.max_current:g} A"
        if self.max_current > self.rating:
            yield f"max_current {self.max_current:g} A; the supply has {self.rating:g} A"


class FieldSupply(Auxiliary):
    """A field supply at the other end of ``session``; a subclass knows its commands.

    All methods raise ``ConnectionLost`` when the link is not to be trusted any more, and ``InstrumentFault`` when the
    supply reports a fault, reads back something else than was sent, or lost its power.
    """

    Section: ClassVar[type[FieldSupplySection]]
    roles = (AUXILIARY,)

    def __init__(self, session: Session, section: FieldSupplySection, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.clock = surroundings.clock
        self.tolerance = section.tolerance * section.current_per_tesla
        """A."""

    def safe(self) -> None:
        """Ramp down to 0 A at ``safe_ramp``, and switch the output off where there is one, from whatever state.

        A fault that the supply reports does not hinder it, only a current that does not go.
        """
        self.ramp_down()
        if (left := abs(self.current())) > self.tolerance:
            raise InstrumentFault(f"{self.session.name}: {left:g} A still flow; bring the field down by hand")

    def start(self) -> None:
        """Ramp up to the field, and wait until the measured current is within the tolerance for ``settle`` s.

        Raises
        ------
        InterlockOpen
            A person has to act first: flow switch of the cooling water, remote enable.
        """
        self.prepare()
        self.refuse_faults()
        try:
            self.go_to(self.section.current, self.section.rate_up)
            self._await_settled()
        except InstrumentFault:
            self.refuse_faults()  # one that came meanwhile says why
            raise
        self.verify()

    def verify(self) -> None:
        """The supply reports no fault, has the settings that were sent, and measures a current within tolerance."""
        self.refuse_faults()
        try:
            self.refuse_settings()
            self._refuse_field(self.current())
        except InstrumentFault:
            self.refuse_faults()  # one that came meanwhile says why
            raise

    def measured(self) -> Mapping[str, float]:
        """``field``, T: the measured current by the calibration."""
        return {"field": self.current() / self.section.current_per_tesla}

    @abstractmethod
    def current(self) -> float:
        """Measured, A."""

    @abstractmethod
    def prepare(self) -> None:
        """From 0 A: the settings that hold while the bench is in use, read back; an output is switched on."""

    @abstractmethod
    def go_to(self, current: float, rate: float) -> None:
        """Bring the set current to ``current`` A at ``rate`` A/s; ``LimitError`` beyond ``max_current``."""

    @abstractmethod
    def ramp_down(self) -> None:
        """From any state to 0 A at ``section.rate_down``, waiting for it, and the output off."""

    @abstractmethod
    def refuse_faults(self) -> None:
        """``InterlockOpen`` or ``InstrumentFault`` if the supply reports that something is wrong."""

    @abstractmethod
    def refuse_settings(self) -> None:
        """``InstrumentFault`` if a setting reads back otherwise than it was sent."""

    def refuse_beyond(self, current: float) -> None:
        """``LimitError`` beyond ``max_current``; a NaN is within nothing."""
        if not abs(current) <= self.section.max_current:
            raise LimitError(
                f"{self.session.name}: {current:g} A is beyond max_current {self.section.max_current:g} A; "
                "nothing was sent"
            )

    def await_current(self, current: float, rate: float) -> None:
        """Wait until the measured current is there; ``InstrumentFault`` if it is not in time."""
        patience = LATE * abs(self.current() - current) / rate + OVERTIME_S
        end = self.clock.now() + patience
        while True:
            now = self.clock.now()  # before it is measured: this process may be stopped in between
            measured = self.current()
            if abs(measured - current) <= self.tolerance:
                return
            if now > end:
                raise InstrumentFault(
                    f"{self.session.name}: {measured:g} A flow instead of {current:g} A after {patience:.3g} s"
                )
            self.clock.sleep(POLL_S)

    def _await_settled(self) -> None:
        """Wait until the current was within the tolerance for ``settle`` s without a break."""
        wanted, settle = self.section.current, self.section.settle
        self.await_current(wanted, self.section.rate_up)
        since = began = self.clock.now()
        while self.clock.now() - since < settle:
            self.clock.sleep(min(POLL_S, settle))
            now = self.clock.now()
            if abs(self.current() - wanted) <= self.tolerance:
                continue
            if now - began > LATE * settle + OVERTIME_S:
                raise InstrumentFault(f"{self.session.name}: its current does not stay at {wanted:g} A")
            since = self.clock.now()

    def _refuse_field(self, measured: float) -> None:
        section = self.section
        if not abs(measured - section.current) <= self.tolerance:
            raise InstrumentFault(
                f"{self.session.name}: its field is {measured / section.current_per_tesla:.6g} T by the measured "
                f"current, not {section.field:g} T within {section.tolerance:g} T"
            )
