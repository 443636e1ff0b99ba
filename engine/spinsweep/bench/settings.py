"""Settings that are sent, read back and compared, and the error queue: what the drivers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from spinsweep.bench.errors import InstrumentFault

if TYPE_CHECKING:  # who reads a bench file loads no VISA
    from spinsweep.bench.visa import Session

POWER_ON = 128
"""Bit of ``*ESR?``: the power was off since it was last read (IEEE 488.2, 11.5.1)."""
USER_REQUEST = 64
"""Bit of ``*ESR?``: a key of the front panel was pressed, the key LOCAL of Keithley's (IEEE 488.2, 11.5.1)."""
ERRORS = ":STAT:QUE?"
"""The oldest entry of a Keithley's error queue, ``0,"No error"`` when it is empty."""
SYSTEM_ERRORS = ":SYST:ERR?"
"""The same of any instrument that keeps to SCPI (SCPI-1999 volume 2, 21.8)."""
_MAX_ERRORS = 20
KNOWN_REPLIES = 1000
"""Replies to questions for settings that a session remembers, with the settings that they agree with."""


class Setting(NamedTuple):
    """One setting: a command with one value, whose query gives the value back."""

    header: str
    """Command without the leading colon, such as ``SOUR:CURR:COMP``."""
    value: float | str
    tolerance: float = 0.0
    """How far what is read back may be off, in the value's own unit: the instrument's resolution."""

    @property
    def command(self) -> str:
        """Sets it; numbers with all their digits."""
        return f":{self.header} {self.value!r}" if isinstance(self.value, float) else f":{self.header} {self.value}"

    @property
    def query(self) -> str:
        """Reads it back."""
        return f":{self.header}?"


def commands(settings: Iterable[Setting]) -> str:
    """What sets them all."""
    return ";".join([setting.command for setting in settings])


def queries(settings: Iterable[Setting]) -> str:
    """What reads them all back."""
    return ";".join([setting.query for setting in settings])


def apply(session: Session, settings: Sequence[Setting], errors: str = ERRORS) -> None:
    """Send settings, read each one back and compare, in one message; ``errors`` asks for the oldest error.

    Raises
    ------
    InstrumentFault
        A setting reads back otherwise, or the instrument reports an error.
    ConnectionLost
        The link is not to be trusted any more.
    """
    message = f"{commands(settings)};{queries(settings)};{errors}"
    *read_back, error = session.ask(message, len(settings) + 1)
    refuse_errors(session, error, "settings were sent", errors)
    compare(session, settings, read_back)


def compare(
    session: Session, settings: Iterable[Setting], read_back: Iterable[str], after: str = "start the instrument again"
) -> None:
    """``InstrumentFault`` that names the first setting that reads back otherwise than it was sent.

    ``after`` says what to do, or what it means.
    """
    read, sent = tuple(read_back), list(settings)
    if session.agreed.get(read) == sent:  # most read back as they did in the cycle before
        return
    for setting, text in zip(sent, read, strict=True):
        try:
            same = _agrees(setting, text)
        except ValueError:
            raise session.distrust(f"{text!r} came instead of a number") from None
        if not same:
            raise InstrumentFault(
                f"{session.name}: {setting.header} reads {text} where {setting.value} was sent; {after}"
            )
    if len(session.agreed) >= KNOWN_REPLIES:
        session.agreed.clear()
    session.agreed[read] = sent


def _agrees(setting: Setting, text: str) -> bool:
    """Whether a setting reads back as it was sent; ``ValueError`` if ``text`` is no number and should be one."""
    if isinstance(setting.value, float):
        return abs(float(text) - setting.value) <= setting.tolerance
    return text.strip("'\"").upper() == setting.value.strip("'\"").upper()


def number(session: Session, text: str) -> float:
    """A reply as a number; one that is none poisons the session: ``ConnectionLost``."""
    try:
        return float(text)
    except ValueError:
        raise session.distrust(f"{text!r} came instead of a number") from None


def refuse_events(session: Session, events: str) -> None:
    """``InstrumentFault`` if ``events``, the reply to ``*ESR?``, says that settings may be others now.

    The power was off, or somebody pressed the key LOCAL.
    """
    happened = int(number(session, events))
    if happened & POWER_ON:
        session.power_was_lost = True
        raise InstrumentFault(f"{session.name}: its power was off, and its settings are gone; start it again")
    if happened & USER_REQUEST:
        raise InstrumentFault(
            f"{session.name}: its key LOCAL was pressed, so that its settings may have been changed by hand; "
            "start the run again when nobody works at it"
        )


def refuse_errors(session: Session, first: str, when: str, errors: str = ERRORS) -> None:
    """``InstrumentFault`` if ``first``, the reply to ``errors``, is an error; the queue is empty afterwards.

    ``when`` completes the sentence "reports ... when ...".
    """
    entries: list[str] = []
    entry = first
    while int(number(session, entry.partition(",")[0])) != 0:
        entries.append(entry)
        if len(entries) == _MAX_ERRORS:
            break
        entry = session.ask(errors, 1)[0]
    if entries:
        raise InstrumentFault(f"{session.name}: reports {'; '.join(entries)} when {when}")
