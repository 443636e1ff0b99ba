"""Stopping a lane from the Sweep page: the scheduler tells the lane alone, and what came of it stands on every page.

The only message is "stop and make safe": nothing here can start or fire anything.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.messages import LANE_STOP, StopAnswer

ANSWER_S = 60.0  # in which a lane has to answer: longer than the longest action takes, and a broken link


@dataclass(frozen=True)
class StopOutcome:
    """How far a stop is."""

    text: str
    is_safe: bool | None = None
    """None: the lane has not answered yet."""
    at_time: float = field(default_factory=time.monotonic)
    """s of the monotonic clock."""

    @property
    def is_over(self) -> bool:
        """Whether the lane has answered, or will not."""
        return self.is_safe is not None


async def stop_lane(monitor: SweepMonitor, outcomes: dict[str, StopOutcome], bench: str) -> None:
    """Have the lane of a bench give its cycle up and make the bench safe; ``outcomes`` holds how far that is."""
    if bench in outcomes and not outcomes[bench].is_over:  # another window was faster
        return
    workers = [w for w in monitor.lane_workers() if w.name == f"lane-{bench}"]
    if not workers:
        nothing = f"{_now()}: no lane of bench {bench} is connected to this scheduler: there is nothing to stop here."
        outcomes[bench] = StopOutcome(nothing, is_safe=False)
        return
    outcomes[bench] = StopOutcome(f"{_now()}: the lane was told to stop and to make bench {bench} safe.")
    try:
        tell = getattr(monitor.scheduler.rpc(workers[0].address), LANE_STOP)
        answer = StopAnswer.from_json(await asyncio.wait_for(tell(), ANSWER_S))
    except Exception as error:  # whatever it was, nobody knows the state of the bench
        said = f"the lane did not answer ({type(error).__name__})"
        outcomes[bench] = StopOutcome(_doubtful(bench, said), is_safe=False)
        return
    if answer.problem:
        outcomes[bench] = StopOutcome(_doubtful(bench, answer.problem), is_safe=False)
    else:
        doing = f"the cycle in hand of {answer.doing} was given up" if answer.doing else "no cycle was in hand"
        text = f"{_now()}: bench {bench} is safe: {answer.state}; {doing}. The lane ends."
        outcomes[bench] = StopOutcome(text, is_safe=True)


def _doubtful(bench: str, problem: str) -> str:
    return (
        f"{_now()}: bench {bench} is not known to be safe: {problem}. Look at the source now. Its watchdog goes on "
        "trying; what helps without any software is the interlock."
    )


def _now() -> str:
    return time.strftime("%H:%M:%S")
