"""The Sweep page: a tab of the Dask dashboard, served by the scheduler itself.

It only shows.  Its selects change what one browser window sees, and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from bokeh.core.properties import without_property_validation
from bokeh.events import ClientReconnected, ConnectionLost
from bokeh.layouts import column, row
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    FixedTicker,
    HoverTool,
    HTMLTemplateFormatter,
    LinearColorMapper,
    PlainText,
    Range1d,
    Select,
    TableColumn,
    Title,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from distributed.http.routing import RoutingApplication
from distributed.http.utils import get_handlers
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import ErrorHandler

from spinsweep.dashboard import html
from spinsweep.dashboard.blockmap import BlockMap, BlockState
from spinsweep.dashboard.closed import Closed, Pages
from spinsweep.dashboard.html import COLOURS, LEGEND, STYLE
from spinsweep.dashboard.reader import Answer, Question

if TYPE_CHECKING:
    from spinsweep.dashboard.plugin import SweepPlugin, WatchedRun

TAB = "sweep"
PULL = 500  # ms between looks
READ = 3.0  # seconds between readings of the cube
SHARE = 0.01  # of the scheduler's time that drawing for one window may take
WINDOWS = 20  # at a time
TICKS = 9  # labels along an axis, at most
ROOM = 42  # characters for which there is room along an axis
NARROW = 50  # places along an axis, from which on nothing is drawn between them
NO_OUTPUT = "(none)"
FAILURES = ("cell", "more", "type", "message")
LINES = """
.slick-cell { white-space: normal !important; line-height: 15px; overflow-wrap: anywhere; }
.slick-cell span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
"""
PLACES = ("left", "right", "bottom", "top", "x", "y", "shown", "mean")
ENTRY = '<span title="<%- value %>"><%- value %></span>'  # <%- escapes


def add(watch: SweepPlugin) -> None:
    """Add the tab to the dashboard of the plugin's scheduler, if it has one."""
    scheduler = watch.scheduler
    present = [a for a in scheduler.http_application.applications if hasattr(a, "app_paths")]
    if not present:
        return
    variables = template_variables(scheduler)
    if TAB not in variables["pages"]:
        variables["pages"].insert(0, TAB)  # every page of the dashboard has this list
    scheduler.http_application.add_application(_application(watch, variables, present[0].prefix))


def serve(watch: SweepPlugin, port: int, pages: Pages) -> HTTPServer:
    """Serve the page, ``/metrics`` and ``/health`` alone, on loopback, closed as ``pages`` says.

    Raises
    ------
    OSError
        The port is taken.
    """
    listening = socket.create_server(("127.0.0.1", port))
    listening.setblocking(False)
    modules = [f"distributed.http.{m}" for m in ("statics", "scheduler.prometheus", "health")]
    application = _ForWatchers(get_handlers(watch.scheduler, modules, pages.prefix))  # type: ignore[no-untyped-call]
    variables = {"pages": [TAB], "plots": [], "jupyter": False}
    application.add_application(_application(watch, variables, pages.prefix))
    server = HTTPServer(Closed(application, pages))
    server.add_socket(listening)
    return server


class _ForWatchers(RoutingApplication):
    """Has no list of what there is."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """The handler of a request."""
        if request.path == "/sitemap.json":  # all applications of Dask's have it
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})
        return super().find_handler(request, **more)


def _application(watch: SweepPlugin, variables: Mapping[str, Any], prefix: str = "") -> Any:
    def open_page(scheduler: Any, extra: Mapping[str, Any], doc: Any) -> None:
        if len(watch.pages) < WINDOWS:
            SweepPage(watch, doc)
        else:
            doc.add_root(_div(html.FULL))
        doc.title = "spinsweep"
        doc.template = env.get_template("simple.html")
        doc.template_variables.update(extra)
        doc.theme = BOKEH_THEME

    application = BokehApplication({f"/{TAB}": open_page}, watch.scheduler, prefix, variables)
    application.initialize(IOLoop.current())
    application.start()
    return application


class SweepPage:
    """What one browser window sees."""

    def __init__(self, watch: SweepPlugin, doc: Any) -> None:
        self.watch = watch
        self.run: WatchedRun | None = None
        self._choosing = False
        self._follows = True
        """Whether the newest run is shown, as nobody has chosen anything."""
        self._due = 0.0
        self._read_due = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._answered = -1
        """Version of the run that the answer knows."""
        self._places: dict[str, Any] = {}
        self._drawn: tuple[Any, ...] = ()
        """What the maps show: run, axes, map, answer."""
        self._as_tuple = -1

        self.header, self.caption, self.below, self.lane = (_div() for _ in range(4))
        self.lane.width = 370
        for div in (self.header, self.caption, self.below):
            div.sizing_mode = "stretch_width"
        self.select_run = Select(title="run", width=420)
        self.select_x, self.select_y = (Select(title=title, width=150) for title in ("across", "up"))
        self.select_output = Select(title="output", width=220)
        self.select_inner = Select(title="of its own dims", options=["mean", "last"], value="mean", width=120)
        self.blocks = ColumnDataSource({name: [] for name in PLACES}, name="blocks")
        self.crosses = ColumnDataSource({"x": [], "y": []})
        self.colours = LinearColorMapper(palette=Viridis256, nan_color="#ffffff", low=0, high=1)
        self.bar = ColorBar(color_mapper=self.colours, width=12)
        self.state_map, self.output_map = self._state_map(), self._output_map()
        self.failures = ColumnDataSource({name: [] for name in FAILURES}, name="failures")
        self.table = _table(self.failures)
        for select in (self.select_run, self.select_output, self.select_inner):
            select.on_change("value", self._chosen)
        self.select_x.on_change("value", partial(self._axis_chosen, self.select_y))
        self.select_y.on_change("value", partial(self._axis_chosen, self.select_x))
        legend = _div()
        legend.text = html.legend()
        selects = (self.select_run, self.select_x, self.select_y, self.select_output, self.select_inner)
        self.output_side = _wide(column, self.output_map, self.caption)
        self.body = _wide(
            column,
            _wide(row, *selects),
            _wide(row, _wide(column, self.state_map, legend), self.output_side),
            _wide(row, self.lane, _wide(column, self.below, self.table)),
        )
        lost = _div()
        lost.text, lost.visible = html.LOST, False
        for event, visible in ((ConnectionLost, "true"), (ClientReconnected, "false")):
            doc.js_on_event(event, CustomJS(args={"lost": lost}, code=f"lost.visible = {visible}"))
        doc.add_root(
            _wide(column, lost, self.header, self.body, styles={"padding": "8px 16px", "box-sizing": "border-box"})
        )
        doc.add_periodic_callback(without_property_validation(self.update), PULL)
        doc.on_session_destroyed(lambda context: self.close())
        watch.pages.add(self)
        self.update()

    def close(self) -> None:
        """The window was closed."""
        self.watch.pages.discard(self)
        if not self.watch.pages:
            self.watch.reader.close()

    def _state_map(self) -> Any:
        plot = _map("blocks")
        palette = [COLOURS[state] for state in BlockState]
        mapper = LinearColorMapper(palette=palette, low=-0.5, high=len(BlockState) - 0.5)
        quads = _quads(plot, self.blocks, {"field": "shown", "transform": mapper})
        crosses = plot.scatter("x", "y", source=self.crosses, marker="x", line_color="#222222")
        self.state_quads, self.cross = quads.glyph, crosses.glyph
        counted = [(s.name.lower(), f"@{s.name.lower()}") for s in LEGEND if s is not BlockState.PARTLY]
        plot.add_tools(HoverTool(renderers=[quads], tooltips=[("", "@x"), ("", "@y"), *counted]))
        return plot

    def _output_map(self) -> Any:
        plot = _map("output")
        self.output_title = plot.title.text
        quads = _quads(plot, self.blocks, {"field": "mean", "transform": self.colours})
        self.output_quads = quads.glyph
        plot.add_layout(self.bar, "right")
        plot.add_tools(HoverTool(renderers=[quads], tooltips=[("", "@x"), ("", "@y"), ("mean", "@mean")]))
        return plot

    def _axis_chosen(self, other: Select, attribute: str, old: str, new: str) -> None:
        if not self._choosing and other.value == new:
            other.value = old  # the axes change places
        self._chosen(attribute, old, new)

    def _chosen(self, attribute: str, old: str, new: str) -> None:
        if not self._choosing:
            self._follows = False
            self._due = self._read_due = 0.0
            self._answer = None
            self.update()
            self._due = 0.0

    def update(self) -> None:
        """Bring the window up to date, where something changed."""
        began, spent = time.monotonic(), time.thread_time()
        if began < self._due:
            return
        self._choosing = True
        self._choose_run()
        self._choosing = False
        self.body.visible = self.run is not None
        if self.run is None:
            _say(self.header, html.NOTHING)
        else:
            self._show(self.run)
        self._due = began + (time.thread_time() - spent) / SHARE

    def _choose_run(self) -> None:
        runs = list(reversed(self.watch.runs.values()))
        if not runs:
            return
        options = [(run.name, html.run_label(run)) for run in runs]
        if options != self.select_run.options:
            self.select_run.options = options
        if self._follows or self.select_run.value not in self.watch.runs:
            self.select_run.value = runs[0].name
        run = self.watch.runs[self.select_run.value]
        if run is self.run:
            return
        self.run, self._answer, self._read_due, self._as_tuple = run, None, 0.0, -1
        self._offer_axes(run.description["axes"])
        outputs = [NO_OUTPUT, *(o["name"] for o in run.description["outputs"])]
        self.select_output.options = outputs
        if self._follows or self.select_output.value not in outputs:
            self.select_output.value = outputs[:2][-1]

    def _offer_axes(self, axes: Sequence[Mapping[str, Any]]) -> None:
        """Those of a run; what a person chose stays where it is among them."""
        names = [a["name"] for a in axes]
        chosen = (self.select_x.value, self.select_y.value)
        self.select_x.options, self.select_y.options = names, names
        self.select_y.visible = len(names) > 1
        if self._follows or not set(chosen) <= set(names):
            longest = sorted(range(len(names)), key=lambda i: -len(axes[i]["values"]))[:2]
            self.select_x.value, self.select_y.value = names[max(longest)], names[min(longest)]

    def _axes(self, run: WatchedRun) -> tuple[int, int]:
        """Places of the axes up and across; a sweep of one axis has one of length 1 before it."""
        names = [a["name"] for a in run.description["axes"]]
        if len(names) == 1:
            return 0, 1
        y, x = (names.index(s.value) if s.value in names else 0 for s in (self.select_y, self.select_x))
        return (y, x) if y != x else (y, (y + 1) % len(names))

    def _output(self, run: WatchedRun) -> Mapping[str, Any] | None:
        """The chosen output."""
        return next((o for o in run.description["outputs"] if o["name"] == self.select_output.value), None)

    def _show(self, run: WatchedRun) -> None:
        y, x = self._axes(run)
        block_map = self.watch.map(run, y, x)
        output = self._output(run)
        self._draw(run, y, x, block_map, self._answer)
        self._read(run, y, x, output)
        self.output_map.visible = output is not None
        if output is not None:
            self.output_title.text = html.with_unit(output["long_name"] or output["name"], output["unit"])
        self.select_inner.visible = bool(output and output["dims"])
        _say(self.header, html.header(run, block_map, self.watch.driver_lost(run)))
        _say(self.caption, html.caption(run, block_map, output, self.select_inner.value, self._answer))
        _say(self.lane, html.lanes(self.watch))
        self.lane.visible = bool(self.lane.text)
        if run.version != self._as_tuple:
            self._as_tuple = run.version
            rows = list(reversed(run.failures))
            self.failures.data = {name: [str(r[name] or "") for r in rows] for name in FAILURES}
            self.table.visible = bool(rows)
            _say(self.below, html.failures(run, block_map))

    def _draw(self, run: WatchedRun, y: int, x: int, block_map: BlockMap, answer: Answer | None) -> None:
        if self._drawn[:3] != (run.name, y, x):
            self._lay_out(run, y, x)
        elif self._drawn[3] is block_map and self._drawn[4] is answer:
            return
        counts = {s.name.lower(): block_map.counts[s].ravel() for s in LEGEND if s is not BlockState.PARTLY}
        mean = np.full(block_map.shown.shape, np.nan)
        if answer is not None and answer.mean.shape == mean.shape:
            mean = answer.mean
        changed = {"shown": block_map.shown.ravel(), "mean": mean.ravel(), **counts}
        self.blocks.data = {**self._places, **changed}
        self._colour(mean[np.isfinite(mean)])
        failed = np.flatnonzero(changed["shown"] == BlockState.FAILED)
        middle = {"x": ("left", "right"), "y": ("bottom", "top")}
        self.crosses.data = {
            n: (self._places[a][failed] + self._places[b][failed]) / 2 for n, (a, b) in middle.items()
        }
        self._drawn = (run.name, y, x, block_map, answer)

    def _colour(self, known: npt.NDArray[np.float64]) -> None:
        """Colours from the least to the largest of the known values; a single one has the middle of them."""
        if not known.size:
            return
        low, high = float(known.min()), float(known.max())
        room = 0.0 if high > low else abs(low) or 1.0
        self.colours.low, self.colours.high = low - room, high + room
        self.bar.ticker = FixedTicker(ticks=[low]) if room else BasicTicker()

    def _lay_out(self, run: WatchedRun, y: int, x: int) -> None:
        """Where the places of the maps are, and what stands at their axes."""
        axes, chunk = list(run.description["axes"]), list(run.description["chunk"])
        if len(axes) == 1:
            axes, chunk = [{"name": "", "values": [""], "unit": "1", "long_name": ""}, *axes], [1, *chunk]
        up, across = (html.MapAxis(axes[i], chunk[i]) for i in (y, x))
        shape = (len(up.labels), len(across.labels))
        self._places = {
            "left": np.broadcast_to(across.edges[:-1], shape).ravel(),
            "right": np.broadcast_to(across.edges[1:], shape).ravel(),
            "bottom": np.repeat(up.edges[:-1], shape[1]),
            "top": np.repeat(up.edges[1:], shape[1]),
            "x": across.labels * shape[0],
            "y": [label for label in up.labels for _ in range(shape[1])],
        }
        for plot in (self.state_map, self.output_map):
            for axis, along, span in ((plot.xaxis, across, plot.x_range), (plot.yaxis, up, plot.y_range)):
                span.start, span.end = 0, along.edges[-1]
                ticks = along.ticks(TICKS, ROOM if along is across else TICKS * ROOM)
                axis.ticker = FixedTicker(ticks=list(ticks))
                axis.major_label_overrides = {place: plain(word) for place, word in ticks.items()}
                axis.axis_label = plain(along.title)
        for quads in (self.state_quads, self.output_quads):
            quads.line_width = 0.5 if max(shape) < NARROW else 0
            quads.line_alpha = 1 if max(shape) < NARROW else 0
        self.cross.size = min(8, max(2, 250 / max(shape)))
        self.cross.line_width = 1.5 if max(shape) < NARROW else 1

    def _read(self, run: WatchedRun, y: int, x: int, output: Mapping[str, Any] | None) -> None:
        """Ask for the output so far, when it is time."""
        last = run.ended and self._answered != run.version  # at once: a scheduler may end soon after its run
        due = 0.0 if last else self._read_due
        if output is None or time.monotonic() < due or (self._reading and not self._reading.done()):
            return
        if self._answer is not None and self._answer.complete and self._answered == run.version:
            return
        version = run.version
        question = Question(
            path=run.description["path"],
            cube_id=run.description["cube_id"],
            epoch=run.description["epoch"],
            output=output["name"],
            inner=str(self.select_inner.value),
            states=run.states.copy(),
            y=y,
            x=x,
        )

        async def ask() -> None:
            answer = await asyncio.to_thread(self.watch.reader.ask, question)
            self._read_due = time.monotonic() + READ
            if (run, y, x) == (self.run, *self._axes(run)) and question.asks(output["name"], self.select_inner.value):
                self._answer, self._answered = answer, version

        self._reading = asyncio.get_running_loop().create_task(ask())


def plain(words: str) -> PlainText:
    """Words for a place where Bokeh takes ``$$...$$`` for TeX, in which a stranger's title could be a live link."""
    return PlainText(text=words)


def _div(html: str = "") -> Div:
    return Div(text=html, stylesheets=[STYLE], css_classes=["sw"], disable_math=True)


def _say(div: Div, html: str) -> None:
    if div.text != html:
        div.text = html


def _wide(layout: Any, *children: Any, **options: Any) -> Any:
    """A row or column as wide as the window; a row goes on below where it is too narrow."""
    styles = {"gap": "0 24px", "flex-wrap": "wrap"} if layout is row else {}
    return layout(*children, **{"sizing_mode": "stretch_width", "styles": styles, **options})


def _map(title: str) -> Any:
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


def _table(source: ColumnDataSource) -> DataTable:
    widths = {"cell": ("failed cell", 430), "more": ("more in block", 80), "type": ("type", 120)}
    widths["message"] = ("message", 430)
    columns = [
        TableColumn(field=n, title=t, width=w, sortable=False, formatter=HTMLTemplateFormatter(template=ENTRY))
        for n, (t, w) in widths.items()
    ]
    return DataTable(
        source=source,
        columns=columns,
        sizing_mode="stretch_width",
        height=240,
        row_height=50,
        stylesheets=[LINES],
        index_position=None,
        selectable=False,
        reorderable=False,
    )
