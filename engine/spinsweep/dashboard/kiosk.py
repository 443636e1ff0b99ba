"""The Sweep page for a screen on the wall, ``/sweep?kiosk=1``: large type, the newest run, and nothing to choose.

It is the same window with another arrangement: what it shows, and when it draws, is up to :class:`SweepPage`.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from bokeh.core.templates import FILE
from bokeh.layouts import column, row
from bokeh.models import Line, MultiLine, Scatter

from spinsweep.dashboard import html
from spinsweep.dashboard.blockmap import BlockMap, BlockState
from spinsweep.dashboard.monitor import ReportedLane, WatchedRun
from spinsweep.dashboard.page import SweepPage
from spinsweep.dashboard.widgets import set_text, text_box
from spinsweep.progress import duration, left_is_wide

TEXT_PX = 28
"""Letters that people read at 3 m."""
MAX_TICKS, TICK_CHARACTERS = 6, 30  # at an axis with such letters
MAX_GROUPS = 2  # errors that have room
TEMPLATE = FILE
"""Bokeh's page around the drawings, without Dask's tabs."""
STYLE = f"""
{html.STYLE}
:host {{ font-size: {TEXT_PX}px; line-height: 1.3; }}
h2 {{ font-size: 40px; line-height: 1.15; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
      overflow: hidden; }}
.dim {{ font-size: {TEXT_PX}px; }}
.line {{ white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.bar {{ height: 24px; margin: 12px 0; }}
.key {{ width: 24px; height: 24px; margin: 0 8px -3px 0; font: 22px/24px sans-serif; }}
.numbers {{ display: flex; flex-wrap: wrap; gap: 0 48px; }}
.number {{ flex: 1 1 240px; }}
.number b {{ display: block; font-size: 60px; line-height: 1.15; font-weight: 600; white-space: nowrap; }}
.failed b {{ color: {html.COLOURS[BlockState.FAILED]}; }}
.warn {{ font-weight: 600; }}
"""
LOST_STYLE = f"{STYLE} .warn {{ background: #a03c00; color: #fff; padding: 12px 24px; font-size: 40px; }}"


class KioskPage(SweepPage):
    """What one screen sees."""

    def _arrange(self, doc: Any) -> None:
        self.numbers, self.below = (text_box(sizing_mode="stretch_width") for _ in range(2))
        lost = text_box(html.LOST, visible=False, sizing_mode="stretch_width")
        legend = text_box(html.legend("failed"), sizing_mode="stretch_width")
        boxes = (self.unreadable, self.header, self.numbers, legend, self.caption, self.below)
        for box in (*boxes, self.curves.legend, self.curves.caption):
            box.stylesheets = [STYLE]
        lost.stylesheets = [LOST_STYLE]
        self.maps.max_ticks, self.maps.tick_characters = MAX_TICKS, TICK_CHARACTERS
        self.maps.colour_bar.update(width=24, major_label_text_font_size=f"{TEXT_PX}px")
        for plot in (self.maps.state_map, self.maps.output_map, self.curves.plot, self.lane.curve):
            _enlarge(plot)
        shrinks = {"min-height": "0", "min-width": "0", "flex": "1 1 0"}
        fill: dict[str, Any] = {"sizing_mode": "stretch_both", "styles": shrinks}
        self.states = column(self.maps.state_map, legend, **fill)
        self.output = column(self.maps.output_map, self.caption, **fill)
        self.curve_box = column(self.curves.plot, self.curves.legend, self.curves.caption, **fill)
        self.measured = column(self.lane.curve, **fill)
        drawings = row(self.states, self.output, self.curve_box, self.measured, **fill)
        drawings.styles = {**shrinks, "gap": "0 32px"}
        self.body = column(self.numbers, drawings, self.below, **fill)
        self.tell_when_lost(doc, lost)
        styles = {"padding": "16px 32px", "box-sizing": "border-box", "height": "100vh", "background": "#ffffff"}
        root = column(lost, self.unreadable, self.header, self.body, sizing_mode="stretch_both", styles=styles)
        doc.add_root(root)

    def update(self) -> None:
        """Bring the screen up to date, where something changed."""
        super().update()
        self.header.visible = self.run is None
        # two drawings have room: what is measured now, and curves, come before the maps
        is_measured, has_curves = self._lane() is not None, bool(self.curves.points.data["x"])
        self.measured.visible, self.curve_box.visible = is_measured, has_curves
        self.states.visible = not (is_measured and has_curves)
        self.output.visible = not (is_measured or has_curves)

    def _lane(self) -> ReportedLane | None:
        """The lane that draws something."""
        return self.monitor.lanes.get(self.lane.bench) if self.lane.curve.visible else None

    def _show(self, run: WatchedRun) -> None:
        super()._show(run)
        block_map = self.monitor.block_map(run, *self._axes(run))
        driver_lost = self.monitor.driver_lost(run)
        lane = self._lane()
        set_text(self.numbers, numbers(run, block_map, lane))
        set_text(self.below, below(run, lane, driver_lost=driver_lost))
        self.below.visible = bool(self.below.text)


def numbers(run: WatchedRun, block_map: BlockMap, lane: ReportedLane | None) -> str:
    """Title, key numbers and bar of a run; ``lane`` is the one that measures."""
    about = run.description
    shown = "".join(
        f'<div class="number{" failed" if kind == "failed" and run.report.cells_failed else ""}">'
        f"<b>{escape(number)}</b>{escape(what)}</div>"
        for kind, number, what in _key_numbers(run, lane)
    )
    where = f"{about.sweep} · run {about.epoch} of {about.path.rpartition('/')[2]}"
    if run.report.round:
        where += f" · {run.report.round}"
    return (
        f'<h2>{escape(about.title)}</h2><div class="dim line">{escape(where)}</div>'
        f'{html.bar(run, block_map)}<div class="numbers">{shown}</div>'
    )


def _key_numbers(run: WatchedRun, lane: ReportedLane | None) -> Iterator[tuple[str, str, str]]:
    """What each number is, itself, and what stands below it."""
    report = run.report
    yield "done", f"{report.cells_done:,}", f"of {run.cells:,} cells done"
    yield "rate", f"{report.rate:.3g}" if report.rate else "–", "cells/s"
    if run.ended:
        yield "left", duration(report.seconds), "it took, and has ended"
    elif (left := report.time_left) is not None:
        spread = f" ({duration(left.low)} to {duration(left.high)})" if left_is_wide(left) else ""
        yield "left", duration(left.seconds), f"left{spread}"
    elif lane is not None and lane.report.seconds_left is not None:
        yield "left", duration(lane.report.seconds_left), "left of this cell"
    else:
        yield "left", "–", "time left"
    yield "failed", f"{report.cells_failed:,}", "failed"


def below(run: WatchedRun, lane: ReportedLane | None, *, driver_lost: bool) -> str:
    """What is wrong, what the bench measures, the cells that take long, and the commonest errors; a line each."""
    lines = [f'<div class="warn line">{escape(line)}</div>' for line in run.problems(driver_lost=driver_lost)]
    if lane is not None:
        figures = "".join(f", {name} {value:.4g}" for name, value in lane.report.figures.items())
        lines.append(_line(f"bench {lane.report.bench}: {lane.report.cell}, {lane.report.train}{figures}"))
    elif not driver_lost and (long := run.long_now()):
        longest = " ".join(f"{name} {html.value_text(value)}" for name, value in long[0].cell.items())
        lines.append(_line(f"{longest} takes {duration(long[0].cell_seconds)} so far, on {long[0].worker}"))
    groups = run.report.groups
    lines += [_line(f"{group.cells:,} × {group.error}") for group in groups[:MAX_GROUPS]]
    if more := len(groups[MAX_GROUPS:]) + run.report.more_groups:
        lines.append(_line(f"and {more:,} more errors"))
    return "".join(lines)


def _line(words: str) -> str:
    return f'<div class="line">{escape(words)}</div>'


def _enlarge(plot: Any) -> None:
    size = f"{TEXT_PX}px"
    plot.sizing_mode, plot.min_height = "stretch_both", 120
    plot.title.text_font_size = size
    plot.axis.axis_label_text_font_size = size
    plot.axis.major_label_text_font_size = size
    for renderer in plot.renderers:
        if isinstance(renderer.glyph, Line | MultiLine):
            renderer.glyph.line_width = 4
        elif isinstance(renderer.glyph, Scatter):
            renderer.glyph.size = 12
