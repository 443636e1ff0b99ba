"""Curves as a page draws them: places, colours, bands, marks and labels.  Numbers and words only, no bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from spinsweep.analysis.curve_data import Curves, DrawnCurve, Floats, Quantity
from spinsweep.dashboard.html import SYMBOLS, shortened, value_text
from spinsweep.si import PREFIXED, PREFIXES, power_of

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#767676", "#7a4a1e")
"""Of names: M. Okabe and K. Ito, Color Universal Design (2008), with a grey in the place of yellow, and a brown."""
SHADES = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#a5d62f", "#c8b020")
"""Of numbers, dark to light: viridis with a darker end."""
MARKS = {
    "circle": "●", "square": "■", "triangle": "▲", "diamond": "◆", "inverted_triangle": "▼", "hex": "⬢", "star": "★",
    "plus": "✚", "x": "✖",
}  # fmt: skip
"""One for each line, so that colour is never the only difference: as bokeh calls it, and as the legend shows it."""
MARKED = 20
"""Points of a line that have a mark."""
MAX_TICKS = 7
MAX_NAME = 30
"""Characters of a line's name that the legend shows in full."""
MARGIN = 0.04
"""Of an axis, beyond its numbers."""


@dataclass(frozen=True)
class Across:
    """The axis of x: where a value lies, and what stands there."""

    title: str
    power: int
    """Of ten, of the prefix of its unit."""
    log_from: float | None
    """The least value above 0 of a logarithmic axis; 0 lies a step below it. None: the axis is linear."""
    step: float
    """Between 0 and that value, in powers of ten."""
    ticks: Mapping[float, str] | None
    """Labels by their places; None: round numbers, wherever they are."""

    @classmethod
    def of(cls, curves: Curves) -> Across:
        """The axis of these curves."""
        values = np.concatenate([line.x for line in curves.lines])
        values = np.unique(values[np.isfinite(values)])
        if curves.x.words:
            every = range(0, len(curves.x.words), -(-len(curves.x.words) // MAX_TICKS))
            labels = {float(i): shortened(curves.x.words[i]) for i in every}
            return cls(_title(curves.x, 0), 0, None, 0.0, labels)
        power = _power(curves.x, values)
        above = values[values > 0]
        if curves.scale == "linear" or above.size < 2:
            return cls(_title(curves.x, power), power, None, 0.0, None)
        step = float(np.median(np.diff(np.log10(above))))
        axis = cls(_title(curves.x, 0), 0, float(above[0]), step, None)
        shown = values[:: -(-values.size // MAX_TICKS)]
        ticks = {float(axis.places(v)): value_text(float(v)) for v in shown}
        return cls(axis.title, 0, axis.log_from, step, ticks)

    def places(self, x: Any) -> Floats:
        """Where values lie."""
        values = np.asarray(x, np.float64)
        if self.log_from is None:
            return values / 10.0**self.power
        least = math.log10(self.log_from) - self.step
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), least)


def _power(quantity: Quantity, values: Floats) -> int:
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0.0))
    return power_of(largest, quantity.unit) if quantity.unit in PREFIXED else 0


def _title(quantity: Quantity, power: int) -> str:
    unit = SYMBOLS.get(quantity.unit, quantity.unit)
    return f"{quantity.label} ({PREFIXES[power]}{unit})" if unit else quantity.label


@dataclass(frozen=True)
class Shapes:
    """All that is drawn of some curves."""

    across: Across
    up_title: str
    lines: dict[str, list[Any]]
    """``xs``, ``ys``, ``colour``: an array for each line, which is sent faster than a list; NaN at its gaps."""
    bands: dict[str, list[Any]]
    """The same of the outlines of the bands."""
    bars: dict[str, list[Any]]
    """``x``, ``low``, ``high``, ``colour``: intervals of points that have no neighbour."""
    points: dict[str, list[Any]]
    """``x``, ``y``, ``colour``, ``mark``, and in words ``label``, ``at``, ``mean``, ``interval``, ``count``."""
    x_range: tuple[float, float] | None
    """Of all points, also of those to come; None: nothing is known of them."""
    y_range: tuple[float, float] | None

    @classmethod
    def of(cls, curves: Curves) -> Shapes:
        """The shapes of some curves."""
        across = Across.of(curves)
        limits = (0.0, 1.0) if curves.is_share else (-math.inf, math.inf)
        lines = [replace(c, low=c.low.clip(*limits), high=c.high.clip(*limits)) for c in curves.lines]
        means = np.concatenate([line.mean for line in curves.lines])
        power = _power(curves.y, means)
        shapes = cls(
            across,
            _title(curves.y, power),
            {name: [] for name in ("xs", "ys", "colour")},
            {name: [] for name in ("xs", "ys", "colour")},
            {name: [] for name in ("x", "low", "high", "colour")},
            {name: [] for name in ("x", "y", "colour", "mark", "label", "at", "mean", "interval", "count")},
            _span([across.places(line.x[np.isfinite(line.x)]) for line in curves.lines], []),
            _span(
                [line.mean / 10.0**power for line in lines],
                [bound / 10.0**power for line in lines for bound in (line.low, line.high)],
            ),
        )
        for line, (colour, mark) in zip(lines, styles(curves), strict=True):
            shapes._add(line, curves, colour, mark, 10.0**power)
        return shapes

    def _add(self, line: DrawnCurve, curves: Curves, colour: str, mark: str, unit: float) -> None:
        x, y = self.across.places(line.x), line.mean / unit
        known = np.isfinite(x) & np.isfinite(y)
        if not curves.x.words:
            self._append(self.lines, xs=np.where(known, x, np.nan), ys=y, colour=colour)
        low, high = line.low / unit, line.high / unit
        for part in _runs(known & np.isfinite(low) & np.isfinite(high)):
            if curves.x.words or part.stop - part.start == 1:
                for i in range(part.start, part.stop):
                    self._append(self.bars, x=float(x[i]), low=float(low[i]), high=float(high[i]), colour=colour)
                continue
            outline = np.concatenate([x[part], x[part][::-1]]), np.concatenate([low[part], high[part][::-1]])
            self._append(self.bands, xs=outline[0], ys=outline[1], colour=colour)
        indices = np.flatnonzero(known)
        marked = set(indices[:: max(1, -(-indices.size // MARKED))].tolist())
        name = f"{curves.each.name} {line.label}" if curves.each else curves.y.name
        for i in sorted(marked):
            self._append(
                self.points,
                x=float(x[i]),
                y=float(y[i]),
                colour=colour,
                mark=mark,
                label=name,
                at=f"{curves.x.name} {_at(curves, float(line.x[i]))}",
                mean=f"{line.mean[i]:.4g}",
                interval=f"{line.low[i]:.4g} to {line.high[i]:.4g}" if np.isfinite(line.low[i]) else "",
                count=f"{line.count[i]:,}",
            )

    @staticmethod
    def _append(columns: dict[str, list[Any]], **values: Any) -> None:
        for name, value in values.items():
            columns[name].append(value)


def _at(curves: Curves, x: float) -> str:
    return curves.x.words[int(x)] if curves.x.words else value_text(x)


def _runs(known: Any) -> Iterator[slice]:
    """The stretches in which all is known."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
    for start, stop in edges.reshape(-1, 2).tolist():
        yield slice(start, stop)


def _span(values: Sequence[Floats], bounds: Sequence[Floats]) -> tuple[float, float] | None:
    """From the least to the greatest value, and as much of the bounds as is not wider than all the values."""
    finite = [part[np.isfinite(part)] for part in values]
    every = np.concatenate([*finite, np.zeros(0)])
    if not every.size:
        return None
    low, high = float(every.min()), float(every.max())
    outer = np.concatenate([np.zeros(0), *(part[np.isfinite(part)] for part in bounds)])
    if outer.size:
        room = high - low or math.inf  # few replicates have very wide intervals
        low, high = max(low - room, min(low, float(outer.min()))), min(high + room, max(high, float(outer.max())))
    margin = MARGIN * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def styles(curves: Curves) -> list[tuple[str, str]]:
    """Colour and mark of each line."""
    count = len(curves.lines)
    colours = list(COLOURS[:count])
    if curves.ordered:
        colours = [SHADES[round(i * (len(SHADES) - 1) / max(1, count - 1))] for i in range(count)]
    return list(zip(colours, [*MARKS][:count], strict=True))


def _name(label: str) -> str:
    return label if len(label) <= MAX_NAME else shortened(label)


def legend(curves: Curves) -> str:
    """Which line is which: HTML."""
    if curves.each is None:
        return ""
    items = "".join(
        f'<span class="item" style="display:inline-block"><span style="color:{colour}">{MARKS[mark]}</span> '
        f"{escape(_name(line.label))}</span>"
        for line, (colour, mark) in zip(curves.lines, styles(curves), strict=True)
    )
    number = f"{curves.more:,} more value{'s' if curves.more > 1 else ''}"
    more = f'<span class="dim">and {number}</span>' if curves.more else ""
    return f'<span class="item">{escape(_title(curves.each, 0))}</span>{items}{more}'
