"""Messages of SCPI-1999 and IEEE 488.2: split, resolved to commands, their parameters read.

A message is cut at ``;`` into units, each a header with parameters.  A header without a leading ``:`` continues at
the level of the one before it; common commands (``*OPC``) leave that level alone.  Mnemonics have a short form (their
capitals in the pattern) and a long one, in any case.  After a command error (-100 to -199) the rest of the message is
dropped; after an execution error it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

ERRORS = {
    -101: "Invalid character",
    -102: "Syntax error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -131: "Invalid suffix",
    -138: "Suffix not allowed",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -214: "Trigger deadlock",
    -221: "Settings conflict",
    -222: "Parameter data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -241: "Hardware missing",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -365: "Time out error",
    -410: "Query INTERRUPTED",
    350: "Queue overflow",
    404: "Not permitted with waveform armed",
    802: "Output blocked by interlock",
    803: "Not permitted with OUTPUT off",
    822: "Too small for sense range",
    824: "Cannot exceed compliance range",
    826: "Attempt to exceed power limit",
}
"""Numbers and texts: SCPI-1999 volume 2, 21.8; -241 and -350 of a 6221 its reference manual p. B-2; 350 Keithley 2000
manual p. 5-63; 803 to 826 2400 Series user's manual, p. B-6 and B-7.  404 is a number of the 6221 (p. 11-11), 802 one
of the 2400 family (2400 user's manual p. B-6): the page that says what a 6221 gives with its interlock open was not
seen.  Both have texts of ours."""

CACHED_MESSAGES = 4096  # compiled messages that are kept

Act = Callable[..., str | None]
Parse = Callable[[Sequence[str]], tuple[Any, ...]]
Step = tuple[Act, tuple[Any, ...]]


class ScpiError(Exception):
    """An error for the instrument's queue; ``code`` is a key of ``ERRORS``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def ends_message(self) -> bool:
        """Whether the rest of the message is dropped."""
        return -200 < self.code <= -100


def no_parameters(texts: Sequence[str]) -> tuple[Any, ...]:
    """Parameters of a command that takes none."""
    if texts:
        raise ScpiError(-108)
    return ()


@dataclass(frozen=True)
class Command:
    """One command or query: the pattern of its header, what it does, how its parameters are read.

    Patterns are written as in manuals: ``SOURce[1]:CURRent[:LEVel]``; ``?`` at the end makes a query.
    """

    pattern: str
    act: Act
    parse: Parse = no_parameters
    does: str = ""
    """What the emulator does, for the page of commands; empty for a query whose name says it."""


class Language:
    """The commands of one instrument; ``compile`` turns a message into steps, and remembers."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self._commands = [(_header_pattern(c.pattern), c) for c in commands]
        self.resolve = lru_cache(CACHED_MESSAGES)(self._resolve)
        self.compile = lru_cache(CACHED_MESSAGES)(self._compile)

    def _resolve(self, header: str) -> Command | None:
        """The command of a full header in capitals, such as ``SOUR:CURR:COMP?``."""
        return next((command for header_pattern, command in self._commands if header_pattern.fullmatch(header)), None)

    def _compile(self, message: str) -> tuple[Step, ...]:
        """What to do for a message, in order; an error is a step as well."""
        steps: list[Step] = []
        level = ""
        for unit in split(message, ";"):
            try:
                level, step = self._unit(unit, level)
            except ScpiError as error:
                steps.append((_fail, (error.code,)))
                if error.ends_message:
                    break
            else:
                if step:
                    steps.append(step)
        return tuple(steps)

    def _unit(self, unit: str, level: str) -> tuple[str, Step | None]:
        """The level after this unit, and its step; none for an empty unit."""
        unit = unit.strip()
        if not unit:
            return level, None
        if not (unit.isascii() and unit.isprintable()):
            raise ScpiError(-101)
        header, _, parameters = unit.replace("\t", " ").partition(" ")
        if not _HEADER.fullmatch(header):
            raise ScpiError(-102)
        header = header.upper()
        if not header.startswith("*"):
            header = header[1:] if header.startswith(":") else level + header
            level = header.rstrip("?").rpartition(":")[0]
            level += ":" if level else ""
        command = self.resolve(header)
        if command is None:
            raise ScpiError(-113)
        texts = [text.strip() for text in split(parameters, ",")] if parameters.strip() else []
        if not all(texts):
            raise ScpiError(-109)
        try:
            return level, (command.act, command.parse(texts))
        except ScpiError as error:
            if error.ends_message:
                raise
            return level, (_fail, (error.code,))


_HEADER = re.compile(r"\*[A-Za-z]+\??|:?[A-Za-z]\w*(:[A-Za-z]\w*)*\??", re.ASCII)
_PART = re.compile(r"[A-Za-z]+|.")


def refuse(code: int) -> Act:
    """What a command does that always ends in this error, whatever its parameters."""

    def act(*_parameters: Any) -> str | None:
        raise ScpiError(code)

    return act


def _fail(code: int) -> str | None:
    raise ScpiError(code)


@cache
def _header_pattern(pattern: str) -> re.Pattern[str]:
    """Compiled once for all instruments of a model."""
    return re.compile(expression(pattern))


def expression(pattern: str) -> str:
    """The regular expression of a header or word pattern: optional parts, short or long mnemonics, capitals only."""
    special = {"[": "(?:", "]": ")?", ":": ":", "*": r"\*", "?": r"\?"}
    return "".join(special.get(part) or _mnemonic(part) for part in _PART.findall(pattern))


def _mnemonic(word: str) -> str:
    short = "".join(letter for letter in word if not letter.islower())
    return short if short == word else f"{short}(?:{word[len(short) :].upper()})?"


def split(text: str, separator: str) -> list[str]:
    """``text`` cut at separators outside of quotes and parentheses."""
    if not any(mark in text for mark in "\"'("):
        return text.split(separator)
    pieces, quote, depth, start = [], "", 0, 0
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == separator and depth <= 0:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]
