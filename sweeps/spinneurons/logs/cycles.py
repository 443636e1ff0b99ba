"""The cycles of one or more files as arrays over width, device, current and cycle.

What a file leaves open is settled here, and told: a number for cycles that have none, the magnitude of currents of
one sign, the current that a density means, resistances from voltages, the plan that currents as read back belong to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spinneurons.logs.mapping import Mapped
from spinneurons.logs.table import LogError

Floats = npt.NDArray[np.float64]

READBACK = 3e-3
"""Relative distance within which currents as read back belong to one current of the plan."""
EPOCH = pd.Timestamp(0, tz="UTC")
KEYS = ("width", "device", "i_write", "cycle")


@dataclass(frozen=True)
class PlausibleRange:
    """What can be true of a device; a value beyond is most likely in another unit."""

    width: tuple[float, float]
    """um"""
    current: float
    """A, at the most."""


@dataclass(frozen=True)
class Cycles:
    """All cycles of a log."""

    frame: pd.DataFrame
    """(rows,): width (um), device and cycle (whole), i_write (A), r_reset and r_write (ohm), and further columns."""
    line_of: Callable[[int], str]
    """Where a row stands."""
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    """What was not used, and why."""


def cycles(files: Sequence[Mapped], limits: PlausibleRange, polarity: str = "") -> Cycles:
    """The cycles of files, each quantity in its unit and complete.

    Parameters
    ----------
    polarity : ``positive`` or ``negative``: which currents to take where a log has both

    Raises
    ------
    LogError
        A quantity is missing, or a value of it cannot be.
    """
    parts = [_complete(file, limits, polarity) for file in files]
    starts = np.cumsum([0, *(len(p.frame) for p in parts)])

    def line_of(row: int) -> str:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[part].line_of(row - int(starts[part]))

    frame = pd.concat([p.frame for p in parts], ignore_index=True) if len(parts) > 1 else parts[0].frame
    notes = tuple(dict.fromkeys(note for p in parts for note in p.notes))
    return _grouped(_numbered(Cycles(frame, line_of, notes, tuple(t for p in parts for t in p.left_out))))


def _complete(file: Mapped, limits: PlausibleRange, polarity: str) -> Cycles:
    values, table = dict(file.values), file.table
    notes, left_out = [*table.notes, *file.notes], [f"{table.path.name}: {text}" for text in table.left_out]
    if table.overloads:
        left_out.append(f"{table.path.name}: {table.overloads} readings were beyond the meter's range")

    def require(quantity: str, help: str) -> Any:
        if quantity not in values:
            raise LogError(f"{table.path}: nothing says {help}; its columns are {', '.join(map(str, table.columns))}")
        return values[quantity]

    def check(quantity: str, good: Any, requirement: str) -> None:
        if not np.all(good):
            row = int(np.argmin(np.asarray(good)))
            name = file.columns.get(quantity, quantity)
            held = table.columns[name].iloc[row] if name in table.columns else values[quantity].iloc[row]
            shown = str(held) if not isinstance(held, float) else "" if math.isnan(held) else f"{held:g}"
            raise LogError(f"{table.line_of(row)}: column {name!r} holds {shown!r}; {requirement}")

    width = require("width", "how wide the bars are: name the column, or --constant 'width=2 um'")
    check("width", (width > 0) & np.isfinite(width), "it takes a width in um above 0")
    low, high = limits.width
    check(
        "width",
        (low <= width) & (width <= high),
        f"a bar is {low:g} to {high:g} um wide; is the column in um, not in nm?",
    )
    if "i_write" not in values and "j_write" in values:
        thickness = require("thickness", "how thick the layer is that the density is of: --constant 'thickness=5 nm'")
        values["i_write"] = values["j_write"] * (thickness * 1e-9) * (width * 1e-6)
        notes.append("i_write is j_write x thickness x width")
    i_write = require(
        "i_write", "what the write current was: name the column, such as --columns 'i_write=\"Current (A)\"'"
    )
    check("i_write", np.isfinite(i_write), "it takes a current in A")
    keep = np.ones(len(width), bool)
    signs = {s for s in np.unique(np.sign(i_write)) if s}
    if signs == {-1.0, 1.0}:
        if not polarity:
            raise LogError(
                f"{table.path}: has write currents of both signs; take one: --polarity positive or negative"
            )
        keep = np.asarray(np.sign(i_write) == (1 if polarity == "positive" else -1))
        left_out.append(f"{table.path.name}: {int((~keep).sum())} cycles of the other polarity")
    if -1.0 in signs and polarity != "positive":
        notes.append("write currents are negative; their magnitude is kept")
    values["i_write"] = i_write.abs()
    check(
        "i_write",
        values["i_write"] <= limits.current,
        f"no Hall bar takes more than {limits.current:g} A; is the column in A, not in mA or uA?",
    )
    for reading in ("reset", "write"):
        if f"r_{reading}" not in values and f"v_{reading}" in values:
            values[f"r_{reading}"] = values[f"v_{reading}"] / require(
                "i_read", "what the read current was: --constant 'i_read=50 uA'"
            )
            notes.append(f"r_{reading} is v_{reading} over the read current")
        check(
            f"r_{reading}",
            ~np.isinf(
                require(
                    f"r_{reading}", f"what was read after {reading}: name the column of r_{reading} or v_{reading}"
                )
            ),
            "it takes a resistance in ohm, or nothing if lost",
        )
    if "device" not in values:
        values["device"] = pd.Series(np.zeros(len(width)))
        notes.append("no column of devices: one device, 0")
    frame = pd.DataFrame({q: values[q] for q in ("width", "device", "i_write", "r_reset", "r_write")})
    if values["device"].dtype.kind == "f":
        check("device", _whole(values["device"]), "it takes a whole number from 0 up, or a name")
    if "cycle" in values:
        check("cycle", _whole(values["cycle"]), "it takes a whole number from 0 up")
    frame["cycle"] = values.get("cycle", np.nan)
    for name in file.further:
        frame[f"log:{name}"] = table.columns[name]
    rows = np.flatnonzero(keep)
    frame = frame if keep.all() else frame[keep].reset_index(drop=True)
    return Cycles(frame, lambda row: table.line_of(int(rows[row])), tuple(notes), tuple(left_out))


def _whole(values: pd.Series) -> Any:
    return (values >= 0) & (values < 2**53) & (values == np.floor(values))


def _numbered(log: Cycles) -> Cycles:
    """Devices by number; text names are numbered by their order and kept."""
    frame, notes = log.frame.copy(deep=False), list(log.notes)
    if frame["device"].dtype.kind != "f":
        text = frame["device"].map(lambda d: f"{d:g}" if isinstance(d, float) else str(d))
        names, codes = np.unique(text.to_numpy(str), return_inverse=True)
        if all(name.isdecimal() for name in names):
            codes = np.array([int(name) for name in names])[codes]
        else:
            frame["log:device_name"] = text
            shown = ", ".join(f"{name} = {i}" for i, name in enumerate(names[:6]))
            notes.append(f"devices are numbered by name: {shown}{', ...' if len(names) > 6 else ''}")
        frame["device"] = codes
    frame["device"] = frame["device"].astype(np.int64)
    frame["width"] = _rounded(frame["width"])
    return replace(log, frame=frame, notes=tuple(notes))


def _rounded(width: pd.Series) -> Floats:
    """Widths to 12 digits, each different one once."""
    different, codes = np.unique(width.to_numpy(), return_inverse=True)
    return np.array([float(f"{w:.12g}") for w in different])[codes]


def _grouped(log: Cycles) -> Cycles:
    """Currents as read back belong to those of a plan, and cycles without a number get one."""
    frame, notes, renumber = log.frame, list(log.notes), ""
    bars = frame.groupby(["width", "device"], sort=False)["i_write"]
    different = int(bars.nunique().sum())
    if different > len(frame) / 2 and len(frame) > different / 2 and len(frame) > 3:
        grouped = bars.transform(_plan)
        plan = int(grouped.groupby([frame["width"], frame["device"]]).nunique().sum())
        if plan <= different / 2:
            frame = frame.assign(i_write=grouped)
            notes.append(f"{different} currents as read back belong to {plan} of a plan, within {READBACK:.1%}")
    if frame["cycle"].isna().any():
        renumber = "no column of cycles: numbered in the order of the rows"
    elif frame is not log.frame and frame.duplicated(list(KEYS)).any():
        renumber = "cycles are numbered anew, in the order of the rows, at each current of the plan"
    if renumber:
        frame = frame.assign(cycle=frame.groupby(["width", "device", "i_write"]).cumcount())
        notes.append(renumber)
    frame = frame.assign(cycle=frame["cycle"].astype(np.int64))
    return replace(log, frame=frame, notes=tuple(notes))


def _plan(currents: pd.Series) -> pd.Series:
    """Each current's group: neighbours closer than ``READBACK``; its median."""
    order = np.argsort(currents.to_numpy(), kind="stable")
    ordered = currents.to_numpy()[order]
    group = np.cumsum(np.r_[False, np.diff(ordered) > READBACK * ordered[1:]])
    median = pd.Series(ordered).groupby(group).transform("median").to_numpy()
    result = np.empty_like(ordered)
    result[order] = median
    return pd.Series(result, currents.index)


def arrays(
    log: Cycles, attributes: Mapping[str, Mapping[str, str]], taken: Container[str], source: str
) -> xr.Dataset:
    """The cycles as labelled arrays.

    Parameters
    ----------
    attributes : units and long name of each coordinate and reading
    taken : names that a further column cannot have; it gets ``log_`` before it

    Returns
    -------
    Dataset: coordinates ``width`` (um, wide to narrow), ``device`` and ``cycle`` (labels, rising) and ``current`` (0,
    1, ...: the currents of each device, rising); ``i_write`` (width, device, current) float64 A; ``r_reset``,
    ``r_write`` (width, device, current, cycle) float32 ohm; ``recorded`` (same) bool; each further column by its
    name, float64 if all of it are numbers or times, and text otherwise. What was not recorded is NaN.

    Raises
    ------
    LogError
        A cycle stands twice.
    """
    frame = log.frame
    widths, w = np.unique(-frame["width"].to_numpy(), return_inverse=True)
    devices, d = np.unique(frame["device"].to_numpy(), return_inverse=True)
    numbers, c = np.unique(frame["cycle"].to_numpy(), return_inverse=True)
    i, currents = _current_index(w * devices.size + d, frame["i_write"].to_numpy())
    shape = (widths.size, devices.size, int(i.max()) + 1, numbers.size)
    position = np.ravel_multi_index((w, d, i, c), shape)
    _require_once(log, position)

    def spread(values: npt.NDArray[Any], fill: Any, dtype: Any) -> npt.NDArray[Any]:
        cube = np.full(shape, fill, dtype=dtype)
        cube.ravel()[position] = values
        return cube

    dims = ("width", "device", "current", "cycle")
    plan = np.full(shape[0] * shape[1] * shape[2], np.nan)
    plan[currents[0] * shape[2] + currents[1]] = currents[2]
    variables: dict[str, Any] = {
        "i_write": (dims[:3], plan.reshape(shape[:3]), attributes["i_write"]),
        "r_reset": (dims, spread(frame["r_reset"].to_numpy(), np.nan, np.float32), attributes["r_reset"]),
        "r_write": (dims, spread(frame["r_write"].to_numpy(), np.nan, np.float32), attributes["r_write"]),
        "recorded": (dims, spread(np.array(True), False, np.bool_), {"long_name": "row present in the log"}),
    }
    for column in frame.columns:
        if str(column).startswith("log:"):
            name = str(column).removeprefix("log:")
            values, units = _further(frame[column])
            fill, dtype = (np.nan, np.float64) if values.dtype.kind == "f" else ("", object)
            variables[_variable(name, variables, taken)] = (
                dims, spread(values, fill, dtype), {"long_name": name, "units": units},
            )  # fmt: skip
    coords = {
        "width": ("width", -widths, attributes["width"]),
        "device": ("device", devices, attributes["device"]),
        "current": ("current", np.arange(shape[2]), attributes["current"]),
        "cycle": ("cycle", numbers, attributes["cycle"]),
    }
    return xr.Dataset(variables, coords, {"source": source})


def _further(column: pd.Series) -> tuple[npt.NDArray[Any], str]:
    """A further column and its units: float64 if all of it are numbers or times, else the text."""
    if column.dtype.kind == "f":
        return column.to_numpy(np.float64), "1"
    text = column.fillna("").astype(str)
    for form in ("ISO8601", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        try:
            times = pd.to_datetime(text.replace("", None), format=form, utc=True)
        except (ValueError, TypeError):
            continue
        if times.notna().any():
            return (times - EPOCH).dt.total_seconds().to_numpy(np.float64), "seconds since 1970-01-01"
    return text.to_numpy(object), "1"


def _variable(name: str, present: Container[str], taken: Container[str]) -> str:
    """The name of a further column in the cube: letters, digits and _, and no name of the cube itself."""
    variable = re.sub(r"\W+", "_", name).strip("_") or "column"
    variable = f"log_{variable}" if variable in taken or not variable.isidentifier() else variable
    while variable in present:
        variable += "_"
    return variable


def _current_index(
    device: npt.NDArray[np.int64], i_write: Floats
) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[Any], ...]]:
    """Position of each row's current among those of its device, and (device, position, A) of each such current."""
    order = np.lexsort((i_write, device))
    by_device, by_current = device[order], i_write[order]
    first_of_device = np.r_[True, by_device[1:] != by_device[:-1]]
    new = first_of_device | np.r_[True, by_current[1:] != by_current[:-1]]
    running = np.cumsum(new) - 1
    start = np.maximum.accumulate(np.where(first_of_device, running, 0))
    index = np.empty(device.size, dtype=np.int64)
    index[order] = running - start
    return index, (by_device[new], (running - start)[new], by_current[new])


def _require_once(log: Cycles, position: npt.NDArray[np.int64]) -> None:
    order = np.argsort(position, kind="stable")
    repeats = order[1:][position[order][1:] == position[order][:-1]]
    if repeats.size:
        row = int(repeats.min())
        first = int(np.flatnonzero(position == position[row])[0])
        cell = ", ".join(f"{key} {log.frame[key].iloc[row]:g}" for key in KEYS)
        here, earlier = log.line_of(row), log.line_of(first)
        file, _, line = earlier.rpartition(":")
        where = f"on line {line}" if file and here.startswith(f"{file}:") else f"at {earlier}"
        raise LogError(f"{here}: {cell} is {where} already; each cycle has one row")
