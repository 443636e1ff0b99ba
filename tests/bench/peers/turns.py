"""Ways that come to the same checked result, measured in turn; medians, spread, and ratios within each round."""

from __future__ import annotations

import importlib.metadata
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

Numbers = Mapping[str, float]
"""What one turn found, by column; the first one is what ratios are made of."""


class LeftOut(Exception):
    """Why a way cannot be measured."""


@dataclass(frozen=True)
class Way:
    """One way to the result of a table."""

    name: str
    measure: Callable[[], Numbers]
    """One turn.  Raises :class:`LeftOut`, or AssertionError where its result is not the right one."""
    uses: tuple[str, ...] = ()
    """Distributions that it needs besides spinsweep's own; it is left out without them."""
    note: str = ""
    """What differs from the other ways."""
    cannot: str = ""
    """Why it is never measured."""


@dataclass(frozen=True)
class Table:
    """Ways that are compared with each other."""

    title: str
    ways: Sequence[Way]
    """The first is the one that the others are divided by."""
    columns: Sequence[str]
    """Names with units of what is measured; ratios are of the first, and less is better."""
    said: str = ""
    """What was measured, in a sentence or two."""
    turns: int = 0
    """Turns whatever the rounds; 0: as many as the rounds."""


Comparison = Callable[[bool], AbstractContextManager[Sequence[Table]]]
"""Its tables, while it lasts, from whether it shall be the smallest that tries all code."""


@dataclass
class Row:
    """What was found of one way."""

    way: Way
    turns: list[dict[str, float]] = field(default_factory=list)
    left_out: str = ""

    def values(self, column: str) -> list[float]:
        return [turn[column] for turn in self.turns if column in turn]


@dataclass(frozen=True)
class Spread:
    """Median, least and most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def ratios(row: Row, base: Row, column: str) -> Spread | None:
    """Of the values of each round to the base's in the same round: what both suffer falls out.

    None where there is none: one was left out, or the base is 0.
    """
    pairs = list(zip(row.values(column), base.values(column), strict=False))
    return Spread.of([a / b for a, b in pairs]) if pairs and all(b > 0 for _, b in pairs) else None


def missing(way: Way) -> str:
    """What must be installed before the way can be measured."""
    absent = [name for name in way.uses if version(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def take_turns(table: Table, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Measure each way once in each round; who begins changes from round to round.

    A way that is left out once is left out of the table, with its reason.  A wrong result ends it all.
    """
    rows = [Row(way, left_out=way.cannot or missing(way)) for way in table.ways]
    for number in range(table.turns or rounds):
        for row in turned(rows, number):
            if row.left_out:
                continue
            try:
                found = dict(row.way.measure())
            except LeftOut as reason:
                row.left_out, row.turns = str(reason), []
                say(f"  {row.way.name}: left out, {reason}")
                continue
            if any(not math.isfinite(value) for value in found.values()):
                raise AssertionError(f"{row.way.name}: {found}")
            row.turns.append(found)
            words = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
            say(f"  round {number + 1}: {row.way.name}: {words}")
    return rows


def turned(rows: Sequence[Row], number: int) -> Iterator[Row]:
    """The rows, from another one on in each round: no way always follows the same one."""
    first = number % len(rows)
    yield from rows[first:]
    yield from rows[:first]
