"""The rate of a run over its time, the run before it, and its figures, as one window sees them."""

from __future__ import annotations

from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from spinsweep.dashboard import history
from spinsweep.dashboard.commands import CopyableCommand
from spinsweep.dashboard.monitor import WatchedRun
from spinsweep.dashboard.widgets import set_text, text_box, wide

HEIGHT = 150  # of the plot, pixels
LEAST_POINTS = 3  # that are drawn
UNITS = ((172_800.0, 86_400.0, "days"), (7200.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))
"""Seconds from which a unit of time is taken, the seconds that it has, and its name."""


class HistoryPanel:
    """What one window shows of how a run went, below everything that is happening now."""

    def __init__(self) -> None:
        self.words, self.caption, self.figures = (text_box(sizing_mode="stretch_width") for _ in range(3))
        self.rates = ColumnDataSource({"x": [], "y": []}, name="rates")
        self.plot = figure(height=HEIGHT, x_range=Range1d(0, 1), y_range=Range1d(0, 1), tools="")
        self.plot.sizing_mode = "stretch_width"
        self.plot.toolbar_location = None
        self.plot.min_border = 8
        self.plot.xgrid.visible = False
        self.plot.axis.axis_label_text_font_style = "normal"
        self.plot.axis.minor_tick_line_color = None
        self.plot.yaxis.ticker.desired_num_ticks = 3
        self.plot.yaxis.axis_label = "cells/s"
        self.plot.varea("x", 0, "y", source=self.rates, fill_color="#0072b2", fill_alpha=0.18)
        self.plot.line("x", "y", source=self.rates, line_color="#0072b2", line_width=1.6)
        self.commands = [CopyableCommand() for _ in range(2)]
        half = {"flex": "1 1 320px", "min-width": "320px"}  # where there is no room, one below the other
        drawn = wide(column, self.caption, self.plot, styles=half)
        words = wide(column, self.words, self.figures, *(line.body for line in self.commands), styles=half)
        self.body = wide(column, wide(row, drawn, words))
        self._shown: tuple[str, int] | None = None

    def show(self, run: WatchedRun | None) -> None:
        """Bring it up to date, where something changed; None: there is no run."""
        self.body.visible = run is not None
        if run is None or self._shown == (run.name, run.revision):
            return
        self._shown = (run.name, run.revision)
        set_text(self.words, history.comparison(run))
        set_text(self.figures, history.figures(run))
        set_text(self.caption, history.caption(run))
        for line, (command, words) in zip(self.commands, history.figure_commands(run).items(), strict=True):
            line.show(command, words)
        self.words.visible = bool(self.words.text)
        points = run.rates.points
        self.plot.visible = self.caption.visible = len(points) >= LEAST_POINTS
        if self.plot.visible:
            self._draw(points)

    def _draw(self, points: list[tuple[float, float]]) -> None:
        last, most = points[-1][0], max(rate for _, rate in points)
        _, unit_s, unit = next(each for each in UNITS if last >= each[0])
        self.rates.data = {"x": [s / unit_s for s, _ in points], "y": [rate for _, rate in points]}
        self.plot.x_range.start, self.plot.x_range.end = points[0][0] / unit_s, max(last, 1.0) / unit_s
        self.plot.y_range.start, self.plot.y_range.end = 0, 1.08 * most or 1.0
        self.plot.xaxis.axis_label = f"time since the first block was sent ({unit})"
