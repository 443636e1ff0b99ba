"""A Keithley 7001 switch mainframe with two cards of 40 relays; a relay is named ``card!channel``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from instrument_emulator.circuit import OPEN
from instrument_emulator.instrument import Instrument
from instrument_emulator.scpi import Command, ScpiError

CARDS, CHANNELS = 2, 40

_ITEM = re.compile(r"(\d+)!(\d+)(?::(\d+)!(\d+))?")


class EmulatedKeithley7001(Instrument):
    """The switch.  Relays move at once and stay as they are when a connection ends."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 7001,{serial},A09  /A02"
    settings = ()

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        path = "[ROUTe:]"
        yield Command(f"{path}CLOSe", self._close, channels)
        yield Command(f"{path}OPEN", self._open, channels_or_all)
        yield Command(f"{path}OPEN:ALL", lambda: self._move(OPEN))
        yield Command(f"{path}CLOSe?", lambda *relays: self._report(relays, closed=True), channels)
        yield Command(f"{path}OPEN?", lambda *relays: self._report(relays, closed=False), channels)
        yield Command(f"{path}CLOSe:STATe?", lambda: f"(@{','.join(sorted(self.circuit.closed, key=_order))})")

    def reset(self) -> None:
        """``*RST``: all relays open."""
        super().reset()
        self._move(OPEN)

    def state(self) -> dict[str, Any]:
        return {"closed": sorted(self.circuit.closed)}

    def faults_changed(self) -> None:
        """Move the relays to where they were told to be: one may be stuck, or free again."""
        self._move(self._closed)

    def _close(self, *relays: str) -> None:
        self._move(self._closed | frozenset(relays))

    def _open(self, *relays: str) -> None:
        self._move(self._closed - frozenset(relays) if relays else OPEN)

    def _move(self, closed: frozenset[str]) -> None:
        self._closed = closed
        self.circuit.move_relays(closed)

    def _report(self, relays: Sequence[str], *, closed: bool) -> str:
        return ",".join(str(int((r in self.circuit.closed) == closed)) for r in relays)


def channels(texts: Sequence[str]) -> tuple[Any, ...]:
    """The relays of a list such as ``(@1!1,1!5:1!8)``, as ``card!channel``; ``ScpiError`` if it is not one."""
    if not texts:
        raise ScpiError(-109)
    text = texts[0].replace(" ", "")
    if len(texts) > 1:
        raise ScpiError(-108)
    if not (text.startswith("(@") and text.endswith(")")):
        raise ScpiError(-104)
    relays: list[str] = []
    for item in text[2:-1].split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise ScpiError(-102)
        first = _number(*match.group(1, 2))
        last = _number(*match.group(3, 4)) if match.group(3) else first
        relays += [_name(number) for number in range(first, last + 1)]
    return tuple(relays)


def channels_or_all(texts: Sequence[str]) -> tuple[Any, ...]:
    """As :func:`channels`; nothing for the word ALL."""
    return () if [text.upper() for text in texts] == ["ALL"] else channels(texts)


def _number(card: str, channel: str) -> int:
    """Number of a relay when the channels of all cards are counted on."""
    if not (1 <= int(card) <= CARDS and 1 <= int(channel) <= CHANNELS):
        raise ScpiError(-222)
    return (int(card) - 1) * CHANNELS + int(channel) - 1


def _name(number: int) -> str:
    return f"{number // CHANNELS + 1}!{number % CHANNELS + 1}"


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("!"))
