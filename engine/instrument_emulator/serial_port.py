"""The serial port of a Keithley 6221, at which another instrument hangs: what is sent there, and what has come back.

Commands: Keithley 6220/6221 reference manual, SYSTem:COMMunicate:SERial; public drivers wait 20 to 200 ms between the
two and put the reply together from pieces.  Not modelled: that the source listens while the other one measures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from instrument_emulator.circuit import Circuit
from instrument_emulator.instrument import Instrument
from instrument_emulator.link import disturb
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import QuotedText, exactly_one

BITS_PER_BYTE = 10  # start, eight, stop
LONGEST_MESSAGE = 1024
PIECE = 256
"""Bytes that one query gives at most."""


class SerialPort:
    """The port, with nothing at it until :meth:`attach`."""

    def __init__(self, circuit: Circuit, baud: Callable[[], float]) -> None:
        self._circuit, self._baud = circuit, baud
        self.attached: Instrument | None = None
        self._coming: deque[tuple[float, str]] = deque()
        """Characters on their way, with the bench time of each's arrival, s."""

    def attach(self, other: Instrument) -> None:
        """Connect the cable."""
        self.attached = other

    def commands(self) -> Iterator[Command]:
        """Those of the subsystem."""
        path = "SYSTem:COMMunicate:SERial"
        absent = "-241 where nothing hangs at the serial port"
        text = exactly_one(QuotedText(LONGEST_MESSAGE))
        yield Command(f"{path}:SEND", self._send, text, does=f"the instrument there works on it; {absent}")
        yield Command(f"{path}:ENTer?", self._enter, does=f"what has come back so far; {absent}")

    def _send(self, text: str) -> None:
        """Hand a message over; the reply starts to come when it has been worked on."""
        other = self.attached
        if other is None:
            raise ScpiError(-241)
        faults = self._circuit.faults
        faults.message(other.role, text)
        disturb(other, faults, other.role, text)
        lost = faults.take("drop", other.role, text)
        if lost is not None and not lost["executed"]:
            return
        reply = other.execute(text)
        if lost is not None or not reply:
            return
        start, per_byte = self._circuit.clock.now(), BITS_PER_BYTE / self._baud()
        for number, character in enumerate(f"{reply}\n", 1):
            self._coming.append((start + number * per_byte, character))

    def _enter(self) -> str:
        """What has come so far."""
        if self.attached is None:
            raise ScpiError(-241)
        now = self._circuit.clock.now()
        piece = ""
        while self._coming and self._coming[0][0] <= now and len(piece) < PIECE:
            piece += self._coming.popleft()[1]
        return piece
