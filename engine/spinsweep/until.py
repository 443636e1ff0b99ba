"""Until when replicates are computed: conditions on intervals, and how many replicates a set of them may get.

    Until("accuracy: half_width < 0.005; loss[epoch=-1]: half_width < 5 %", max={"seed": 200})

A *set* is the replicates of one combination of values of all other axes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spinsweep.axis import REPLICATES, Axis, closest
from spinsweep.errors import SpecError
from spinsweep.printable import brief

ATTRIBUTE = "until"
"""Of a cube's root: JSON text of the conditions, the axis, and how far the sets are."""
LEAST_FIRST = 10
"""Replicates of a set in the first round, at least: of fewer, the spread is hardly known."""
FORM = "OUTPUT: half_width < NUMBER, such as 'accuracy: half_width < 0.005', or '< 5 %' of the mean"
_CONDITION = re.compile(r"(\w+)\s*(?:\[([^\]]*)\])?\s*:\s*half_width\s*<\s*([^\s%]+)\s*(%?)")


@dataclass(frozen=True)
class Condition:
    """Half the width of the interval of an output's mean is below a limit."""

    output: str
    below: float
    """In the output's unit, or a part of the mean's magnitude."""
    is_relative: bool = False
    selection: tuple[tuple[str, str], ...] = ()
    """Text of the value at which it holds along an inner dim, by the dim's name; along the others it holds at all."""

    @classmethod
    def parse(cls, text: str) -> Condition:
        """From ``loss[epoch=-1]: half_width < 5 %``.

        Raises
        ------
        SpecError
            It is something else.
        """
        wrong = SpecError(f"until {brief(text.strip())}: not {FORM}")
        if not (match := _CONDITION.fullmatch(text.strip())):
            raise wrong
        output, within, number, percent = match.groups()
        try:
            below = float(number) / (100 if percent else 1)
        except ValueError:
            raise wrong from None
        if not 0 < below < math.inf:
            raise SpecError(f"until {brief(text.strip())}: the half width must be below a number above 0")
        parts = [part.partition("=") for part in (within or "").split(",") if part.strip()]
        if any(not equals for _, equals, _ in parts):
            raise wrong
        return cls(output, below, bool(percent), tuple((name.strip(), value.strip()) for name, _, value in parts))

    def __str__(self) -> str:
        within = f"[{', '.join(f'{name}={value}' for name, value in self.selection)}]" if self.selection else ""
        limit = f"{100 * self.below:.12g} %" if self.is_relative else f"{self.below:.12g}"
        return f"{self.output}{within}: half_width < {limit}"


@dataclass(frozen=True)
class Until:
    """Compute more replicates of the sets whose intervals are too wide, and no more of the others.

    Parameters
    ----------
    text : conditions, apart by ``;``, which all must hold
    max : how many replicates a set gets at most, as ``{"seed": 200}``; a number alone is enough where one axis has
        the name of replicates (``seed``, ``repeat``, ...)

    Raises
    ------
    SpecError
        A condition is not one, or ``max`` is no such number.
    """

    text: str
    max: int | Mapping[str, int]

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise SpecError(f"until must be a text, not {brief(self.text)}: {FORM}")
        named = dict(self.max) if isinstance(self.max, Mapping) else {"": self.max}
        if len(named) != 1 or not all(type(n) is int and n > 0 and type(a) is str for a, n in named.items()):
            raise SpecError(
                f"until needs max, how many replicates a set gets at most, such as seed=200, not {brief(self.max)}"
            )
        assert self.conditions

    @classmethod
    def of(cls, until: Any, most: Any) -> Until | None:
        """From what a call gives; None where that is nothing.

        Parameters
        ----------
        until : an ``Until``, or texts of conditions
        most : its ``max``
        """
        if isinstance(until, Until) and most is None:
            return until
        if until is None:
            if most is not None:
                raise SpecError("max says how many replicates until computes at most; give until as well")
            return None
        if isinstance(until, Sequence) and not isinstance(until, str):
            until = "; ".join(map(str, until))
        return cls(until, most)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """All of which must hold."""
        return tuple(Condition.parse(part) for part in self.text.split(";") if part.strip())

    @property
    def most(self) -> int:
        """Replicates of a set, at most."""
        return next(iter(self.max.values())) if isinstance(self.max, Mapping) else self.max

    def axis_of(self, axes: Sequence[Axis]) -> Axis:
        """The axis whose values are the replicates.

        Raises
        ------
        SpecError
            There is none, or it is not known which.
        """
        named = {axis.name: axis for axis in axes}
        if isinstance(self.max, Mapping):
            name = next(iter(self.max))
            if name not in named:
                raise SpecError(
                    f"until: there is no axis {name!r}{closest(name, named)}; there are {', '.join(named)}"
                )
            return named[name]
        candidates = [axis for axis in axes if axis.name in REPLICATES]
        if len(candidates) != 1:
            which = (
                f"{' and '.join(a.name for a in candidates)} both are"
                if candidates
                else f"none of {', '.join(named)} is"
            )
            raise SpecError(f"until: {which} an axis of replicates by name; name it in max, such as seed={self.most}")
        return candidates[0]

    def values(self, axis: Axis) -> tuple[list[int], int]:
        """Values of the axis for the largest set, and how many of them are the first round.

        Raises
        ------
        SpecError
            They are not whole numbers, or too many.
        """
        if axis.kind != "int":
            raise SpecError(f"until: {axis.name!r} is no axis of whole numbers, which could be continued")
        values = [int(value) for value in axis.values]
        first = max(len(values), LEAST_FIRST)
        if first > self.most:
            least = "at least, " if len(values) < LEAST_FIRST else ""
            raise SpecError(
                f"until: the first round has {least}{first} values of {axis.name}, more than max, {self.most}; "
                f"give fewer values of {axis.name}, or a larger max"
            )
        after = max(values) + 1
        return [*values, *range(after, after + self.most - len(values))], first

    def __str__(self) -> str:
        return "; ".join(map(str, self.conditions))
