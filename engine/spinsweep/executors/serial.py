"""The reference runner: one task after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from spinsweep.cube import execute
from spinsweep.errors import Stopped
from spinsweep.interrupts import Interrupts
from spinsweep.runs import Run
from spinsweep.warden import Warden
from spinsweep.work import working


def run_serial(run: Run, on_progress: Callable[[Run], None] = lambda run: None) -> None:
    """Execute the run's tasks here; told to end, finish the block in hand, or the cycle at a bench.

    Raises
    ------
    Interrupted
        Told so twice: the block in hand is lost.
    """
    run.begin()
    warden = Warden.here if Warden.here is not None and Warden.here.deaf else None
    with Interrupts(soon=lambda: None) as interrupts, warden.alone() if warden else nullcontext():

        def tell(report: Mapping[str, Any]) -> None:
            run.on_lane_report(report)
            on_progress(run)

        if warden is not None:

            def say() -> None:
                run.notes.append(
                    "stopping: waiting for the block that is being computed; Ctrl-C again leaves at once"
                )
                on_progress(run)

            warden.on_first = say
        try:
            with working(lambda: interrupts.requested, tell):
                for task in run.tasks():
                    run.note(execute(run.job, task))
                    on_progress(run)
                    if interrupts.requested:
                        break
        except Stopped:
            run.outcome = "stopped"
        if interrupts.requested:
            run.outcome = "stopped"
