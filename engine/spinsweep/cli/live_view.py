"""What a terminal shows while a lane measures: the curve as it grows, the bar, the last reading and the time left.

The lane reports once a second; this only draws.  A terminal that is too low for the curve shows the lines alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.progress import Progress
from rich.text import Text

from spinsweep.cli.plot import draw
from spinsweep.messages import LaneReport
from spinsweep.printable import one_line
from spinsweep.progress import duration
from spinsweep.runs.opened import ReceivedReport
from spinsweep.si import quantity

MAX_WIDTH, MAX_HEIGHT = 90, 20  # of the curve, characters
LINES_BELOW = 8  # that the curve leaves free: of the bar, of the lane, and of what was printed before
SILENCE_S = 10.0  # without a report, after which the age of what is shown is said


class LiveBar(Progress):
    """A progress bar between the curve and the lines of the lane that measures, if one does."""

    def __init__(self, *columns: Any, **options: Any) -> None:
        self.lane: ReceivedReport | None = None
        self.cells_left = 0
        """Of the run, the one in hand too."""
        super().__init__(*columns, **options)

    @property
    def part(self) -> float:
        """Of the cell in hand that is done, 0 to 1."""
        report = self.lane.report if self.lane else None
        if report is None or report.seconds_left is None or not report.seconds_whole:
            return 0.0
        part: float = 1 - report.seconds_left / report.seconds_whole
        return min(1.0, max(0.0, part))

    def get_renderables(self) -> Iterable[RenderableType]:
        """Called by rich four times a second."""
        lane = self.lane
        if lane is not None:
            size = self.console.size
            height = min(MAX_HEIGHT, size.height - LINES_BELOW)
            unicode = not self.console.options.ascii_only
            if curve := draw(lane.report.series, min(MAX_WIDTH, size.width - 1), height, unicode=unicode):
                yield curve
        yield from super().get_renderables()
        if lane is not None:
            for line in lane_lines(lane.report, self.cells_left, time.monotonic() - lane.at_time):
                yield Text(one_line(line), no_wrap=True, overflow="ellipsis")


def lane_lines(report: LaneReport, cells_left: int, age_s: float) -> list[str]:
    """What is measured, the last reading with what it is told by, and the time left, one line each.

    Parameters
    ----------
    cells_left : of the run, the one in hand too
    age_s : since the report came, s
    """
    silent = f"; no report for {duration(round(age_s))}" if age_s > SILENCE_S else ""
    lines = [f"{report.cell}: {report.train}, {report.cycles:,} cycles since the lane started{silent}"]
    for readings in report.readings:
        unit = readings.y_unit
        levels = ", ".join(f"{name} {quantity(value, unit)}" for name, value in report.levels.items())
        reading = quantity(readings.y[-1], unit) if readings.y else "none"
        lines.append(f"last reading of {readings.name}: {reading}" + (f" ({levels})" if levels else ""))
    figures = [f"{name} {value:.4g}" for name, value in report.figures.items()]
    lines.append(", ".join([*figures, *time_left(report, cells_left)]))
    return [line for line in lines if line]


def time_left(report: LaneReport, cells_left: int) -> list[str]:
    """Of the cell and, if there are more, of the run, which is taken to have cells that last as long."""
    if report.seconds_left is None:
        return []
    left = [f"{duration(report.seconds_left)} left of this cell"]
    if cells_left > 1:
        run_s = report.seconds_left + (cells_left - 1) * (report.seconds_whole or 0.0)
        left.append(f"about {duration(run_s)} of the run")
    return left
