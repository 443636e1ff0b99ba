"""Lake Shore 643, a bipolar supply of an electromagnet (70 A, 35 V).

Commands, and where they stand.  D: Lake Shore's own Python driver 1.8.1, ``lakeshore/em_power_supply.py``, which is
for the 643 and the 648 alike; 648, 642: user's manuals of those models, whose commands of these names agree with D.
The 643's own manual was not at hand.

============================  ========================================================  =====================
command                       meaning                                                   source
============================  ========================================================  =====================
``*IDN?``                     ``LSCI,MODEL643,serial,firmware``                         642 p. 5-30
``*ESR?``                     bits 2 query, 4 execution, 5 command error, 7 power on    642 p. 5-30; D
``*CLS``                      events are forgotten                                      D
``LIMIT current,rate``        largest settings, A and A/s                               D
``RATE rate``                 of a ramp, both ways, 0.0001 to 50 A/s                    648 p. 66; D
``SETI current``              ramps the output there                                    D
``RDGI?``                     measured output current, A                                642 p. 5-35; D
``XPGM 0``                    the current is set by commands alone                      D
``RSEG 0``                    no ramp segments: one rate                                D
``ERST?``                     two numbers: hardware and operational errors now          642 p. 5-10; D
``OPST?``                     bits 0 compliance, 1 ramp done, 2 power limit             642 p. 5-35; D
============================  ========================================================  =====================

Messages are joined by ``;``, as D does; over USB it is a serial port of 57600 baud, 7 bits, odd parity (D).  There is
no output switch: at 0 A it is off.  ``*RST`` is not sent: what becomes of the current then is not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from spinsweep.bench.errors import InstrumentFault, InterlockOpen
from spinsweep.bench.ieee488 import numbers, refuse_command_errors
from spinsweep.bench.magnet import FieldSupply, FieldSupplySection
from spinsweep.bench.parts import Timing
from spinsweep.bench.section import Wired
from spinsweep.bench.settings import number

RATING = 70.1  # A
RATES = (1e-4, 50.0)  # A/s
STEP = 1e-4
"""Resolution of currents and rates, A and A/s."""
HARDWARE = (
    "output control failure", "DAC processor not responding", "output over current", "output over voltage",
    "temperature fault", "output stage protect",
)  # fmt: skip
"""Bits of the first number of ``ERST?``."""
OPERATIONAL = (
    "calibration error", "external current program error", "temperature high", "low line voltage",
    "high line voltage", "magnet flow switch", "power supply flow switch", "remote enable",
)  # fmt: skip
"""Bits of the second one."""
INTERLOCKS = 0b1110_0000
"""Operational errors that a person ends: cooling water and remote enable."""
LIMITED = {1: "voltage compliance", 4: "power limit"}
"""Bits of ``OPST?`` with which less current flows than was asked for."""


class LakeShore643Section(FieldSupplySection):
    """``[auxiliary.NAME]`` with ``driver = "lakeshore-643"``."""

    model: ClassVar[str] = "MODEL643"
    rating: ClassVar[float] = RATING

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Also rates that it does not have."""
        yield from super().problems(timing, wired)
        for key, rate in (("ramp", self.rate_up), ("safe_ramp", self.rate_down)):
            if not RATES[0] <= rate <= RATES[1]:
                yield f"{key} is {rate:g} A/s; {RATES[0]:g} to {RATES[1]:g} A/s can be had"


class LakeShore643(FieldSupply):
    """The supply at the other end of ``session``."""

    Section = LakeShore643Section

    def current(self) -> float:
        """Measured, A."""
        return number(self.session, self.session.ask("RDGI?", 1)[0])

    def prepare(self) -> None:
        """Limits, one rate, and the current set by commands alone; from 0 A."""
        self.session.ask("*CLS;RDGI?", 1)
        self._set([*self._limits(), *self._steady(), ("RATE", (self.section.rate_up,))], "it was started")

    def go_to(self, current: float, rate: float) -> None:
        """Let the output ramp to ``current`` A; the supply keeps the rate.  :meth:`start` waits for it."""
        self.refuse_beyond(current)
        self._set([("RATE", (rate,)), ("SETI", (current,))], "its current was set")

    def ramp_down(self) -> None:
        """0 A at ``safe_ramp``, whatever the supply was set to."""
        down = self.section.rate_down
        settings = [*self._limits(), ("RSEG", (0.0,)), ("RATE", (down,)), ("SETI", (0.0,))]
        message = [_command(*setting) for setting in settings]
        *_, rate, current = self.session.ask(";".join([*message, "RATE?", "SETI?"]), 2)
        if abs(number(self.session, rate) - down) > STEP or abs(number(self.session, current)) > STEP:
            raise InstrumentFault(
                f"{self.session.name}: does not take 0 A at {down:g} A/s (reads {current} A, {rate} A/s); bring the "
                "field down by hand"
            )
        self.await_current(0.0, down)

    def refuse_faults(self) -> None:
        """Errors of hardware and operation, a voltage or power limit that is hit, a lost power."""
        errors, operation, events = self.session.ask("ERST?;OPST?;*ESR?", 3)
        refuse_command_errors(self.session, events, "it was looked at")
        hardware, operational = (int(n) for n in numbers(self.session, errors, 2))
        if faults := _names(hardware, HARDWARE) + _names(operational & ~INTERLOCKS, OPERATIONAL):
            raise InstrumentFault(f"{self.session.name}: reports {', '.join(faults)}")
        if open_ones := _names(operational & INTERLOCKS, OPERATIONAL):
            raise InterlockOpen(
                f"{self.session.name}: its interlock is open: {', '.join(open_ones)}; close it by hand"
            )
        state = int(number(self.session, operation))
        if limited := [name for bit, name in LIMITED.items() if state & bit]:
            raise InstrumentFault(f"{self.session.name}: runs into its {', '.join(limited)}: less current flows")

    def refuse_settings(self) -> None:
        """Somebody else may have set another current, rate, limit or mode."""
        section = self.section
        self._compare([*self._limits(), *self._steady(), ("RATE", (section.rate_up,)), ("SETI", (section.current,))])

    def _limits(self) -> list[tuple[str, tuple[float, ...]]]:
        return [("LIMIT", (self.section.max_current, max(self.section.rate_up, self.section.rate_down)))]

    def _steady(self) -> list[tuple[str, tuple[float, ...]]]:
        return [("XPGM", (0.0,)), ("RSEG", (0.0,))]

    def _set(self, settings: Sequence[tuple[str, tuple[float, ...]]], when: str) -> None:
        message = [_command(*setting) for setting in settings]
        (events,) = self.session.ask(";".join([*message, "*ESR?"]), 1)
        refuse_command_errors(self.session, events, when)
        self._compare(settings)

    def _compare(self, settings: Sequence[tuple[str, tuple[float, ...]]]) -> None:
        replies = self.session.ask(";".join(f"{header}?" for header, _ in settings), len(settings))
        for (header, values), reply in zip(settings, replies, strict=True):
            read = numbers(self.session, reply, len(values))
            if any(abs(a - b) > STEP for a, b in zip(read, values, strict=True)):
                sent = ",".join(f"{value:g}" for value in values)
                raise InstrumentFault(f"{self.session.name}: {header} reads {reply} where {sent} was sent")


def _command(header: str, values: tuple[float, ...]) -> str:
    whole = header in ("XPGM", "RSEG")
    return f"{header} {','.join(f'{value:.0f}' if whole else f'{value:.4f}' for value in values)}"


def _names(bits: int, names: Sequence[str]) -> list[str]:
    return [name for place, name in enumerate(names) if bits >> place & 1]
