"""Lake Shore 335 or 336, a temperature controller as a thermometer: it records a sensor's temperature.

It only reads: heaters, setpoints and sensor types stay as somebody has set them by hand.

Commands, and where they stand: *Model 335 user's manual*, chapter 6 (p. 108: ``*ESR?``, ``*IDN?`` gives
``LSCI,MODEL335,serial/option serial,firmware``); ``KRDG? A``, a temperature in K, and ``RDGST? A``, the state of a
reading, with bits 0 invalid, 4 and 5 temperature under and over range, 6 and 7 sensor at zero and over range: the
Python driver of Lake Shore 1.8.1, ``model_335.py`` and ``temperature_controllers.py``, as in the manuals of the 331
(p. 6-37) and 332 (p. 6-38).  Messages are joined by ``;`` (*Model 346 manual*, chapter 5, for the family).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.capabilities import AUXILIARY, Auxiliary, Surroundings
from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.ieee488 import refuse_command_errors
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.settings import number

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

STATES = {
    1: "invalid reading", 16: "temperature under range", 32: "temperature over range", 64: "sensor at zero",
    128: "sensor over range",
}  # fmt: skip
"""Bits of ``RDGST?``."""


class LakeShore335Section(InstrumentSection):
    """``[auxiliary.NAME]`` with ``driver = "lakeshore-335"``."""

    model: ClassVar[str] = "MODEL335"
    reading_keys: ClassVar[tuple[str, ...]] = ("driver", "input")

    input: Annotated[str, Field(pattern="^[AB]$")] = "A"
    """Which sensor."""
    lowest: Annotated[float, Field(ge=0)] = 0.0
    """Below it nothing is fired, K."""
    highest: Annotated[float, Field(gt=0)] = 1500.0
    """Above it nothing is fired, K."""

    @property
    def columns(self) -> Mapping[str, str]:
        """The sensor's temperature, K."""
        return {"temperature": "K"}


class LakeShore336Section(LakeShore335Section):
    """``[auxiliary.NAME]`` with ``driver = "lakeshore-336"``."""

    model: ClassVar[str] = "MODEL336"

    input: Annotated[str, Field(pattern="^[ABCD]$")] = "A"
    """Which sensor."""


class LakeShore335(Auxiliary):
    """The thermometer at the other end of ``session``."""

    Section: ClassVar[type[LakeShore335Section]] = LakeShore335Section
    roles = (AUXILIARY,)

    def __init__(self, session: Session, section: LakeShore335Section, surroundings: Surroundings) -> None:
        self.session = session
        self.section = section

    def safe(self) -> None:
        """It only reads."""

    def start(self) -> None:
        """Forget old events, and see that the sensor reads."""
        self.session.ask(f"*CLS;KRDG? {self.section.input}", 1)
        self.verify()

    def verify(self) -> None:
        """``InstrumentFault`` unless the sensor reads, between ``lowest`` and ``highest``."""
        section, kelvin = self.section, self._temperature()
        if not section.lowest <= kelvin <= section.highest:
            raise InstrumentFault(
                f"{self.session.name}: reads {kelvin:g} K, not within {section.lowest:g} to {section.highest:g} K"
            )

    def measured(self) -> Mapping[str, float]:
        """``temperature``, K."""
        return {"temperature": self._temperature()}

    def _temperature(self) -> float:
        """K; ``InstrumentFault`` if the reading is not to be trusted."""
        sensor = self.section.input
        text, state, events = self.session.ask(f"KRDG? {sensor};RDGST? {sensor};*ESR?", 3)
        refuse_command_errors(self.session, events, "it was read")
        bits = int(number(self.session, state))
        if bits:
            what = ", ".join(name for bit, name in STATES.items() if bits & bit) or f"state {bits}"
            raise InstrumentFault(f"{self.session.name}: sensor {sensor} gives no temperature: {what}")
        return number(self.session, text)


class LakeShore336(LakeShore335):
    """The same of a Model 336, which has four sensors."""

    Section = LakeShore336Section
