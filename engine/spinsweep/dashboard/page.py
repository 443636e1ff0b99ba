"""The Sweep page as one browser window sees it.

It only shows. Its selects change what that window sees, and nothing else; the one button that acts, where there is
one, makes a bench safe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from bokeh.core.properties import without_property_validation
from bokeh.events import ClientReconnected, ConnectionLost
from bokeh.layouts import column, row
from bokeh.models import CustomJS, Div, Select

from spinsweep.dashboard import html
from spinsweep.dashboard.blockmap import BlockMap
from spinsweep.dashboard.commands import CopyableCommand, FailurePanel
from spinsweep.dashboard.curve_panel import CurvePanel
from spinsweep.dashboard.history_panel import HistoryPanel
from spinsweep.dashboard.lane_panel import LanePanel
from spinsweep.dashboard.maps import SweepMaps
from spinsweep.dashboard.monitor import SweepMonitor, WatchedRun
from spinsweep.dashboard.reader import Answer, Question, Reader
from spinsweep.dashboard.stopping import StopOutcome
from spinsweep.dashboard.widgets import set_text, text_box, wide
from spinsweep.messages import AxisDescription, OutputDescription

UPDATE_INTERVAL_MS = 500
READ_INTERVAL_S = 3.0  # between readings of the cube
WINDOW_SHARE = 0.01  # of the scheduler's time that drawing for one window may take
FIRST_WAIT_S = 2.0  # at most after a drawing that took long once, as the first one does, which loads and makes a lot
LANE_WAIT_S = 2.0  # at most between two looks at the lane, also where drawing it took long, as the first time
BELOW_TABS = "@media (min-width: 801px) and (max-width: 1130px) { :host { margin-top: 44px; } }"
"""Dask's tabs lie over the page, and have two lines in such a window."""
NO_OUTPUT = "(none)"
NO_AXIS = AxisDescription(name="", values=("",), unit="1", long_name="")
"""The axis up of a sweep that has only one axis."""


# A session of Bokeh's ends with its server: the page is loaded anew once a server answers there again.
ON_LOST = """
const since = Date.now();
let asks = false;
const show = () => { lost.text = text.replace("SECONDS", Math.round((Date.now() - since) / 1000)); };
const again = async () => {
  show();
  if (asks || Date.now() - since < 2000) return;
  asks = true;
  try {
    if ((await fetch(location.href, {cache: "no-store"})).ok) location.reload();
  } catch (error) {
  } finally {
    asks = false;
  }
};
clearInterval(window.spinsweep_lost);
window.spinsweep_lost = setInterval(again, 1000);
show();
lost.visible = true;
for (const button of buttons) button.disabled = true;
"""
ON_RECONNECTED = "location.reload();"  # what answers now may be another server, to which this window is unknown


class SweepPage:
    """What one browser window sees.

    Parameters
    ----------
    outcomes : of stops of lanes, of all windows of the scheduler
    may_stop : whether this window may stop a lane
    """

    def __init__(
        self,
        monitor: SweepMonitor,
        reader: Reader,
        doc: Any,
        outcomes: dict[str, StopOutcome] | None = None,
        *,
        may_stop: bool = False,
    ) -> None:
        self.monitor = monitor
        self.reader = reader
        self.run: WatchedRun | None = None
        self._choosing = False
        """Whether the page itself, and nobody at the window, sets the selects."""
        self._follows = True
        """Whether the newest run is shown, as nobody has chosen anything."""
        self._due = 0.0
        """When the window is drawn again, s of the monotonic clock."""
        self._wait = 0.0
        """How long that was after the last drawing, s."""
        self._lane_due = 0.0
        """The same of the lane."""
        self._read_due = 0.0
        """When the cube is read again, s of the monotonic clock."""
        self._reading: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._answer_revision = -1
        """Revision of the run that the answer knows."""
        self._laid_out: tuple[str, int, int] | None = None
        """Run and axes that the maps have."""
        self._drawn: tuple[BlockMap | None, Answer | None] = (None, None)
        """What the maps show."""
        self._failures_revision = -1
        """Revision of the run whose failures are shown."""
        self._curves_of = ("", "")
        """Run and output whose views are offered."""

        self.unreadable, self.header, self.caption, self.long_running = (
            text_box(sizing_mode="stretch_width") for _ in range(4)
        )
        self.long_command = CopyableCommand()
        self.lane = LanePanel(monitor, {} if outcomes is None else outcomes, doc, may_stop=may_stop)
        self.select_run = Select(title="run", width=420)
        self.select_x, self.select_y = (Select(title=title, width=150) for title in ("x axis", "y axis"))
        self.select_output = Select(title="output", width=220)
        self.select_inner = Select(options=["mean", "last"], value="mean", width=120)
        self.history = HistoryPanel()
        self.maps = SweepMaps()
        self.curves = CurvePanel(self._curve_chosen)
        self.failures = FailurePanel()
        for select in (self.select_run, self.select_output, self.select_inner):
            select.on_change("value", self._chosen)
        self.select_x.on_change("value", partial(self._axis_chosen, self.select_y))
        self.select_y.on_change("value", partial(self._axis_chosen, self.select_x))
        self._arrange(doc)
        doc.add_periodic_callback(without_property_validation(self.update), UPDATE_INTERVAL_MS)
        self.update()

    def _arrange(self, doc: Any) -> None:
        of_maps = (self.select_run, self.select_x, self.select_y, self.select_output, self.select_inner)
        selects = (*of_maps, self.curves.select_x, self.curves.select_lines)
        half = {"flex": "1 1 320px", "min-width": "320px"}  # where there is no room, one below the other
        states = wide(column, self.maps.state_map, text_box(html.legend()), styles=half)
        output = wide(column, self.maps.output_map, self.caption, styles=half)
        curves = wide(column, self.curves.body, styles=half)
        long_running = wide(column, self.long_running, self.long_command.body)
        maps = wide(row, states, output, curves)
        self.body = wide(column, wide(row, *selects), maps, long_running, self.lane.body, self.failures.body)
        lost = text_box(html.LOST, visible=False)
        self.tell_when_lost(doc, lost)
        styles = {"padding": "8px 16px", "box-sizing": "border-box"}
        root = wide(column, lost, self.unreadable, self.header, self.body, self.history.body, styles=styles)
        root.stylesheets = [BELOW_TABS]
        doc.add_root(root)

    def tell_when_lost(self, doc: Any, lost: Div) -> None:
        """Have the browser show a text while the scheduler does not answer, and load the page anew when it does."""
        doc.config.notify_connection_status = False  # Bokeh's own words, which would lie over these
        for event, code in ((ConnectionLost, ON_LOST), (ClientReconnected, ON_RECONNECTED)):
            arguments = {"lost": lost, "text": html.LOST, "buttons": self.lane.buttons}
            doc.js_on_event(event, CustomJS(args=arguments, code=code))

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

    def _curve_chosen(self) -> None:
        """Another view of the same output: the map keeps what it shows."""
        if not self._choosing:
            self._follows = False
            self._due = self._read_due = 0.0
            self._answer_revision = -1
            self.update()
            self._due = 0.0

    def update(self) -> None:
        """Bring the window up to date, where something changed."""
        self._update_lane()
        began, spent = time.monotonic(), time.thread_time()
        if began < self._due:
            return
        self._choosing = True
        self._choose_run()
        self._choosing = False
        self.body.visible = self.run is not None
        self.history.show(self.run)
        set_text(self.unreadable, html.unreadable(self.monitor))
        self.unreadable.visible = bool(self.unreadable.text)
        if self.run is None:
            set_text(self.header, html.NO_SWEEP)
        else:
            self._show(self.run)
        # a drawing that takes long once holds nothing up; where all do, they soon come as rarely as they should
        self._wait = min((time.thread_time() - spent) / WINDOW_SHARE, max(FIRST_WAIT_S, 2 * self._wait))
        self._due = began + self._wait

    def _update_lane(self) -> None:
        """The lane apart from the maps, whose drawing may take long: somebody at the bench looks at it."""
        began, spent = time.monotonic(), time.thread_time()
        if began >= self._lane_due:
            self.lane.update()
            self._lane_due = began + min(LANE_WAIT_S, (time.thread_time() - spent) / WINDOW_SHARE)

    def _choose_run(self) -> None:
        runs = list(reversed(self.monitor.runs.values()))
        if not runs:
            return
        options = [(run.name, html.run_label(run)) for run in runs]
        if options != self.select_run.options:
            self.select_run.options = options
        if self._follows or self.select_run.value not in self.monitor.runs:
            self.select_run.value = runs[0].name
        run = self.monitor.runs[self.select_run.value]
        if run is self.run:
            return
        self.run, self._answer, self._read_due, self._failures_revision = run, None, 0.0, -1
        self._offer_axes(run.description.axes)
        outputs = [NO_OUTPUT, *(o.name for o in run.description.outputs)]
        self.select_output.options = outputs
        if self._follows or self.select_output.value not in outputs:
            views = [view.output for view in run.description.views]
            self.select_output.value = [*views, *outputs[:2]][0 if views else -1]

    def _offer_axes(self, axes: Sequence[AxisDescription]) -> None:
        """Those of a run; what a person chose stays chosen if the run has it."""
        names = [a.name for a in axes]
        chosen = (self.select_x.value, self.select_y.value)
        self.select_x.options, self.select_y.options = names, names
        self.select_y.visible = len(names) > 1
        if self._follows or not set(chosen) <= set(names):
            longest = sorted(range(len(names)), key=lambda i: -len(axes[i].values))[:2]
            self.select_x.value, self.select_y.value = names[max(longest)], names[min(longest)]

    def _axes(self, run: WatchedRun) -> tuple[int, int]:
        """Numbers of the axes up and across; a sweep of one axis has :data:`NO_AXIS` before it."""
        names = [a.name for a in run.description.axes]
        if len(names) == 1:
            return 0, 1
        y, x = (names.index(s.value) if s.value in names else 0 for s in (self.select_y, self.select_x))
        return (y, x) if y != x else (y, (y + 1) % len(names))

    def _show(self, run: WatchedRun) -> None:
        y, x = self._axes(run)
        block_map = self.monitor.block_map(run, y, x)
        output = next((o for o in run.description.outputs if o.name == self.select_output.value), None)
        self._offer_curves(run, output)
        self._draw(run, y, x, block_map)
        self._read(run, y, x, output)
        self.maps.name_output(output)
        self.select_inner.visible = bool(output and output.dims)
        self.select_inner.title = f"over {' and '.join(output.dims)}" if output else ""
        driver_lost = self.monitor.driver_lost(run)
        set_text(self.header, html.header(run, block_map, driver_lost=driver_lost))
        set_text(self.long_running, html.long_running(run, driver_lost=driver_lost))
        self.long_running.visible = bool(self.long_running.text)
        long = run.long_now() if self.long_running.visible else []
        self.long_command.show(html.cell_command(run, long[0].cell) if long else "", html.LONG_HINT if long else "")
        set_text(self.caption, html.caption(run, block_map, output, self.select_inner.value, self._answer))
        curves = self._answer.curves if self._answer is not None else None
        self.curves.show(curves, html.curve_caption(block_map, self._answer))
        if run.revision != self._failures_revision:
            self._failures_revision = run.revision
            self.failures.show(run, block_map)

    def _offer_curves(self, run: WatchedRun, output: OutputDescription | None) -> None:
        """What an output can be drawn against, and first its author's view; a choice stays until another output."""
        shown, before = (run.name, output.name if output else ""), self._curves_of
        if shown == before:
            return
        self._curves_of = shown
        view = self.curves.offer(run, output, keep=not self._follows and shown[1] == before[1])
        if view is not None:
            self._choosing, self.select_inner.value = True, view.inner
            self._choosing = False

    def _draw(self, run: WatchedRun, y: int, x: int, block_map: BlockMap) -> None:
        drawn_map, drawn_answer = self._drawn
        if self._laid_out != (run.name, y, x):
            axes, chunk = run.description.axes, run.grid.chunk
            if len(axes) == 1:
                axes, chunk = (NO_AXIS, *axes), (1, *chunk)
            self.maps.lay_out(html.MapAxis(axes[y], chunk[y]), html.MapAxis(axes[x], chunk[x]))
            self._laid_out = (run.name, y, x)
        elif drawn_map is block_map and drawn_answer is self._answer:
            return
        self.maps.show(block_map, None if self._answer is None else self._answer.mean)
        self._drawn = (block_map, self._answer)

    def _read(self, run: WatchedRun, y: int, x: int, output: OutputDescription | None) -> None:
        """Ask for the output so far, when it is time."""
        last = run.ended and self._answer_revision != run.revision  # at once: a scheduler may end soon after its run
        due = 0.0 if last else self._read_due
        if output is None or time.monotonic() < due or (self._reading and not self._reading.done()):
            return
        if self._answer is not None and self._answer.complete and self._answer_revision == run.revision:
            return
        revision = run.revision
        question = Question(
            path=run.description.path,
            cube_id=run.description.cube_id,
            epoch=run.description.epoch,
            output=output.name,
            inner=str(self.select_inner.value),
            states=run.states.copy(),
            y=y,
            x=x,
            view=self.curves.view(str(self.select_inner.value)),
        )

        async def ask() -> None:
            answer = await asyncio.to_thread(self.reader.ask, question)
            inner = str(self.select_inner.value)
            chosen = (self.run, *self._axes(run), self.select_output.value, inner, self.curves.view(inner))
            if chosen == (run, y, x, question.output, question.inner, question.view):  # else it shows another by now
                before = self._answer and self._answer.curves
                if before is None or answer.curves is None or before.view != answer.curves.view:
                    self._due = 0.0  # somebody waits for it
                self._answer, self._answer_revision = answer, revision
                self._read_due = time.monotonic() + READ_INTERVAL_S

        self._reading = asyncio.get_running_loop().create_task(ask())
