"""The reference runner: one task after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable

from engine.cube import execute
from engine.run import Run


def run_serial(run: Run, on_progress: Callable[[Run], None] = lambda run: None) -> None:
    """Execute the run's tasks here; Ctrl-C ends it after the writes of the block before."""
    run.begin()
    try:
        for task in run.tasks():
            run.note(execute(run.job, task))
            on_progress(run)
    except KeyboardInterrupt:
        run.outcome = "stopped"
