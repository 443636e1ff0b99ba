"""The auxiliary instruments of a bench together: made safe, verified, and the columns that they record."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from spinsweep.bench.capabilities import Auxiliary
from spinsweep.bench.errors import BenchError, InstrumentFault, LeaseError
from spinsweep.bench.section import InstrumentSection

LONGEST_WAY_DOWN_S = 60.0
"""A lane that starts again waits 90 s for the watchdog that makes the bench safe."""
LONGEST_WAY_UP_S = 40.0
"""A lane has 120 s to start, and makes the bench safe first."""


class RecordedColumn(NamedTuple):
    """One value that is recorded with each train."""

    instrument: str
    """Its name in the bench file."""
    quantity: str
    """What the instrument calls it."""
    unit: str


def columns(sections: Mapping[str, InstrumentSection]) -> dict[str, RecordedColumn]:
    """What the auxiliary instruments of a bench record, by the name in journal and cube: ``QUANTITY_INSTRUMENT``."""
    return {
        column_name(quantity, name): RecordedColumn(name, quantity, unit)
        for name, section in sections.items()
        for quantity, unit in section.columns.items()
    }


def column_name(quantity: str, instrument: str) -> str:
    """The name of a column in journal and cube, such as ``temperature_cryostat``."""
    return re.sub(r"\W", "_", f"{quantity}_{instrument}")


def problems(sections: Mapping[str, InstrumentSection]) -> Iterator[str]:
    """Instruments whose columns would have one name, and ramps, one after the other, for which nobody waits."""
    down, up = (sum(times) for times in zip((0.0, 0.0), *(s.ramp_times for s in sections.values()), strict=True))
    if down > LONGEST_WAY_DOWN_S:
        yield (
            f"auxiliary: from max_current to 0 A takes {down:.3g} s, longer than {LONGEST_WAY_DOWN_S:g} s; give a "
            "smaller max_current, or a faster safe_ramp if the magnet allows it"
        )
    if up > LONGEST_WAY_UP_S:
        yield f"auxiliary: ramp and settle take {up:.3g} s, longer than {LONGEST_WAY_UP_S:g} s"
    of: dict[str, str] = {}
    for name, section in sections.items():
        for column in (column_name(quantity, name) for quantity in section.columns):
            if column in of:
                yield f"auxiliary.{name}: column {column} is that of auxiliary.{of[column]} too; choose another name"
            of[column] = name


def open_all(instruments: Mapping[str, Auxiliary], connect: Callable[[str], None]) -> None:
    """Connect to each and make it safe; of those that fail, the first one's error is raised after the last one.

    ``LeaseError`` and what is no ``BenchError`` end it at once.
    """

    def safe(name: str, instrument: Auxiliary) -> None:
        connect(name)
        instrument.safe()

    _each(instruments, safe)


def make_safe(instruments: Mapping[str, Auxiliary]) -> None:
    """Make each safe; of those that fail, the first one's error is raised after the last one."""
    _each(instruments, lambda _, instrument: instrument.safe())


def verify(instruments: Mapping[str, Auxiliary]) -> None:
    """Raise if one of them is not as it should be; a driver without ``verify`` always is."""
    for instrument in instruments.values():
        if (check := getattr(instrument, "verify", None)) is not None:
            check()


def measured(sections: Mapping[str, InstrumentSection], instruments: Mapping[str, Auxiliary]) -> dict[str, float]:
    """What the instruments measure now, by column.

    Raises
    ------
    InstrumentFault
        One gives other columns than its section says, or a value that is not finite.
    ConnectionLost
        A link is not to be trusted any more.
    """
    values: dict[str, float] = {}
    for name, section in sections.items():
        if not section.columns:
            continue
        record: Mapping[str, float] = instruments[name].measured()
        if record.keys() != section.columns.keys() or not all(map(math.isfinite, record.values())):
            raise InstrumentFault(
                f"auxiliary.{name}: its driver measured {dict(record)}; its columns are {', '.join(section.columns)}"
            )
        values |= {column_name(quantity, name): float(value) for quantity, value in record.items()}
    return values


def _each(instruments: Mapping[str, Auxiliary], act: Callable[[str, Auxiliary], None]) -> None:
    first: BenchError | None = None
    for name, instrument in instruments.items():
        try:
            act(name, instrument)
        except LeaseError:
            raise
        except BenchError as error:
            first = first or error
    if first is not None:
        raise first
