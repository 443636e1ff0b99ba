"""A Keithley 6221 current source: direct current, waves, sweeps and lists.

``settings6221`` has its settings, ``wave6221`` and ``sweep6221`` what they make flow.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from instrument_emulator import delta6221, wave6221
from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import SOURCE
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.serial_port import SerialPort
from instrument_emulator.settings6221 import OVERRANGE, RANGES, SETTINGS, SOURCES, SWEEP, SWEEP_POINTS, WAVE
from instrument_emulator.sweep6221 import COUPLED, coupled, sweep
from instrument_emulator.values import INFINITE, Choice, Integer, Real, exactly_one, tone, up_to

MAX_POINTS = 65535  # of an arbitrary wave
POINTS_PER_MESSAGE = 100

IDLE, ARMING, ARMED, RUNNING = "idle", "arming", "armed", "running"

INTERLOCK, COMPLIANCE = 1, 3
"""Bits of the measurement register."""
SWEEP_DONE, ABORTED, SWEEPING, WAVE_STARTED, WAITING, WAITING_ARM, WAVE_STOPPED, IS_IDLE = 1, 2, 3, 4, 5, 6, 7, 10
"""Bits of the operation register (6221 reference manual p. 11-3)."""

_FIXED = ("level", "range", "autorange")
"""Settings that are another matter while a wave is armed."""
_LISTS = {"current": (0.0,), "delay": (1.0,), "compliance": (10.0,)}
_DEFAULT_ELEMENTS = ("READ", "TST")
_ELEMENTS = ("READ", "TST", "UNIT", "RNUM", "SOUR", "COMP", "AVOL")


class EmulatedKeithley6221(Instrument):
    """The source; its output and its wave go on whatever becomes of a connection.

    Not modelled: the finite rise of a slow response or of the filter, the trigger link, pulse delta and differential
    conductance (they can be set but not armed: -241), and of delta what :mod:`.delta6221` says.  Arming takes
    0.1 s; public scripts wait 1 to 2 s for a real one (fault ``slow_arm``).  Where no page was seen: between arming
    and start a sweep gives 0 A; after its last step that level stays, until the sweep is aborted or the output is
    switched off.
    """

    single_client = True
    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 6221,{serial},D04  /700x "
    settings = SETTINGS
    sources = SOURCES
    memories = 5
    queue_overflow = -350

    def __init__(self, role: str, serial: str, circuit: Circuit, arm_delay: float = 0.1) -> None:
        self.phase = IDLE
        """Of the wave."""
        self.sweep_phase = IDLE
        self._arm_delay = arm_delay
        self._serial_port = SerialPort(circuit, lambda: float(self.values["baud"]))
        self._delta = delta6221.DeltaMode(
            lambda: self.values, circuit, self._serial_port, self._may_begin_delta, self._switch_off_now
        )
        self._waves: dict[str, list[float]] = {f"ARB{i}": [] for i in range(5)}
        self._lists: dict[str, Sequence[float]] = dict(_LISTS)
        self._wave = wave6221.Wave((), 0)
        self._player = wave6221.Player(circuit)
        super().__init__(role, serial, circuit)
        circuit.compliance_changed = lambda on: self.status.measurement.put(COMPLIANCE, on=on)
        circuit.let_time_pass = self._let_time_pass
        self.status.operation.put(IS_IDLE, on=True)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        yield from self._serial_port.commands()
        yield Command("SOURce[1]:CLEar[:IMMediate]", self.zero, does="no wave, 0 A, output off")
        yield Command("OUTPut:INTerlock:TRIPped?", lambda: str(int(not self._interlock_open())))
        yield from self._wave_commands()
        yield from self._sweep_commands()
        yield from self._delta.commands()
        yield from self._system_commands()

    def attach(self, other: Instrument) -> None:
        self._serial_port.attach(other)

    def reset(self) -> None:
        """``*RST``: the wave is given up and the output off."""
        if not self._is_idle or self.values.get("output"):
            self._abort()
            self._abort_sweep()
            self._switch_off(self.circuit.clock.now())
        super().reset()
        self._delta.reset()
        self.values["elements"] = _DEFAULT_ELEMENTS
        self._waves["ARB0"] = []
        self._lists = dict(_LISTS)

    def power_cycle(self) -> None:
        super().power_cycle()
        self.status.operation.put(IS_IDLE, on=True)

    def zero(self) -> None:
        """``SOURce:CLEar``: no wave, 0 A, output off."""
        self._abort()
        self._abort_sweep()
        self.values["level"] = 0.0
        self._switch_off(self.circuit.clock.now())

    def state(self) -> dict[str, Any]:
        return {
            "output": self.values["output"],
            "wave": self.phase,
            "sweep": self.sweep_phase,
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
            self._abort_sweep()
            self._switch_off(self.circuit.clock.now())

    def check(self, setting: ScpiSetting, value: Any) -> None:
        name = setting.name
        if not self._is_idle:
            if setting.pattern.startswith(WAVE):
                raise ScpiError(404)
            if name in _FIXED or name in COUPLED or setting.pattern.startswith(SWEEP):
                raise ScpiError(-221)
        if name == "level" and not self.values["autorange"] and abs(value) > OVERRANGE * self.values["range"]:
            raise ScpiError(-222)
        if name == "range" and abs(self.values["level"]) > OVERRANGE * _range(value):
            raise ScpiError(-221)
        if name == "output" and value and self._interlock_open():
            raise ScpiError(802)
        if name in COUPLED:
            coupled({**self.values, name: value}, name)

    def changed(self, setting: ScpiSetting) -> None:
        values, name, now = self.values, setting.name, self.circuit.clock.now()
        if name == "range":
            values.update(range=_range(values["range"]), autorange=False)
        elif name in ("level", "autorange") and values["autorange"]:
            values["range"] = _range(values["level"])
        elif name == "duration_time":
            values["duration_cycles"] = INFINITE
        elif name == "duration_cycles":
            values["duration_time"] = INFINITE
        elif name in COUPLED:
            values.update(coupled(values, name))
        elif name in ("delta_high", "pulse_delta_high"):
            values["delta_low" if name == "delta_high" else "pulse_delta_low"] = -values[name]
        if name == "output" and not values["output"]:
            self._abort()
            self._abort_sweep()
            self._switch_off(now)
        elif name in ("level", "output", "compliance") and values["output"] and self._is_idle:
            self.circuit.drive(values["level"], values["compliance"], now)

    def _wave_commands(self) -> Iterator[Command]:
        points = up_to(Real(-1.0, 1.0), POINTS_PER_MESSAGE)
        arb = f"{WAVE}:ARBitrary"
        yield Command(f"{arb}:DATA", self._set_points, points, does="up to 100 points of ARB0, -1 to 1")
        yield Command(f"{arb}:DATA?", lambda: ",".join(f"{p:.6E}" for p in self._waves["ARB0"]))
        yield Command(f"{arb}:APPend", self._append_points, points, does="up to 100 points more, 65535 in all")
        yield Command(f"{arb}:POINts?", lambda: str(len(self._waves["ARB0"])))
        yield Command(f"{arb}:COPY", self._copy_points, exactly_one(Integer(1, 4)), does="ARB0 to ARB1 to ARB4")
        yield Command(f"{WAVE}:ARM[:IMMediate]", self._arm, does="output on; the wave can be started")
        yield Command(f"{WAVE}:ARM[:IMMediate]?", lambda: str(int(self.phase in (ARMED, RUNNING))))
        yield Command(f"{WAVE}:INITiate[:IMMediate]", self._initiate, does="the wave flows, also an endless one")
        yield Command(f"{WAVE}:ABORt[:IMMediate]", self._abort, does="ends the wave, output off")

    def _sweep_commands(self) -> Iterator[Command]:
        limits = {"CURRent": Real(-0.105, 0.105, unit="A"), "DELay": Real(1e-3, 999999.999, unit="S"),
                  "COMPliance": Real(0.1, 105.0, unit="V")}  # fmt: skip
        for mnemonic, kind in limits.items():
            path, name = f"SOURce[1]:LIST:{mnemonic}", mnemonic.lower()
            values = up_to(kind, POINTS_PER_MESSAGE)
            does = "up to 100 values of a list sweep" + ("; the last one goes on" if name != "current" else "")
            yield Command(path, self._list_setter(name, append=False), values, does=does)
            yield Command(f"{path}?", self._list_asker(name))
            yield Command(
                f"{path}:APPend", self._list_setter(name, append=True), values, does="up to 100 values more"
            )
            yield Command(f"{path}:POINts?", self._list_counter(name))
        yield Command(f"{SWEEP}:ARM[:IMMediate]", self._arm_sweep, does="output on at 0 A; INIT starts the sweep")
        yield Command(f"{SWEEP}:ARM[:IMMediate]?", lambda: str(int(self.sweep_phase != IDLE)))
        yield Command(f"{SWEEP}:ABORt[:IMMediate]", self._abort_sweep, does="ends a sweep or delta, output off")
        begins = "starts the sweep or the delta mode that is armed, else -221"
        yield Command("INITiate[:IMMediate]", self._initiate_sweep, does=begins)
        yield Command("ABORt", self._abort_sweep, does="as SOURce:SWEep:ABORt")
        yield Command("*TRG", self._bus_trigger, does="starts a sweep that waits for ARM:SOURce BUS, else -211")
        yield Command("ARM:SIGNal", self._signal, does="starts a sweep that waits, else -211")
        yield Command("TRIGger:SIGNal", self._signal, does="as ARM:SIGNal")

    def _system_commands(self) -> Iterator[Command]:
        elements = up_to(Choice("READing", "TSTamp", "UNITs", "RNUMber", "SOURce", "COMPliance", "AVOLtage",
                                "ALL", "DEFault"), len(_ELEMENTS))  # fmt: skip
        yield Command("FORMat:ELEMents", self._set_elements, elements, does="kept; only delta modes take readings")
        yield Command("FORMat:ELEMents?", lambda: ",".join(self.values["elements"]))
        yield Command("SYSTem:LFRequency?", lambda: f"{self.circuit.mains:.0f}")
        yield Command("SYSTem:BEEPer[:IMMediate]", lambda *_: None, tone, does="nothing to hear")
        yield Command("SYSTem:TSTamp:RESet", lambda: None, does="nothing: no readings are taken")
        yield Command("SYSTem:RNUMber:RESet", lambda: None, does="nothing: no readings are taken")
        for name in ("LOCal", "REMote"):
            yield Command(f"SYSTem:COMMunicate:{name}", lambda: None, does="nothing: there is no front panel")
        for board in ("ABOard", "DBOard"):
            yield Command(f"SYSTem:{board}:SNUMber?", lambda: self.serial)
            yield Command(f"SYSTem:{board}:REVision?", lambda: "A")

    @property
    def _is_idle(self) -> bool:
        """Whether neither a wave nor a sweep nor the delta mode is armed."""
        return self.phase == IDLE and self.sweep_phase == IDLE and self._delta.phase == delta6221.IDLE

    def _may_begin_delta(self) -> None:
        if self._interlock_open():
            raise ScpiError(802)
        if not self._is_idle:
            raise ScpiError(-221)
        if self.values["delta_high"] > OVERRANGE * self.values["range"] and not self.values["autorange"]:
            raise ScpiError(-222)

    def _switch_off_now(self) -> None:
        self._switch_off(self.circuit.clock.now())

    def _interlock_open(self) -> bool:
        return self.circuit.faults.lasting("interlock", SOURCE) is not None

    def _switch_off(self, now: float) -> None:
        self.values["output"] = False
        self.circuit.drive(0.0, self.values["compliance"], now)

    def _recall(self, memory: int) -> None:
        super()._recall(memory)
        self.values["output"] = False

    def _set_elements(self, *elements: str) -> None:
        if elements == ("DEF",):
            elements = _DEFAULT_ELEMENTS
        self.values["elements"] = tuple(e for e in _ELEMENTS if e in elements or "ALL" in elements)

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
        if self.sweep_phase != IDLE:
            raise ScpiError(-221)
        values = self.values
        whole = wave6221.wave(values, self._waves.get(str(values["function"]), ()))
        most = OVERRANGE * (values["range"] if values["wave_ranging"] == "FIX" else RANGES[-1])
        if wave6221.peak(values, whole) > most or self.circuit.faults.take("range_low", SOURCE) is not None:
            raise ScpiError(-222)
        self.phase = ARMING
        slow = self.circuit.faults.take("slow_arm", SOURCE)
        self.circuit.wait(slow["seconds"] if slow else self._arm_delay)
        if self.phase != ARMING:  # given up by another connection meanwhile
            return
        self.phase = ARMED
        self._wave = whole
        values["output"] = True
        self._operation({WAVE_STOPPED: False, IS_IDLE: False, WAITING: True})
        self.circuit.drive(wave6221.idle(values), values["compliance"], self.circuit.clock.now())

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
        now = self.circuit.clock.now()
        self._player.start(self._wave, now, pulse=math.isfinite(self._wave.cycles), periodic=True)
        self.circuit.marked = bool(self.values["marker"])
        self._let_time_pass(now)

    def pass_time(self) -> None:
        if self._player.is_playing:
            self._let_time_pass(self.circuit.clock.now())

    def _let_time_pass(self, now: float) -> None:
        """Play the segments of the wave or sweep that begin or end up to ``now``."""
        player = self._player
        while player.is_playing and player.edge <= now:
            lasted = player.advance(now, self.values["compliance"])
            if lasted is None:
                if self.sweep_phase == RUNNING and self.values["sweep_abort"] and self.circuit.in_compliance:
                    self._abort_sweep()
            elif self.phase == RUNNING:
                self.circuit.drive(0.0, self.values["compliance"], player.edge, ended=lasted)
                self._finish()
            else:
                self.sweep_phase = IDLE
                self._operation({SWEEPING: False, SWEEP_DONE: True, IS_IDLE: True})

    def _abort(self) -> None:
        """Give up the wave, if there is one."""
        if self.phase == IDLE:
            return
        self._let_time_pass(self.circuit.clock.now())
        if self.phase != IDLE:
            self._player.stop()
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

    def _list_setter(self, name: str, *, append: bool) -> Any:
        def put(*values: float) -> None:
            if self.sweep_phase != IDLE:
                raise ScpiError(-221)
            whole = (*(self._lists[name] if append else ()), *values)
            if len(whole) > SWEEP_POINTS:
                raise ScpiError(-223)
            self._lists[name] = whole

        return put

    def _list_asker(self, name: str) -> Any:
        return lambda: ",".join(f"{value:.6E}" for value in self._lists[name])

    def _list_counter(self, name: str) -> Any:
        return lambda: str(len(self._lists[name]))

    def _arm_sweep(self) -> None:
        if not self._is_idle:
            raise ScpiError(-221)
        if self._interlock_open():
            raise ScpiError(802)
        self._wave = sweep(self.values, self._lists)
        self.sweep_phase = ARMED
        self.values["output"] = True
        self._operation({SWEEP_DONE: False, IS_IDLE: False})
        self.circuit.drive(0.0, self.values["compliance"], self.circuit.clock.now())

    def _initiate_sweep(self) -> None:
        if self._delta.phase != delta6221.IDLE:
            self._delta.initiate()
            return
        if self.sweep_phase == RUNNING or self._waits():
            raise ScpiError(-213)
        if self.sweep_phase != ARMED:
            raise ScpiError(-221)
        if self.values["arm_source"] not in ("IMM", "TIM"):
            self._operation({WAITING_ARM: True})
        elif self.values["trigger_source"] != "IMM":
            self._operation({WAITING: True})
        else:
            self._start_sweep()

    def _waits(self) -> bool:
        return self.sweep_phase == ARMED and bool(self.status.operation.condition & (1 << WAITING_ARM | 1 << WAITING))

    def _bus_trigger(self) -> None:
        if self.values["arm_source"] != "BUS":
            raise ScpiError(-211)
        self._signal()

    def _signal(self) -> None:
        if not self._waits():
            raise ScpiError(-211)
        self._start_sweep()

    def _start_sweep(self) -> None:
        self.sweep_phase = RUNNING
        self._operation({WAITING: False, WAITING_ARM: False, SWEEPING: True})
        now = self.circuit.clock.now()
        self._player.start(self._wave, now, pulse=False, periodic=False)
        self._let_time_pass(now)

    def _abort_sweep(self) -> None:
        """Give up the sweep or the delta mode, if there is one, with the output off."""
        self._delta.abort()
        if self.sweep_phase == IDLE:
            return
        self._player.stop()
        self.sweep_phase = IDLE
        self._operation({SWEEPING: False, WAITING: False, WAITING_ARM: False, ABORTED: True})
        self._operation({ABORTED: False, IS_IDLE: True})
        self._switch_off(self.circuit.clock.now())


def _range(current: float) -> float:
    """The least range that covers a current, A."""
    return RANGES[min(bisect_left(RANGES, abs(current) / OVERRANGE * (1 - 1e-9)), len(RANGES) - 1)]
