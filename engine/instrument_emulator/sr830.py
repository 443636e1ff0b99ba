"""A Stanford Research SR830 lock-in amplifier; sources as in the driver of the same name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.faults import METER
from instrument_emulator.instrument import ScpiSetting
from instrument_emulator.plain import PlainInstrument, each_of
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Integer, Real, up_to

INPUT, OUTPUT, UNLOCKED = 1, 4, 8
"""Bits of ``LIAS?``."""
OVER = 1.09
"""Of full scale, from which the output is overloaded."""
X, Y, R, THETA, FREQUENCY = 1, 2, 3, 4, 9
"""Numbers of ``SNAP?`` and ``OUTP?``."""
_STEPS = (1, 2, 5)
_MNEMONIC = re.compile(r"^\s*([A-Za-z]{4}\??)\s*(?=[^\s?])")


class EmulatedSR830(PlainInstrument):
    """The lock-in, whose reference is the phase marker of the source's wave.

    It does not know ``*OPC?``, and answers each query of a message with a line of its own (manual, p. 5-2).  Not
    modelled: the time to lock, harmonics of a device (a resistor has none), the reserve, what is left in the filter
    of an earlier current, phases between marker and reference edge.
    """

    identity = "Stanford_Research_Systems,SR830,{serial},ver1.07"
    settings = (
        ScpiSetting("FMOD", "internal", Integer(0, 1), 1),
        ScpiSetting("RSLP", "edge", Integer(0, 2), 0),
        ScpiSetting("HARM", "harmonic", Integer(1, 19999), 1),
        ScpiSetting("PHAS", "phase", Real(-360.0, 729.99), 0.0),
        ScpiSetting("ISRC", "source", Integer(0, 3), 0),
        ScpiSetting("IGND", "ground", Integer(0, 1), 0),
        ScpiSetting("ICPL", "coupling", Integer(0, 1), 0),
        ScpiSetting("ILIN", "line_filter", Integer(0, 3), 0),
        ScpiSetting("SENS", "sensitivity", Integer(0, 26), 26),
        ScpiSetting("RMOD", "reserve", Integer(0, 2), 1),
        ScpiSetting("OFLT", "time_constant", Integer(0, 19), 8),
        ScpiSetting("OFSL", "slope", Integer(0, 3), 1),
        ScpiSetting("SYNC", "synchronous", Integer(0, 1), 0),
        ScpiSetting("OUTX", "interface", Integer(0, 1), 1),
    )

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._status = 0
        super().__init__(role, serial, circuit)

    def commands(self) -> Iterator[Command]:
        unknown = ("*OPC", "*OPC?", "*WAI", "*TST?")
        yield from (command for command in super().commands() if command.pattern not in unknown)
        yield Command("OEXP", self._expand, each_of(Integer(1, 3), Real(-105.0, 105.0), Integer(0, 2)))
        yield Command("OEXP?", lambda i: "{:g},{:d}".format(*self._expanded[i]), each_of(Integer(1, 3)))
        yield Command("FREQ?", lambda: f"{self._frequency():.6g}")
        yield Command("OUTP?", lambda i: f"{self._value(i):g}", each_of(Integer(1, 4)))
        yield Command("SNAP?", self._snapshot, up_to(Integer(1, 11), 6))
        yield Command("LIAS?", self._take_status)
        yield Command("ERRS?", lambda: "0")

    def reset(self) -> None:
        super().reset()
        self._expanded: dict[int, tuple[float, int]] = dict.fromkeys((1, 2, 3), (0.0, 0))

    def execute(self, message: str) -> str:
        """Each reply is a line of its own; a parameter may follow its mnemonic of four letters without a blank."""
        spaced = ";".join(_MNEMONIC.sub(r"\1 ", unit) for unit in message.split(";"))
        return super().execute(spaced).replace(";", "\n")

    def state(self) -> dict[str, Any]:
        return {
            "sensitivity": self._full_scale(),
            "time_constant": self._time_constant(),
            "locked": self._is_locked(),
        }

    def _expand(self, channel: int, offset: float, expand: int) -> None:
        self._expanded[channel] = (offset, expand)

    def _snapshot(self, *numbers: int) -> str:
        if len(numbers) < 2:
            raise ScpiError(-109)
        return ",".join(f"{self._value(number):g}" for number in numbers)

    def _value(self, number: int) -> float:
        x, y = self._output()
        values = {
            X: x,
            Y: y,
            R: math.hypot(x, y),
            THETA: math.degrees(math.atan2(y, x)),
            FREQUENCY: self._frequency(),
        }
        if number not in values:
            raise ScpiError(-222)
        return values[number]

    def _output(self) -> tuple[float, float]:
        """X and Y, V rms, as far as the filter has settled on the present current."""
        if not self._is_locked() or self.values["harmonic"] != 1:
            return 0.0, 0.0
        # White noise in the filter's bandwidth 1/(4 T) is that of a mean over 2 T.
        peak, since = self.circuit.sine(2 * self._time_constant() * self.circuit.mains)
        rms = peak / math.sqrt(2) * self._settled(since / self._time_constant())
        phase = math.radians(-self.values["phase"])
        return rms * math.cos(phase), rms * math.sin(phase)

    def _settled(self, x: float) -> float:
        """Share of a step that has come after ``x`` time constants through as many poles as the slope says."""
        terms = (x**k / math.factorial(k) for k in range(self.values["slope"] + 1))
        return 1 - math.exp(-min(x, 700.0)) * math.fsum(terms)

    def _frequency(self) -> float:
        """Of the reference, Hz; 0 where there is none."""
        return self.circuit.frequency if self.circuit.marked else 0.0

    def _is_locked(self) -> bool:
        return self._frequency() > 0 and self.circuit.faults.lasting("unlocked", METER) is None

    def _take_status(self) -> str:
        """What has been since it was read last, and is now."""
        status, self._status = self._status | self._present_status(), self._present_status()
        return str(status)

    def _present_status(self) -> int:
        if not self._is_locked():
            return UNLOCKED
        overload = self.circuit.faults.lasting("overload", METER)
        x, y = self._output()
        return (overload["bits"] if overload else 0) | (
            OUTPUT if max(abs(x), abs(y)) > OVER * self._full_scale() else 0
        )

    def _full_scale(self) -> float:
        place = self.values["sensitivity"] + 1
        return float(f"{_STEPS[place % 3]}e{place // 3 - 9}")

    def _time_constant(self) -> float:
        place = self.values["time_constant"]
        return float(f"{(1, 3)[place % 2]}e{place // 2 - 5}")
