"""The settings of a 6221, and what its commands were checked against.

Numbers of ranges and limits: Keithley 6220/6221 reference manual (622x-901-01) as public drivers give them; where
they differ the narrower limit is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.instrument import REGISTER_FORMAT, ScpiSetting
from instrument_emulator.values import (
    INFINITE,
    Boolean,
    Choice,
    Count,
    Integer,
    NumberOf,
    ParameterType,
    QuotedText,
    Real,
)

RANGES = (2e-9, 20e-9, 200e-9, 2e-6, 20e-6, 200e-6, 2e-3, 20e-3, 100e-3)
OVERRANGE = 1.05
MAX_CURRENT = 0.105  # A
BUFFER_POINTS = 65536
SWEEP_POINTS = 65535

CURRENT = "SOURce[1]:CURRent"
WAVE = "SOURce[1]:WAVE"
SWEEP = "SOURce[1]:SWEep"

_AMPERE = Real(-MAX_CURRENT, MAX_CURRENT, unit="A")
_HIGH, _LOW = Real(0.0, MAX_CURRENT, unit="A"), Real(-MAX_CURRENT, 0.0, unit="A")
_SECONDS = Real(1e-3, 999999.999, unit="S")
_FACTOR = Real(-9.99999e20, 9.99999e20)
_LINE = Integer(1, 6)
_COUNT = Count(1, 65536)
_DELTA_DELAY = Real(1e-3, 9999.999, infinite=True, unit="S")
_NO_DELTA = "arming gives -241 where no 2182A hangs at the serial port"
_NO_READINGS = "only delta modes take readings"
_NO_LINE = "no trigger line is emulated"


def _source() -> Iterator[ScpiSetting]:
    flows = "the current flows"
    yield ScpiSetting(f"{CURRENT}[:LEVel][:IMMediate][:AMPLitude]", "level", _AMPERE, 0.0, flows)
    yield ScpiSetting(
        f"{CURRENT}:RANGe",
        "range",
        Real(-MAX_CURRENT, MAX_CURRENT, unit="A", least=RANGES[0]),
        RANGES[-1],
        "bounds levels and fixed waves; autorange off",
    )
    yield ScpiSetting(f"{CURRENT}:RANGe:AUTO", "autorange", Boolean(), False, "the least range for the level")
    yield ScpiSetting(
        f"{CURRENT}:COMPliance", "compliance", Real(0.1, 105.0, step=0.01, unit="V"), 10.0, "clips the current"
    )
    yield ScpiSetting(f"{CURRENT}:FILTer[:STATe]", "filter", Boolean(), False)
    yield ScpiSetting("SOURce[1]:DELay", "delay", _SECONDS, 1.0, "time of a sweep's step")
    yield ScpiSetting("OUTPut[:STATe]", "output", Boolean(), False, flows)
    yield ScpiSetting("OUTPut:RESPonse", "response", Choice("FAST", "SLOW"), "FAST")
    yield ScpiSetting("OUTPut:LTEarth", "low_to_earth", Boolean(), False)
    yield ScpiSetting("OUTPut:ISHield", "inner_shield", Choice("OLOW", "GUARd"), "OLOW")
    yield ScpiSetting("SOURce2:TTL[:LEVel][:DEFault]", "digital_output", Integer(0, 15), 15)


def _wave() -> Iterator[ScpiSetting]:
    shape = "shapes the wave"
    functions = ("SINusoid", "SQUare", "RAMP", *(f"ARBitrary{i}" for i in range(5)))
    duration = Real(100e-9, 999999.999, infinite=True, unit="S")
    yield ScpiSetting(f"{WAVE}:FUNCtion", "function", Choice(*functions), "SIN", shape)
    yield ScpiSetting(f"{WAVE}:FREQuency", "frequency", Real(1e-3, 1e5, unit="HZ"), 1e3, shape)
    yield ScpiSetting(f"{WAVE}:AMPLitude", "amplitude", Real(2e-12, MAX_CURRENT, unit="A"), 1e-3, shape)
    yield ScpiSetting(f"{WAVE}:OFFSet", "offset", _AMPERE, 0.0, shape)
    yield ScpiSetting(f"{WAVE}:DCYCle", "duty", Real(0.0, 100.0), 50.0, shape)
    yield ScpiSetting(f"{WAVE}:DURation:TIME", "duration_time", duration, INFINITE, "ends the wave; CYCL is INF")
    yield ScpiSetting(
        f"{WAVE}:DURation:CYCLes",
        "duration_cycles",
        Real(1e-3, 999999999e2, infinite=True),
        INFINITE,
        "ends the wave; TIME is INF",
    )
    yield ScpiSetting(f"{WAVE}:RANGing", "wave_ranging", Choice("BEST", "FIXed"), "BEST", "bounds the amplitude")
    yield ScpiSetting(f"{WAVE}:EXTRig[:ENABle]", "external", Boolean(), False, f"the wave waits; {_NO_LINE}")
    yield ScpiSetting(f"{WAVE}:EXTRig:ILINe", "external_line", Integer(0, 6), 1)
    yield ScpiSetting(f"{WAVE}:EXTRig:IGNore", "external_ignore", Boolean(), False)
    yield ScpiSetting(f"{WAVE}:EXTRig:IVALue", "idle", Real(-1.0, 1.0), 0.0, "level before the wave starts")
    yield ScpiSetting(f"{WAVE}:PMARk:STATe", "marker", Boolean(), False)
    yield ScpiSetting(f"{WAVE}:PMARk[:LEVel]", "marker_phase", Real(0.0, 360.0), 180.0)
    yield ScpiSetting(f"{WAVE}:PMARk:OLINe", "marker_line", _LINE, 3)


def _sweep() -> Iterator[ScpiSetting]:
    coupled = "levels of a sweep; the others follow (p. 4-22)"
    yield ScpiSetting(f"{CURRENT}:STARt", "start", _AMPERE, 0.0, coupled)
    yield ScpiSetting(f"{CURRENT}:STOP", "stop", _AMPERE, 0.1, coupled)
    yield ScpiSetting(f"{CURRENT}:STEP", "step", Real(1e-13, MAX_CURRENT, unit="A"), 0.01, coupled)
    yield ScpiSetting(f"{CURRENT}:CENTer", "center", _AMPERE, 0.05, coupled)
    yield ScpiSetting(f"{CURRENT}:SPAN", "span", Real(2e-13, 2 * MAX_CURRENT, unit="A"), 0.1, coupled)
    yield ScpiSetting(f"{SWEEP}:SPACing", "spacing", Choice("LINear", "LOGarithmic", "LIST"), "LIN", "kind of sweep")
    yield ScpiSetting(f"{SWEEP}:POINts", "points", Integer(1, SWEEP_POINTS), 11, coupled)
    yield ScpiSetting(
        f"{SWEEP}:RANGing",
        "sweep_ranging",
        Choice("AUTO", "BEST", "FIXed"),
        "BEST",
        "FIX: levels end at the range (p. 4-9)",
    )
    yield ScpiSetting(f"{SWEEP}:COUNt", "sweep_count", Count(1, 9999), 1.0, "how many sweeps")
    yield ScpiSetting(f"{SWEEP}:CABort", "sweep_abort", Boolean(), False, "compliance ends a sweep")


def _delta() -> Iterator[ScpiSetting]:
    for mode, name in (("DELTa", "delta"), ("PDELta", "pulse_delta")):
        path = f"SOURce[1]:{mode}"
        yield ScpiSetting(f"{path}:HIGH", f"{name}_high", _HIGH, 1e-3, f"LOW follows; {_NO_DELTA}")
        yield ScpiSetting(f"{path}:LOW", f"{name}_low", _LOW, -1e-3 if name == "delta" else 0.0)
        yield ScpiSetting(f"{path}:COUNt", f"{name}_count", _COUNT, INFINITE if name == "delta" else 1.0)
    yield ScpiSetting("SOURce[1]:DELTa:DELay", "delta_delay", _DELTA_DELAY, 2e-3)
    yield ScpiSetting("SOURce[1]:DELTa:CABort", "delta_abort", Boolean(), False)
    yield ScpiSetting("SOURce[1]:DELTa:CSWitch", "delta_cold_switch", Boolean(), False)
    yield ScpiSetting("SOURce[1]:PDELta:WIDTh", "pulse_delta_width", Real(50e-6, 12e-3, unit="S"), 110e-6)
    yield ScpiSetting("SOURce[1]:PDELta:SDELay", "pulse_delta_delay", Real(16e-6, 11.966e-3, unit="S"), 16e-6)
    yield ScpiSetting("SOURce[1]:PDELta:RANGing", "pulse_delta_ranging", Choice("BEST", "FIXed"), "BEST")
    yield ScpiSetting("SOURce[1]:PDELta:INTerval", "pulse_delta_interval", Integer(5, 999999), 5)
    yield ScpiSetting("SOURce[1]:PDELta:SWEep[:STATe]", "pulse_delta_sweep", Boolean(), False)
    yield ScpiSetting("SOURce[1]:PDELta:LMEasure", "pulse_delta_low_measurements", Integer(1, 2), 2)
    for what, kind, default in (
        ("STARt", _AMPERE, -1e-5), ("STOP", _AMPERE, 1e-5), ("STEP", _HIGH, 1e-6), ("DELTa", _HIGH, 1e-6),
        ("DELay", _DELTA_DELAY, 2e-3), ("CABort", Boolean(), False),
    ):  # fmt: skip
        yield ScpiSetting(f"SOURce[1]:DCONductance:{what}", f"conductance_{what.lower()}", kind, default)


def _trigger() -> Iterator[ScpiSetting]:
    arm = Choice("IMMediate", "TIMer", "BUS", "TLINk", "BSTest", "PSTest", "NSTest", "MANual")
    direction = Choice("SOURce", "ACCeptor")
    yield ScpiSetting("ARM:SOURce", "arm_source", arm, "IMM", "BUS: a sweep waits for *TRG; others wait for ever")
    yield ScpiSetting("ARM:TIMer", "arm_timer", Real(0.0, 99999.99, unit="S"), 0.1)
    for layer, name, outputs in (("ARM", "arm", ("TENTer", "TEXit")), ("TRIGger", "trigger", ("SOURce", "DELay"))):
        yield ScpiSetting(f"{layer}:DIRection", f"{name}_direction", direction, "ACC")
        yield ScpiSetting(f"{layer}:ILINe", f"{name}_input", _LINE, 1)
        yield ScpiSetting(f"{layer}:OLINe", f"{name}_line", _LINE, 2)
        yield ScpiSetting(f"{layer}:OUTPut", f"{name}_output", Choice(*outputs, "NONE"), "NONE")
    yield ScpiSetting(
        "TRIGger:SOURce", "trigger_source", Choice("IMMediate", "TLINk"), "IMM", f"TLIN: a sweep waits; {_NO_LINE}"
    )


def _readings() -> Iterator[ScpiSetting]:
    yield ScpiSetting("UNIT[:VOLTage][:DC]", "unit", Choice("V", "OHMS", "W", "SIEMens"), "V", _NO_READINGS)
    yield ScpiSetting("UNIT:POWer[:TYPE]", "unit_power", Choice("PEAK", "AVERage"), "AVER", _NO_READINGS)
    yield ScpiSetting("[SENSe[1]:]AVERage[:STATe]", "average", Boolean(), False, _NO_READINGS)
    yield ScpiSetting("[SENSe[1]:]AVERage:COUNt", "average_count", Integer(2, 300), 10, _NO_READINGS)
    yield ScpiSetting("[SENSe[1]:]AVERage:WINDow", "average_window", Real(0.0, 10.0), 0.0, _NO_READINGS)
    yield ScpiSetting("[SENSe[1]:]AVERage:TCONtrol", "average_type", Choice("MOVing", "REPeat"), "MOV", _NO_READINGS)
    yield ScpiSetting("TRACe:POINts", "buffer_size", Integer(1, BUFFER_POINTS), 1024, _NO_READINGS)
    yield ScpiSetting("TRACe:NOTify", "buffer_notify", Integer(1, BUFFER_POINTS), 512, _NO_READINGS)
    yield ScpiSetting("TRACe:FEED", "buffer_feed", Choice("SENSe[1]", "CALCulate[1]", "NONE"), "SENS", _NO_READINGS)
    yield ScpiSetting("TRACe:FEED:CONTrol", "buffer_control", Choice("NEXT", "NEVer"), "NEV", _NO_READINGS)
    yield ScpiSetting("TRACe:TSTamp:FORMat", "buffer_time", Choice("ABSolute", "DELTa"), "ABS", _NO_READINGS)
    yield ScpiSetting("CALCulate[1]:FORMat", "math", Choice("NONE", "MXB", "RECiprocal"), "MXB", _NO_READINGS)
    yield ScpiSetting("CALCulate[1]:KMATh:MMFactor", "math_m", _FACTOR, 1.0, _NO_READINGS)
    yield ScpiSetting("CALCulate[1]:KMATh:MBFactor", "math_b", _FACTOR, 0.0, _NO_READINGS)
    yield ScpiSetting("CALCulate[1]:STATe", "math_on", Boolean(), False, _NO_READINGS)
    yield ScpiSetting(
        "CALCulate2:FORMat",
        "statistics",
        Choice("MEAN", "SDEViation", "MAXimum", "MINimum", "PKPK"),
        "MEAN",
        _NO_READINGS,
    )
    yield ScpiSetting("CALCulate2:STATe", "statistics_on", Boolean(), False, _NO_READINGS)
    yield ScpiSetting("CALCulate3:FORCe:STATe", "force_on", Boolean(), False)
    yield ScpiSetting("CALCulate3:FORCe:PATTern", "force_pattern", Integer(0, 15), 15)
    yield ScpiSetting("CALCulate3:LIMit[1]:STATe", "limit_on", Boolean(), False, _NO_READINGS)
    yield ScpiSetting("CALCulate3:LIMit[1]:SOURce2", "limit_pattern", Integer(0, 15), 15)


def _system() -> Iterator[ScpiSetting]:
    for window, length in (("[1]", 20), ("2", 32)):
        path, name = f"DISPlay:WINDow{window}", f"display{window.strip('[]')}"
        yield ScpiSetting(f"{path}:TEXT[:DATA]", f"{name}_text", QuotedText(length), "")
        yield ScpiSetting(f"{path}:TEXT:STATe", f"{name}_text_on", Boolean(), False)
    yield ScpiSetting("DISPlay:ENABle", "display", Boolean(), True)
    yield ScpiSetting("FORMat[:DATA]", "format", Choice("ASCii"), "ASC", "binary formats: -224")
    yield ScpiSetting("FORMat:BORDer", "byte_order", Choice("NORMal", "SWAPped"), "NORM", preset="SWAP")
    yield REGISTER_FORMAT
    yield ScpiSetting("SYSTem:BEEPer:STATe", "beeper", Boolean(), True)
    yield ScpiSetting("SYSTem:KCLick", "key_click", Boolean(), True)
    yield ScpiSetting(
        "SYSTem:POSetup", "power_on", Choice("RST", "PRESet", *(f"SAV{i}" for i in range(5))), "PRES", "always as RST"
    )
    yield ScpiSetting("SYSTem:COMMunicate:LLOCkout", "lockout", Boolean(), False)
    yield ScpiSetting("SYSTem:COMMunicate:GPIB:ADDRess", "gpib_address", Integer(0, 30), 12)
    yield ScpiSetting("SYSTem:COMMunicate:SERial:BAUD", "baud", _baud(), 19200.0)
    yield ScpiSetting("SYSTem:COMMunicate:SERial:PACE", "pace", Choice("XON", "NONE"), "NONE")
    yield ScpiSetting("SYSTem:COMMunicate:SERial:TERMinator", "terminator", Choice("CR", "LF", "CRLF", "LFCR"), "LF")


def _baud() -> ParameterType:
    return NumberOf(300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


SETTINGS = tuple(
    setting
    for group in (_source, _wave, _sweep, _delta, _trigger, _readings, _system)
    for setting in group()
)  # fmt: skip

_DRIVERS = "pymeasure 0.16 Keithley6221, slave K6221"
_SWEEPS = "6221 reference manual p. 4-22"
SOURCES = {
    "*": "IEEE 488.2; pymeasure 0.16",
    **{f"*{name}": "6221 reference manual p. 11-10, 11-11" for name in ("ESE", "ESR", "SRE", "STB")},
    "*SAV": "slave K6221 (IEC 60488)",
    "*RCL": "slave K6221 (IEC 60488)",
    "STATus": "6221 reference manual p. 11-3 to 11-16",
    "STATus:QUEue": "6221 reference manual p. B-2",
    "SYSTem": "slave K6221",
    "SYSTem:BEEPer[:IMMediate]": "pymeasure 0.16 Keithley6221",
    "SYSTem:COMMunicate:SERial:SEND": "public drivers of a 6221 with a 2182A; without one: no page seen",
    "SYSTem:COMMunicate:SERial:ENTer": "public drivers of a 6221 with a 2182A; without one: no page seen",
    "SYSTem:ERRor": "6221 reference manual p. B-2",
    "SYSTem:LFRequency": "no page seen",
    "SYSTem:PRESet": "6221 reference manual p. 10-14; its values: no page seen",
    "FORMat": "slave K6221",
    "FORMat:SREGister": "6221 reference manual p. 11-10",
    CURRENT: _DRIVERS,
    **{f"{CURRENT}:{name}": _SWEEPS for name in ("STARt", "STOP", "STEP", "CENTer", "SPAN")},
    "SOURce[1]:DELay": "6221 reference manual p. 4-9",
    "SOURce[1]:CLEar": "InstrumentKit 0.6 Keithley6220, slave K6221",
    "SOURce2:TTL": "no page seen",
    "SOURce[1]:DELTa": f"{_DRIVERS}; without a 2182A: no page seen",
    "SOURce[1]:PDELta": "slave K6221; without a 2182A: no page seen",
    "SOURce[1]:DCONductance": "slave K6221; without a 2182A: no page seen",
    SWEEP: f"{_SWEEPS}; slave K6221",
    f"{SWEEP}:RANGing": "6221 reference manual p. 4-9",
    "SOURce[1]:LIST": _SWEEPS,
    WAVE: _DRIVERS,
    "OUTPut": _DRIVERS,
    "ARM": _DRIVERS,
    "TRIGger": _DRIVERS,
    "INITiate": _DRIVERS,
    "ABORt": "slave K6221",
    "UNIT": _DRIVERS,
    "[SENSe[1]:]AVERage": "slave K6221",
    "[SENSe[1]:]DATA": "6221 reference manual p. 5-15; user's manual p. 5-41",
    "TRACe": _DRIVERS,
    "CALCulate": "slave K6221",
    "CALCulate[1]:DATA": "6221 reference manual p. 5-15",
    "CALCulate3:LIMit[1]:FAIL": "6221 reference manual p. 5-15",
    "DISPlay": _DRIVERS,
}
