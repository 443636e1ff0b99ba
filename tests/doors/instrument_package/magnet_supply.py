"""A bipolar supply that drives a magnet: an instrument of a role that the bench knows nothing of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import AUXILIARY, Auxiliary, Surroundings
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.settings import ERRORS, Setting, apply, refuse_errors

if TYPE_CHECKING:
    from spinsweep.bench.visa import Session


class MagnetSupplySection(InstrumentSection):
    """``[auxiliary.NAME]`` with ``driver = "magnet-supply"``."""

    model: ClassVar[str] = "BOP"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "current")

    current: Annotated[float, Field(ge=-5, le=5)]
    """Through the magnet while the bench is in use, A."""


class MagnetSupply(Auxiliary):
    """The supply at the other end of ``session``."""

    Section = MagnetSupplySection
    roles = (AUXILIARY,)

    def __init__(self, session: Session, section: MagnetSupplySection, surroundings: Surroundings) -> None:
        self.session = session
        self.current = section.current

    def safe(self) -> None:
        _, error = self.session.ask(f"CURR 0;OUTP 0;*OPC?;{ERRORS}", 2)
        refuse_errors(self.session, error, "it was switched off")

    def start(self) -> None:
        self.session.ask("*RST;*CLS;*OPC?", 1)
        apply(self.session, [Setting("CURR", self.current, 1e-3), Setting("OUTP", 1.0)])
