"""A laboratory's characterization log (CSV) as labelled arrays.

The file has a header line and one line a cycle::

    width_um,device,i_write_A,cycle,r_reset_ohm,r_write_ohm
    0.3,0,0.000401,0,-1.7991,3.6012

Rows may come in any order, devices may have different currents and numbers of cycles, and columns beyond the
six are kept.  Blank lines and lines that begin with ``#`` are skipped.  A lost sample is an empty field or
``nan``.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spinneurons.characterization.sweep import SWEEP
from spinneurons.neurons.parameters import WIDTH
from spinsweep.axis import Axis, closest
from spinsweep.files import Unreadable, require_file
from spinsweep.spec import RESERVED, Dim, Output

EPOCH = pd.Timestamp(0, tz="UTC")
COLUMNS = ("width_um", "device", "i_write_A", "cycle", "r_reset_ohm", "r_write_ohm")

WIDTHS = (WIDTH.low or 0.0, WIDTH.high or math.inf)
"""Widths (um) that a bar may have: those of the axis."""
MOST_CURRENT = 0.1
"""A; 15 times what the built-in card gives for the widest bar. A narrow bar's current written in mA is above it."""

TAKEN = {"width", "current", "recorded", *RESERVED, *(o.name for o in SWEEP.outputs)}
"""Names of the cube; a further column of such a name gets ``log_`` before it."""

_DECLARED: tuple[Axis | Dim | Output, ...] = (*SWEEP.axes, *SWEEP.dims, *SWEEP.outputs)
_ATTRIBUTES = {d.name: {"units": d.unit, "long_name": d.long_name} for d in _DECLARED}


class LogError(ValueError):
    """One line: the file, its line, the column, what is wrong and what would be right."""


def read(path: str | Path) -> xr.Dataset:
    """The readings in a CSV file, one row a cycle, as arrays over (width, device, current, cycle).

    Returns
    -------
    Dataset: coordinates ``width`` (um, wide to narrow), ``device`` and ``cycle`` (labels of the file, rising)
    and ``current`` (0, 1, ...: the currents of each device, rising); ``i_write`` (width, device, current)
    float64 A; ``r_reset``, ``r_write`` (width, device, current, cycle) float32 ohm; ``recorded`` (same) bool;
    each further column by its name, float64 if all of it are numbers and text otherwise.  What was not
    recorded is NaN.

    Raises
    ------
    LogError
        The file cannot be read, lacks a column, or has a malformed or repeated row; nothing is returned then.
    """
    rows = _rows(path)
    width = rows.numbers("width_um", lambda v: 0 < v < math.inf, "a width in um above 0")
    bar = f"a bar is {WIDTHS[0]:g} to {WIDTHS[1]:g} um wide; is the column in um, not in nm?"
    rows.require("width_um", (WIDTHS[0] <= width) & (width <= WIDTHS[1]), bar)
    device = rows.whole("device")
    above_0 = "a current in A above 0, the magnitude of the write pulse"
    i_write = rows.numbers("i_write_A", lambda v: 0 < v < math.inf, above_0)
    most = f"no Hall bar takes more than {MOST_CURRENT:g} A; is the column in A, not in mA or uA?"
    rows.require("i_write_A", i_write <= MOST_CURRENT, most)
    cycle = rows.whole("cycle")
    ohm = "a resistance in ohm, or nothing if lost"
    r_reset, r_write = (
        rows.numbers(name, lambda v: not math.isinf(v), ohm, lost=True) for name in ("r_reset_ohm", "r_write_ohm")
    )
    width = np.array([float(f"{w:.12g}") for w in width.tolist()])
    widths, w = np.unique(-width, return_inverse=True)
    devices, d = np.unique(device, return_inverse=True)
    cycles, c = np.unique(cycle, return_inverse=True)
    i, currents = _current_index(w * devices.size + d, i_write)
    shape = (widths.size, devices.size, int(i.max()) + 1, cycles.size)
    position = np.ravel_multi_index((w, d, i, c), shape)
    rows.refuse_repeats(position)

    def spread(values: npt.NDArray[Any], fill: Any, dtype: Any) -> npt.NDArray[Any]:
        cube = np.full(shape, fill, dtype=dtype)
        cube.ravel()[position] = values
        return cube

    dims = ("width", "device", "current", "cycle")
    plan = np.full(shape[0] * shape[1] * shape[2], np.nan)
    plan[currents[0] * shape[2] + currents[1]] = currents[2]
    variables: dict[str, Any] = {
        "i_write": (dims[:3], plan.reshape(shape[:3]), _ATTRIBUTES["i_write"]),
        "r_reset": (dims, spread(r_reset, np.nan, np.float32), _ATTRIBUTES["r_reset"]),
        "r_write": (dims, spread(r_write, np.nan, np.float32), _ATTRIBUTES["r_write"]),
        "recorded": (dims, spread(np.array(True), False, np.bool_), {"long_name": "row present in the log"}),
    }
    for name, fields in rows.columns.items():
        if name not in COLUMNS:
            values, units = _free(fields)
            fill, dtype = (np.nan, np.float64) if values.dtype.kind == "f" else ("", object)
            variable = _own_name(name, variables)
            variables[variable] = (dims, spread(values, fill, dtype), {"long_name": name, "units": units})
    coords = {
        "width": ("width", -widths, _ATTRIBUTES["width"]),
        "device": ("device", devices, _ATTRIBUTES["device"]),
        "current": ("current", np.arange(shape[2]), _ATTRIBUTES["current"]),
        "cycle": ("cycle", cycles, _ATTRIBUTES["cycle"]),
    }
    return xr.Dataset(variables, coords, {"source": Path(path).name})


class _Rows(NamedTuple):
    """The fields of each column as they stand in the file, and the line of each row; refusals are a LogError."""

    path: str | Path
    columns: dict[str, tuple[str, ...]]
    lines: list[int]

    def numbers(
        self, name: str, allowed: Callable[[float], bool], requirement: str, *, lost: bool = False
    ) -> npt.NDArray[np.float64]:
        """A column as float64; the first field that is not allowed is refused."""
        numbers = [_float(text) for text in self.columns[name]]
        for row, (text, number) in enumerate(zip(self.columns[name], numbers, strict=True)):
            malformed = math.isnan(number) and not (lost and text.strip().lower() in ("", "nan"))
            if malformed or not allowed(number):
                raise self._refusal(name, row, f"it takes {requirement}")
        return np.array(numbers)

    def whole(self, name: str) -> npt.NDArray[np.int64]:
        """A column of whole numbers from 0."""
        numbers = self.numbers(name, lambda v: 0 <= v < 2**53 and v == int(v), "a whole number from 0 up")
        return numbers.astype(np.int64)

    def require(self, name: str, good: npt.NDArray[np.bool_], otherwise: str) -> None:
        """Refuse the first field that is not ``good``, a number of another unit most likely."""
        if not good.all():
            raise self._refusal(name, int(np.argmin(good)), otherwise)

    def refuse_repeats(self, position: npt.NDArray[np.int64]) -> None:
        """Refuse the first row of a cycle that an earlier row has."""
        order = np.argsort(position, kind="stable")
        repeats = order[1:][position[order][1:] == position[order][:-1]]
        if repeats.size:
            row = int(repeats.min())
            first = int(np.flatnonzero(position == position[row])[0])
            cell = ", ".join(f"{name} {self.columns[name][row]}" for name in COLUMNS[:4])
            problem = f"{cell} is on line {self.lines[first]} already; each cycle has one line"
            raise LogError(f"{self.path}:{self.lines[row]}: column 'cycle': {problem}")

    def _refusal(self, name: str, row: int, otherwise: str) -> LogError:
        field = self.columns[name][row]
        return LogError(f"{self.path}:{self.lines[row]}: column {name!r} holds {field!r}; {otherwise}")


def _rows(path: str | Path) -> _Rows:
    """The rows, each with as many fields as the header."""
    rows: list[Sequence[str]] = []
    lines: list[int] = []
    header: list[str] = []
    try:
        require_file(path)
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if not row or row[0].startswith("#") or (len(row) == 1 and not row[0].strip()):
                    continue
                if not header:
                    header = _header(path, row, reader.line_num)
                elif len(row) != len(header):
                    raise LogError(
                        f"{path}:{reader.line_num}: {_misfit(header, row)}; "
                        f"the header has {len(header)} columns, this line {len(row)}"
                    )
                else:
                    rows.append(row)
                    lines.append(reader.line_num)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from None
    except Unreadable as error:
        raise LogError(f"{path}: {error}; give the path of a CSV file") from None
    except UnicodeDecodeError as error:
        raise LogError(f"{path}: is not text in UTF-8 (byte {error.start}); save the log as CSV in UTF-8") from None
    except csv.Error as error:
        raise LogError(f"{path}:{reader.line_num}: is not CSV: {error}") from None
    if not rows:
        raise LogError(f"{path}: has no rows; it needs the header {','.join(COLUMNS)} and one line a cycle")
    return _Rows(path, dict(zip(header, zip(*rows, strict=True), strict=True)), lines)


def _header(path: str | Path, row: Sequence[str], line: int) -> list[str]:
    names = [name.strip() for name in row]
    for name in COLUMNS:
        if name not in names:
            hint = " (is the file separated by ';'?)" if ";" in row[0] else closest(name, names)
            raise LogError(f"{path}:{line}: column {name!r} is missing{hint}; the header needs {','.join(COLUMNS)}")
    for name in names:
        if names.count(name) > 1:
            raise LogError(f"{path}:{line}: column {name!r} stands twice in the header; keep one")
        if not name:
            raise LogError(f"{path}:{line}: a column has no name; give it one")
    return names


def _misfit(header: Sequence[str], row: Sequence[str]) -> str:
    if len(row) < len(header):
        return f"column {header[len(row)]!r} is missing"
    return f"there is a field {row[len(header)]!r} beyond the last column {header[-1]!r}"


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _free(text: Sequence[str]) -> tuple[npt.NDArray[Any], str]:
    """A further column and its units: float64 if all of it are numbers or times (ISO 8601), else the text."""
    try:
        return np.array([float(t) if t.strip() else math.nan for t in text]), "1"
    except ValueError:
        pass
    try:
        times = pd.to_datetime(pd.Series(text, dtype=object).replace("", None), format="ISO8601", utc=True)
        return (times - EPOCH).dt.total_seconds().to_numpy(np.float64), "seconds since 1970-01-01"
    except (ValueError, TypeError):
        return np.array(text, dtype=object), "1"


def _own_name(name: str, taken: Container[str]) -> str:
    """The name of a further column in the cube: letters, digits and _, and no name of the cube itself."""
    variable = re.sub(r"\W+", "_", name).strip("_") or "column"
    variable = f"log_{variable}" if variable in TAKEN or not variable.isidentifier() else variable
    while variable in taken:
        variable += "_"
    return variable


def _current_index(
    device: npt.NDArray[np.int64], i_write: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[Any], ...]]:
    """Position of each row's current among those of its device, and (device, position, A) of each such
    current."""
    order = np.lexsort((i_write, device))
    by_device, by_current = device[order], i_write[order]
    first_of_device = np.r_[True, by_device[1:] != by_device[:-1]]
    new = first_of_device | np.r_[True, by_current[1:] != by_current[:-1]]
    running = np.cumsum(new) - 1
    start = np.maximum.accumulate(np.where(first_of_device, running, 0))
    index = np.empty(device.size, dtype=np.int64)
    index[order] = running - start
    return index, (by_device[new], (running - start)[new], by_current[new])
