"""Errors of instruments that have no error queue: the bits of ``*ESR?`` (IEEE 488.2, 11.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spinsweep.bench.errors import InstrumentFault
from spinsweep.bench.settings import number, refuse_events

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

QUERY_ERROR, EXECUTION_ERROR, COMMAND_ERROR = 4, 16, 32
_ERRORS = {QUERY_ERROR: "a query error", EXECUTION_ERROR: "an execution error", COMMAND_ERROR: "a command error"}


def refuse_command_errors(session: Session, events: str, when: str) -> None:
    """``InstrumentFault`` if ``events``, the reply to ``*ESR?``, has an error, or says that settings may be others.

    ``when`` completes the sentence "reports ... when ...".
    """
    refuse_events(session, events)
    happened = int(number(session, events))
    if errors := [name for bit, name in _ERRORS.items() if happened & bit]:
        raise InstrumentFault(f"{session.name}: reports {' and '.join(errors)} (*ESR? {events}) when {when}")


def numbers(session: Session, text: str, count: int) -> list[float]:
    """A reply of ``count`` numbers with commas between; anything else poisons the session: ``ConnectionLost``."""
    values = [number(session, part) for part in text.split(",")]
    if len(values) != count:
        raise session.distrust(f"{text!r} came instead of {count} numbers")
    return values
