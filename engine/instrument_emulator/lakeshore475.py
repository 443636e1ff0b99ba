"""A Lake Shore 475 gaussmeter in the magnet of the bench; sources as in the driver of the same name."""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.instrument import ScpiSetting
from instrument_emulator.plain import PlainInstrument
from instrument_emulator.scpi import Command
from instrument_emulator.values import Integer

PER_TESLA = {1: 1e4, 2: 1.0, 3: 1e4, 4: 795774.715}
"""Gauss, tesla, oersted, ampere per meter, by the number in ``UNIT``."""


class EmulatedLakeShore475(PlainInstrument):
    """The gaussmeter.  Not modelled: ranges, alternating fields, the probe's temperature."""

    identity = "LSCI,MODEL475,{serial},1.2"
    settings = (ScpiSetting("UNIT", "unit", Integer(1, 4), 1),)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield Command("RDGFIELD?", lambda: f"{self.circuit.field() * PER_TESLA[self.values['unit']]:+.6E}")


class EmulatedLakeShore425(EmulatedLakeShore475):
    """The same with the identity of a Model 425."""

    identity = "LSCI,MODEL425,{serial},1.0"
