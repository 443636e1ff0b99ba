"""Curves drawn with characters: lines in braille dots, points as ``o``, axes with round numbers and SI prefixes.

Pure: series in, text out.  Where a terminal has no Unicode, lines are full stops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from spinsweep.messages import Series
from spinsweep.printable import one_line
from spinsweep.si import PREFIXES, power_of

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot of a braille character, by row and column.  Source: Unicode, block Braille Patterns (U+2800)."""
BRAILLE = 0x2800
LINE, POINT = "cyan", "bold yellow"
ROWS_A_TICK, COLUMNS_A_TICK = 4, 12


@dataclass(frozen=True)
class Scale:
    """An axis of ``cells`` characters from ``low`` to ``high``."""

    low: float
    high: float
    cells: int
    unit: str
    """SI, without prefix; empty for a pure number."""

    @classmethod
    def over(cls, values: Sequence[float], limits: Sequence[float], cells: int, unit: str) -> Scale:
        """The axis that holds all values, and ``limits`` (low, high) if they are known."""
        low, high = min((*values, *limits)), max((*values, *limits))
        if high - low <= 1e-12 * max(abs(low), abs(high), 1e-80):
            around = abs(low) / 10 or 1.0
            low, high = low - around, high + around
        return cls(low, high, cells, unit)

    def place(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def cell(self, value: float) -> int:
        """The character in which a value lies."""
        return min(self.cells - 1, int(self.place(value) * self.cells))

    @property
    def exponent(self) -> int:
        """Power of ten of the prefix; a pure number has none."""
        return power_of(max(abs(self.low), abs(self.high)), self.unit)

    def label(self, name: str) -> str:
        """The name with the unit."""
        return f"{name} ({PREFIXES[self.exponent]}{self.unit})" if self.unit else name

    def ticks(self, most: int) -> Iterator[tuple[int, str]]:
        """Characters at which round numbers lie, and these; about ``most`` of them."""
        rough = (self.high - self.low) / max(1, most)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        for number in range(first, last + 1):
            shown = number * step / 10.0**self.exponent
            yield self.cell(min(self.high, max(self.low, number * step))), f"{round(shown, 9):g}"


def draw(series: Sequence[Series], width: int, height: int, *, unicode: bool = True) -> Text:
    """Series over common axes, ``width`` columns wide and ``height`` rows high; labels are those of the first.

    The empty text if there is no point, or no room for one.
    """
    values_x, values_y = ([v for s in series for v in getattr(s, axis)] for axis in ("x", "y"))
    rows = height - 4  # a label, the axis, its numbers and its label
    if not values_x or rows < 3:
        return Text()
    first = series[0]
    y = Scale.over(values_y, first.y_range, rows, first.y_unit)
    y_ticks = {rows - 1 - cell: shown for cell, shown in y.ticks(max(2, rows // ROWS_A_TICK))}
    margin = max(map(len, y_ticks.values()), default=0)
    columns = width - margin - 2
    if columns < 10:
        return Text()
    x = Scale.over(values_x, first.x_range, columns, first.x_unit)
    tick, side, corner, floor, mark = ("┤", "│", "└", "─", "┬") if unicode else ("+", "|", "+", "-", "+")
    canvas = _canvas(series, x, y, unicode=unicode)
    text = Text(f"{'':{margin}} {one_line(y.label(first.y_label))[: columns + 1]}\n", no_wrap=True)
    for row in range(rows):
        text.append(f"{y_ticks.get(row, ''):>{margin}} {tick if row in y_ticks else side}")
        for character, style in canvas[row]:
            text.append(character, style)
        text.append("\n")
    x_ticks = dict(x.ticks(max(2, columns // COLUMNS_A_TICK)))
    text.append(f"{'':{margin}} {corner}{''.join(mark if i in x_ticks else floor for i in range(columns))}\n")
    numbers = [" "] * columns
    for cell, shown in x_ticks.items():
        begin = max(0, min(columns - len(shown), cell - len(shown) // 2))
        numbers[begin : begin + len(shown)] = shown
    text.append(f"{'':{margin}}  {''.join(numbers)}\n")
    text.append(f"{one_line(x.label(first.x_label))[:width]:^{width}}".rstrip())
    return text


def _canvas(series: Sequence[Series], x: Scale, y: Scale, *, unicode: bool) -> list[list[tuple[str, str]]]:
    """Characters and their styles, by row and column."""
    bits = [[0] * x.cells for _ in range(y.cells)]
    for one in series:
        if not one.line:
            continue
        for column, row in _dots(one, 2 * x.cells - 1, 4 * y.cells - 1, x, y):
            bits[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    canvas = [[(_character(b, unicode=unicode), LINE) for b in row] for row in bits]
    for one in series:
        for a, b in zip(one.x, one.y, strict=True) if not one.line else ():
            canvas[y.cells - 1 - y.cell(b)][x.cell(a)] = ("o", POINT)
    return canvas


def _character(bits: int, *, unicode: bool) -> str:
    if not bits:
        return " "
    return chr(BRAILLE + bits) if unicode else "."


def _dots(line: Series, last_column: int, last_row: int, x: Scale, y: Scale) -> Iterator[tuple[int, int]]:
    """The dots of a line, by column from the left and row from the top."""
    ends = [(x.place(a) * last_column, (1 - y.place(b)) * last_row) for a, b in zip(line.x, line.y, strict=True)]
    for (column, row), (to_column, to_row) in zip(ends, ends[1:] or ends, strict=False):
        steps = max(1, math.ceil(max(abs(to_column - column), abs(to_row - row))))
        for step in range(steps + 1):
            part = step / steps
            yield round(column + part * (to_column - column)), round(row + part * (to_row - row))
