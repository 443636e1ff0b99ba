"""The runs of a scheduler in a terminal, as its plugin knows them: also where nobody here can see their cubes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spinsweep.cli.console import console
from spinsweep.dashboard.plugin import PLUGIN_NAME
from spinsweep.deployment.connect import ask, require_scheduler
from spinsweep.deployment.security import CLIENT, scheduler_address, secured
from spinsweep.errors import RunnerError
from spinsweep.failure_groups import failure_lines
from spinsweep.messages import MessageError, ProgressReport, RunNow, RunsReport
from spinsweep.printable import one_line
from spinsweep.progress import duration, left_in_words, long_in_words

QUESTION = f"{PLUGIN_NAME}_tell_runs"
PATIENCE_S = 60.0  # without an answer, after which a scheduler that answered before is given up
MAX_SHOWN = 4  # runs in full; the others by number
MAX_GROUPS = 5  # errors of a run

Curves = Callable[[str, str, Console], Sequence[RenderableType]]
"""Draws the curves of the cube at a path if it has that id, or says why it cannot."""


@dataclass(frozen=True)
class _Run:
    """A run as the scheduler tells of it, and the driver's last report."""

    now: RunNow
    report: ProgressReport

    @property
    def goes_on(self) -> bool:
        return not (self.report.ended or self.now.driver_lost)

    @property
    def is_done(self) -> bool:
        return self.report.ended and self.report.cells_done >= self.now.cells

    @property
    def name(self) -> str:
        return f"{self.now.sweep}, run {self.now.epoch} of {self.now.path.rpartition('/')[2]}"

    @property
    def counted(self) -> str:
        failed = f", {self.report.cells_failed} failed" if self.report.cells_failed else ""
        return f"{self.report.cells_ended} of {self.now.cells} cells{failed}"


class SchedulerView:
    """What one scheduler says of its runs.

    Parameters
    ----------
    scheduler : its address, or its scheduler file
    tls : folder of certificates
    """

    def __init__(self, scheduler: str, tls: Path | None, curves: Curves, *, insecure: bool) -> None:
        self.address, self.security = secured(scheduler_address(scheduler), tls, CLIENT, insecure=insecure)
        self.curves = curves
        self.runs: list[_Run] = []
        """Oldest first, as they were at the last answer."""
        self.unreadable: Sequence[str] = ()
        self._answered = 0.0
        """When the scheduler answered last, s of the monotonic clock."""
        self.lost = ""
        """Why it does not answer now; empty if it does."""

    def begin(self) -> None:
        """Look for the first time.

        Raises
        ------
        RunnerError
            One line: no scheduler answers there, it keeps no runs, or its spinsweep is of another version.
        """
        require_scheduler(self.address, self.security, CLIENT)
        self._ask()

    def look(self) -> None:
        """Look again; a scheduler that does not answer keeps the picture as it was, for a while.

        Raises
        ------
        RunnerError
            It has not answered for :data:`PATIENCE_S`, or is another one by now, which keeps no runs.
        """
        try:
            self._ask()
        except _Silent as error:
            silence_s = time.monotonic() - self._answered
            if silence_s > PATIENCE_S:
                raise RunnerError(
                    f"the scheduler at {self.address} has not answered for {duration(round(silence_s))}; "
                    "its run may have ended"
                ) from None
            self.lost = f"connection lost {duration(round(silence_s))} ago, what follows is from before ({error})"

    def _ask(self) -> None:
        try:
            answer = ask(self.address, self.security, QUESTION)
        except RunnerError as error:
            raise _Silent(str(error)) from None
        if answer is None:
            raise RunnerError(
                f"the scheduler at {self.address} tells nothing of runs: no sweep has begun there since it started, "
                "or its spinsweep is an older one"
            )
        try:
            answered = RunsReport.from_json(answer)
            self.runs = [_Run(now, ProgressReport.from_json(now.report)) for now in answered.runs]
        except MessageError as error:
            raise RunnerError(f"the scheduler at {self.address} cannot be watched: {error}") from None
        self.unreadable, self.lost, self._answered = answered.unreadable, "", time.monotonic()

    @property
    def shown(self) -> list[_Run]:
        """The runs that go on, or else the newest; the newest last."""
        return [run for run in self.runs if run.goes_on] or self.runs[-1:]

    @property
    def is_over(self) -> bool:
        """Whether there were runs, and none goes on."""
        return bool(self.runs) and not any(run.goes_on for run in self.runs)

    @property
    def exit_status(self) -> int:
        """0 if all that is shown is done."""
        return 0 if self.runs and all(run.is_done for run in self.shown) else 1

    def picture(self, out: Console) -> RenderableType:
        """All that is known, for a terminal of that width."""
        shown = self.shown[-MAX_SHOWN:]
        parts: list[RenderableType] = [Text(one_line(self.lost), style="bold")] if self.lost else []
        parts += [Text(one_line(line)) for line in self.unreadable]
        if not shown:
            return Group(*parts, Text(f"no sweep yet on {self.address}"))
        for run in shown:
            parts += [_table(run), *map(Text, _failures(run.report))]
        if others := len(self.runs) - len(shown):
            parts.append(Text(f"and {others} other run{'s' if others > 1 else ''} of this scheduler"))
        newest = shown[-1].now
        return Group(*parts, *self.curves(newest.path, newest.cube_id, out))


class _Silent(Exception):
    """The scheduler did not answer."""


def follow(view: SchedulerView, *, once: bool, every: float) -> int:
    """The picture, drawn anew on a terminal; else a line whenever cells have ended, and the picture at the end."""
    out = console()
    view.begin()
    if once or not out.is_terminal:
        before: set[str] = set()
        while not (once or view.is_over):
            lines = {f"{run.name}: {run.counted}" for run in view.shown} or {f"no sweep yet on {view.address}"}
            for line in sorted({*lines, *filter(None, [view.lost and "connection lost"])} - before):
                out.print(one_line(line), soft_wrap=True)
            out.file.flush()  # whoever reads a pipe follows, too
            before = lines
            time.sleep(every)
            view.look()
        out.print(view.picture(out), soft_wrap=True)
        return view.exit_status
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(view.picture(out), refresh=True)
            if view.is_over:
                return view.exit_status
            time.sleep(every)
            view.look()


def _table(run: _Run) -> Table:
    now, report = run.now, run.report
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("sweep", one_line(f"{now.sweep}: {now.title}"))
    table.add_row("axes", one_line(", ".join(f"{name} ({length})" for name, length in now.axes.items())))
    table.add_row("cube", one_line(f"{now.path}, run {now.epoch}"))
    table.add_row("cells", f"{run.counted} of this run")
    if report.round:
        table.add_row("until", one_line(report.round))
    state = "ended" if report.ended else "its driver is gone" if now.driver_lost else "running"
    rate = [f"{report.rate:.3g} cells/s"] if report.rate and run.goes_on else []
    left = [left_in_words(report.time_left)] if report.time_left is not None and run.goes_on else []
    table.add_row("now", ", ".join([f"{state} after {duration(report.seconds)}", *rate, *left]))
    for problem in now.problems:
        table.add_row("", one_line(problem))
    for number, block in enumerate(report.long):
        table.add_row("" if number else "computing", one_line(long_in_words(block)))
    if report.more_long:
        table.add_row("", f"and {report.more_long} more blocks that take long")
    return table


def _failures(report: ProgressReport) -> Iterator[str]:
    """The failures by error, most frequent first, as of a cube."""
    rest = max(0, report.cells_failed - sum(group.cells for group in report.groups))
    return failure_lines(report.groups, MAX_GROUPS, rest, report.more_groups)
