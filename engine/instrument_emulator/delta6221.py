"""The delta mode of a Keithley 6221 with a 2182A at its serial port: a current that alternates.

Three voltages in a row make a reading, ``(V1 - 2 V2 + V3) / 4`` with the sign of the first current, in which an
offset and its drift cancel (6220/6221 reference manual, section 5; reading commands p. 5-15, elements p. 13-7).

Not modelled: that it goes on between the questions (each asks for as many voltages as the next reading needs), the
buffer, the averaging filter, cold switching, units other than volts, the trigger link as a wire.  While it is armed
0 A flow: no page at hand says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import Instrument
from instrument_emulator.scpi import Command, ScpiError, refuse

if TYPE_CHECKING:
    from instrument_emulator.serial_port import SerialPort

IDLE, ARMED, RUNNING = "idle", "armed", "running"
ARM_TIME_S = 3.0
OVERFLOW = "+9.9E37"


class DeltaMode:
    """The mode's state; its settings are the source's.

    Parameters
    ----------
    values : settings of the source
    circuit : the bench
    serial_port : where the nanovoltmeter hangs
    may_begin : raises ``ScpiError`` when the source cannot begin now
    switch_off : 0 A, output off
    """

    def __init__(
        self,
        values: Callable[[], dict[str, Any]],
        circuit: Circuit,
        serial_port: SerialPort,
        may_begin: Callable[[], None],
        switch_off: Callable[[], None],
    ) -> None:
        self.phase = IDLE
        self._values, self._circuit, self._serial_port = values, circuit, serial_port
        self._may_begin, self._switch_off = may_begin, switch_off
        self._voltages: list[float] = []
        self._taken = 0
        self._latest = ""
        self._began = 0.0

    def commands(self) -> Iterator[Command]:
        """Those of the mode, without its settings and what ends it."""
        absent = "-241 where no 2182A hangs at the serial port"
        yield Command(
            "SOURce[1]:DELTa:NVPResent?", lambda: str(int(self._meter() is not None)), does="1 with a 2182A"
        )
        yield Command("SOURce[1]:DELTa:ARM[:IMMediate]", self._arm, does=f"takes 3 s, then INIT begins; {absent}")
        yield Command("SOURce[1]:DELTa:ARM[:IMMediate]?", lambda: str(int(self.phase != IDLE)))
        yield Command("[SENSe[1]:]DATA:FRESh?", self._fresh, does="the next delta reading; -221: no delta mode runs")
        yield Command("[SENSe[1]:]DATA[:LATest]?", self._last, does="the last delta reading; -221: there is none")
        yield from _not_emulated()

    def reset(self) -> None:
        """``*RST``."""
        self.phase = IDLE
        self._voltages, self._taken, self._latest = [], 0, ""

    def abort(self) -> None:
        """End the mode, with 0 A and the output off; nothing if it is idle."""
        if self.phase != IDLE:
            self.phase = IDLE
            self._switch_off()

    def _meter(self) -> Instrument | None:
        return self._serial_port.attached

    def _arm(self) -> None:
        if self._meter() is None:
            raise ScpiError(-241)
        if self.phase != IDLE:
            return
        self._may_begin()
        self._circuit.wait(ARM_TIME_S)
        values = self._values()
        values["output"] = True
        self._voltages, self._taken, self._latest = [], 0, ""
        self.phase = ARMED
        self._circuit.drive(0.0, values["compliance"], self._circuit.clock.now())

    def initiate(self) -> None:
        """Begin, once it is armed."""
        self.phase, self._began = RUNNING, self._circuit.clock.now()

    def _fresh(self) -> str:
        """The next reading, after as many voltages as it needs."""
        if self.phase != RUNNING:
            raise ScpiError(-221)
        if self._taken >= self._values()["delta_count"]:
            raise ScpiError(-230)
        while len(self._voltages) < 3 + self._taken:
            self._voltages.append(self._voltage())
            if self._circuit.in_compliance and self._values()["delta_abort"]:
                self.abort()
                raise ScpiError(-230)
        first, second, third = self._voltages[self._taken : self._taken + 3]
        sign = 1 if self._taken % 2 == 0 else -1
        self._taken += 1
        self._latest = self._shown(sign * (first - 2 * second + third) / 4)
        return self._latest

    def _last(self) -> str:
        if not self._latest:
            raise ScpiError(-221)
        return self._latest

    def _voltage(self) -> float:
        """One voltage with the next current, V; infinite beyond the meter's range."""
        values, meter = self._values(), self._meter()
        assert meter is not None
        level = values["delta_high"] if len(self._voltages) % 2 == 0 else values["delta_low"]
        self._circuit.drive(level, values["compliance"], self._circuit.catch_up())
        self._circuit.wait(values["delta_delay"])
        voltage = self._circuit.measure(meter.values["nplc"])
        return math.inf if abs(voltage) > 1.2 * meter.values["range"] else voltage

    def _shown(self, reading: float) -> str:
        values = self._values()
        shown = {
            "READ": f"{reading:+.8E}" if math.isfinite(reading) else OVERFLOW,
            "TST": f"{self._circuit.clock.now() - self._began:+.6E}",
            "UNIT": "V",
            "RNUM": f"{self._taken - 1:+d}",
            "SOUR": f"{values['delta_high']:+.6E}",
            "COMP": "T" if self._circuit.in_compliance else "F",
            "AVOL": OVERFLOW,
        }
        return ",".join(shown[e] for e in values["elements"])


def _not_emulated() -> Iterator[Command]:
    """What else needs a 2182A: pulse delta, differential conductance, mathematics, and the buffer, which is empty."""
    for mode in ("PDELta", "DCONductance"):
        path = f"SOURce[1]:{mode}"
        yield Command(f"{path}:NVPResent?", lambda: "0", does="0: the mode is not emulated")
        yield Command(f"{path}:ARM[:IMMediate]", refuse(-241), does="-241: the mode is not emulated")
        yield Command(f"{path}:ARM[:IMMediate]?", lambda: "0")
    yield Command("CALCulate[1]:DATA[:LATest]?", refuse(-221), does="-221: mathematics are not emulated")
    yield Command("CALCulate[1]:DATA:FRESh?", refuse(-221), does="-221: mathematics are not emulated")
    yield Command("TRACe:DATA[:VALue]?", refuse(-230), does="-230: the buffer is empty")
    yield Command("TRACe:DATA:TYPE?", lambda: "NONE")
    yield Command("TRACe:POINts:ACTual?", lambda: "0")
    yield Command("TRACe:FREE?", lambda: "2097152,0")
    yield Command("TRACe:CLEar", lambda: None, does="nothing: the buffer is empty")
    yield Command("CALCulate2:IMMediate", refuse(-230), does="-230: the buffer is empty")
    yield Command("CALCulate2:DATA?", refuse(-230), does="-230: the buffer is empty")
    yield Command("CALCulate3:LIMit[1]:FAIL?", lambda: "0")
