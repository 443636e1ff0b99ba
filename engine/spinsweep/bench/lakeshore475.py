"""Lake Shore 475 (or 425), a gaussmeter that measures the field in which the devices stand.

It verifies what a supply's own current cannot: that the magnet is connected, its calibration, and a remanence.  In
the bench file it stands behind the supply, for instruments start in the order of the file.

Commands, and where they stand: *Model 475 user's manual* p. 6-28 (common commands), p. 6-37 (``RDGFIELD?``, field in
the unit that is set); *Model 425 user's manual* p. 52 (identity), p. 57 (``UNIT 2`` is tesla), the same commands.
Messages are joined by ``;``.  What it replies beyond its range is no number that a field could be, so it is out of
tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import AUXILIARY, Auxiliary, Surroundings
from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.ieee488 import refuse_command_errors
from spinsweep.bench.parts import Positive
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.settings import number

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

TESLA = 2
"""Of ``UNIT``."""
POLL_S = 0.2


class LakeShore475Section(InstrumentSection):
    """``[auxiliary.NAME]`` with ``driver = "lakeshore-475"``."""

    model: ClassVar[str] = "MODEL475"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "field", "tolerance")

    field: Annotated[float, Field(ge=-35, le=35)]
    """That there has to be, T."""
    tolerance: Positive
    """How far the measured field may be off, T."""
    settle: Annotated[float, Field(ge=0, le=30)] = 5.0
    """How long the field is waited for when the bench starts, s."""

    @property
    def columns(self) -> Mapping[str, str]:
        """The measured field, T."""
        return {"field": "T"}

    @property
    def ramp_times(self) -> tuple[float, float]:
        """It waits for the field when it starts, s."""
        return 0.0, self.settle


class LakeShore425Section(LakeShore475Section):
    """``[auxiliary.NAME]`` with ``driver = "lakeshore-425"``."""

    model: ClassVar[str] = "MODEL425"


class LakeShore475(Auxiliary):
    """The gaussmeter at the other end of ``session``."""

    Section: ClassVar[type[LakeShore475Section]] = LakeShore475Section
    roles = (AUXILIARY,)

    def __init__(self, session: Session, section: LakeShore475Section, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section
        self.clock = surroundings.clock

    def safe(self) -> None:
        """It only measures."""

    def start(self) -> None:
        """Set the unit, and wait until the field is there."""
        self.session.ask(f"*CLS;UNIT {TESLA};UNIT?", 1)
        end = self.clock.now() + self.section.settle
        while abs(self._field() - self.section.field) > self.section.tolerance and self.clock.now() < end:
            self.clock.sleep(POLL_S)
        self.verify()

    def verify(self) -> None:
        """``InstrumentFault`` unless the field is within the tolerance."""
        section, field = self.section, self._field()
        if not abs(field - section.field) <= section.tolerance:
            raise InstrumentFault(
                f"{self.session.name}: measures {field:.6g} T, not {section.field:g} T within {section.tolerance:g} T"
            )

    def measured(self) -> Mapping[str, float]:
        """``field``, T."""
        return {"field": self._field()}

    def _field(self) -> float:
        """T; ``InstrumentFault`` in another unit."""
        field, unit, events = self.session.ask("RDGFIELD?;UNIT?;*ESR?", 3)
        refuse_command_errors(self.session, events, "it was read")
        if number(self.session, unit) != TESLA:
            raise InstrumentFault(f"{self.session.name}: UNIT reads {unit} where {TESLA} was sent; start it again")
        return number(self.session, field)


class LakeShore425(LakeShore475):
    """The same of a Model 425."""

    Section = LakeShore425Section
