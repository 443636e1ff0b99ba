"""The cycles of one or more files as one table, each quantity in its unit and complete.

What files leave open is settled here, and told: a number for cycles that have none, names of devices, the plan that
currents as read back belong to, times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spinneurons.logs.table import LogError
from spinsweep import moments

Floats = npt.NDArray[np.float64]

READBACK = 3e-3
"""Relative distance within which currents as read back belong to one current of the plan."""
EPOCH = pd.Timestamp(0, tz="UTC")
BAR = ("width", "device", "polarity", "at")
"""What a curve is of: a bar, a sign of the write current, and a value of the further axis."""
FURTHER = "log:"
"""Stands before the names of columns that mean no quantity."""


Condition = Mapping[float, int]
"""Rows of a log by the value that one of its ``CONDITIONS`` had."""


@dataclass(frozen=True)
class PlausibleRange:
    """What can be true of a device; a value beyond is most likely in another unit."""

    width: tuple[float, float]
    """um"""
    current: float
    """A, at the most."""
    pulse: float
    """Length of a pulse, s, at the most."""


@dataclass(frozen=True)
class Selection:
    """What of the files is taken, and how."""

    polarity: str = ""
    """``positive`` or ``negative``: the write currents to take, where there are both; empty: both."""
    axis: str = ""
    """A column, a part of the files' names, or what ``axis_values`` are of: each bar has a curve at each value of it,
    such as a temperature or a day."""
    time_format: str = ""
    """Of columns of times, as ``strptime`` takes it; empty: the usual ones."""
    axis_values: tuple[float, ...] = ()
    """One for each file, in their order, where no column has it; empty otherwise."""


@dataclass(frozen=True)
class Cycles:
    """All cycles of a log, or all counts of one."""

    frame: pd.DataFrame
    """(rows,): width (um), device (whole, or text), polarity (1 or -1), at (of the further axis, else 0), i_write (A,
    magnitude), and of a log of cycles: cycle (whole), r_write and, if there is one, r_reset (ohm); of a log of
    counts: n_switched and n; and further columns, float64 or text."""
    line_of: Callable[[int], str]
    """Where a row stands."""
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """What was not used, and why."""
    rows: int = 0
    """In the files."""
    signs: str = "positive"
    """Of the write currents: positive, negative or both."""
    axis: str = ""
    """Column of the further axis."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Of further columns and of the further axis."""
    thickness: float = float("nan")
    """Of the layer that carries the current, nm, if the files say it."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of the first file that each quantity comes from."""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """By quantity, one of ``CONDITIONS``; absent where the files do not say it."""

    @property
    def counted(self) -> bool:
        """Whether rows are counts at a current, and not cycles."""
        return "n_switched" in self.frame

    @property
    def keys(self) -> list[str]:
        """Columns that tell one row from another."""
        return [*BAR, "i_write", *([] if self.counted else ["cycle"])]

    @property
    def further(self) -> list[str]:
        """Columns that mean no quantity."""
        return [str(name) for name in self.frame if str(name).startswith(FURTHER)]


def settled(log: Cycles, time_format: str = "") -> Cycles:
    """The log with what its files left open: labels of devices, numbers of cycles, currents of a plan, times.

    Raises
    ------
    LogError
        No column has times of the format that the user says.
    """
    log = _timed(_labelled(log), time_format)
    return log if log.counted else _grouped(log)


def _labelled(log: Cycles) -> Cycles:
    """Devices by whole number if all are, else by name; widths to 12 digits."""
    device = log.frame["device"]
    if device.dtype.kind == "f":
        device = device.astype(np.int64)
    else:
        text = device.map(lambda d: f"{d:g}" if isinstance(d, float) else str(d).strip())
        device = text.astype(np.int64) if text.str.fullmatch("[0-9]{1,15}").all() else text.astype(object)
    return replace(log, frame=log.frame.assign(device=device, width=rounded(log.frame["width"])))


MOST_VALUES = 20


def condition(values: Floats) -> Condition:
    """Rows by value; values as read back, of which there are many, to two digits."""
    for digits in (6, 3, 2):
        different, rows = np.unique([float(f"{v:.{digits}g}") for v in values], return_counts=True)
        if different.size <= MOST_VALUES:
            break
    return dict(zip(different.tolist(), rows.tolist(), strict=True))


def merged(parts: Iterable[Mapping[str, Condition]]) -> dict[str, Condition]:
    """The conditions of several logs as those of one."""
    sums: dict[str, dict[float, int]] = {}
    for part in parts:
        for name, rows_of in part.items():
            total = sums.setdefault(name, {})
            for value, rows in rows_of.items():
                total[value] = total.get(value, 0) + rows
    return dict(sums)


def rounded(values: pd.Series) -> Floats:
    """Numbers to 12 digits, as an axis has them, each different one once."""
    codes, different = pd.factorize(values.to_numpy(np.float64))
    return np.array([float(f"{v:.12g}") for v in different])[codes]


def _grouped(log: Cycles) -> Cycles:
    """Currents as read back belong to those of a plan, and cycles without a number get one."""
    frame, notes, renumber = log.frame, list(log.notes), ""
    keys = list(BAR)
    bars = frame.groupby(keys, sort=False)["i_write"]
    most = math.prod(frame[key].nunique() for key in [*keys, "i_write"])  # counted at once, where groups take time
    different = int(bars.nunique().sum()) if most > len(frame) / 2 else 0
    if different > len(frame) / 2 and len(frame) > different / 2 and len(frame) > 3:
        grouped = bars.transform(_plan)
        plan = int(grouped.groupby([frame[key] for key in keys]).nunique().sum())
        if plan <= different / 2:
            frame = frame.assign(i_write=grouped)
            notes.append(f"{different} currents as read back belong to {plan} of a plan, within {READBACK:.1%}")
    if frame["cycle"].isna().any():
        renumber = "no column of cycles: numbered in the order of the rows"
    elif frame is not log.frame and frame.duplicated(log.keys).any():
        renumber = "cycles are numbered anew, in the order of the rows, at each current of the plan"
    if renumber:
        frame = frame.assign(cycle=frame.groupby([*keys, "i_write"], sort=False).cumcount())
        notes.append(renumber)
    return replace(log, frame=frame.assign(cycle=frame["cycle"].astype(np.int64)), notes=tuple(notes))


def _plan(currents: pd.Series) -> pd.Series:
    """Each current's group: neighbours closer than ``READBACK``; its median."""
    order = np.argsort(currents.to_numpy(), kind="stable")
    ordered = currents.to_numpy()[order]
    group = np.cumsum(np.r_[False, np.diff(ordered) > READBACK * ordered[1:]])
    median = pd.Series(ordered).groupby(group).transform("median").to_numpy()
    result = np.empty_like(ordered)
    result[order] = median
    return pd.Series(result, currents.index)


TIMES = ("ISO8601", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S")
SECONDS = "seconds since 1970-01-01"


def _timed(log: Cycles, time_format: str) -> Cycles:
    """Further columns of times as seconds."""
    frame, units = log.frame, dict(log.units)
    for name in log.further:
        if frame[name].dtype.kind != "f" and (seconds := _seconds(frame[name], time_format)) is not None:
            frame = frame.assign(**{name: seconds})
            units[name] = SECONDS
    if time_format and SECONDS not in units.values():
        raise LogError(f"--time-format {time_format}: no column has times of this form")
    return replace(log, frame=frame, units=units)


def moments_of(seconds: Floats) -> npt.NDArray[np.datetime64]:
    """Seconds since 1970 as ``datetime64[ns]``, to the microsecond that float64 holds; not a number is no time."""
    known = np.isfinite(seconds)
    microseconds = np.rint(np.where(known, seconds, 0.0) * 1e6).astype(np.int64)
    return np.where(known, (microseconds * 1000).astype("datetime64[ns]"), np.datetime64("NaT", "ns"))


def seconds_of(nanoseconds: npt.NDArray[np.int64]) -> Floats:
    """Seconds since 1970 of times as a cube stores them."""
    return np.where(nanoseconds == moments.NOT_A_TIME, np.nan, nanoseconds / 1e9)


def _seconds(column: pd.Series, time_format: str) -> Floats | None:
    """A column of texts as seconds since 1970; None where it has other texts."""
    different, codes = np.unique(column.fillna("").to_numpy(str), return_inverse=True)
    for form in (time_format,) if time_format else TIMES:
        try:
            times: Any = pd.to_datetime(pd.Series(different).replace("", None), format=form, utc=True)
        except (ValueError, TypeError):
            continue
        if times.notna().any():
            return np.asarray((times - EPOCH).dt.total_seconds().to_numpy(np.float64)[codes])
    return None
