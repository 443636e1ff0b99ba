"""The page's two maps over the same bins: the blocks' states, and the mean of an output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Range1d,
    Title,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from spinsweep.dashboard.blockmap import BlockMap, BlockState
from spinsweep.dashboard.html import COLOURS, LEGEND, MapAxis, with_unit
from spinsweep.dashboard.widgets import plain
from spinsweep.messages import OutputDescription

MAX_TICKS = 9  # labels along an axis
TICK_CHARACTERS = 42  # for which an axis has room
MAX_BINS_WITH_EDGES = 50  # along an axis; edges would hide smaller bins
COLUMNS = ("left", "right", "bottom", "top", "x", "y", "shown", "rest", "failed_top", "mean")
LEAST_SHARE = 0.06  # of a bin's height that is drawn for failures
COUNTED = {state: state.name.lower() for state in LEGEND if state is not BlockState.PARTLY}
"""Name of the column that counts the blocks of a state."""


class SweepMaps:
    """Both maps of one window; hovering counts the blocks of a bin, or gives its mean."""

    def __init__(self) -> None:
        self.bins = ColumnDataSource({name: [] for name in COLUMNS}, name="blocks")
        self.crosses = ColumnDataSource({"x": [], "y": []})
        self.colours = LinearColorMapper(palette=Viridis256, nan_color="#ffffff", low=0, high=1)
        self.colour_bar = ColorBar(color_mapper=self.colours, width=12)
        self.state_map, self.output_map = _plot("blocks"), _plot("output")
        self.max_ticks, self.tick_characters = MAX_TICKS, TICK_CHARACTERS
        self._edges: dict[str, Any] = {}
        """The columns that say where the bins are."""
        self._draw_states()
        self._draw_output()

    def _draw_states(self) -> None:
        palette = [COLOURS[state] for state in BlockState]
        mapper = LinearColorMapper(palette=palette, low=-0.5, high=len(BlockState) - 0.5)
        quads = _quads(self.state_map, self.bins, {"field": "rest", "transform": mapper})
        # as much of a bin as has failures
        failed = {"left": "left", "right": "right", "bottom": "bottom", "top": "failed_top"}
        colour = COLOURS[BlockState.FAILED]
        self.state_map.quad(**failed, source=self.bins, fill_color=colour, line_color=None)
        crosses = self.state_map.scatter("x", "y", source=self.crosses, marker="x", line_color="#222222")
        self.state_quads, self.cross = quads.glyph, crosses.glyph
        tooltips = [("", "@x"), ("", "@y"), *((name, f"@{name}") for name in COUNTED.values())]
        self.state_map.add_tools(HoverTool(renderers=[quads], tooltips=tooltips))

    def _draw_output(self) -> None:
        quads = _quads(self.output_map, self.bins, {"field": "mean", "transform": self.colours})
        self.output_quads = quads.glyph
        self.output_map.add_layout(self.colour_bar, "right")
        tooltips = [("", "@x"), ("", "@y"), ("mean", "@mean")]
        self.output_map.add_tools(HoverTool(renderers=[quads], tooltips=tooltips))

    def name_output(self, output: OutputDescription | None) -> None:
        """Show the output map under the output's name, or hide it."""
        self.output_map.visible = output is not None
        if output is not None:
            self.output_map.title.text.text = with_unit(output.long_name or output.name, output.unit)

    def lay_out(self, up: MapAxis, across: MapAxis) -> None:
        """Set where the bins are, and the labels of both axes."""
        shape = (len(up.labels), len(across.labels))
        self._edges = {
            "left": np.broadcast_to(across.edges[:-1], shape).ravel(),
            "right": np.broadcast_to(across.edges[1:], shape).ravel(),
            "bottom": np.repeat(up.edges[:-1], shape[1]),
            "top": np.repeat(up.edges[1:], shape[1]),
            "x": across.labels * shape[0],
            "y": [label for label in up.labels for _ in range(shape[1])],
        }
        for plot in (self.state_map, self.output_map):
            self._label(plot.xaxis, plot.x_range, across, self.tick_characters)
            self._label(plot.yaxis, plot.y_range, up, self.max_ticks * self.tick_characters)
        with_edges = max(shape) < MAX_BINS_WITH_EDGES
        for quads in (self.state_quads, self.output_quads):
            quads.line_width = 0.5 if with_edges else 0
            quads.line_alpha = 1 if with_edges else 0
        self.cross.size = min(8, max(2, 250 / max(shape)))
        self.cross.line_width = 1.5 if with_edges else 1

    def _label(self, axes: Any, span: Range1d, map_axis: MapAxis, characters: int) -> None:
        span.start, span.end = 0, map_axis.edges[-1]
        ticks = map_axis.ticks(self.max_ticks, characters)
        axes.ticker = FixedTicker(ticks=list(ticks))
        axes.major_label_overrides = {position: plain(word) for position, word in ticks.items()}
        axes.axis_label = plain(map_axis.title)

    def show(self, block_map: BlockMap, mean: npt.NDArray[np.float64] | None) -> None:
        """Colour the bins: by state, and by the output's mean, (y, x), where that is known."""
        counts = {name: block_map.counts[state].ravel() for state, name in COUNTED.items()}
        shown = block_map.shown.ravel()
        if mean is None or mean.shape != block_map.shown.shape:
            mean = np.full(block_map.shown.shape, np.nan)
        share = _failed_share(block_map)
        height = self._edges["top"] - self._edges["bottom"]
        columns = {"rest": _rest(block_map, shown), "failed_top": self._edges["bottom"] + share * height}
        self.bins.data = {**self._edges, "shown": shown, **columns, "mean": mean.ravel(), **counts}
        self._scale_colours(mean[np.isfinite(mean)])
        failed = np.flatnonzero(shown == BlockState.FAILED)
        self.crosses.data = {"x": self._middle("left", "right", failed), "y": self._middle("bottom", "top", failed)}

    def _middle(self, low: str, high: str, bins: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return np.asarray((self._edges[low][bins] + self._edges[high][bins]) / 2)

    def _scale_colours(self, known: npt.NDArray[np.float64]) -> None:
        """Colours from the least to the greatest known value; a single value gets the middle colour."""
        if not known.size:
            return
        low, high = float(known.min()), float(known.max())
        margin = 0.0 if high > low else abs(low) or 1.0
        self.colours.low, self.colours.high = low - margin, high + margin
        self.colour_bar.ticker = FixedTicker(ticks=[low]) if margin else BasicTicker()


def _failed_share(block_map: BlockMap) -> npt.NDArray[np.float64]:
    """Of the cells of each bin, the share that failed; some of it is always seen."""
    share = block_map.failed.ravel()
    return np.where(share > 0, np.clip(share, LEAST_SHARE, 1.0), 0.0)


def _rest(block_map: BlockMap, shown: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The state that the other blocks of a bin with failures show."""
    waiting = block_map.counts[BlockState.WAITING].ravel() + block_map.counts[BlockState.RUNNING].ravel()
    done = block_map.counts[BlockState.DONE].ravel()
    rest = np.where(waiting == 0, BlockState.DONE, np.where(done == 0, BlockState.WAITING, BlockState.PARTLY))
    return np.where(shown == BlockState.FAILED, rest, shown)


def _plot(title: str) -> Any:
    plot = figure(height=390, title=Title(text=plain(title)), x_range=Range1d(0, 1), y_range=Range1d(0, 1), tools="")
    plot.sizing_mode = "stretch_width"
    plot.toolbar_location = None
    plot.grid.visible = False
    plot.min_border = 8
    plot.title.text_font_size = "13px"
    plot.background_fill_color = "#ffffff"
    plot.axis.axis_label_text_font_style = "normal"
    return plot


def _quads(plot: Any, source: ColumnDataSource, fill: Mapping[str, Any]) -> Any:
    edges = {name: name for name in ("left", "right", "bottom", "top")}
    return plot.quad(**edges, source=source, fill_color=fill, line_color="#ffffff", line_width=0.5)
