"""What a block function may ask and say while it works, answered by the executor that called it.

A function that acts on the world, as on a bench, may work for hours: between its steps it asks whether anybody still
wants the result, and tells what it does. Functions that only compute need none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """The two hooks of the work in hand."""

    cancelled: Callable[[], bool] = lambda: False
    report: Callable[[Mapping[str, Any]], None] = lambda message: None


_current: ContextVar[Work] = ContextVar("spinsweep-work", default=Work())  # noqa: B039 - it is frozen


def cancelled() -> bool:
    """Whether the work in hand is to end at its next step, by a :class:`~spinsweep.errors.WorkInterrupted`."""
    return _current.get().cancelled()


def report(message: Mapping[str, Any]) -> None:
    """Tell the run, and the dashboard, what the work in hand does; JSON values."""
    _current.get().report(message)


@contextmanager
def working(cancelled: Callable[[], bool], report: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Answer to what is called inside, in this thread."""
    token = _current.set(Work(cancelled, report))
    try:
        yield
    finally:
        _current.reset(token)
