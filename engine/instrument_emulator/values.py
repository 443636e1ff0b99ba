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

    def __str__(self) -> str:
        """What may be sent, in a few words."""


@dataclass(frozen=True)
class Real:
    """A number from ``low`` to ``high``, or one of MIN, MAX, and INF where that is allowed."""

    low: float
    high: float
    infinite: bool = False
    step: float = 0.0
    """Resolution to which the instrument rounds; 0: as sent."""
    unit: str = ""
    """What may stand behind the number, with or without a multiplier: ``A`` allows ``5 mA``."""
    least: float | None = None
    """What MIN means, where that is not ``low``: of a range whose sign does not matter, the lowest range."""

    def read(self, text: str) -> float:
        if text[0].isalpha():
            return self._word(text.upper())
        number = _number(text, self.unit)
        if self.infinite and number >= INFINITE:
            return INFINITE
        if not self.low <= number <= self.high:
            raise ScpiError(-222)
        return round(number / self.step) * self.step if self.step else number

    def show(self, value: float) -> str:
        return f"{value:.6E}"

    def limit(self, *, most: bool) -> float:
        """What MIN or MAX means."""
        return self.high if most else self.low if self.least is None else self.least

    def __str__(self) -> str:
        unit = _UNITS.get(self.unit, self.unit)
        return f"{self.low:.9g} to {self.high:.9g}{unit and ' '}{unit}{' or INF' if self.infinite else ''}"

    def _word(self, word: str) -> float:
        if _INFINITY.fullmatch(word) and self.infinite:
            return INFINITE
        if (most := _limit(word)) is None:
            raise ScpiError(-104)
        return self.limit(most=most)


@dataclass(frozen=True)
class Integer:
    """A whole number from ``low`` to ``high``, also in another base: ``#HFF``, ``#Q17``, ``#B101``."""

    low: int
    high: int

    def read(self, text: str) -> int:
        if text[0].isalpha():
            if (most := _limit(text.upper())) is None:
                raise ScpiError(-104)
            return self.limit(most=most)
        number = round(_number(text))
        if not self.low <= number <= self.high:
            raise ScpiError(-222)
        return number

    def show(self, value: int) -> str:
        return str(value)

    def limit(self, *, most: bool) -> int:
        """What MIN or MAX means."""
        return self.high if most else self.low

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole"


@dataclass(frozen=True)
class Count:
    """A whole number from ``low`` to ``high``, or INF."""

    low: int
    high: int

    def read(self, text: str) -> float:
        if _INFINITY.fullmatch(text.upper()) or (not text[0].isalpha() and _number(text) >= INFINITE):
            return INFINITE
        return float(Integer(self.low, self.high).read(text))

    def show(self, value: float) -> str:
        return "+9.9E37" if value >= INFINITE else str(int(value))

    def limit(self, *, most: bool) -> float:
        """What MIN or MAX means."""
        return float(self.high if most else self.low)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole, or INF"


class Boolean:
    """0, 1, OFF or ON; replies are 0 and 1."""

    def read(self, text: str) -> bool:
        word = text.upper()
        if word in ("ON", "OFF"):
            return word == "ON"
        return bool(round(_number(text)))

    def show(self, value: bool) -> str:  # noqa: FBT001
        return str(int(value))

    def __str__(self) -> str:
        return "0, 1, OFF, ON"


class Choice:
    """One of some words, short or long; replies give the short form."""

    def __init__(self, *patterns: str, quoted: bool = False) -> None:
        self._short = {re.sub(r"[a-z]|\[.*?\]", "", p): re.compile(expression(p)) for p in patterns}
        self._quoted = quoted

    def read(self, text: str) -> str:
        word = text.upper()
        if self._quoted:
            word = _within_quotes(word)
        elif not word[0].isalpha():
            raise ScpiError(-104)
        for short, pattern in self._short.items():
            if pattern.fullmatch(word):
                return short
        raise ScpiError(-224)

    def show(self, value: str) -> str:
        return f'"{value}"' if self._quoted else value

    def __str__(self) -> str:
        return ", ".join(map(self.show, self._short))


@dataclass(frozen=True)
class QuotedText:
    """Characters within quotes, at most ``longest``."""

    longest: int

    def read(self, text: str) -> str:
        inner = _within_quotes(text)
        if len(inner) > self.longest:
            raise ScpiError(-223)
        return inner

    def show(self, value: str) -> str:
        return f'"{value}"'

    def __str__(self) -> str:
        return f"text of up to {self.longest} characters in quotes"


class NumberOf:
    """One of some numbers; what lies between means the next lower one."""

    def __init__(self, *numbers: float) -> None:
        self._numbers = numbers
        self._range = Real(numbers[0], math.inf)

    def read(self, text: str) -> float:
        number = self._range.read(text)
        return max(n for n in self._numbers if n <= number)

    def show(self, value: float) -> str:
        return f"{value:.6E}"

    def __str__(self) -> str:
        return ", ".join(f"{number:g}" for number in self._numbers)


def exactly_one(parameter: ParameterType, default: Any = None) -> Parse:
    """A command's parser for exactly one parameter of that type; DEF is the ``default`` of a setting."""
    if default is None:
        return up_to(parameter, 1, too_many=-108)
    ordinary = up_to(parameter, 1, too_many=-108)
    takes_words = hasattr(parameter, "limit")

    def parse(texts: Sequence[str]) -> tuple[Any, ...]:
        if takes_words and len(texts) == 1 and _DEFAULT.fullmatch(texts[0].upper()):
            return (default,)
        return ordinary(texts)

    return parse


def limit_of(parameter: ParameterType, default: Any) -> Parse:
    """A query's parser: nothing, or one of MIN, MAX and DEF where the setting is a number (6221 manual p. 10-14)."""
    limit = getattr(parameter, "limit", None)

    def parse(texts: Sequence[str]) -> tuple[Any, ...]:
        if not texts:
            return ()
        if limit is None or len(texts) > 1:
            raise ScpiError(-108)
        word = texts[0].upper()
        if _DEFAULT.fullmatch(word):
            return (default,)
        if (most := _limit(word)) is None:
            raise ScpiError(-104)
        return (limit(most=most),)

    return parse


def up_to(parameter: ParameterType, most: int, too_many: int = -223) -> Parse:
    """A command's parser for one to ``most`` parameters of that type; with more, the error is ``too_many``."""

    def parse(texts: Sequence[str]) -> tuple[Any, ...]:
        if not texts:
            raise ScpiError(-109)
        if len(texts) > most:
            raise ScpiError(too_many)
        return tuple(parameter.read(text) for text in texts)

    return parse


def tone(texts: Sequence[str]) -> tuple[Any, ...]:
    """A command's parser for a beep: frequency (Hz) and duration (s)."""
    if len(texts) != 2:
        raise ScpiError(-109 if len(texts) < 2 else -108)
    return Real(65.0, 2e6, unit="HZ").read(texts[0]), Real(0.0, 7.9, unit="S").read(texts[1])


_INFINITY, _DEFAULT = (re.compile(expression(word)) for word in ("INFinity", "DEFault"))
_MINIMUM, _MAXIMUM = (re.compile(expression(word)) for word in ("MINimum", "MAXimum"))
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_UNITS = {"S": "s", "HZ": "Hz"}  # as they are written elsewhere
_BASES = {"B": 2, "Q": 8, "H": 16}
_MULTIPLIERS = {"EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0, "M": 1e-3, "U": 1e-6,
                "N": 1e-9, "P": 1e-12, "F": 1e-15, "A": 1e-18}  # fmt: skip
"""Before a unit (IEEE 488.2, 7.7.3.3); of HZ and OHM a lone M means a million (table 7-2 there)."""


def _limit(word: str) -> bool | None:
    """Whether a word means the maximum; None if it means neither that nor the minimum."""
    return False if _MINIMUM.fullmatch(word) else True if _MAXIMUM.fullmatch(word) else None


def _within_quotes(text: str) -> str:
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        raise ScpiError(-104)
    return text[1:-1].replace(2 * text[0], text[0])


def _number(text: str, unit: str = "") -> float:
    if text.startswith("#"):
        return _in_another_base(text)
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ScpiError(-104)
    number = float(match[1])
    if match[2]:
        number *= _multiplier(match[2].upper(), unit.upper())
    if not math.isfinite(number):
        raise ScpiError(-222)
    return number


def _multiplier(suffix: str, unit: str) -> float:
    if not unit:
        raise ScpiError(-138)
    prefix = suffix.removesuffix(unit)
    if prefix == suffix or prefix not in _MULTIPLIERS:
        raise ScpiError(-131)
    return 1e6 if prefix == "M" and unit in ("HZ", "OHM") else _MULTIPLIERS[prefix]


def _in_another_base(text: str) -> float:
    base = _BASES.get(text[1:2].upper())
    if base is None or not text[2:].isalnum():
        raise ScpiError(-104)
    try:
        return float(int(text[2:], base))
    except (ValueError, OverflowError):
        raise ScpiError(-104) from None
