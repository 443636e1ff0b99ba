"""Dates with times as values: nanoseconds since 1970-01-01T00:00 UTC, as NumPy's ``datetime64[ns]`` counts them.

A cube holds them as whole numbers with the attributes of the CF conventions, by which xarray opens them as
``datetime64[ns]``, to the nanosecond.  NumPy is loaded where there is one, since the command line starts without it.
"""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any

from spinsweep.errors import SpecError
from spinsweep.printable import brief

DTYPE = "datetime64[ns]"
ATTRIBUTES = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
"""Of an array of them in a cube."""
NOT_A_TIME = -(2**63)
"""What stands for no date."""

EPOCH = datetime.datetime(1970, 1, 1)
BILLION = 10**9
FORM = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?")

_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
DATE_RANGE = re.compile(rf"({_DATE}):({_DATE}):(\d+)")
"""START:STOP:COUNT of dates."""


def is_moment(value: Any) -> bool:
    """Whether it is a date, with or without a time."""
    numpy = sys.modules.get("numpy")
    return isinstance(value, datetime.date) or (numpy is not None and isinstance(value, numpy.datetime64))


def moment(value: Any) -> Any:
    """A date as ``numpy.datetime64[ns]``: from Python, NumPy, pandas, or text such as ``2026-01-31T12:00``.

    What has a time zone is turned into UTC; what has none is taken as it is.

    Raises
    ------
    SpecError
        It is no date, has fractions of a nanosecond, or is not between 1678 and 2262.
    """
    import numpy as np

    if isinstance(value, np.datetime64):
        with np.errstate(all="ignore"):
            exact = value.astype(DTYPE)
            if (
                np.isnat(value)
                or exact.astype(value.dtype) != value
                or exact.astype("M8[D]") != value.astype("M8[D]")
            ):
                raise SpecError(f"{brief(str(value))} is no date from 1678 to 2261 in whole nanoseconds")
        return exact
    if isinstance(value, str):
        count = _count_of_text(value.strip())
    elif isinstance(value, datetime.date) and value == value:  # pandas' NaT is unlike itself
        count = _count(value)
    else:
        raise SpecError(f"{brief(value)} is not a date such as 2026-01-31 or 2026-01-31T12:00:00")
    if not NOT_A_TIME < count < 2**63:
        raise SpecError(f"{brief(str(value))} is no date from 1678 to 2261 in whole nanoseconds")
    return moment_at(count)


def moment_at(nanoseconds: int) -> Any:
    """The date so many nanoseconds after the beginning of 1970, a ``datetime64[ns]``."""
    import numpy as np

    return np.datetime64(nanoseconds, "ns")


def text_of(value: Any) -> str:
    """A ``datetime64[ns]`` as the shortest text of its kind: ``2026-01-31``, ``2026-01-31T12:00:00.25``."""
    seconds, fraction = divmod(int(value.astype("int64")), BILLION)
    text = (EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
    if fraction:
        return f"{text}.{fraction:09d}".rstrip("0")
    return text.removesuffix("T00:00:00")


def as_stored(values: Any) -> Any:
    """An array as a cube holds it: dates as whole numbers, of the same shape; all else unchanged."""
    return values.astype(DTYPE, copy=False).view("int64") if values.dtype.kind == "M" else values


def as_moments(values: Any) -> Any:
    """Whole numbers of a cube as dates, in the same shape."""
    return values.astype("int64", copy=False).view(DTYPE)


def _count(value: datetime.date) -> int:
    """Nanoseconds since the epoch."""
    if not isinstance(value, datetime.datetime):
        return (value - EPOCH.date()).days * 86_400 * BILLION
    nanoseconds = getattr(value, "nanosecond", 0)  # of a Timestamp of pandas
    plain = datetime.datetime(*value.timetuple()[:6], value.microsecond)
    if (offset := value.utcoffset()) is not None:
        plain -= offset
    since = plain - EPOCH
    return (since.days * 86_400 + since.seconds) * BILLION + since.microseconds * 1000 + nanoseconds


def _count_of_text(text: str) -> int:
    if match := FORM.fullmatch(text):
        day, minute, second, fraction, zone = match.groups()
        with_zone = f"{day}T{minute or '00:00'}:{second or '00'}{zone or ''}"
        try:
            return _count(datetime.datetime.fromisoformat(with_zone)) + int((fraction or "0").ljust(9, "0"))
        except (ValueError, OverflowError):  # a month 13
            pass
    raise SpecError(f"{brief(text)} is not a date such as 2026-01-31 or 2026-01-31T12:00:00")
