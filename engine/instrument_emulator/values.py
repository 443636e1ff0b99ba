"""Types of parameters: how each is read from a message and written in a reply."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from instrument_emulator.scpi import Parse, ScpiError, expression

INFINITE = 9.9e37
"""How instruments write infinity (SCPI-1999 volume 1, 7.2.1.4)."""


class ParameterType(Protocol):
    """A type of value; ``read`` raises ``ScpiError``."""

    def read(self, text: str) -> Any:
        """The value in a message."""

    def show(self, value: Any) -> str:
        """The value in a reply."""


@dataclass(frozen=True)
class Real:
    """A number from ``low`` to ``high``, or one of MIN, MAX, and INF where that is allowed."""

    low: float
    high: float
    infinite: bool = False
    step: float = 0.0
    """Resolution to which the instrument rounds; 0: as sent."""

    def read(self, text: str) -> float:
        word = text.upper()
        if re.fullmatch(expression("INFinity"), word) and self.infinite:
            return INFINITE
        if re.fullmatch(expression("MINimum"), word):
            return self.low
        if re.fullmatch(expression("MAXimum"), word):
            return self.high
        number = _number(text)
        if self.infinite and number >= INFINITE:
            return INFINITE
        if not self.low <= number <= self.high:
            raise ScpiError(-222)
        return round(number / self.step) * self.step if self.step else number

    def show(self, value: float) -> str:
        return f"{value:.6E}"


@dataclass(frozen=True)
class Integer:
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int

    def read(self, text: str) -> int:
        number = round(_number(text))
        if not self.low <= number <= self.high:
            raise ScpiError(-222)
        return number

    def show(self, value: int) -> str:
        return str(value)


class Boolean:
    """0, 1, OFF or ON; replies are 0 and 1."""

    def read(self, text: str) -> bool:
        word = text.upper()
        if word in ("ON", "OFF"):
            return word == "ON"
        return bool(round(_number(text)))

    def show(self, value: bool) -> str:  # noqa: FBT001
        return str(int(value))


class Choice:
    """One of some words, short or long; replies give the short form."""

    def __init__(self, *patterns: str, quoted: bool = False) -> None:
        self._short = {re.sub(r"[a-z]|\[.*?\]", "", p): re.compile(expression(p)) for p in patterns}
        self._quoted = quoted

    def read(self, text: str) -> str:
        word = text.upper()
        if self._quoted:
            if len(word) < 2 or word[0] not in "\"'" or word[-1] != word[0]:
                raise ScpiError(-104)
            word = word[1:-1]
        elif not word[0].isalpha():
            raise ScpiError(-104)
        for short, pattern in self._short.items():
            if pattern.fullmatch(word):
                return short
        raise ScpiError(-224)

    def show(self, value: str) -> str:
        return f'"{value}"' if self._quoted else value


class Quoted:
    """A text in single or double quotes; a quote inside is doubled."""

    def read(self, text: str) -> str:
        if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
            raise ScpiError(-104)
        return text[1:-1].replace(2 * text[0], text[0])

    def show(self, value: str) -> str:
        doubled = value.replace('"', '""')
        return f'"{doubled}"'


def exactly_one(parameter: ParameterType) -> Parse:
    """A command's parser for exactly one parameter of that type."""
    return up_to(parameter, 1, too_many=-108)


def up_to(parameter: ParameterType, most: int, too_many: int = -223) -> Parse:
    """A command's parser for one to ``most`` parameters of that type; with more, the error is ``too_many``."""

    def parse(texts: Sequence[str]) -> tuple[Any, ...]:
        if not texts:
            raise ScpiError(-109)
        if len(texts) > most:
            raise ScpiError(too_many)
        return tuple(parameter.read(text) for text in texts)

    return parse


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ScpiError(-104)
    number = float(text)
    if not math.isfinite(number):
        raise ScpiError(-222)
    return number
