"""The reference runner: one task after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from spinsweep.cube import execute
from spinsweep.errors import Stopped
from spinsweep.instruments import own
from spinsweep.interrupts import Interrupts
from spinsweep.run import Run
from spinsweep.warden import Warden


def run_serial(run: Run, on_progress: Callable[[Run], None] = lambda run: None) -> None:
    """Execute the run's tasks here; told to end, finish the block in hand, or the cycle at a bench.

    Raises
    ------
    Interrupted
        Told so twice: the block in hand is lost.
    """
    run.begin()
    station = own.owned()
    warden = Warden.here if station is None else None  # at a bench this thread waits, and hears at once
    with Interrupts(soon=lambda: None) as interrupts, warden.alone() if warden else nullcontext():
        if station is not None:
            station.cancelled = lambda: interrupts.pressed

            def tell(report: dict[str, Any]) -> None:
                run.tell_lane(report)
                on_progress(run)

            station.on_progress = tell
        elif warden is not None:

            def say() -> None:
                run.notes.append(
                    "stopping: waiting for the block that is being computed; Ctrl-C again leaves at once"
                )
                on_progress(run)

            warden.on_first = say
        try:
            for task in run.tasks():
                run.note(execute(run.job, task))
                on_progress(run)
                if interrupts.pressed:
                    break
        except Stopped:
            run.outcome = "stopped"
        if interrupts.pressed:
            run.outcome = "stopped"
