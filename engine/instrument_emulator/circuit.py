"""The wires of an emulated bench: which device is connected, what flows through it, what the meter sees.

The source says what current it drives from when on; the switch says which relays are closed; from both follows the
current of each device, in segments of constant current.  When a segment ends the device
model learns of it, and everything is counted.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from instrument_emulator.clock import EmulatedClock
from instrument_emulator.dut import DutModel
from instrument_emulator.exposure import ExposureLog
from instrument_emulator.faults import METER, SOURCE, SWITCH, Faults

OPEN = frozenset[str]()


SPIN_S = 1e-4  # real time; a sleep takes longer than a wait that short, which is spent looking at the clock


class Periodic(Protocol):
    """A wave, for instruments that look at its frequency: a lock-in amplifier, say."""

    period: float
    """s"""

    def first_harmonic(self) -> complex:
        """Of the current that is asked for, at the beginning of a cycle, A peak; a sine of 1 A is -1j."""


class Circuit:
    """State that all instruments of a bench share.  Use it while holding ``lock``.

    Parameters
    ----------
    dut : what hangs on the wires
    roles : the instruments, for their faults
    routes : device name -> relays that connect it; one device with no relays if there is no switch
    clock : bench time
    mains : frequency of the mains, Hz
    """

    def __init__(
        self,
        dut: DutModel,
        routes: Mapping[str, frozenset[str]],
        clock: EmulatedClock,
        mains: float = 50.0,
        roles: Collection[str] = (SOURCE, METER),
    ) -> None:
        self.dut, self.routes, self.clock, self.mains = dut, routes, clock, mains
        self.lock = threading.Condition()
        self.faults = Faults(tuple(roles), tuple(routes))
        self.exposure = ExposureLog(tuple(routes))
        self.closed = OPEN
        self.in_compliance = False
        self.compliance_changed: Callable[[bool], None] = lambda on: None
        self.let_time_pass: Callable[[float], None] = lambda now: None
        """The source's part of ``catch_up``: what its wave has done up to that time."""
        self.field: Callable[[], float] = lambda: 0.0
        """T; a supply of a magnet sets it, a gaussmeter reads it, and no device feels it."""
        self._requested = 0.0
        self._limit = 0.0
        self._is_pulse = False
        self.currents: dict[str, float] = dict.fromkeys(self._connected(), 0.0)
        """Current of each device that is connected, A."""
        self._since = 0.0
        self._segments = 0
        self._charge = dict.fromkeys(routes, 0.0)
        self._square = dict.fromkeys(routes, 0.0)
        self._charged_at = 0.0
        self.wave: Periodic | None = None
        """What the source plays again and again."""
        self.wave_since = 0.0
        """Bench time at which it began, s."""
        self.marked = False
        """Whether the source gives a phase marker, which a lock-in can take as its reference."""

    @property
    def frequency(self) -> float:
        """Of the wave that the source plays, Hz; 0 without one."""
        return 1 / self.wave.period if self.wave else 0.0

    def catch_up(self) -> float:
        """Let everything happen that is due; returns the bench time."""
        now = self.clock.now()
        self.let_time_pass(now)
        return now

    def wait(self, seconds: float) -> None:
        """Let bench time pass while others use the bench."""
        until = self.clock.now() + seconds
        while (left := until - self.clock.now()) > 0:
            if left / self.clock.speed > SPIN_S:
                self.lock.wait(left / self.clock.speed)
        self.catch_up()

    def drive(
        self,
        current: float,
        limit: float,
        time_s: float,
        *,
        pulse: bool = False,
        ended: float | None = None,
    ) -> None:
        """From bench time ``time_s`` on the source drives ``current`` (A), up to ``limit`` (V).

        ``pulse`` says that this is a point of a wave; ``ended`` how long the segment before has lasted, where that is
        known better than from ``time_s``.
        """
        self._end_segment(time_s, ended)
        self._requested, self._limit, self._is_pulse = current, limit, pulse
        self._begin_segment(time_s)

    def repeat(
        self,
        cycle: Sequence[tuple[float, float]],
        times: int,
        limit: float,
        time_s: float,
        ended: float | None,
        *,
        pulse: bool,
    ) -> None:
        """From bench time ``time_s`` on ``cycle``, of currents (A) and widths (s), has flowed that many times.

        It is counted and measured as if it had been driven segment by segment, but the devices do not feel it.
        ``limit`` is the voltage limit, V; ``ended`` says how long the segment before has lasted, as in :meth:`drive`.
        """
        self._end_segment(time_s, ended)
        self._segments += 1
        conductance, period = self._conductances(), sum(width for _, width in cycle)
        for requested, width in cycle:
            self._requested, self._limit, self._is_pulse = requested, limit, pulse
            self._flow(conductance, time_s, times)
            for device, current in self.currents.items():
                self._charge[device] += current * width * times
                self._square[device] += current * current * width * times
        self.currents = dict.fromkeys(self.currents, 0.0)
        self._since = self._charged_at = time_s + period * times

    def move_relays(self, closed: frozenset[str]) -> None:
        """The relays that are closed now, except for faults of relays."""
        stuck = [f["channel"] for f in self.faults.every("relay_open", SWITCH)]
        welded = {f["channel"] for f in self.faults.every("relay_closed", SWITCH)}
        moved = frozenset(c for c in closed if c not in stuck and "" not in stuck) | welded
        if moved == self.closed:
            return
        now = self.catch_up()
        if self._requested:
            self.exposure.overall.hot_switchings += 1
            for device, relays in self.routes.items():
                if relays & (moved ^ self.closed):
                    self.exposure.devices[device].hot_switchings += 1
        self._end_segment(now, None)
        self.closed = moved
        self._begin_segment(now)
        if len(self.currents) > 1:
            self.exposure.two_connected += 1

    def refresh(self) -> None:
        """Work out again what flows, after a fault of a device or relay has come or gone."""
        now = self.catch_up()
        self._end_segment(now, None)
        self._begin_segment(now)

    def measure(self, nplc: float) -> float:
        """What the meter sees over the next ``nplc`` power line cycles, V; infinite if no device is connected.

        A current that changes meanwhile counts with its mean.
        """
        start = self.catch_up()
        self._integrate(start)
        before, segments = dict(self._charge), self._segments
        self.wait(nplc / self.mains)
        end = self.catch_up()
        self._integrate(end)
        voltages = []
        for device, current in self.currents.items():
            if self._segments != segments:
                current = (self._charge[device] - before[device]) / (end - start)
            voltages.append(self._voltage(device, current, nplc))
        return sum(voltages) / len(voltages) if voltages else math.inf

    def measure_alternating(self, seconds: float, nplc: float) -> float:
        """Root mean square of the voltage about its mean over the next ``seconds``, V; infinite without a device.

        ``nplc``: the power line cycles whose noise it has.
        """
        start = self.catch_up()
        self._integrate(start)
        charge, square = dict(self._charge), dict(self._square)
        self.wait(seconds)
        end = self.catch_up()
        self._integrate(end)
        voltages = []
        for device in self.currents:
            mean = (self._charge[device] - charge[device]) / (end - start)
            variance = (self._square[device] - square[device]) / (end - start) - mean**2
            voltages.append(abs(self._voltage(device, math.sqrt(max(0.0, variance)), nplc)))
        return sum(voltages) / len(voltages) if voltages else math.inf

    def path_voltage(self) -> float:
        """Voltage along the current's path, V, as two-wire sensing sees it; infinite if no device is connected."""
        conductance = sum(1 / self._resistance(device) for device in self.currents)
        return math.fsum(self.currents.values()) / conductance if conductance else math.inf

    def sine(self, nplc: float) -> tuple[float, float]:
        """Of the wave's first harmonic: the peak of the voltage now (V), with the noise of ``nplc``, and how long the
        wave has played (s)."""
        if self.wave is None:
            return 0.0, 0.0
        conductance = {device: 1 / self._resistance(device) for device in self._connected()}
        total = sum(conductance.values())
        peak = min(abs(self.wave.first_harmonic()), self._limit * total)
        voltages = [self._voltage(device, peak * g / total, nplc) for device, g in conductance.items() if total]
        mean = sum(voltages) / len(voltages) if voltages else math.inf
        return mean, self.clock.now() - self.wave_since

    def _voltage(self, device: str, current: float, nplc: float) -> float:
        if self.faults.lasting("short", SOURCE, device) is not None:
            current = 0.0
        offset = self.faults.lasting("offset", SOURCE, device)
        return self.dut.voltage(device, current, nplc) + (offset["ohm"] * current if offset else 0.0)

    def _connected(self) -> list[str]:
        return [device for device, relays in self.routes.items() if relays <= self.closed]

    def _resistance(self, device: str) -> float:
        if self.faults.lasting("open", SOURCE, device) is not None:
            return math.inf
        if self.faults.lasting("short", SOURCE, device) is not None:
            return 1e-3
        return self.dut.resistance(device)

    def _begin_segment(self, now: float) -> None:
        self._since, self._charged_at = now, now
        self._segments += 1
        self._flow(self._conductances(), now)

    def _conductances(self) -> dict[str, float]:
        return {device: 1 / self._resistance(device) for device in self._connected()}

    def _flow(self, conductance: Mapping[str, float], now: float, times: int = 0) -> None:
        """Share the source's current among the connected devices, clipped at the voltage limit, and count it.

        ``times``: so many pulses of it begin and end.
        """
        total = sum(conductance.values())
        most = self._limit * total
        actual = max(-most, min(most, self._requested))
        if self._requested:
            self.exposure.overall.max_requested = max(self.exposure.overall.max_requested, abs(self._requested))
            if fault := self.faults.take("compliance", SOURCE, devices=list(conductance)):
                actual *= fault["fraction"]
        self.currents = {d: actual * g / total if total else 0.0 for d, g in conductance.items()}
        for device, current in self.currents.items():
            if self._requested:
                for counter in self.exposure.of(device):
                    counter.flow(current, self._requested, now, pulse=self._is_pulse)
                    if times and self._is_pulse:
                        counter.pulse_end(current, now, times)
        if (clipped := actual != self._requested) != self.in_compliance:
            self.in_compliance = clipped
            self.compliance_changed(clipped)

    def _end_segment(self, now: float, lasted: float | None) -> None:
        """Let the devices feel the segment that ends."""
        self._integrate(now)
        for device, current in self.currents.items():
            if current:
                if self._is_pulse:
                    for counter in self.exposure.of(device):
                        counter.pulse_end(current, now)
                if self.faults.lasting("stuck", SOURCE, device) is None:
                    bias = self.faults.lasting("bias", SOURCE, device)
                    felt = current / (1 + bias["relative"]) if bias else current
                    self.dut.pulse(device, felt, now - self._since if lasted is None else lasted)

    def _integrate(self, now: float) -> None:
        lasted = now - self._charged_at
        for device, current in self.currents.items():
            self._charge[device] += current * lasted
            self._square[device] += current * current * lasted
        self._charged_at = now
