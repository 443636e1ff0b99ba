"""What a run shows while it goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from engine.cli.console import console
from engine.progress import duration
from engine.run import Run

PLAIN_SECONDS = 5.0  # between plain lines


class Display:
    """Progress of one run on standard error; the summary goes to standard output."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.also: Callable[[], None] = lambda: None
        """Called at each update; may raise to end the run."""
        self.console = console(stderr=True)
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[line]}"),
            console=self.console,
            transient=True,
            auto_refresh=True,
            refresh_per_second=4,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(run.sweep.name, total=max(run.progress.cells, 1), line="starting")
        self._noted = 0
        self._next_line = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Display:
        progress = self.run.progress
        have = math.prod(self.run.sweep.shape) - progress.cells
        found = (
            f"{progress.cells} cells to compute in {progress.blocks} blocks"
            if progress.cells
            else "nothing to compute"
        )
        failed = 0 if self.run.retry_failed else self.run.failed_before
        there = f", {have - failed} are there" if have - failed else ""
        there += f", {failed} failed (--retry-failed computes them again)" if failed else ""
        self.console.print(f"{self.run.sweep.name}: {found}{there}", soft_wrap=True)
        self._note()
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def where(self, client: Any, dashboard: bool) -> None:
        """Say where the work is done."""
        address = client.scheduler_info()["address"]
        self.console.print(f"on {address}" + (f", dashboard {client.dashboard_link}" if dashboard else ""))

    def update(self, run: Run) -> None:
        """Show the present state; cheap enough to call for every block."""
        self.also()
        self._note()
        now = time.monotonic()
        if self.console.is_terminal:
            self.bar.update(self.task, completed=run.progress.cells_ended, line=run.progress.line(now))
        elif now >= self._next_line or run.progress.blocks_ended == run.progress.blocks:
            self._next_line = now + PLAIN_SECONDS
            print(run.progress.line(now), file=sys.stderr, flush=True)

    def _note(self) -> None:
        """Print what is new of the run's notes."""
        for note in self.run.notes[self._noted :]:
            self.console.print(note, soft_wrap=True)
        self._noted = len(self.run.notes)

    def conclude(self) -> int:
        """The summary, and the command's exit status."""
        self.bar.stop()
        run, counts = self.run, self.run.conclude()
        seconds = time.monotonic() - self._began
        print(f"cube      {run.cube.path}")
        print(
            f"cells     {counts.done} of {counts.total} done"
            + (f", {counts.failed} failed" if counts.failed else "")
            + f" ({run.progress.cells_ended} in this run, {duration(seconds)})"
        )
        for line in run.broken[:5]:
            print(f"broken    {line}")
        if counts.failed:
            print(f"failed    {run.progress.last_error or 'in an earlier run'}")
            print(f"          spinsweep status {shown(run)} lists them; --retry-failed computes them again")
        if run.outcome == "stopped":
            print("stopped   what is done is kept; the same command goes on from here")
        return 0 if counts.done == counts.total else 1


def shown(run: Run) -> str:
    """The store's path as short as it can be typed from here."""
    return str(run.cube.path).removeprefix(f"{Path.cwd()}/")
