"""Bounds on how long something takes, on a machine that may be busy: the fastest of some tries has to hold them."""

from __future__ import annotations

import time
from collections.abc import Callable


def fastest(attempt: Callable[[], float | None], bound: float, tries: int = 5) -> float:
    """The shortest time of an attempt, s; no more attempts are made once one was shorter than ``bound``.

    Parameters
    ----------
    attempt : gives how long it took, s; None: its own duration counts
    """
    shortest = float("inf")
    for _ in range(tries):
        began = time.monotonic()
        took = attempt()
        shortest = min(shortest, time.monotonic() - began if took is None else took)
        if shortest < bound:
            break
    return shortest
