"""A Keithley 7001 switch mainframe with two multiplexer cards of 40 relays; a relay is named ``card!channel``.

What closes, opens and stays: 7001 manual p. 5-78.  ``*RST`` moves no relay; they are open after power-on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from instrument_emulator.circuit import OPEN, Circuit
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.scpi import Command, ScpiError
from instrument_emulator.values import Boolean, Choice, Count, Integer, Real

CARDS, CHANNELS = 2, 40
PATTERNS = 100  # that it remembers, M1 to M100
CARD = "C7011"
"""Type of both cards: multiplexers of 40 channels."""
IS_IDLE, SCANNING = 10, 3
"""Bits of the operation register."""

_ITEM = re.compile(r"(\d+)!(\d+)(?::(\d+)!(\d+))?")
_PATTERN = re.compile(r"M(\d+)", re.IGNORECASE)
_PATH = "[ROUTe:]"
_SECONDS = Real(0.0, 99999.999, unit="S")

SOURCES = {
    "*": "IEEE 488.2; no page seen",
    "STATus": "IEEE 488.2, SCPI-1999; no page seen",
    "SYSTem": "SCPI-1999; no page seen",
    f"{_PATH}CLOSe": "7001 manual p. 5-78 (of OPEN); public drivers of a 7001",
    f"{_PATH}OPEN": "7001 manual p. 5-78",
    f"{_PATH}SCAN": "7001 manual p. 5-34",
    f"{_PATH}MEMory": "7001 manual p. 5-78 (M36 in a list)",
    f"{_PATH}CONFigure": "no page seen",
    f"{_PATH}CONFigure:SLOT[1]:CTYPe": "a public driver of a 7001",
    f"{_PATH}CONFigure:SLOT2:CTYPe": "a public driver of a 7001",
    "TRIGger": "no page seen",
    "INITiate": "no page seen",
    "ABORt": "no page seen",
    "DISPlay": "no page seen",
}


class EmulatedKeithley7001(Instrument):
    """The switch.  Relays move at once and stay as they are when a connection ends.

    Not modelled: other cards than multiplexers, the trigger link, and scans without end, which go once.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 7001,{serial},A09  /A02"
    memories = 10
    settings = (
        ScpiSetting(f"{_PATH}CONFigure:BBMake", "break_before_make", Boolean(), True,
                    "1: a scan opens the channel before it closes the next"),
        ScpiSetting(f"{_PATH}CONFigure:CPAir", "card_pair", Boolean(), False,
                    "a channel of one card moves with that of the other"),
        ScpiSetting(f"{_PATH}CONFigure:SCHannel", "single_channel", Boolean(), False, "closing opens all others"),
        *(ScpiSetting(f"{_PATH}CONFigure:SLOT{slot}:STIMe", f"settle{n}", _SECONDS, 0.0, "closing takes that long")
          for n, slot in ((1, "[1]"), (2, "2"))),
        *(ScpiSetting(f"{_PATH}CONFigure:SLOT{slot}:POLE", f"poles{n}", Integer(1, 2), 2)
          for n, slot in ((1, "[1]"), (2, "2"))),
        ScpiSetting("TRIGger[:SEQuence[1]]:SOURce", "trigger",
                    Choice("HOLD", "MANual", "IMMediate", "TIMer", "BUS", "EXTernal", "TLINk"), "IMM",
                    "when a scan goes on; HOLD, MAN, EXT, TLIN: never by itself"),
        ScpiSetting("TRIGger[:SEQuence[1]]:COUNt", "trigger_count", Count(1, 99999), 1.0, "channels of a scan"),
        ScpiSetting("TRIGger[:SEQuence[1]]:COUNt:AUTO", "trigger_auto", Boolean(), False,
                    "1: as many as the scan list has", preset=True),
        ScpiSetting("TRIGger[:SEQuence[1]]:DELay", "trigger_delay", _SECONDS, 0.0, "after each channel of a scan"),
        ScpiSetting("TRIGger[:SEQuence[1]]:TIMer", "trigger_timer", Real(1e-3, 99999.999, unit="S"), 1e-3,
                    "between channels with TRIG:SOUR TIM"),
        ScpiSetting("INITiate:CONTinuous", "continuous", Boolean(), False),
        ScpiSetting("DISPlay:ENABle", "display", Boolean(), True),
    )  # fmt: skip
    sources = SOURCES

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self._closed = OPEN
        self._patterns: dict[int, frozenset[str]] = {}
        self._scan_list: tuple[str, ...] = ()
        self._left = 0
        """Channels that a scan has still to close."""
        self._next = 0
        super().__init__(role, serial, circuit)
        self.status.operation.put(IS_IDLE, on=True)

    def commands(self) -> Iterator[Command]:
        yield from super().commands()
        path = _PATH
        yield Command(f"{path}CLOSe", self._close, channels, does="closes relays: (@1!1,1!3:1!5,M2)")
        yield Command(f"{path}OPEN", self._open, channels_or_all, does="opens relays, or ALL")
        yield Command(f"{path}OPEN:ALL", self._open_all, does="opens all relays; a scan ends")
        yield Command(f"{path}CLOSe?", lambda *relays: self._report(relays, closed=True), channels)
        yield Command(f"{path}OPEN?", lambda *relays: self._report(relays, closed=False), channels)
        yield Command(f"{path}CLOSe:STATe?", lambda: _list(sorted(self.circuit.closed, key=_order)))
        yield Command(f"{path}SCAN", self._set_scan_list, channels, does="which channels INIT goes through")
        yield Command(f"{path}SCAN?", lambda: _list(self._scan_list))
        yield Command(f"{path}SCAN:POINts?", lambda: str(len(self._expanded(self._scan_list))))
        yield Command(f"{path}MEMory:SAVE", self._save_pattern, pattern, does="what is closed, at M1 to M100")
        yield Command(f"{path}MEMory:RECall", self._recall_pattern, pattern, does="closes that and no other")
        for slot in ("[1]", "2"):
            yield Command(f"{path}CONFigure:SLOT{slot}:CTYPe?", lambda: CARD, does=f"{CARD}: 40 channels")
        yield Command("INITiate[:IMMediate]", self._initiate, does="begins a scan; -221 without a list")
        yield Command("ABORt", self._abort, does="ends a scan; the channel stays closed")
        yield Command("*TRG", self._bus_trigger, does="closes the next channel with TRIG:SOUR BUS, else -211")
        yield Command("TRIGger[:SEQuence[1]]:SIGNal", self._signal, does="closes the next channel")

    def reset(self) -> None:
        super().reset()
        self._left = 0

    def power_cycle(self) -> None:
        """All relays open; what was saved stays."""
        self._scan_list = ()
        super().power_cycle()
        self.status.operation.put(IS_IDLE, on=True)
        self._move(OPEN)

    def state(self) -> dict[str, Any]:
        return {"closed": sorted(self.circuit.closed)}

    def faults_changed(self) -> None:
        """Move the relays to where they were told to be: one may be stuck, or free again."""
        self._move(self._closed)

    def _expanded(self, relays: Sequence[str]) -> list[str]:
        """Channels, with those of patterns such as ``M36``; -221 if one is empty."""
        every: list[str] = []
        for relay in relays:
            if relay[0] != "M":
                every.append(relay)
            elif int(relay[1:]) in self._patterns:
                every += sorted(self._patterns[int(relay[1:])], key=_order)
            else:
                raise ScpiError(-221)
        return every

    def _partners(self, relays: Sequence[str]) -> frozenset[str]:
        """Channels, with those of the other card if both move together."""
        wanted = frozenset(self._expanded(relays))
        if not self.values["card_pair"]:
            return wanted
        return wanted | {f"{3 - int(r[0])}{r[1:]}" for r in wanted}

    def _close(self, *relays: str) -> None:
        wanted = self._partners(relays)
        self._move(wanted if self.values["single_channel"] else self._closed | wanted)
        settle = max((self.values[f"settle{relay[0]}"] for relay in wanted), default=0.0)
        if settle:
            self.circuit.wait(settle)

    def _open(self, *relays: str) -> None:
        if relays:
            self._move(self._closed - self._partners(relays))
        else:
            self._open_all()

    def _open_all(self) -> None:
        self._end_scan()
        self._move(OPEN)

    def _move(self, closed: frozenset[str]) -> None:
        self._closed = closed
        self.circuit.move_relays(closed)

    def _report(self, relays: Sequence[str], *, closed: bool) -> str:
        return ",".join(str(int((r in self.circuit.closed) == closed)) for r in self._expanded(relays))

    def _save_pattern(self, number: int) -> None:
        self._patterns[number] = self._closed

    def _recall_pattern(self, number: int) -> None:
        self._move(self._patterns.get(number, OPEN))

    def _set_scan_list(self, *relays: str) -> None:
        self._expanded(relays)
        self._scan_list = relays

    def _initiate(self) -> None:
        """Begin a scan; with an immediate trigger or a timer go through it."""
        if self._left:
            raise ScpiError(-213)
        if not self._scan_list:
            raise ScpiError(-221)
        listed, values = len(self._scan_list), self.values
        whole = values["trigger_auto"] or values["trigger_count"] > listed
        self._left = listed if whole else int(values["trigger_count"])
        self._next = 0
        self.status.operation.put(IS_IDLE, on=False)
        self.status.operation.put(SCANNING, on=True)
        wait = {"IMM": 0.0, "TIM": values["trigger_timer"]}.get(values["trigger"])
        while wait is not None and self._left:
            self._step()
            if wait:
                self.circuit.wait(wait)

    def _bus_trigger(self) -> None:
        if self.values["trigger"] != "BUS":
            raise ScpiError(-211)
        self._signal()

    def _signal(self) -> None:
        if not self._left:
            raise ScpiError(-211)
        self._step()

    def _step(self) -> None:
        """Close the next channel of the scan instead of the one before."""
        item = self._scan_list[self._next]
        last = self._partners(self._scan_list[self._next - 1 : self._next])
        closing = self._partners((item,))
        if self.values["break_before_make"]:
            self._move(self._closed - last)
            self._move(self._closed | closing)
        else:
            self._move(self._closed | closing)
            self._move(self._closed - (last - closing))
        self._next += 1
        self._left -= 1
        if self.values["trigger_delay"]:
            self.circuit.wait(self.values["trigger_delay"])
        if not self._left:
            self._end_scan()

    def _abort(self) -> None:
        self._end_scan()

    def _end_scan(self) -> None:
        self._left = 0
        self.status.operation.put(SCANNING, on=False)
        self.status.operation.put(IS_IDLE, on=True)


def channels(texts: Sequence[str]) -> tuple[Any, ...]:
    """The relays of a list such as ``(@1!1,1!5:1!8,M2)``, as ``card!channel`` or ``M2``; ``ScpiError`` if it is none.

    A third number, as of matrix cards, is beyond what the cards have (-222).
    """
    if not texts:
        raise ScpiError(-109)
    text = texts[0].replace(" ", "")
    if len(texts) > 1:
        raise ScpiError(-108)
    if not (text.startswith("(@") and text.endswith(")")):
        raise ScpiError(-104)
    relays: list[str] = []
    for item in text[2:-1].split(","):
        if named := _PATTERN.fullmatch(item):
            relays.append(f"M{_pattern(named[1])}")
            continue
        match = _ITEM.fullmatch(item)
        if not match:
            raise ScpiError(-222 if re.fullmatch(r"\d+!\d+!\d+(:\d+!\d+!\d+)?", item) else -102)
        first = _number(*match.group(1, 2))
        last = _number(*match.group(3, 4)) if match.group(3) else first
        relays += [_name(number) for number in range(first, last + 1)]
    return tuple(relays)


def channels_or_all(texts: Sequence[str]) -> tuple[Any, ...]:
    """As :func:`channels`; nothing for the word ALL."""
    return () if [text.upper() for text in texts] == ["ALL"] else channels(texts)


def pattern(texts: Sequence[str]) -> tuple[Any, ...]:
    """The number of a pattern of relays, such as ``M36``."""
    if len(texts) != 1:
        raise ScpiError(-108 if texts else -109)
    match = _PATTERN.fullmatch(texts[0])
    if not match:
        raise ScpiError(-104)
    return (_pattern(match[1]),)


def _pattern(number: str) -> int:
    if not 1 <= int(number[:9]) <= PATTERNS:
        raise ScpiError(-222)
    return int(number)


def _number(card: str, channel: str) -> int:
    """Number of a relay when the channels of all cards are counted on."""
    if not (1 <= int(card[:9]) <= CARDS and 1 <= int(channel[:9]) <= CHANNELS):
        raise ScpiError(-222)
    return (int(card) - 1) * CHANNELS + int(channel) - 1


def _name(number: int) -> str:
    return f"{number // CHANNELS + 1}!{number % CHANNELS + 1}"


def _list(relays: Sequence[str]) -> str:
    return f"(@{','.join(relays)})"


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("!"))
