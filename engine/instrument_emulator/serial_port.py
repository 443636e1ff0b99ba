"""The serial port of a Keithley 6221, at which another instrument hangs: what is sent there, and what has come back.

Commands: Keithley 6220/6221 reference manual, SYSTem:COMMunicate:SERial; public drivers wait 20 to 200 ms between the
two and put the reply together from pieces.  Not modelled: that the source listens while the other one measures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import Instrument
from instrument_emulator.link import disturb
from instrument_emulator.scpi import Command
from instrument_emulator.values import Choice, Integer, ParameterType, Quoted, exactly_one

BITS_PER_BYTE = 10  # start, eight, stop
PIECE = 256
"""Bytes that one query gives at most."""


class SerialPort:
    """The port, with nothing at it until :meth:`attach`."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self.attached: Instrument | None = None
        self._coming: deque[tuple[float, str]] = deque()
        """Characters on their way, with the bench time of each's arrival, s."""
        self._values: dict[str, Any] = {"baud": 19200, "pace": "NONE", "terminator": "LF"}

    def attach(self, other: Instrument) -> None:
        """Connect the cable."""
        self.attached = other

    def commands(self) -> Iterator[Command]:
        """Those of the subsystem."""
        path = "SYSTem:COMMunicate:SERial"
        yield Command(f"{path}:SEND", self._send, exactly_one(Quoted()))
        yield Command(f"{path}:ENTer?", self._enter)
        kinds: dict[str, tuple[str, ParameterType]] = {
            "baud": ("BAUD", Integer(300, 115200)),
            "pace": ("PACE", Choice("NONE", "XON")),
            "terminator": ("TERMinator", Choice("LF", "CR", "CRLF", "LFCR")),
        }
        for name, (word, kind) in kinds.items():
            yield Command(f"{path}:{word}", partial(self._values.__setitem__, name), exactly_one(kind))
            yield Command(f"{path}:{word}?", partial(self._show, name, kind))

    def _show(self, name: str, kind: ParameterType) -> str:
        return kind.show(self._values[name])

    def _send(self, text: str) -> None:
        """Hand a message over; the reply starts to come when it has been worked on."""
        other = self.attached
        if other is None:
            return  # nothing hangs there
        faults = self._circuit.faults
        faults.message(other.role, text)
        disturb(other, faults, other.role, text)
        lost = faults.take("drop", other.role, text)
        if lost is not None and not lost["executed"]:
            return
        reply = other.execute(text)
        if lost is not None or not reply:
            return
        start, per_byte = self._circuit.clock.now(), BITS_PER_BYTE / self._values["baud"]
        for number, character in enumerate(f"{reply}\n", 1):
            self._coming.append((start + number * per_byte, character))

    def _enter(self) -> str:
        """What has come so far."""
        now = self._circuit.clock.now()
        piece = ""
        while self._coming and self._coming[0][0] <= now and len(piece) < PIECE:
            piece += self._coming.popleft()[1]
        return piece
