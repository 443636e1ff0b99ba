"""Kepco BOP with a BIT 4886 (or 4882) interface card, a bipolar supply that drives a magnet.

Commands, and where they stand.  M: *Kepco BIT 4886 operator manual* (243-1303); Q: *Kepco BIT 232F manual*, p. B-11,
whose bits of the questionable register are the family's; D: pymeasure 0.16 ``kepco``, and drivers of two
laboratories, one of which cites the paragraphs of M (of which p. A-2 alone was read here).

==========================  ==========================================================  ==================
command                     meaning                                                     source
==========================  ==========================================================  ==================
``*IDN?``                   ``KEPCO,BIT 4886 20-20 DATE,serial,firmware``               M A.6 (p. A-2); D
``*ESR?``                   errors of class 1xx to 4xx in bits 5, 4, 3, 2               M A.5 (p. A-2)
``FUNC:MODE CURR``          current mode; the query gives 1                             M B.22, B.23; D
``CURR:RANG 1``             no automatic range: its change is a spike                   M 4.1.1.2, B.52
``VOLT x``                  in current mode the limit of the voltage                    M 4.1.1.1, B.57
``CURR x``                  output current, A                                           M B.48, B.49
``OUTP 0|1``                output; OFF programs 0 V and 0 A *at once*                  M B.20, B.21
``MEAS:CURR?``              mean of the last 16 readings, valid after 320 ms            M 1.2.1, B.18
``STAT:QUES:COND?``         bits 1 current error, 3 temperature, 9 relay, 10 overload,  Q
                            11 power loss
``SYST:ERR?``               oldest error                                                M B.80
==========================  ==========================================================  ==================

The card knows no ramp, so the driver steps: never more than ``rate * POLL_S`` at a time.  Its steps end with its
process; the current then stays, and the watchdog ramps it down.  ``*RST`` is not sent, for it switches the output off
under current. Replies of cards before firmware 2, whose identity has no commas, are refused.  There is no interlock
that can be asked for.  Use GPIB: over RS-232 the card wants ``SYST:REM`` first (M B.87), which is not sent.  A
correction sheet of the BIT 4882F manual asks for 2 ms between a query and its reading; nothing here waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.magnet import POLL_S, FieldSupply, FieldSupplySection
from spinsweep.bench.parts import Positive, Timing
from spinsweep.bench.section import Wired
from spinsweep.bench.settings import Setting, compare, number, refuse_events

RESOLUTION = 1 / 4096
"""Of a programmed value, relative to the rating: 12 bits of the BIT 4882, the coarser card."""
CARDS = (("BIT", "4886"), ("BIT", "4882"))
CURRENT_MODE = 1.0
"""Reply to ``FUNC:MODE?``; 0 is voltage mode."""
LARGEST_RATING = 30.0
"""Of the family, A: BOP 5-30."""
FAULTS = {2: "current error", 8: "overtemperature", 512: "relay error", 1024: "overload", 2048: "power loss"}
"""Bits of ``STAT:QUES:COND?``; bit 0, voltage error, says nothing in current mode."""
ERRORS = ":SYST:ERR?"
_MAX_ERRORS = 20


class KepcoBOPSection(FieldSupplySection):
    """``[auxiliary.NAME]`` with ``driver = "kepco-bop"``."""

    model: ClassVar[str] = "BIT 4886"
    rating: ClassVar[float] = LARGEST_RATING

    supply: Annotated[str, Field(pattern=r"^\d+(\.\d+)?-\d+(\.\d+)?[A-Z]*$")]
    """Which BOP the card sits in, as its identity says it: ``20-20`` has 20 V and 20 A."""
    voltage_limit: Positive
    """Never exceeded at the magnet, V."""

    @property
    def full_scale(self) -> tuple[float, float]:
        """Of the supply, V and A."""
        volts, amperes = self.supply.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ").split("-")
        return float(volts), float(amperes)

    @property
    def resolution(self) -> tuple[float, float]:
        """Of programmed values, V and A."""
        volts, amperes = self.full_scale
        return volts * RESOLUTION, amperes * RESOLUTION

    def identified(self, fields: Sequence[str]) -> tuple[str, str]:
        """Card and supply stand in the second field, behind them maybe the date of the calibration."""
        words = fields[1].split() if len(fields) > 2 else []
        if len(words) < 3 or tuple(words[:2]) not in CARDS or words[2] != self.supply:
            return "", ""
        return self.model, fields[2]

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """Also what the supply cannot do."""
        yield from super().problems(timing, wired)
        volts, amperes = self.full_scale
        if self.max_current > amperes or self.voltage_limit > volts:
            yield (
                f"max_current {self.max_current:g} A and voltage_limit {self.voltage_limit:g} V; "
                f"a BOP {self.supply} has {amperes:g} A and {volts:g} V"
            )
        if (finest := self.resolution[1] / self.current_per_tesla) > self.tolerance:
            yield f"tolerance {self.tolerance:g} T; a BOP {self.supply} sets {finest:.2g} T at best"


class KepcoBOP(FieldSupply):
    """The supply at the other end of ``session``."""

    Section = KepcoBOPSection
    section: KepcoBOPSection

    def current(self) -> float:
        """Measured, A; 0 while the output is off, whatever noise is read then."""
        output, current = self.session.ask(":OUTP?;:MEAS:CURR?", 2)
        return number(self.session, current) if number(self.session, output) else 0.0

    def prepare(self) -> None:
        """Current mode, one range, the voltage limit, 0 A, and the output on."""
        # A change of mode brings the automatic range back, and OUTP 0 may have saved other values than these.
        values = f":CURR 0;:VOLT {self.section.voltage_limit!r}"
        message = f"*CLS;:FUNC:MODE CURR;:CURR:RANG 1;{values};:OUTP 1;{values};:OUTP?;{ERRORS}"
        output, error = self.session.ask(message, 2)
        self._refuse_errors(error, "it was started")
        if number(self.session, output) != 1:
            raise InstrumentFault(f"{self.session.name}: its output reads {output} instead of 1")
        self._refuse_settings(0.0)

    def go_to(self, current: float, rate: float) -> None:
        """Step the output to ``current`` A at ``rate`` A/s, each step read back."""
        self.refuse_beyond(current)
        (level,) = self.session.ask(":CURR?", 1)
        self._step("CURR", number(self.session, level), current, rate)

    def ramp_down(self) -> None:
        """From any state in steps to 0 A, then the output off."""
        mode, output, volts, amperes, flowing = (
            number(self.session, reply)
            for reply in self.session.ask(":FUNC:MODE?;:OUTP?;:VOLT?;:CURR?;:MEAS:CURR?", 5)
        )
        down = self.section.rate_down
        if output:
            # Somebody may have set more than flows, or voltage mode: what is set goes down as fast as what flows.
            level = amperes if mode == CURRENT_MODE else volts
            if mode == CURRENT_MODE:
                level = math.copysign(min(abs(level), abs(flowing) + self.section.resolution[1]), level)
                self._step("CURR", level, 0.0, down)
            elif flowing:
                self._step("VOLT", level, 0.0, down * abs(level / flowing))
            self.await_current(0.0, down)
        output_off, error = self.session.ask(f":OUTP 0;:FUNC:MODE CURR;:CURR 0;:OUTP?;{ERRORS}", 2)
        self._refuse_errors(error, "it was switched off")
        if number(self.session, output_off) != 0:
            raise InstrumentFault(f"{self.session.name}: its output is still on; bring the field down by hand")

    def refuse_faults(self) -> None:
        """What the questionable register and the error queue say, and a lost power."""
        condition, events, error = self.session.ask(f":STAT:QUES:COND?;*ESR?;{ERRORS}", 3)
        refuse_events(self.session, events)
        self._refuse_errors(error, "it was looked at")
        state = int(number(self.session, condition))
        if faults := [name for bit, name in FAULTS.items() if state & bit]:
            raise InstrumentFault(f"{self.session.name}: reports {', '.join(faults)}")

    def refuse_settings(self) -> None:
        """Somebody else may have set another current, limit or mode, or switched the output off."""
        self._refuse_settings(self.section.current)

    def _refuse_settings(self, current: float) -> None:
        volts, amperes = self.section.resolution
        settings = [
            Setting("FUNC:MODE", CURRENT_MODE),
            Setting("OUTP", 1.0),
            Setting("VOLT", self.section.voltage_limit, volts),
            Setting("CURR", current, amperes),
        ]
        read_back = self.session.ask(";".join(setting.query for setting in settings), len(settings))
        compare(self.session, settings, read_back, "another program, or somebody at its keys, has changed it")

    def _step(self, header: str, start: float, end: float, rate: float) -> None:
        """Set ``header`` from ``start`` to ``end`` in steps, A or V, at ``rate`` a second."""
        steps = max(1, math.ceil(abs(end - start) / (rate * POLL_S)))
        resolution = self.section.resolution[1 if header == "CURR" else 0]
        for step in range(1, steps + 1):
            setting = Setting(header, start + (end - start) * step / steps, resolution)
            read_back, error = self.session.ask(f"{setting.command};{setting.query};{ERRORS}", 2)
            self._refuse_errors(error, "its current was stepped")
            compare(self.session, [setting], [read_back])
            self.clock.sleep(POLL_S)

    def _refuse_errors(self, first: str, when: str) -> None:
        """``InstrumentFault`` if ``first``, the reply to ``SYST:ERR?``, is an error; the queue is empty then."""
        entries: list[str] = []
        entry = first
        while int(number(self.session, entry.partition(",")[0])) != 0 and len(entries) < _MAX_ERRORS:
            entries.append(entry)
            entry = self.session.ask(ERRORS, 1)[0]
        if entries:
            raise InstrumentFault(f"{self.session.name}: reports {'; '.join(entries)} when {when}")
