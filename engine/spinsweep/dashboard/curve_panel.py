"""The curves of one window: an output against an axis, a line for each value of another, with their bands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.layouts import column
from bokeh.models import BasicTicker, ColumnDataSource, FixedTicker, HoverTool, NoOverlap, Range1d, Select, Title
from bokeh.plotting import figure

from spinsweep.analysis.curve_data import Curves
from spinsweep.dashboard.curve_shapes import Shapes, legend
from spinsweep.dashboard.monitor import WatchedRun
from spinsweep.dashboard.widgets import plain, set_text, text_box, wide
from spinsweep.messages import OutputDescription
from spinsweep.views import View

ONE_LINE = "(one line)"
HEIGHT = 390  # pixels, as of the maps
LOOSE = 0.5  # of an axis that its numbers fill at least; it stays as it is until then


class CurvePanel:
    """What one window shows of a view, and the selects that change it.

    Parameters
    ----------
    chosen : called when a person chose something
    """

    def __init__(self, chosen: Callable[[], None]) -> None:
        self.select_x = Select(title="curve against", width=150)
        self.select_lines = Select(title="a line for each", width=150)
        self._chosen = chosen
        self._setting = False
        """Whether the panel itself, and nobody at the window, sets the selects."""
        self._view: View | None = None
        """Of the output that is chosen, before anything was chosen of x and lines."""
        self._drawn: Curves | None = None
        self.lines, self.bands = (ColumnDataSource({"xs": [], "ys": [], "colour": []}) for _ in range(2))
        self.bars = ColumnDataSource({name: [] for name in ("x", "low", "high", "colour")})
        self.points = ColumnDataSource(
            {n: [] for n in ("x", "y", "colour", "mark", "label", "at", "mean", "interval", "count")}, name="curves"
        )
        self.plot = _plot()
        self.plot.patches("xs", "ys", source=self.bands, fill_color="colour", fill_alpha=0.16, line_color=None)
        self.plot.segment("x", "low", "x", "high", source=self.bars, line_color="colour", line_alpha=0.6)
        self.plot.multi_line("xs", "ys", source=self.lines, line_color="colour", line_width=2)
        marks = self.plot.scatter(
            "x", "y", source=self.points, marker="mark", size=7, fill_color="colour", line_color="#ffffff"
        )
        tooltips = [("", "@label"), ("", "@at"), ("mean", "@mean"), ("interval", "@interval"), ("numbers", "@count")]
        self.plot.add_tools(HoverTool(renderers=[marks], tooltips=tooltips))
        self.legend, self.caption = text_box(), text_box()
        self.body = wide(column, self.plot, self.legend, self.caption)
        self.select_x.on_change("value", self._x_chosen)
        self.select_lines.on_change("value", self._lines_chosen)

    def offer(self, run: WatchedRun, output: OutputDescription | None, *, keep: bool) -> View | None:
        """Offer what the output of a run can be drawn against.

        Parameters
        ----------
        keep : what is chosen now stays, if it is there

        Returns
        -------
        The first view of the output, unless something else stays
        """
        views = [v for v in run.description.views if output is not None and v.output == output.name]
        self.body.visible = self.select_x.visible = self.select_lines.visible = bool(views)
        self._clear()
        if output is None or not views:
            self._view = None
            return None
        first = views[0]
        self._view = View(first.output, first.x, first.lines, first.over, first.inner)
        names = [*(axis.name for axis in run.description.axes), *output.dims]
        self._setting = True
        self.select_x.options = list(dict.fromkeys([*(v.x for v in views if v.x not in names), *names]))
        self.select_lines.options = [ONE_LINE, *names]
        stays = (
            keep and self.select_x.value in self.select_x.options and self.select_lines.value in [ONE_LINE, *names]
        )
        if not stays:
            self.select_x.value, self.select_lines.value = first.x, first.lines or ONE_LINE
        self._setting = False
        return None if stays else self._view

    def view(self, inner: str) -> View | None:
        """What is to be drawn.

        Parameters
        ----------
        inner : ``mean`` over the output's own dims, or the ``last`` value of each
        """
        if self._view is None:
            return None
        x, lines = str(self.select_x.value), str(self.select_lines.value)
        over = tuple(name for name in self._view.over if name not in (x, lines))
        return View(self._view.output, x, None if lines in (ONE_LINE, x) else lines, over, inner)

    def _x_chosen(self, attribute: str, old: str, new: str) -> None:
        if not self._setting and self.select_lines.value == new:
            self._set(self.select_lines, old if old in self.select_lines.options else ONE_LINE)
        self._tell()

    def _lines_chosen(self, attribute: str, old: str, new: str) -> None:
        if not self._setting and self.select_x.value == new:
            others = [name for name in self.select_x.options if name != new]
            self._set(self.select_x, old if old in others else others[0] if others else new)
        self._tell()

    def _set(self, select: Select, value: str) -> None:
        self._setting = True
        select.value = value
        self._setting = False

    def _tell(self) -> None:
        if not self._setting:
            self._chosen()

    def _clear(self) -> None:
        """Another output is to be drawn, of which nothing is known."""
        self._drawn = None
        for source in (self.lines, self.bands, self.bars, self.points):
            source.data = {name: [] for name in source.data}
        set_text(self.legend, "")

    def show(self, curves: Curves | None, caption: str) -> None:
        """Draw the curves, where they are others than before; those of before stay while nothing else is known."""
        set_text(self.caption, caption)
        if curves is None or curves is self._drawn:
            return
        anew = self._drawn is None or self._drawn.view != curves.view
        self._drawn = curves
        shapes = Shapes.of(curves)
        for source, columns in (
            (self.bands, shapes.bands),
            (self.bars, shapes.bars),
            (self.lines, shapes.lines),
            (self.points, shapes.points),
        ):
            source.data = columns
        set_text(self.legend, legend(curves))
        _label(self.plot.xaxis[0], shapes.across.title)
        _label(self.plot.yaxis[0], shapes.up_title)
        _fit(self.plot.x_range, shapes.x_range, anew=anew)
        _fit(self.plot.y_range, shapes.y_range, anew=anew)
        ticks = shapes.across.ticks
        if ticks is None:
            if not isinstance(self.plot.xaxis[0].ticker, BasicTicker):
                self.plot.xaxis[0].ticker, self.plot.xaxis[0].major_label_overrides = BasicTicker(), {}
        else:
            self.plot.xaxis[0].ticker = FixedTicker(ticks=list(ticks))
            self.plot.xaxis[0].major_label_overrides = {place: plain(word) for place, word in ticks.items()}


def _plot() -> Any:
    ranges = {"x_range": Range1d(0, 1), "y_range": Range1d(0, 1)}
    plot = figure(height=HEIGHT, title=Title(text=plain("curves")), tools="", name="curve_plot", **ranges)
    plot.sizing_mode = "stretch_width"
    plot.toolbar_location = None
    plot.min_border = 8
    plot.title.text_font_size = "13px"
    plot.background_fill_color = "#ffffff"
    plot.grid.grid_line_color = "#eeeeee"
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_policy = NoOverlap(min_distance=5)
    return plot


def _label(axis: Any, text: str) -> None:
    if getattr(axis.axis_label, "text", None) != text:  # each change is sent to the browser
        axis.axis_label = plain(text)


def _fit(shown: Range1d, span: tuple[float, float] | None, *, anew: bool) -> None:
    """Show a span; an axis that holds it, and is not much too long, stays as it is, so that nothing jumps."""
    if span is None:
        return
    low, high = span
    if not anew and shown.start <= low and high <= shown.end and high - low >= LOOSE * (shown.end - shown.start):
        return
    shown.start, shown.end = low, high
