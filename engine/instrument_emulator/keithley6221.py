"""A Keithley 6221 current source: direct current, and waves as it makes pulses with.

Numbers of ranges and limits: Keithley 6221 data sheet and reference manual, as public drivers give them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from instrument_emulator import delta6221
from instrument_emulator import wave6221 as wave
from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import SOURCE
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.serial_port import SerialPort
from instrument_emulator.values import INFINITE, Boolean, Choice, Integer, Real, exactly_one, up_to

RANGES = (2e-9, 20e-9, 200e-9, 2e-6, 20e-6, 200e-6, 2e-3, 20e-3, 100e-3)
OVERRANGE = 1.05
MAX_CURRENT = 0.105  # A
MAX_POINTS = 65535  # of an arbitrary wave
POINTS_PER_MESSAGE = 100

IDLE, ARMING, ARMED, RUNNING = "idle", "arming", "armed", "running"

INTERLOCK, COMPLIANCE = 1, 3
"""Bits of the measurement register."""
ABORTED, WAVE_STARTED, WAITING, WAVE_STOPPED, IS_IDLE = 2, 4, 5, 7, 10
"""Bits of the operation register."""

_CURR = "SOURce[1]:CURRent"
_WAVE = "SOURce[1]:WAVE"
_FIXED = ("level", "range", "autorange")
"""Settings that are another matter while a wave is armed."""


class EmulatedKeithley6221(Instrument):
    """The source; its output and its wave go on whatever becomes of a connection.

    Not modelled: the finite rise of a slow response or of the filter, the trigger link, pulse delta and differential
    conductance; of the delta mode what :mod:`.delta6221` says.
    """

    single_client = True
    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 6221,{serial},D04  /700x "
    settings = (
        ScpiSetting(f"{_CURR}[:LEVel][:IMMediate][:AMPLitude]", "level", Real(-MAX_CURRENT, MAX_CURRENT), 0.0),
        ScpiSetting(f"{_CURR}:RANGe", "range", Real(-MAX_CURRENT, MAX_CURRENT), RANGES[-1]),
        ScpiSetting(f"{_CURR}:RANGe:AUTO", "autorange", Boolean(), False),
        ScpiSetting(f"{_CURR}:COMPliance", "compliance", Real(0.1, 105.0, step=0.01), 10.0),
        ScpiSetting(f"{_CURR}:FILTer[:STATe]", "filter", Boolean(), False),
        ScpiSetting("SOURce[1]:DELay", "delay", Real(1e-3, 999999.999), 1.0),
        ScpiSetting("OUTPut[:STATe]", "output", Boolean(), False),
        ScpiSetting("OUTPut:RESPonse", "response", Choice("FAST", "SLOW"), "FAST"),
        ScpiSetting("OUTPut:LTEarth", "low_to_earth", Boolean(), False),
        ScpiSetting("OUTPut:ISHield", "inner_shield", Choice("OLOW", "GUARd"), "OLOW"),
        ScpiSetting(f"{_WAVE}:FUNCtion", "function", Choice("SINusoid", "SQUare", "RAMP", "ARBitrary0", "ARBitrary1",
                "ARBitrary2", "ARBitrary3", "ARBitrary4"), "SIN"),
        ScpiSetting(f"{_WAVE}:FREQuency", "frequency", Real(1e-3, 1e5), 1e3),
        ScpiSetting(f"{_WAVE}:AMPLitude", "amplitude", Real(2e-12, MAX_CURRENT), 1e-3),
        ScpiSetting(f"{_WAVE}:OFFSet", "offset", Real(-MAX_CURRENT, MAX_CURRENT), 0.0),
        ScpiSetting(f"{_WAVE}:DCYCle", "duty", Real(0.0, 100.0), 50.0),
        ScpiSetting(f"{_WAVE}:DURation:TIME", "duration_time", Real(100e-9, 999999.999, infinite=True), INFINITE),
        ScpiSetting(f"{_WAVE}:DURation:CYCLes", "duration_cycles", Real(1e-3, 999999999e2, infinite=True), INFINITE),
        ScpiSetting(f"{_WAVE}:RANGing", "wave_ranging", Choice("BEST", "FIXed"), "BEST"),
        ScpiSetting(f"{_WAVE}:EXTRig[:ENABle]", "external", Boolean(), False),
        ScpiSetting(f"{_WAVE}:EXTRig:ILINe", "external_line", Integer(0, 6), 1),
        ScpiSetting(f"{_WAVE}:EXTRig:IGNore", "external_ignore", Boolean(), False),
        ScpiSetting(f"{_WAVE}:EXTRig:IVALue", "idle", Real(-1.0, 1.0), 0.0),
        ScpiSetting(f"{_WAVE}:PMARk:STATe", "marker", Boolean(), False),
        ScpiSetting(f"{_WAVE}:PMARk[:LEVel]", "marker_phase", Real(0.0, 360.0), 180.0),
        ScpiSetting(f"{_WAVE}:PMARk:OLINe", "marker_line", Integer(1, 6), 3),
        ScpiSetting("ARM:SOURce", "arm_source", Choice("IMMediate", "TIMer", "BUS", "TLINk"), "IMM"),
        ScpiSetting("TRIGger:SOURce", "trigger_source", Choice("IMMediate", "TLINk"), "IMM"),
        ScpiSetting("TRIGger:OLINe", "trigger_line", Integer(1, 6), 2),
        ScpiSetting("TRIGger:OUTPut", "trigger_output", Choice("SOURce", "DELay", "NONE"), "NONE"),
        *delta6221.SETTINGS,
    )  # fmt: skip

    def __init__(self, role: str, serial: str, circuit: Circuit, arm_delay: float = 0.1) -> None:
        self.phase = IDLE
        self._arm_delay = arm_delay
        self._serial_port = SerialPort(circuit)
        self._delta = delta6221.DeltaMode(
            lambda: self.values, circuit, self._serial_port, self._may_begin_delta, self._switch_off_now
        )
        self._waves: dict[str, list[float]] = {f"ARB{i}": [] for i in range(5)}
        self._segments: list[wave.Segment] = []
        self._position = 0
        self._edge = 0.0
        """Bench time at which the present segment of the wave ends."""
        super().__init__(role, serial, circuit)
        circuit.compliance_changed = lambda on: self.status.measurement.put(COMPLIANCE, on=on)
        circuit.let_time_pass = self._let_time_pass
        self.status.operation.put(IS_IDLE, on=True)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield from self._serial_port.commands()
        yield from self._delta.commands()
        yield Command("SOURce[1]:CLEar[:IMMediate]", self.zero)
        yield Command("OUTPut:INTerlock:TRIPped?", lambda: str(int(not self._interlock_open())))
        points = up_to(Real(-1.0, 1.0), POINTS_PER_MESSAGE)
        yield Command(f"{_WAVE}:ARBitrary:DATA", self._set_points, points)
        yield Command(f"{_WAVE}:ARBitrary:DATA?", lambda: ",".join(f"{p:.6E}" for p in self._waves["ARB0"]))
        yield Command(f"{_WAVE}:ARBitrary:APPend", self._append_points, points)
        yield Command(f"{_WAVE}:ARBitrary:POINts?", lambda: str(len(self._waves["ARB0"])))
        yield Command(f"{_WAVE}:ARBitrary:COPY", self._copy_points, exactly_one(Integer(1, 4)))
        yield Command(f"{_WAVE}:ARM[:IMMediate]", self._arm)
        yield Command(f"{_WAVE}:ARM[:IMMediate]?", lambda: str(int(self.phase in (ARMED, RUNNING))))
        yield Command(f"{_WAVE}:INITiate[:IMMediate]", self._initiate)
        yield Command(f"{_WAVE}:ABORt[:IMMediate]", self._abort)

    def attach(self, other: Instrument) -> None:
        self._serial_port.attach(other)

    def reset(self) -> None:
        """``*RST``: the wave is given up and the output off."""
        if self.phase != IDLE or self.values.get("output"):
            self._abort()
            self._switch_off(self.circuit.clock.now())
        super().reset()
        self._delta.reset()
        self._waves["ARB0"] = []

    def power_cycle(self) -> None:
        super().power_cycle()
        self.status.operation.put(IS_IDLE, on=True)

    def zero(self) -> None:
        """``SOURce:CLEar``: no wave, no delta mode, 0 A, output off."""
        self._abort()
        self._delta.abort()
        self.values["level"] = 0.0
        self._switch_off(self.circuit.clock.now())

    def state(self) -> dict[str, Any]:
        return {
            "output": self.values["output"],
            "wave": self.phase,
            "level": self.values["level"],
            "current": math.fsum(self.circuit.currents.values()),
            "compliance": self.values["compliance"],
            "in_compliance": self.circuit.in_compliance,
        }

    def faults_changed(self) -> None:
        """The interlock may have opened or closed; open, it takes the output off."""
        opened = self._interlock_open()
        self.status.measurement.put(INTERLOCK, on=opened)
        if opened and self.values["output"]:
            self._abort()
            self._delta.abort()
            self._switch_off(self.circuit.clock.now())

    def check(self, setting: ScpiSetting, value: Any) -> None:
        if self.phase != IDLE:
            if setting.pattern.startswith(_WAVE):
                raise ScpiError(404)
            if setting.name in _FIXED:
                raise ScpiError(-221)
        if self._delta.phase != delta6221.IDLE and setting.pattern.startswith("SOURce"):
            raise ScpiError(-221)
        if setting.name == "level" and not self.values["autorange"] and abs(value) > OVERRANGE * self.values["range"]:
            raise ScpiError(-222)
        if setting.name == "range" and abs(self.values["level"]) > OVERRANGE * _range(value):
            raise ScpiError(-221)
        if setting.name == "output" and value and self._interlock_open():
            raise ScpiError(802)

    def changed(self, setting: ScpiSetting) -> None:
        values, now = self.values, self.circuit.clock.now()
        if setting.name == "range":
            values.update(range=_range(values["range"]), autorange=False)
        elif setting.name in ("level", "autorange") and values["autorange"]:
            values["range"] = _range(values["level"])
        elif setting.name == "duration_time":
            values["duration_cycles"] = INFINITE
        elif setting.name == "duration_cycles":
            values["duration_time"] = INFINITE
        if setting.name == "delta_high":
            values["delta_low"] = -values["delta_high"]
        if setting.name == "output" and not values["output"]:
            self._abort()
            self._delta.abort()
            self._switch_off(now)
        elif setting.name in ("level", "output", "compliance") and values["output"] and self.phase == IDLE:
            self.circuit.drive(values["level"], values["compliance"], now)

    def _may_begin_delta(self) -> None:
        if self._interlock_open():
            raise ScpiError(802)
        if self.phase != IDLE:
            raise ScpiError(404)
        if self.values["delta_high"] > OVERRANGE * self.values["range"] and not self.values["autorange"]:
            raise ScpiError(-222)

    def _switch_off_now(self) -> None:
        self._switch_off(self.circuit.clock.now())

    def _interlock_open(self) -> bool:
        return self.circuit.faults.lasting("interlock", SOURCE) is not None

    def _switch_off(self, now: float) -> None:
        self.values["output"] = False
        self.circuit.drive(0.0, self.values["compliance"], now)

    def _set_points(self, *points: float) -> None:
        self._while_idle()
        self._waves["ARB0"] = list(points)

    def _append_points(self, *points: float) -> None:
        self._while_idle()
        if len(self._waves["ARB0"]) + len(points) > MAX_POINTS:
            raise ScpiError(-223)
        self._waves["ARB0"] += points

    def _copy_points(self, memory: int) -> None:
        self._while_idle()
        self._waves[f"ARB{memory}"] = list(self._waves["ARB0"])

    def _while_idle(self) -> None:
        if self.phase != IDLE:
            raise ScpiError(404)

    def _arm(self) -> None:
        """Ready the wave; the output goes on, at the idle level."""
        self._while_idle()
        if self._interlock_open():
            raise ScpiError(802)
        values = self.values
        whole = wave.segments(values, self._waves.get(str(values["function"]), ()))
        most = OVERRANGE * (values["range"] if values["wave_ranging"] == "FIX" else RANGES[-1])
        if wave.peak(values, whole) > most or self.circuit.faults.take("range_low", SOURCE) is not None:
            raise ScpiError(-222)
        self.phase = ARMING
        slow = self.circuit.faults.take("slow_arm", SOURCE)
        self.circuit.wait(slow["seconds"] if slow else self._arm_delay)
        if self.phase != ARMING:  # given up by another connection meanwhile
            return
        self.phase = ARMED
        self._segments = whole
        values["output"] = True
        self._operation({WAVE_STOPPED: False, IS_IDLE: False, WAITING: True})
        self.circuit.drive(wave.idle(values), values["compliance"], self.circuit.clock.now())

    def _initiate(self) -> None:
        """Start the wave, or with the external trigger leave it waiting for one."""
        if self.phase == RUNNING:
            raise ScpiError(-213)
        if self.phase != ARMED:
            raise ScpiError(-221)
        if self.values["external"]:
            return
        self.phase = RUNNING
        self._operation({WAITING: False, WAVE_STARTED: True})
        self._position = -1
        self._edge = self.circuit.clock.now()
        self._let_time_pass(self._edge)

    def pass_time(self) -> None:
        self._let_time_pass(self.circuit.clock.now())

    def _let_time_pass(self, now: float) -> None:
        """Play the segments of the wave that begin or end up to ``now``."""
        while self.phase == RUNNING and self._edge <= now:
            edge = self._edge
            ended = self._segments[self._position].width if self._position >= 0 else None
            self._position += 1
            if self._position < len(self._segments):
                current, width = self._segments[self._position]
                self._edge = edge + width
                self.circuit.drive(current, self.values["compliance"], edge, pulse=True, ended=ended)
            else:
                self.circuit.drive(0.0, self.values["compliance"], edge, ended=ended)
                self._finish()

    def _abort(self) -> None:
        """Give up the wave, if there is one."""
        if self.phase == IDLE:
            return
        self._let_time_pass(self.circuit.clock.now())
        if self.phase != IDLE:
            self.circuit.drive(0.0, self.values["compliance"], self.circuit.clock.now())
            self.status.operation.put(ABORTED, on=True)
            self.status.operation.put(ABORTED, on=False)
            self._finish()

    def _finish(self) -> None:
        self.phase = IDLE
        self.values["output"] = False
        self._operation({WAVE_STARTED: False, WAITING: False, WAVE_STOPPED: True, IS_IDLE: True})

    def _operation(self, bits: Mapping[int, bool]) -> None:
        """Set or clear bits of the operation register, in this order."""
        for bit, on in bits.items():
            self.status.operation.put(bit, on=on)


def _range(current: float) -> float:
    """The least range that covers a current, A."""
    return RANGES[min(bisect_left(RANGES, abs(current) / OVERRANGE * (1 - 1e-9)), len(RANGES) - 1)]
