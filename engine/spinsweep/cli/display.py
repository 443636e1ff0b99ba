"""What a run shows while it goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.progress import BarColumn, TaskProgressColumn, TextColumn

from spinsweep.cli.console import console
from spinsweep.cli.live_view import LiveBar
from spinsweep.printable import one_line, say
from spinsweep.progress import duration
from spinsweep.runs import Run

PLAIN_SECONDS = 5.0  # between plain lines
ADVICE_AFTER_S = 60.0  # seconds that a run waits before it says what to look at


class Display:
    """Progress of one run on standard error; the summary goes to standard output."""

    def __init__(self) -> None:
        self.also: Callable[[], None] = lambda: None
        """Called at each update; may raise to end the run."""
        self.advice: Callable[[], str] = lambda: ""
        """Said once when the run waits for long."""
        self._advised = False
        self.summary = ""
        """How the run ended, once it has."""
        self.console = console(stderr=True)
        self.bar = LiveBar(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[line]}", markup=False),
            console=self.console,
            transient=True,
            refresh_per_second=4,
            disable=not self.console.is_terminal,
        )
        self._run: Run | None = None
        self._noted = 0
        self._next_line = 0.0
        self._began = self._went_on = time.monotonic()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.stop()

    def update(self, run: Run) -> None:
        """Show the present state; cheap enough to call for every block. The first time, say what there is to do."""
        if self._run is None:
            self._begin(run)
            return
        self.also()
        now = time.monotonic()
        if not run.progress.waiting:
            self._went_on = now
        elif not self._advised and now >= self._went_on + ADVICE_AFTER_S:
            self._advised = True
            run.notes += filter(None, [self.advice()])
        self._note(run)
        if self.console.is_terminal:
            self.bar.lane = run.lane
            self.bar.cells_left = run.progress.cells - run.progress.cells_ended
            line = one_line(run.progress.line(now) if run.lane is None else run.progress.counted)
            total, ended = max(run.progress.cells, 1), run.progress.cells_ended + self.bar.part
            self.bar.update(self._task, total=total, completed=ended, line=line)
            return
        ended = run.progress.blocks_ended == run.progress.blocks
        if not ended and self._next_line == math.inf:  # another round
            self._next_line = now + PLAIN_SECONDS
        if now >= self._next_line or (ended and self._next_line < math.inf):
            self._next_line = math.inf if ended else now + PLAIN_SECONDS
            say(run.progress.line(now), error=True)

    def _begin(self, run: Run) -> None:
        self._run = run
        self._went_on = time.monotonic()
        self.console.print(f"{run.sweep.name}: {run.work}", soft_wrap=True)
        self._note(run)
        self._task = self.bar.add_task(run.sweep.name, total=max(run.progress.cells, 1), line="starting")
        self.bar.start()

    def _note(self, run: Run) -> None:
        """Print what is new of the run's notes."""
        for note in run.notes[self._noted :]:
            self.console.print(one_line(note), soft_wrap=True)
        self._noted = len(run.notes)

    def finish(self) -> int:
        """The summary, and the command's exit status."""
        self.bar.stop()
        assert self._run is not None, "update was never called"
        run, counts = self._run, self._run.finish()
        self._note(run)  # what came up after the last update
        seconds = time.monotonic() - self._began
        say(f"cube      {run.cube.storage}")
        self.summary = f"{counts.done} of {counts.total} cells done{counts.failures}"
        self.summary += ", stopped" if run.outcome == "stopped" else ""
        here = f"{run.progress.cells_ended} in this run, {duration(seconds)}"
        say(f"cells     {counts.done} of {counts.total} done{counts.failures} ({here})")
        if run.rounds is not None:
            from spinsweep.runs.sets import lines  # late: xarray takes long to load

            for label, text in lines(run.rounds):
                say(f"{label:<10}{one_line(text)}")
        for line in run.unwritten_blocks[:5]:
            say(f"broken    {one_line(line)}")
        if counts.failed or (counts.incomplete and run.progress.last_error):
            say(f"failed    {one_line(run.progress.last_error) or 'in an earlier run'}")
            store = str(run.cube.storage).removeprefix(f"{Path.cwd()}/")  # as short as it can be typed from here
            say(f"          spinsweep status {store} lists them; --retry-failed computes them again")
        if run.outcome == "stopped":
            left = "what is done is kept; run the same command again to continue"
            if why := run.stopped_because:
                left = f"{one_line(why)}; run it again to go on, with --max-failures inf to the end, or with "
                left += "--retry-failed when the cause is mended"
            over = counts.ended == counts.total and (run.rounds is None or run.complete)
            say(f"stopped   {'nothing was left to do by then' if over else left}")
        return 0 if run.complete else 1


def dashboard_page(client: Any) -> tuple[str, str] | None:
    """The address of the Sweep page of a client's scheduler and what to know of it; None if none is served.

    Where the scheduler runs on another machine, the first holds the way there as well.
    """
    info = client.scheduler_info()
    address, port = urlsplit(info["address"]), info["services"].get("dashboard")
    if client.cluster is not None:  # which may forward the port
        address = urlsplit(client.cluster.dashboard_link)
        port = address.port
    if not port:
        return None
    from spinsweep.dashboard.reports import page_prefix

    prefix = page_prefix(client)
    seen = "" if prefix else " (every user of that machine can see it; --dashboard-token)"
    return _sweep_page(address.hostname or "", port, prefix), seen


def _sweep_page(host: str, port: int, prefix: str = "") -> str:
    """How a browser on this machine gets to the Sweep page: dashboards listen on the loopback of their machine."""
    page = f"http://127.0.0.1:{port}{prefix}/sweep"
    try:
        family, *_, address = socket.getaddrinfo(host, 0)[0]
        with socket.socket(family) as probe:
            probe.bind(address)  # an address of this machine
    except OSError:
        return f"{page} after `ssh -L {port}:localhost:{port} {host}`"
    return page
