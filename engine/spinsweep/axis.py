"""Axes of a sweep: names, canonical values, units, and the text forms that the command line takes.

Values are canonical: a float is rounded to 12 significant digits, so that ``0.3`` and ``0.1*3`` are one
value, one coordinate and one random stream.  Dates are ``datetime64[ns]``; see :mod:`spinsweep.moments`.
"""

from __future__ import annotations

import datetime
import difflib
import enum
import itertools
import math
import numbers
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from spinsweep.errors import SpecError
from spinsweep.moments import DATE_RANGE, is_moment, moment, moment_at, text_of
from spinsweep.printable import brief, cut, one_line

Value = Any
"""A float, an int, a bool, a text, or a date as ``numpy.datetime64[ns]``."""
Kind = Literal["float", "int", "bool", "str", "datetime"]

DTYPES: dict[str, str] = {"float": "float64", "int": "int64", "bool": "bool", "str": "string", "datetime": "int64"}
"""Type of a coordinate in a cube, by the kind of its values."""
REPLICATES = ("seed", "device", "repeat", "replicate", "trial", "chip", "cycle", "sample")
"""Names of axes that repeat the same thing, if the user names none."""
MAX_CHOICES = 10_000
MAX_VALUES = 10_000_000  # of one axis: a typing error in a range must not fill the memory


def canonical(value: Any, kind: Kind) -> Value:
    """``value`` as the one representative of its class: float (12 significant digits), int, bool, str or date.

    Raises
    ------
    SpecError
        ``value`` is not finite or is not of the kind.
    """
    if kind == "str":
        try:
            return str(value)
        except Exception:  # a whole number of more than 4,300 digits, say
            raise SpecError(f"{brief(value)} is not a name") from None
    if kind == "datetime":
        return moment(value)
    if kind == "bool":
        if value not in (True, False):
            raise SpecError(f"{brief(value)} is not true or false")
        return bool(value)
    if kind == "int" and isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise SpecError(f"{brief(value)} does not fit into 64 bits")
        return int(value)
    try:
        number = float(value)
    except Exception:  # also what a class of the user raises
        raise SpecError(f"{brief(value)} is not a number") from None
    if not math.isfinite(number):
        raise SpecError(f"{brief(value)} is not a finite number")
    if kind == "int":
        if not number.is_integer() or abs(number) >= 2**53:
            raise SpecError(f"{brief(value)} is not a whole number")
        return int(number)
    return float(f"{number:.12g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def key(value: Value) -> str:
    """Text that names a canonical value: equal values and no others have equal keys."""
    if type(value) is int:  # of which there may be millions
        return str(value)
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return text_of(value) if is_moment(value) else str(value)


def json_of(value: Value) -> float | int | str:
    """A canonical value as JSON holds it: a date is its text."""
    return key(value) if is_moment(value) else value


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
    neutral: Any = ...
    """Of an axis that a published sweep gets later: the value at which cells are what they were before.  An axis with
    this value alone is no dimension of the cube, so that older cubes still grow; ``...``: there is no such value."""
    formerly: str = ""
    """The first name of an axis that was renamed. It still addresses the random streams, so that cells draw what they
    drew, and is part of the identity; ``spinsweep migrate`` gives older cubes the new name."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SpecError(f"axis name {brief(self.name)} is not an identifier such as 'bar_width'")
        where = f"axis {self.name!r}"
        require_texts(where, unit=self.unit, long_name=self.long_name, formerly=self.formerly)
        require_unit(where, self.unit)
        if self.formerly == self.name or not (self.formerly.isidentifier() or not self.formerly):
            raise SpecError(f"{where}: formerly {brief(self.formerly)} is not another name, such as 'width'")
        require_limits(where, self.low, self.high)
        values: Any = self.values
        if isinstance(values, range):  # whose length needs no look at the values
            _limit(abs(values.stop - values.start) // abs(values.step), self)
        object.__setattr__(self, "values", listed(values))
        object.__setattr__(self, "choices", choices_of(where, self.choices))
        if len({_sort(kind) for kind in set(map(type, self.values))}) > 1:
            if help_ := next(filter(None, map(_help_with, self.values)), ""):
                raise SpecError(f"{where}: {help_}")
            raise SpecError(f"{where} mixes names, numbers and dates; give values of one kind")
        if self.kind == "datetime" and (self.unit != "1" or (self.low, self.high) != (None, None)):
            raise SpecError(f"{where} has dates, which have no unit, low or high; leave them out, or give choices")
        object.__setattr__(self, "values", self.check(self.values))
        if self.neutral is not ...:
            object.__setattr__(self, "neutral", self.check(plain(self.neutral))[0])

    @property
    def is_neutral(self) -> bool:
        """Whether its only value is the neutral one."""
        return self.values == (self.neutral,)

    @property
    def stream_name(self) -> str:
        """Its name in the addresses of random streams."""
        return self.formerly or self.name

    @property
    def kind(self) -> Kind:
        """``str`` of names, ``datetime`` of dates, ``bool`` if all are, ``float`` if any is a float, else ``int``."""
        first = self.values[0] if self.values else 0
        if isinstance(first, str):
            return "str"
        if is_moment(first):
            return "datetime"
        if isinstance(first, bool) and all(isinstance(v, bool) for v in self.values):
            return "bool"
        return "int" if all(isinstance(v, int) for v in self.values) else "float"

    @property
    def dtype(self) -> str:
        """The coordinate's type in the cube; dates are whole numbers there."""
        return DTYPES[self.kind]

    @property
    def allowed(self) -> str:
        """The allowed values in words, for messages and help."""
        if self.choices:
            return one_of(self.choices)
        return range_words(self.kind, self.unit, self.low, self.high)

    def check(self, values: Iterable[Any] | Value) -> tuple[Value, ...]:
        """``values``, or one of them, made canonical and checked against the axis's kind, range and choices."""
        items = listed(values)
        _limit(len(items), self)
        kind = self.kind
        if not items:
            raise SpecError(f"axis {self.name!r} has no values; it takes {self.allowed}")
        seen: dict[Value, Any] = {}
        choices = {canonical(c, kind) for c in self.choices}
        for value in items:
            try:
                good = canonical(value, kind)
            except SpecError as error:
                says = _help_with(value) or f"{error}; it takes {self.allowed}"
                raise SpecError(f"axis {self.name!r}: {says}") from None
            if choices and good not in choices:
                raise SpecError(f"axis {self.name!r} cannot take the value {key(good)!r}; it takes {self.allowed}")
            if isinstance(good, int | float) and not self._within(good):
                raise SpecError(f"axis {self.name!r}: {key(good)} is out of range; it takes {self.allowed}")
            if good in seen:
                raise SpecError(f"axis {self.name!r} {_twice(good, seen[good], value)}")
            seen[good] = value
        return tuple(seen)

    def parse(self, text: str) -> tuple[Value, ...]:
        """Values from the text after ``NAME=`` on the command line.

        ``5,2.5,1`` a list; ``0:0.25:6`` on an axis of numbers six values from 0 to 0.25, both ends
        included, and ``1e-3:1:log:4`` 0.001, 0.01, 0.1, 1; ``0:20`` on an axis of whole numbers 0..19, ``0:20:2``
        each second one of them, ``1:1000:log:4`` 1, 10, 100, 1000; ``true,false``; ``2026-01-31,2026-01-31T12:00``,
        and ``2026-01-01:2026-01-30:30`` thirty dates, both ends included.
        """
        kind = self.kind
        values: list[Value] = []
        for part in filter(None, map(str.strip, text.split(","))):
            if kind == "datetime" and (ends := DATE_RANGE.fullmatch(part)):
                values.extend(self._date_range(*ends.groups(), what=f"axis {self.name!r}: {brief(part)}"))
            elif kind in ("str", "datetime"):
                values.append(part)
            elif kind == "bool":
                values.append({"true": True, "false": False, "1": True, "0": False}.get(part.lower(), part))
            elif ":" in part:
                values.extend(self._range(part))
            else:
                values.append(_number(part, self))
        return self.check(values)

    def plus(self, values: Iterable[Value], more: Iterable[Value]) -> tuple[Value, ...]:
        """``values`` and, behind them, those of ``more`` that are not among them; both are canonical."""
        have = {key(value): value for value in values}
        return (*have.values(), *(value for value in more if key(value) not in have))

    def _range(self, text: str) -> Sequence[Value]:
        texts = [p.strip() for p in text.split(":")]
        what = f"axis {self.name!r}: {brief(text)}"
        if "log" in texts:
            return self._log_range(texts, what)
        parts = [_number(p, self) for p in texts]
        if self.kind == "int":
            if len(parts) not in (2, 3) or not all(isinstance(p, int) for p in parts):
                form = "START:STOP, START:STOP:STEP or START:STOP:log:COUNT"
                raise SpecError(f"{what} is not {form} in whole numbers")
            first, end, step = map(int, (*parts, 1)[:3])
            if step == 0 or not (values := range(first, end, step)):
                raise SpecError(f"{what} holds no value; 0:20 is 0 to 19")
            _limit(1 + (abs(end - first) - 1) // abs(step), self)  # len() takes no more than 63 bits
            return values
        if len(parts) != 3 or not isinstance(parts[2], int) or parts[2] < 2:
            forms = "START:STOP:COUNT, such as 0:0.25:6 for six values, or START:STOP:log:COUNT"
            raise SpecError(f"{what} is not {forms}")
        start, stop, count = *_ends(parts[0], parts[1], what), parts[2]
        _limit(count, self)
        return [start + (stop - start) * i / (count - 1) for i in range(count)]

    def _date_range(self, first: str, last: str, number: str, *, what: str) -> Sequence[Value]:
        """Dates with one distance between neighbours, in whole nanoseconds."""
        try:
            start, stop = (moment(end) for end in (first, last))
        except SpecError as error:
            raise SpecError(f"{what}: {error}") from None
        if len(number) > 18 or (count := int(number)) > MAX_VALUES:
            raise _too_many(self, number)
        if count < 2:
            raise SpecError(f"{what} is not START:STOP:COUNT, such as 2026-01-01:2026-01-30:30 for thirty dates")
        length = int(stop.astype("int64")) - int(start.astype("int64"))  # may be more than 64 bits hold
        return [moment_at(int(start.astype("int64")) + length * i // (count - 1)) for i in range(count)]

    def _log_range(self, texts: Sequence[str], what: str) -> Sequence[Value]:
        """Values with one ratio between neighbours; the nearest whole numbers on an axis of those."""
        count = _number(texts[3], self) if len(texts) == 4 and texts[2] == "log" else 0
        if not isinstance(count, int) or count < 2:
            raise SpecError(f"{what} is not START:STOP:log:COUNT, such as 1e-3:1:log:7 for seven values")
        start, stop = _ends(_number(texts[0], self), _number(texts[1], self), what)
        if not (min(start, stop) > 0 or max(start, stop) < 0):
            raise SpecError(f"{what} is a log range, whose ends are both above 0 or both below")
        _limit(count, self)
        low, high, sign = math.log(abs(start)), math.log(abs(stop)), math.copysign(1.0, start)
        inner = (sign * math.exp(low + (high - low) * i / (count - 1)) for i in range(1, count - 1))
        values = [start, *inner, stop]
        if self.kind != "int":
            return values
        whole = [round(value) for value in values]
        if len(set(whole)) < count:
            raise SpecError(f"{what} has fewer than {count} different whole numbers; give a smaller COUNT")
        return whole

    def _within(self, value: float) -> bool:
        slack = 1e-12 * abs(value)
        return (self.low is None or value >= self.low - slack) and (self.high is None or value <= self.high + slack)


def _help_with(value: Any) -> str:
    """What to do about a value of a kind that no axis takes; "" for one of a kind that some axis takes."""
    if isinstance(value, str | numbers.Real) or is_moment(value) or isinstance(value, datetime.date):
        return ""
    instead = "a text or number that stands for it, and look it up in the function"
    if isinstance(value, os.PathLike):
        instead = "str(path), and make it a path in the function"
    elif isinstance(value, enum.Enum):
        instead = "its name or value, and look it up in the function"
    elif isinstance(value, bytes):
        instead = "value.decode()"
    elif isinstance(value, numbers.Complex):
        instead = "its real and imaginary parts, as two axes"
    elif isinstance(value, Sequence) or hasattr(value, "shape"):
        instead = (
            "an axis for each of its parts (Sweep(wanted=...) chooses combinations), or a text that stands for it"
        )
    elif value is None:
        instead = "a value that stands for none, such as 0 or ''"
    return f"{brief(value)} is not a number, bool, text or date, which an axis takes; give {instead}"


def _number(text: str, axis: Axis) -> int | float:
    with suppress(ValueError):
        return int(text)
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"axis {axis.name!r}: {brief(text)} is not a number; it takes {axis.allowed}") from None


def _ends(start: int | float, stop: int | float, what: str) -> tuple[float, float]:
    try:
        return float(start), float(stop)
    except OverflowError:
        raise SpecError(f"{what} begins or ends at a number that is too large") from None


def _twice(good: Value, first: Any, second: Any) -> str:
    """What is wrong with two values that are one when they are canonical."""
    with suppress(TypeError, ValueError, OverflowError):
        a, b = float(first), float(second)
        if isinstance(good, float) and abs(a - b) >= 4 * max(math.ulp(a), math.ulp(b)):
            return (
                f"holds {a!r} and {b!r}, which are one value: an axis of numbers keeps 12 digits; count from a "
                "nearer origin, in whole numbers of a smaller unit, or use an axis of datetimes"
            )
    return f"has the value {key(good)} twice; give each value once"


def _limit(count: int, axis: Axis) -> None:
    if count > MAX_VALUES:
        raise _too_many(axis, brief(count, 30))


def _too_many(axis: Axis, many: str) -> SpecError:
    return SpecError(
        f"axis {axis.name!r}: {cut(many, 30)} values are more than the {MAX_VALUES} that one axis may have"
    )


def range_words(kind: Kind, unit: str, low: float | None, high: float | None) -> str:
    """A range of values in words, such as 'whole numbers from 0 up'."""
    unit = "" if unit in ("", "1") else f" {unit}"
    if kind == "bool":
        return "true or false"
    if kind == "datetime":
        return "dates such as 2026-01-31 or 2026-01-31T12:00:00"
    what = {"int": "whole numbers", "float": "numbers", "str": "names"}[kind]
    if low is None and high is None:
        return f"any {what}{unit}"
    if high is None:
        return f"{what} from {_limit_text(low, kind)}{unit} up"
    if low is None:
        return f"{what} up to {_limit_text(high, kind)}{unit}"
    return f"{what} from {_limit_text(low, kind)} to {_limit_text(high, kind)}{unit}"


def _limit_text(limit: Any, kind: Kind) -> str:
    """A limit of whole numbers with all its digits, as one would type it; any other in short."""
    return f"{limit:.0f}" if kind == "int" and abs(limit) < 1e12 and limit == round(limit) else f"{limit:g}"


def choices_of(what: str, choices: Any) -> tuple[Any, ...]:
    """Plain choices; ``SpecError`` for more than anybody chooses from."""
    items = listed(choices, MAX_CHOICES)
    if len(items) > MAX_CHOICES:
        raise SpecError(f"{what}: more than {MAX_CHOICES} choices; give low and high instead")
    return items


def one_of(choices: Sequence[Any]) -> str:
    """The first of the choices, in words."""
    names = ", ".join(
        one_line(c, 100) if isinstance(c, str) else key(c) if isinstance(c, float) or is_moment(c) else brief(c)
        for c in choices[:20]
    )
    return f"one of {names}" + (f", ... ({len(choices)})" if len(choices) > 20 else "")


def listed(values: Any, most: int = MAX_VALUES) -> tuple[Any, ...]:
    """Plain values of a sequence, one more than may be at most; a single value is one of one."""
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        values = (values,)
    return tuple(plain(v) for v in itertools.islice(values, most + 1))


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python number that it is; anything else, a date too, as it is."""
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":  # item() would give a number
        return getattr(value, "values", value)[()]
    return value.item()


def _sort(kind: type) -> str:
    """What values of a type are together on an axis."""
    if issubclass(kind, str):
        return "names"
    return "dates" if issubclass(kind, datetime.date) or kind.__name__ == "datetime64" else "numbers"


def require_texts(what: str, **texts: Any) -> None:
    """``SpecError`` unless all are text."""
    for name, text in texts.items():
        if not isinstance(text, str):
            raise SpecError(f"{what}: {name} must be text, not {brief(text)}")


def require_unit(what: str, unit: str) -> None:
    """``SpecError`` for a unit by which xarray makes dates of the numbers."""
    if "since" in unit:
        raise SpecError(
            f"{what}: unit {brief(unit)} tells xarray to make dates of the numbers; give datetimes, or a unit such "
            "as 's' and say in long_name from when it counts"
        )


def require_limits(what: str, low: Any, high: Any) -> None:
    """``SpecError`` unless both are a number or None, in order."""
    for name, limit in (("low", low), ("high", high)):
        if limit is not None and (not isinstance(limit, int | float) or not -(2**1023) < limit < 2**1023):
            raise SpecError(f"{what}: {name} must be a number or None, not {brief(limit)}")
    if low is not None and high is not None and low > high:
        raise SpecError(f"{what}: low {brief(low)} is above high {brief(high)}")


def closest(name: str, names: Iterable[str]) -> str:
    """' (did you mean ...?)' or '' for a mistyped name."""
    match = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
