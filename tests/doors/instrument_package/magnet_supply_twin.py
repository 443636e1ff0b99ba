"""An emulated bipolar supply."""

from __future__ import annotations

from typing import Any

from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.values import Boolean, Real


class MagnetSupply(Instrument):
    """Current and output; no device feels its field."""

    identity = "KEPCO,MODEL BOP,{serial},1.0"
    settings = (
        ScpiSetting("CURRent[:LEVel]", "current", Real(-5.0, 5.0), 0.0),
        ScpiSetting("OUTPut[:STATe]", "output", Boolean(), False),
    )

    def state(self) -> dict[str, Any]:
        return {"current": self.values["current"], "output": self.values["output"]}
