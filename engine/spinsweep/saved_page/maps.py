"""The map of a cube's cells by state, and plots of rates, as SVG that takes its colours from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from spinsweep.dashboard.blockmap import binned, bins
from spinsweep.dashboard.html import shortened, value_text, with_unit
from spinsweep.ledger import State
from spinsweep.saved_page.contents import Variable
from spinsweep.saved_page.kept_rates import Rates

STACK = (State.FAILED, State.STALE, State.INCOMPLETE, State.ABSENT, State.DONE)
"""States from the bottom of a bin to its top; unwanted cells take no room."""
LEAST_SHARE = 0.15
"""Of a bin that failed cells take at least: one of a hundred is seen."""
EDGED = 48
"""Bins along a side up to which they have edges."""
TICKS = 5
"""Labels along a side at most."""


@dataclass(frozen=True)
class StateMap:
    """The cells over two axes."""

    svg: str
    across: Variable
    up: Variable | None
    """None: the cube has one axis."""
    further: tuple[Variable, ...]
    """Axes whose cells each bin holds together."""
    bin_cells: tuple[int, int]
    """Values of the axes up and across that a bin holds."""


def state_map(states: npt.NDArray[np.uint8], axes: Sequence[Variable]) -> StateMap:
    """The map over the two longest axes, the first of them up.

    Parameters
    ----------
    states : of each cell, in the order of ``axes``
    """
    y, x = sorted(sorted(range(states.ndim), key=lambda i: -states.shape[i])[:2]) if states.ndim > 1 else (0, 1)
    counts = {state: binned(states == state, y, x) for state in STACK}
    total = np.sum(list(counts.values()), axis=0)
    rows, columns = total.shape
    shares = {state: np.divide(n, total, out=np.zeros_like(n), where=total > 0) for state, n in counts.items()}
    failed = shares[State.FAILED]
    seen = np.where(failed > 0, np.clip(failed, LEAST_SHARE, 1.0), 0.0)
    rest = np.divide(1 - seen, 1 - failed, out=np.ones_like(failed), where=failed < 1)
    bottom, paths = np.zeros_like(total), []
    for state in STACK:
        height = seen if state == State.FAILED else shares[state] * rest
        drawn = "".join(
            f"M{c} {rows - r - bottom[r, c]:.4g}v{-height[r, c]:.4g}h1v{height[r, c]:.4g}z"
            for r, c in np.argwhere(height > 0).tolist()
        )
        bottom = bottom + height
        if drawn:
            paths.append(f'<path class="{state.name.lower()}" d="{drawn}"/>')
    edged = ' class="edged"' if max(rows, columns) <= EDGED else ""
    svg = f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" aria-hidden="true"><g{edged}>'
    svg += f"{''.join(paths)}</g></svg>"
    up, across = (1, *states.shape) if states.ndim == 1 else (states.shape[y], states.shape[x])
    of_bins = (bins(up).chunk[0], bins(across).chunk[0])
    if states.ndim == 1:
        return StateMap(svg, axes[0], None, (), of_bins)
    further = tuple(axis for i, axis in enumerate(axes) if i not in (y, x))
    return StateMap(svg, axes[x], axes[y], further, of_bins)


def framed(drawn: StateMap) -> str:
    """The map with the names and some values of its axes beside it."""
    up = "" if drawn.up is None else _side("up", drawn.up)
    one = "" if drawn.up is not None else " one-axis"
    return f'<div class="map{one}">{up}<div class="cells">{drawn.svg}</div>{_side("across", drawn.across)}</div>'


def _side(where: str, axis: Variable) -> str:
    title = escape(with_unit(axis.long_name or axis.name, axis.unit))
    words = "".join(f"<span>{escape(word)}</span>" for word in _ticks(axis))
    return f'<div class="{where}"><div class="ticks">{words}</div><div class="name">{title}</div></div>'


def _ticks(axis: Variable) -> list[str]:
    """The first and the last value, and some evenly between."""
    if axis.values is None:
        return ["damaged"]
    places = np.unique(np.linspace(0, len(axis.values) - 1, min(TICKS, len(axis.values))).round().astype(int))
    return [shortened(value_text(axis.values[p])) for p in places.tolist()]


def rate_plot(rates: Rates) -> str:
    """A line of the rate against time, from zero up; without axes, which stand beside it."""
    seconds, cells = np.array(rates, float).T
    x = 100 * (seconds - seconds[0]) / max(seconds[-1] - seconds[0], 1e-9)
    y = 30 - 29 * cells / max(cells.max(), 1e-9)
    points = " ".join(f"{a:.4g},{b:.4g}" for a, b in zip(x, y, strict=True))
    return (
        '<svg class="rates" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="0,30 {points} 100,30"/><polyline points="{points}"/></svg>'
    )
