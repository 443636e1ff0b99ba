"""What a 2000 measures: its functions with their ranges, and the settings of each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

from instrument_emulator.instrument import ScpiSetting
from instrument_emulator.values import Boolean, Choice, Integer, NumberOf, Real

OVERRANGE = 1.2
_VOLTS, _AMPS = (0.1, 1.0, 10.0, 100.0, 1000.0), (0.01, 0.1, 1.0, 3.0)
_OHMS = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)

RATED, TIMED, COUNTED, PLAIN = "integration time", "integration time, one range", "gate time", "nothing"
"""What can be set of a function besides reference and digits, in a word."""


class Function(NamedTuple):
    """One function of the meter."""

    name: str
    """In replies, such as ``VOLT:DC``."""
    pattern: str
    """In headers, such as ``VOLTage[:DC]``."""
    unit: str
    """Behind a reading (2000 manual p. 5-28)."""
    kind: str = RATED
    ranges: tuple[float, ...] = ()
    most: float = 0.0
    """Largest expected reading that can be asked for (2000 manual p. 5-41)."""
    default: float = 0.0
    reference: tuple[float, float] = (0.0, 0.0)
    """Least and largest reference value."""

    @property
    def key(self) -> str:
        """Prefix of the names of its settings."""
        return self.name.lower().replace(":", "_")

    def range(self, reading: float) -> float:
        """The least range that covers a reading."""
        return self.ranges[min(bisect_left(self.ranges, abs(reading) * (1 - 1e-9)), len(self.ranges) - 1)]


FUNCTIONS = (
    Function("VOLT:DC", "VOLTage[:DC]", "VDC", RATED, _VOLTS, 1010.0, 1000.0, (-1010.0, 1010.0)),
    Function("VOLT:AC", "VOLTage:AC", "VAC", RATED, (*_VOLTS[:4], 750.0), 757.5, 750.0, (-757.5, 757.5)),
    Function("CURR:DC", "CURRent[:DC]", "ADC", RATED, _AMPS, 3.1, 3.0, (-3.1, 3.1)),
    Function("CURR:AC", "CURRent:AC", "AAC", RATED, _AMPS[2:], 3.1, 3.0, (-3.1, 3.1)),
    Function("RES", "RESistance", "OHM", RATED, _OHMS, 120e6, 100e6, (0.0, 120e6)),
    Function("FRES", "FRESistance", "OHM4W", RATED, _OHMS, 120e6, 100e6, (0.0, 120e6)),
    Function("FREQ", "FREQuency", "HZ", COUNTED, reference=(0.0, 1.5e7)),
    Function("PER", "PERiod", "SEC", COUNTED, reference=(0.0, 1.0)),
    Function("TEMP", "TEMPerature", "C", TIMED, reference=(-200.0, 1372.0)),
    Function("DIOD", "DIODe", "VDC", PLAIN),
    Function("CONT", "CONTinuity", "OHM", PLAIN),
)
BY_NAME = {function.name: function for function in FUNCTIONS}


class FunctionName(Choice):
    """A function's name within quotes; voltage and current are direct ones unless it says AC."""

    def __init__(self) -> None:
        super().__init__(*(f.pattern.replace("[:DC]", ":DC") for f in FUNCTIONS), "VOLTage", "CURRent", quoted=True)

    def read(self, text: str) -> str:
        name = super().read(text)
        return f"{name}:DC" if name in ("VOLT", "CURR") else name

    def __str__(self) -> str:
        return ", ".join(self.show(function.name) for function in FUNCTIONS)


def settings() -> Iterator[ScpiSetting]:
    """The settings of all functions."""
    for function in FUNCTIONS:
        path, key, low = f"[SENSe[1]:]{function.pattern}", function.key, function.reference[0]
        if function.kind == RATED:
            expected = Real(0.0, function.most)
            yield ScpiSetting(
                f"{path}:RANGe[:UPPer]",
                f"{key}_range",
                expected,
                function.default,
                "the least range that covers it; autorange off",
            )
            yield ScpiSetting(
                f"{path}:RANGe:AUTO", f"{key}_autorange", Boolean(), True, "the least range for a reading"
            )
        if function.kind in (RATED, TIMED):
            yield ScpiSetting(
                f"{path}:NPLCycles", f"{key}_nplc", Real(0.01, 10.0), 1.0, "time and noise of a reading"
            )
            yield ScpiSetting(
                f"{path}:AVERage:STATe",
                f"{key}_average",
                Boolean(),
                False,
                "a reading is a mean",
                preset=True if function.name in ("VOLT:DC", "TEMP") else None,
            )
            yield ScpiSetting(f"{path}:AVERage:COUNt", f"{key}_average_count", Integer(1, 100), 10, "of so many")
            yield ScpiSetting(
                f"{path}:AVERage:TCONtrol",
                f"{key}_average_type",
                Choice("MOVing", "REPeat"),
                "REP",
                "both take all their readings anew",
                preset="MOV",
            )
        if function.kind == COUNTED:
            yield ScpiSetting(f"{path}:APERture", f"{key}_aperture", Real(0.01, 1.0), 1.0, "time of a reading")
            yield ScpiSetting(f"{path}:THReshold:VOLTage:RANGe", f"{key}_threshold", Real(0.0, 1010.0), 10.0)
        if function.kind != PLAIN:
            yield ScpiSetting(f"{path}:DIGits", f"{key}_digits", Integer(4, 7), 7)
            yield ScpiSetting(
                f"{path}:REFerence", f"{key}_reference", Real(*function.reference), max(0.0, low), "is subtracted"
            )
            yield ScpiSetting(f"{path}:REFerence:STATe", f"{key}_reference_on", Boolean(), False, "is subtracted")
        if function.name.endswith("AC"):
            yield ScpiSetting(
                f"{path}:DETector:BANDwidth",
                f"{key}_bandwidth",
                NumberOf(3.0, 30.0, 300.0),
                30.0,
                "least time of a reading: one cycle of it",
            )
    yield ScpiSetting("[SENSe[1]:]TEMPerature:TCouple:TYPE", "thermocouple", Choice("J", "K", "T"), "J")
    yield ScpiSetting("[SENSe[1]:]DIODe:CURRent:RANGe", "diode_current", Real(0.0, 1e-3), 1e-3)
    yield ScpiSetting("[SENSe[1]:]CONTinuity:THReshold", "continuity_threshold", Real(1.0, 1000.0), 10.0)


def defaults(function: Function) -> dict[str, Any]:
    """The settings of one function after ``*RST``."""
    return {s.name: s.default for s in settings() if s.name.startswith(f"{function.key}_")}
