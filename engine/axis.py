"""Axes of a sweep: names, canonical values, units, and the text forms that the command line takes.

Values are canonical: a float is rounded to 12 significant digits, so that ``0.3`` and ``0.1*3`` are one
value, one coordinate and one random stream.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import SpecError

Value = float | int | str
Kind = Literal["float", "int", "str"]

MAX_VALUES = 10_000_000  # of one axis: a typing error in a range must not fill the memory


def canonical(value: Any, kind: Kind) -> Value:
    """``value`` as the one representative of its class: float (12 significant digits), int or str.

    Raises
    ------
    SpecError
        ``value`` is not finite or is not of the kind.
    """
    if kind == "str":
        return str(value)
    if kind == "int" and isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise SpecError(f"{value} does not fit 64 bits")
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise SpecError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise SpecError(f"{value!r} is not a finite number")
    if kind == "int":
        if not number.is_integer() or abs(number) >= 2**53:
            raise SpecError(f"{value!r} is not a whole number")
        return int(number)
    return float(f"{number:.12g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def key(value: Value) -> str:
    """Text that names a canonical value: equal values and no others have equal keys."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Axis:
    """One index axis of a sweep: each combination of axis values is a cell.

    Raises
    ------
    SpecError
        No values, two equal values, mixed kinds, or a value outside ``low``..``high`` or ``choices``.
    """

    name: str
    values: tuple[Value, ...]
    """Default values, in the order in which the cube holds them."""
    unit: str = "1"
    long_name: str = ""
    low: float | None = None
    """Smallest value that makes sense (inclusive); None: no limit."""
    high: float | None = None
    choices: tuple[Value, ...] = ()
    """The only values allowed; empty: any value from ``low`` to ``high``."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SpecError(f"axis name {self.name!r} is not an identifier such as 'bar_width'")
        object.__setattr__(self, "values", _listed(self.values))
        _one_kind(self.values, self.name)
        object.__setattr__(self, "values", self.check(self.values))

    @property
    def kind(self) -> Kind:
        """``float`` if any value has a fraction or is a float, ``str`` for names, ``int`` otherwise."""
        if any(isinstance(v, str) for v in self.values):
            return "str"
        return "int" if all(isinstance(v, int) for v in self.values) else "float"

    @property
    def dtype(self) -> str:
        """The coordinate's type in the cube."""
        return {"float": "float64", "int": "int64", "str": "string"}[self.kind]

    @property
    def allowed(self) -> str:
        """The allowed values in words, for messages and help."""
        if self.choices:
            return "one of " + ", ".join(key(c) for c in self.choices)
        return range_words(self.kind, self.unit, self.low, self.high)

    def check(self, values: Iterable[Any] | Value) -> tuple[Value, ...]:
        """``values``, or one of them, made canonical and checked against the axis's kind, range and choices."""
        given = _listed(values)
        kind = self.kind
        if not given:
            raise SpecError(f"axis {self.name!r} has no values; it takes {self.allowed}")
        seen: dict[Value, None] = {}
        for value in given:
            try:
                good = canonical(value, kind)
            except SpecError as error:
                raise SpecError(f"axis {self.name!r}: {error}; it takes {self.allowed}") from None
            if self.choices and good not in {canonical(c, kind) for c in self.choices}:
                raise SpecError(f"axis {self.name!r} has no value {key(good)!r}; it takes {self.allowed}")
            if isinstance(good, int | float) and not self._within(good):
                raise SpecError(f"axis {self.name!r}: {key(good)} is out of range; it takes {self.allowed}")
            if good in seen:
                raise SpecError(f"axis {self.name!r} has the value {key(good)} twice; each value once")
            seen[good] = None
        return tuple(seen)

    def parse(self, text: str) -> tuple[Value, ...]:
        """Values from the text after ``NAME=`` on the command line.

        ``5,2.5,1`` a list; ``0:0.25:6`` on an axis of numbers six values from 0 to 0.25, both ends
        included; ``0:20`` on an axis of whole numbers 0..19, ``0:20:2`` each second one of them.
        """
        kind = self.kind
        values: list[Value] = []
        for part in text.split(","):
            if ":" in part and kind != "str":
                values.extend(self._range(part.strip()))
            elif part.strip():
                values.append(part.strip() if kind == "str" else _number(part.strip(), self))
        return self.check(values)

    def _range(self, text: str) -> Sequence[Value]:
        parts = [_number(p.strip(), self) for p in text.split(":")]
        if self.kind == "int":
            if len(parts) not in (2, 3) or not all(isinstance(p, int) for p in parts):
                raise SpecError(f"axis {self.name!r}: {text!r} is not START:STOP or START:STOP:STEP in whole numbers")
            start, stop, step = (*parts, 1)[:3]
            if step == 0 or len(found := range(int(start), int(stop), int(step))) == 0:
                raise SpecError(f"axis {self.name!r}: {text!r} holds no value; 0:20 is 0 to 19")
            _limit(len(found), self)
            return found
        if len(parts) != 3 or not isinstance(parts[2], int) or parts[2] < 2:
            raise SpecError(f"axis {self.name!r}: {text!r} is not START:STOP:COUNT, such as 0:0.25:6 for six values")
        start, stop, count = float(parts[0]), float(parts[1]), parts[2]
        _limit(count, self)
        return [start + (stop - start) * i / (count - 1) for i in range(count)]

    def _within(self, value: float) -> bool:
        slack = 1e-12 * abs(value)
        return (self.low is None or value >= self.low - slack) and (self.high is None or value <= self.high + slack)


def _number(text: str, axis: Axis) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"axis {axis.name!r}: {text!r} is not a number; it takes {axis.allowed}") from None


def _limit(count: int, axis: Axis) -> None:
    if count > MAX_VALUES:
        raise SpecError(f"axis {axis.name!r}: {count} values are more than the {MAX_VALUES} that one axis may have")


def range_words(kind: Kind, unit: str, low: float | None, high: float | None) -> str:
    """A range of values in words, such as 'whole numbers from 0 up'."""
    unit = "" if unit in ("", "1") else f" {unit}"
    what = {"int": "whole numbers", "float": "numbers", "str": "names"}[kind]
    if low is None and high is None:
        return f"any {what}{unit}"
    if high is None:
        return f"{what} from {low:g}{unit} up"
    if low is None:
        return f"{what} up to {high:g}{unit}"
    return f"{what} from {low:g} to {high:g}{unit}"


def _listed(values: Any) -> tuple[Any, ...]:
    """Plain values of a sequence; a single value is one of one."""
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        values = (values,)
    return tuple(_plain(v) for v in values)


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python number that it is."""
    return value.item() if hasattr(value, "item") else value


def _one_kind(values: tuple[Any, ...], name: str) -> None:
    texts = [isinstance(v, str) for v in values]
    if any(texts) and not all(texts):
        raise SpecError(f"axis {name!r} mixes names and numbers")


def closest(name: str, names: Iterable[str]) -> str:
    """' (did you mean ...?)' or '' for a mistyped name."""
    match = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
