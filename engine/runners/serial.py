"""The reference runner: one task after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.cube import execute
from engine.errors import Stopped
from engine.instruments import own
from engine.run import Run
from engine.runners.interrupts import Interrupts


def run_serial(run: Run, on_progress: Callable[[Run], None] = lambda run: None) -> None:
    """Execute the run's tasks here; Ctrl-C or SIGTERM ends it after the writes of the block before, or the cycle at a
    bench."""
    run.begin()
    station = own.owned()
    try:
        if station is None:
            _execute(run, on_progress)
        else:
            with Interrupts() as interrupts:  # an exception in the middle of a cycle would lose its sample
                station.cancelled = lambda: interrupts.pressed

                def tell(report: dict[str, Any]) -> None:
                    run.tell_lane(report)
                    on_progress(run)

                station.on_progress = tell
                _execute(run, on_progress)
    except (KeyboardInterrupt, Stopped):
        run.outcome = "stopped"


def _execute(run: Run, on_progress: Callable[[Run], None]) -> None:
    for task in run.tasks():
        run.note(execute(run.job, task))
        on_progress(run)
