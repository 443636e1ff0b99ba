"""A lane as one window sees it: the curve, the last readings, the time left, and a button that only makes safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import BasicTicker, Button, ColumnDataSource, Range1d, Select, Title
from bokeh.plotting import figure

from spinsweep.dashboard import html
from spinsweep.dashboard.monitor import ReportedLane, SweepMonitor
from spinsweep.dashboard.stop_control import StopControl
from spinsweep.dashboard.stopping import StopOutcome
from spinsweep.dashboard.widgets import plain, set_text, text_box, wide
from spinsweep.messages import Series
from spinsweep.si import PREFIXES, power_of, quantity

WIDTH, HEIGHT = 380, 250  # of a plot, pixels
NAME_OFFSET = 5  # of a level's name from its line, pixels


class LanePanel:
    """What one window shows of the lane of one bench.

    Parameters
    ----------
    outcomes : of stops, by bench; of all windows of the scheduler
    may_stop : whether this window may stop a lane; without it there is no button, and nothing that would answer one
    """

    def __init__(self, monitor: SweepMonitor, outcomes: dict[str, StopOutcome], doc: Any, *, may_stop: bool) -> None:
        self.monitor = monitor
        self.outcomes = outcomes
        self._drawn: ReportedLane | None = None
        self.words = text_box(width=370)
        self.select = Select(title="bench", width=200, visible=False)
        self.select.on_change("value", lambda attribute, old, new: self.update())
        self.curve, self.readings = _plot("curve"), _plot("readings")
        self.points, self.line, self.volts = (ColumnDataSource({"x": [], "y": []}) for _ in range(3))
        self.levels = ColumnDataSource({"x": [], "y": [], "name": [], "side": [], "offset": []})
        self.curve.line("x", "y", source=self.line, line_color="#d55e00", line_width=2)
        self.curve.scatter("x", "y", source=self.points, size=6, fill_color="#0072b2", line_color="#ffffff")
        self.readings.hspan("y", source=self.levels, line_color="#999999", line_dash="dashed")
        style = {"text_font_size": "10px", "text_color": "#666666", "text_baseline": "side"}
        self.readings.text("x", "y", text="name", y_offset="offset", source=self.levels, **style)
        self.readings.scatter("x", "y", source=self.volts, size=4, fill_color="#0072b2", line_color=None)
        self.outcome = text_box(width=370)
        self.control = StopControl(monitor, outcomes, doc, lambda: self.bench, self.update) if may_stop else None
        self.stop = text_box(html.NO_STOP, width=370) if self.control is None else self.control.body
        left = column(self.outcome, self.stop, self.words, self.select)
        self.body = wide(row, left, self.curve, self.readings)
        self.update()

    @property
    def buttons(self) -> list[Button]:
        """Those that act, for what happens in the browser alone."""
        return [] if self.control is None else [self.control.ask, self.control.confirm]

    @property
    def bench(self) -> str:
        """The bench that is shown; empty if no lane was heard of."""
        return str(self.select.value) if self.select.options else ""

    def update(self) -> None:
        """Bring it up to date, where something changed."""
        benches = [*self.monitor.lanes]
        if self.select.options != benches:
            self.select.options = benches
            if self.select.value not in benches:
                self.select.value = benches[0] if benches else ""
            self.select.visible = len(benches) > 1
        set_text(self.words, html.lanes(self.monitor))
        self.body.visible = bool(self.words.text)
        self.stop.visible = bool(self.bench)
        lane, outcome = self.monitor.lanes.get(self.bench), self.outcomes.get(self.bench)
        if outcome and lane and outcome.is_over and lane.last_seen > outcome.at_time:  # somebody goes on with it
            outcome = None
        set_text(self.outcome, html.stop_outcome(outcome.text, is_safe=outcome.is_safe) if outcome else "")
        self.outcome.visible = outcome is not None
        if lane is not self._drawn:
            self._drawn = lane
            self._draw(lane)

    def _draw(self, lane: ReportedLane | None) -> None:
        series = lane.report.series if lane else ()
        points, lines = ([s for s in series if s.line is joined] for joined in (False, True))
        self.curve.visible = any(s.x for s in series)
        if self.curve.visible:
            scale_x = _scaled(series, "x")
            scale_y = _scaled(series, "y")
            _name(
                self.curve,
                html.series_names(series),
                _label(series[0], "x", scale_x),
                _label(series[0], "y", scale_y),
            )
            self.points.data = _pairs(points, scale_x, scale_y)
            self.line.data = _pairs(lines, scale_x, scale_y)
            _show_all(self.curve.x_range, _values(series, "x"), 10.0**-scale_x)
            _show_all(self.curve.y_range, _values(series, "y"), 10.0**-scale_y)
        readings = lane.report.readings if lane else ()
        self.readings.visible = bool(readings and readings[0].x)
        if lane and self.readings.visible:
            shown, levels = readings[0], lane.report.levels
            power = _scaled([shown], "y")
            times = [t - shown.x[-1] for t in shown.x]
            self.volts.data = {"x": times, "y": [v / 10.0**power for v in shown.y]}
            _show_all(self.readings.x_range, times)
            _show_all(self.readings.y_range, [*shown.y, *levels.values()], 10.0**-power)
            self.levels.data = _levels(shown, levels, times[0], 10.0**-power)
            title = f"last {len(shown.y)} readings of {shown.name}"
            _name(self.readings, title, f"before the last ({shown.x_unit})", _label(shown, "y", power))


def _levels(readings: Series, levels: Mapping[str, float], x: float, factor: float) -> dict[str, list[Any]]:
    """Lines with their names, which stand on the side of the middle, where no readings are."""
    middle = (min((*readings.y, *levels.values())) + max((*readings.y, *levels.values()))) / 2
    is_high = [value > middle for value in levels.values()]
    return {
        "x": [x] * len(levels),
        "y": [value * factor for value in levels.values()],
        "name": [f"{name} {quantity(value, readings.y_unit)}" for name, value in levels.items()],
        "side": ["top" if high else "bottom" for high in is_high],
        "offset": [NAME_OFFSET if high else -NAME_OFFSET for high in is_high],
    }


def _plot(name: str) -> Any:
    ranges = {"x_range": Range1d(0, 1), "y_range": Range1d(0, 1)}
    title = Title(text=plain(""), text_font_size="12px")
    plot = figure(width=WIDTH, height=HEIGHT, title=title, tools="", name=name, visible=False, **ranges)
    plot.toolbar_location = None
    plot.background_fill_color = "#ffffff"
    plot.axis.axis_label_text_font_style = "normal"
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=4)
    return plot


def _name(plot: Any, title: str, x_label: str, y_label: str) -> None:
    words: list[tuple[str, Callable[[Any], None]]] = [
        (title, lambda text: setattr(plot.title, "text", text)),
        (x_label, lambda text: setattr(plot.xaxis[0], "axis_label", text)),
        (y_label, lambda text: setattr(plot.yaxis[0], "axis_label", text)),
    ]
    before = (plot.title.text, plot.xaxis[0].axis_label, plot.yaxis[0].axis_label)
    for (text, put), had in zip(words, before, strict=True):
        if getattr(had, "text", None) != text:  # each change is sent to the browser
            put(plain(text))


def _values(series: Sequence[Series], axis: str) -> list[float]:
    return [v for s in series for v in (*getattr(s, axis), *getattr(s, f"{axis}_range"))]


def _scaled(series: Sequence[Series], axis: str) -> int:
    """Power of ten of the prefix of an axis."""
    return power_of(max(map(abs, _values(series, axis)), default=0.0), getattr(series[0], f"{axis}_unit"))


def _label(series: Series, axis: str, power: int) -> str:
    name, unit = getattr(series, f"{axis}_label"), getattr(series, f"{axis}_unit")
    return f"{name} ({PREFIXES[power]}{unit})" if unit else str(name)


def _show_all(shown: Range1d, values: Sequence[float], factor: float = 1.0) -> None:
    """An axis over all values, and a little more."""
    if values:
        low, high = min(values) * factor, max(values) * factor
        margin = (high - low) / 20 or abs(high) / 10 or 1.0
        shown.start, shown.end = low - margin, high + margin


def _pairs(series: Sequence[Series], power_x: int, power_y: int) -> dict[str, list[float]]:
    """All pairs; a gap between two lines."""
    nan = float("nan")
    x = [v for s in series for v in (*(v / 10.0**power_x for v in s.x), nan)]
    y = [v for s in series for v in (*(v / 10.0**power_y for v in s.y), nan)]
    return {"x": x, "y": y}
