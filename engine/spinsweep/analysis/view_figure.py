"""The figure of a view: the lines of its curves with the bands of their intervals, in the look of all figures."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from spinsweep.analysis.curve_data import Curves, Quantity

if TYPE_CHECKING:  # loaded where it draws
    from matplotlib.figure import Figure

    from spinsweep.analysis.scales import AxisLabel

MAX_MARKED = 60
"""Points of a curve that are marked each."""
LINE = 34
"""Characters of a line of the label of the axis up."""
MAX_WORDS = 6
"""Along the axis, of names."""


def view_figure(drawn: Curves) -> Figure:
    """Draw curves, one colour and marker each, with a legend where there are several; one column wide."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from spinsweep.analysis.look import COLOURS, COLUMN, MARKERS, RC, shades, symbol
    from spinsweep.analysis.scales import set_scale

    x_label = _label(drawn.x, [line.x for line in drawn.lines])
    y_label = _label(drawn.y, [part for line in drawn.lines for part in (line.mean, line.low, line.high)])
    colours: Any = shades(len(drawn.lines)) if drawn.ordered and drawn.each else COLOURS
    with rc_context(RC):
        figure = Figure(figsize=(COLUMN, 0.72 * COLUMN))
        figure.set_layout_engine("constrained", w_pad=0.08)  # half of a number at the end of the axis
        FigureCanvasAgg(figure)  # no window
        ax = figure.subplots()
        for place, line in enumerate(drawn.lines):
            order = np.argsort(line.x, kind="stable")
            x = line.x[order] / x_label.factor
            mean, low, high = (part[order] / y_label.factor for part in (line.mean, line.low, line.high))
            colour, marker = colours[place % len(colours)], MARKERS[place % len(MARKERS)]
            ax.fill_between(x, low, high, color=colour, alpha=0.22, lw=0, zorder=1)
            ax.plot(x, mean, color=colour, marker=marker if x.size <= MAX_MARKED else "", label=line.label, zorder=3)
        if drawn.x.words:
            places = np.unique(np.linspace(0, len(drawn.x.words) - 1, MAX_WORDS).round().astype(int))
            ax.set_xticks(places.tolist(), [drawn.x.words[i][:14] for i in places.tolist()])
        else:
            along = drawn.lines[0].x
            set_scale(ax, along[np.isfinite(along)] / x_label.factor)
        ax.set_xlabel(x_label.label)
        ax.set_ylabel(fill(y_label.label, LINE, break_long_words=False))
        if drawn.each is not None:
            unit = "" if drawn.each.unit in ("1", "") else f" ({symbol(drawn.each.unit)})"
            figure.legend(
                loc="outside upper center", ncols=min(len(drawn.lines), 4), title=f"{drawn.each.name}{unit}"
            )
    return figure


def _label(quantity: Quantity, numbers: Any) -> AxisLabel:
    """The name and unit of an axis of the drawing, with the prefix that suits its numbers."""
    from spinsweep.analysis.scales import AxisLabel

    if quantity.words:
        return AxisLabel(quantity.label)
    attrs = {"units": quantity.unit} | ({"long_name": quantity.label} if quantity.label != quantity.name else {})
    return AxisLabel.of(xr.DataArray(0, name=quantity.name, attrs=attrs), np.concatenate(numbers))
