"""The settings of a 2000, and what its commands were checked against."""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.functions2000 import COUNTED, FUNCTIONS, FunctionName
from instrument_emulator.functions2000 import settings as settings_of_functions
from instrument_emulator.instrument import REGISTER_FORMAT, ScpiSetting
from instrument_emulator.values import Boolean, Choice, Count, Integer, QuotedText, Real

ELEMENTS = ("READ", "CHAN", "UNIT")
_SECONDS = Real(0.001, 999999.999, unit="S")
_TRIGGER = "TRIGger[:SEQuence[1]]"


def _triggers() -> Iterator[ScpiSetting]:
    source = Choice("IMMediate", "TIMer", "MANual", "BUS", "EXTernal")
    yield ScpiSetting(f"{_TRIGGER}:SOURce", "trigger", source, "IMM", "when readings are taken; EXT, MAN: never")
    yield ScpiSetting(f"{_TRIGGER}:COUNt", "trigger_count", Count(1, 9999), 1.0, "how many readings, up to 1024")
    yield ScpiSetting(
        f"{_TRIGGER}:DELay", "trigger_delay", Real(0.0, 999999.999, unit="S"), 0.0, "before each trigger's readings"
    )
    yield ScpiSetting(f"{_TRIGGER}:DELay:AUTO", "trigger_autodelay", Boolean(), True)
    yield ScpiSetting(f"{_TRIGGER}:TIMer", "trigger_timer", _SECONDS, 0.1, "with TRIG:SOUR TIM: between triggers")
    yield ScpiSetting("SAMPle:COUNt", "samples", Integer(1, 1024), 1, "readings of each trigger")
    yield ScpiSetting("INITiate:CONTinuous", "continuous", Boolean(), False, "readings without INIT", preset=True)


def _buffer() -> Iterator[ScpiSetting]:
    yield ScpiSetting("TRACe:POINts", "buffer_size", Integer(2, 1024), 100, "readings until it is full")
    yield ScpiSetting(
        "TRACe:FEED",
        "buffer_feed",
        Choice("SENSe[1]", "CALCulate[1]", "NONE"),
        "CALC",
        "what is kept: readings before or after the calculation",
    )
    yield ScpiSetting(
        "TRACe:FEED:CONTrol", "buffer_control", Choice("NEXT", "NEVer"), "NEV", "NEXT: fills the buffer"
    )
    yield ScpiSetting(
        "CALCulate2:FORMat",
        "statistics",
        Choice("NONE", "MEAN", "SDEViation", "MAXimum", "MINimum"),
        "NONE",
        "which statistic",
    )
    yield ScpiSetting("CALCulate2:STATe", "statistics_on", Boolean(), False)


def _math() -> Iterator[ScpiSetting]:
    factor = Real(-100e6, 100e6)
    yield ScpiSetting("CALCulate[1]:FORMat", "math", Choice("NONE", "MXB", "PERCent"), "PERC", "which calculation")
    yield ScpiSetting("CALCulate[1]:KMATh:MMFactor", "math_m", factor, 1.0, "calculates")
    yield ScpiSetting("CALCulate[1]:KMATh:MBFactor", "math_b", factor, 0.0, "calculates")
    yield ScpiSetting("CALCulate[1]:KMATh:PERCent", "math_percent", factor, 1.0, "calculates")
    yield ScpiSetting("CALCulate[1]:STATe", "math_on", Boolean(), False, "calculates")
    yield ScpiSetting("CALCulate3:LIMit[1]:UPPer", "limit_high", factor, 1.0, "for FAIL?")
    yield ScpiSetting("CALCulate3:LIMit[1]:LOWer", "limit_low", factor, -1.0, "for FAIL?")
    yield ScpiSetting("CALCulate3:LIMit[1]:STATe", "limit_on", Boolean(), False)


def _system() -> Iterator[ScpiSetting]:
    yield ScpiSetting("SYSTem:AZERo:STATe", "autozero", Boolean(), True)
    yield ScpiSetting("SYSTem:BEEPer:STATe", "beeper", Boolean(), True)
    yield ScpiSetting("SYSTem:KCLick", "key_click", Boolean(), True)
    yield ScpiSetting("SYSTem:POSetup", "power_on", Choice("RST", "PRESet", "SAV0"), "PRES", "always as RST")
    yield ScpiSetting("DISPlay:ENABle", "display", Boolean(), True)
    yield ScpiSetting("DISPlay[:WINDow[1]]:TEXT:DATA", "display_text", QuotedText(12), "")
    yield ScpiSetting("DISPlay[:WINDow[1]]:TEXT:STATe", "display_text_on", Boolean(), False)
    yield ScpiSetting("FORMat[:DATA]", "format", Choice("ASCii"), "ASC", "binary formats: -224")
    yield ScpiSetting("FORMat:BORDer", "byte_order", Choice("NORMal", "SWAPped"), "NORM", preset="SWAP")
    yield REGISTER_FORMAT
    yield ScpiSetting("UNIT:TEMPerature", "unit_temperature", Choice("C", "F", "K"), "C")
    yield ScpiSetting("UNIT:VOLTage:AC", "unit_alternating", Choice("V", "DB", "DBM"), "V")


SETTINGS = (
    ScpiSetting("[SENSe[1]:]FUNCtion", "function", FunctionName(), "VOLT:DC", "what is measured"),
    *settings_of_functions(),
    *_triggers(),
    *_buffer(),
    *_math(),
    *_system(),
)

_DRIVERS = "pymeasure 0.16 Keithley2000, QCoDeS 0.58 Keithley_2000"
SOURCES = {
    "*": "IEEE 488.2; pymeasure 0.16",
    "*STB": "2000 manual p. 4-45",
    "*TRG": "2000 manual p. 4-45",
    "*TST": "2000 manual p. 4-45",
    "*SAV": "no page seen",
    "*RCL": "no page seen",
    "STATus": "2000 manual p. 5-53, 5-63",
    "SYSTem": "pymeasure 0.16 Keithley2000; no page seen",
    "SYSTem:AZERo": "no page seen",
    "SYSTem:ERRor": "2000 manual p. 5-63",
    "SYSTem:PRESet": "SCPI-1999; its values: no page seen",
    "[SENSe[1]:]": f"{_DRIVERS}",
    "[SENSe[1]:]DATA": "QCoDeS 0.58 Keithley_2000; 2182A manual appendix H",
    "[SENSe[1]:]CONTinuity": "no page seen",
    "[SENSe[1]:]DIODe": "no page seen",
    "[SENSe[1]:]TEMPerature:TCouple": "no page seen",
    **{f"[SENSe[1]:]{f.pattern}:RANGe[:UPPer]": "2000 manual p. 5-41; pymeasure 0.16" for f in FUNCTIONS if f.ranges},
    **{f"[SENSe[1]:]{f.pattern}:DETector": "2000 manual p. 5-48" for f in FUNCTIONS if f.name.endswith("AC")},
    **{f"[SENSe[1]:]{f.pattern}:THReshold": "2000 manual p. 5-48" for f in FUNCTIONS if f.kind == COUNTED},
    "CONFigure": "pymeasure 0.16 Keithley2000",
    "MEASure": "no page seen",
    "READ": "pymeasure 0.16 Keithley2000",
    "FETCh": "2182A manual appendix H",
    "INITiate": _DRIVERS,
    "ABORt": "pymeasure 0.16 KeithleyBuffer",
    "TRIGger": _DRIVERS,
    "SAMPle": "no page seen",
    "TRACe": "pymeasure 0.16 KeithleyBuffer",
    "TRACe:FREE": "no page seen",
    "FORMat": "2000 manual p. 5-28",
    "FORMat:ELEMents": "2000 manual p. 5-31; after *RST and SYST:PRES: 2001 manual p. 4-88",
    "FORMat:SREGister": "no page seen",
    "CALCulate": "no page seen",
    "DISPlay": "QCoDeS 0.58 Keithley_2000",
    "DISPlay[:WINDow[1]]": "no page seen",
    "UNIT": "no page seen",
    "ROUTe": "2000 manual p. 5-32; without a card: no page seen",
}
