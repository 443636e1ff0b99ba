"""What a script or notebook shows of a run: a bar in a notebook or on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import html
import sys
import time
from typing import Any, Protocol

from spinsweep.interactive.words import in_python
from spinsweep.printable import one_line, printable, say
from spinsweep.progress import duration
from spinsweep.runs import Run

FIRST_LINE_S = 5.0  # until the first plain line; each next one comes after twice the time,
LONGEST_S = 300.0  # up to this
UPDATE_S = 0.5  # between updates of a bar
WAITING_S = 3.0  # after which it is said what a run waits for


class Bar(Protocol):
    """Where the present state of a run is shown; what stays is said by ``say``."""

    def update(self, text: str, done: int, total: int) -> None:
        """Show it in place of what was there."""

    def close(self) -> None:
        """Take away what is no longer true."""


class RunDisplay:
    """One run on standard error, or in the notebook."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._noted = 0
        self._next = 0.0
        self._began = self._went_on = time.monotonic()
        self._waiting = ""

    def update(self, run: Run) -> None:
        """Show the present state; the first time, say what there is to do."""
        now = time.monotonic()
        if self._bar is None:
            self._went_on = now
            self._bar = _bar(run.sweep.name)
            say(f"{run.sweep.name}: {in_python(run.work)}", error=True)
        self._note(run)
        self._say_what_it_waits_for(run.progress.waiting, now)
        if now >= self._next:
            self._next = now + UPDATE_S
            self._bar.update(one_line(run.progress.line(now)), run.progress.cells_ended, run.progress.cells)

    def close(self, run: Run | None) -> None:
        """Say how the run ended."""
        if self._bar is None or run is None:
            return
        self._bar.close()
        self._note(run)
        if run.ended is not None and run.progress.cells:
            seconds = duration(time.monotonic() - self._began)
            counts = run.ended
            say(
                f"{run.sweep.name}: {counts.done} of {counts.total} cells done{counts.failures} ({seconds})",
                error=True,
            )
        if run.ended is not None and run.rounds is not None:
            from spinsweep.runs.sets import lines  # late: xarray takes long to load

            for label, text in lines(run.rounds):
                say(one_line(f"{label}: {text}"), error=True)

    def _note(self, run: Run) -> None:
        for note in run.notes[self._noted :]:
            say(one_line(in_python(note)), error=True)
        self._noted = len(run.notes)

    def _say_what_it_waits_for(self, waiting: str, now: float) -> None:
        if not waiting:
            self._went_on, self._waiting = now, ""
        elif waiting != self._waiting and now >= self._went_on + WAITING_S:
            self._waiting = waiting
            say(one_line(f"waiting for {in_python(waiting)}"), error=True)


def _bar(name: str) -> Bar:
    if _in_notebook():
        return _NotebookBar(name)
    return _TerminalBar(name) if sys.stderr.isatty() else _Lines(name)


def _in_notebook() -> bool:
    """Whether this is the process of a Jupyter kernel, which shows what IPython is told to display."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class _Lines:
    """Into a file or a pipe: fewer and fewer lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wait = FIRST_LINE_S
        self._next = time.monotonic() + self._wait

    def update(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next and done < total:
            self._wait = min(2 * self._wait, LONGEST_S)
            self._next = now + self._wait
            say(f"{self._name}: {text}", error=True)

    def close(self) -> None:
        pass


class _TerminalBar:
    def __init__(self, name: str) -> None:
        from rich.console import Console  # late, like all that only a terminal needs
        from rich.progress import BarColumn, Progress, TextColumn

        columns = TextColumn(name, markup=False), BarColumn(), TextColumn("{task.description}", markup=False)
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def update(self, text: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=text, completed=done, total=max(total, 1))

    def close(self) -> None:
        self._progress.stop()


class _NotebookBar:
    """HTML's own bar, beside the line; rich would need widgets of another package for one that moves."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    def update(self, text: str, done: int, total: int) -> None:
        bar = f'<progress value="{done}" max="{max(total, 1)}"></progress>'
        line = printable(f"{self._name}: {text}")
        self._show({"text/plain": line, "text/html": f"{bar} {html.escape(line)}"})

    def close(self) -> None:
        if self._handle is not None:
            self._show({"text/plain": "", "text/html": ""})

    def _show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            display = sys.modules["IPython"].display
            self._handle = display.display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
