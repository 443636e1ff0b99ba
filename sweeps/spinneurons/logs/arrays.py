"""The rows of a log as labelled arrays over its devices, currents and cycles.

Devices stand in one of three forms.  ``by width and device``: both are axes, as in a simulated characterization, if
every width has the same devices.  ``by device``: the axis ``device`` alone, with ``width`` a coordinate of it, if no
label stands for two bars; so is a chip whose bars are each measured with its own width.  ``by width/device``: the
same with labels such as ``0.5um/3``, where labels are counted anew at each width, and not alike.  So there is no cell
for a device that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spinneurons.logs.cycles import FURTHER, Cycles, Floats, rounded
from spinneurons.logs.table import LogError

BY_WIDTH_AND_DEVICE, BY_DEVICE, BY_BOTH = FORMS = "by width and device", "by device", "by width/device"


@dataclass(frozen=True)
class ArrayNames:
    """How the arrays of a log are called and described."""

    attributes: Mapping[str, Mapping[str, str]]
    """Units and long name of each coordinate and reading."""
    taken: Container[str]
    """Names that a further column cannot have; it gets ``log_`` before it."""


def form_of(frame: pd.DataFrame) -> str:
    """The form in which the devices of a log are labelled: one of ``FORMS``."""
    bars = frame[["width", "device"]].drop_duplicates()
    widths, devices = bars["width"].nunique(), bars["device"].nunique()
    if len(bars) == widths * devices:
        return BY_WIDTH_AND_DEVICE
    return BY_DEVICE if len(bars) == devices else BY_BOTH


def arrays(log: Cycles, names: ArrayNames, form: str = "") -> xr.Dataset:
    """The rows as labelled arrays.

    Parameters
    ----------
    form : of the devices, as a cube has them already; empty: by :func:`form_of`

    Returns
    -------
    Dataset.  Index axes: ``width`` (um, wide to narrow) and ``device`` (labels, rising), or ``device`` alone with the
    coordinate ``width``; ``polarity`` (1, -1) if there are write currents of both signs; the further axis.  Each cell
    has ``current`` (0, 1, ...: its currents, rising), and of a log of cycles ``cycle`` (labels, rising).  ``i_write``
    (..., current) float64 A, magnitude; ``r_reset``, ``r_write`` (..., current, cycle) float32 ohm, or ``n_switched``
    and ``n_valid`` (..., current) int64; ``recorded`` bool; each further column by its name, float64 if all of it are
    numbers or times, and text otherwise.  What was not recorded is NaN, or 0 of counts.  Attributes: ``form``,
    ``signs``.

    Raises
    ------
    LogError
        A row stands twice, or a label stands for two widths where the form needs one.
    """
    form = form or form_of(log.frame)
    axes = _axes(log, form, names)
    frame = log.frame
    codes, sizes = [axis.codes for axis in axes], [axis.values.size for axis in axes]
    cell = np.ravel_multi_index(codes, sizes)
    i, currents = _current_index(cell, frame["i_write"].to_numpy())
    dims, place, shape = ["current"], [i], [int(i.max()) + 1]
    coords: dict[str, Any] = {axis.name: (axis.name, axis.values, axis.attrs) for axis in axes}
    coords["current"] = ("current", np.arange(shape[0]), names.attributes["current"])
    if not log.counted:
        numbers, c = _unique(frame["cycle"])
        dims, place, shape = [*dims, "cycle"], [i, c], [*shape, numbers.size]
        coords["cycle"] = ("cycle", numbers, names.attributes["cycle"])
    if form != BY_WIDTH_AND_DEVICE:
        coords["width"] = ("device", _widths(log, axes[0]), names.attributes["width"])
    position = np.ravel_multi_index((cell, *place), (int(np.prod(sizes)), *shape))
    _require_once(log, position)
    plan = np.full((int(np.prod(sizes)), shape[0]), np.nan)
    plan[currents[0], currents[1]] = currents[2]
    outer = [axis.name for axis in axes]
    variables: dict[str, Any] = {
        "i_write": ([*outer, "current"], plan.reshape(*sizes, shape[0]), names.attributes["i_write"])
    }

    def spread(name: str, values: npt.NDArray[Any], fill: Any, attrs: Mapping[str, str]) -> None:
        cube = np.full((*sizes, *shape), fill, dtype=values.dtype)
        cube.ravel()[position] = values
        variables[name] = ([*outer, *dims], cube, attrs)

    if log.counted:
        spread("n_switched", frame["n_switched"].to_numpy(), 0, {})
        spread("n_valid", frame["n"].to_numpy(), 0, {})
    else:
        for reading in ("r_reset", "r_write"):
            values = frame[reading].to_numpy() if reading in frame else np.full(len(frame), np.nan)
            spread(reading, values.astype(np.float32), np.nan, names.attributes[reading])
    spread("recorded", np.ones(len(frame), np.bool_), False, {"long_name": "row present in the log"})
    for column in log.further:
        values = frame[column].to_numpy() if frame[column].dtype.kind == "f" else _texts(frame[column])
        name = column.removeprefix(FURTHER)
        attrs = {"long_name": name, "units": log.units.get(column, "1")}
        spread(variable(name, variables, names.taken), values, np.nan if values.dtype.kind == "f" else "", attrs)
    return xr.Dataset(variables, coords, {"form": form, "signs": log.signs})


@dataclass(frozen=True)
class _Axis:
    """One index axis: its values and each row's position among them."""

    name: str
    values: npt.NDArray[Any]
    codes: npt.NDArray[np.integer[Any]]
    attrs: Mapping[str, str]


def _axes(log: Cycles, form: str, names: ArrayNames) -> list[_Axis]:
    frame, attributes = log.frame, names.attributes
    if form == BY_WIDTH_AND_DEVICE:
        widths, codes = _unique(-frame["width"])
        devices, labels = _unique(frame["device"])
        axes = [_Axis("width", -widths, codes, attributes["width"])]
        axes.append(_Axis("device", devices, labels, attributes["device"]))
    else:
        bars = frame["device"]
        if form == BY_BOTH:
            bars = frame["width"].map("{:.12g}um/".format) + bars.astype(str)
        values, codes = _unique(bars)
        first = pd.Series(frame["width"].to_numpy()).groupby(codes).first().to_numpy()
        order = np.lexsort((np.arange(values.size), -first))  # wide to narrow, then by label
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        axes = [_Axis("device", values[order], rank[codes], attributes["device"])]
    if log.signs == "both":
        both = np.array([1, -1])
        codes = (frame["polarity"].to_numpy() < 0).astype(np.int32)
        axes.append(_Axis("polarity", both, codes, {"units": "1", "long_name": "sign of the write current"}))
    if log.axis:
        values, codes = _unique(pd.Series(rounded(frame["at"])))
        name = variable(log.axis, {axis.name for axis in axes}, names.taken)
        axes.append(_Axis(name, values, codes, {"units": log.units.get(log.axis, "1"), "long_name": log.axis}))
    return axes


def _unique(labels: pd.Series) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Different labels, rising, with numbers in names by their value; and each row's position among them."""
    codes, different = pd.factorize(labels)
    values = np.asarray(different)
    texts = values.dtype.kind not in "iuf"
    keys: Sequence[Any] = [_natural(str(v)) for v in values] if texts else values.tolist()
    order = sorted(range(len(values)), key=keys.__getitem__)
    rank = np.empty(len(values), np.int32)  # half the memory, a row
    rank[order] = np.arange(len(values))
    return values[order], rank[codes]


def _natural(text: str) -> list[tuple[int, str]]:
    """``R2C10`` behind ``R2C9``: a number with more digits is the larger one, however many they are."""
    parts = re.split(r"([0-9]+)", text)
    numbers = [part.lstrip("0") if number % 2 else "" for number, part in enumerate(parts)]
    return [(len(n), n) if i % 2 else (-1, part) for i, (part, n) in enumerate(zip(parts, numbers, strict=True))]


def _widths(log: Cycles, device: _Axis) -> Floats:
    """The width of each device."""
    width = log.frame["width"].to_numpy()
    first = pd.Series(width).groupby(device.codes).first().to_numpy()
    if (other := width != first[device.codes]).any():
        row = int(np.argmax(other))
        label = device.values[device.codes[row]]
        raise LogError(
            f"{log.line_of(row)}: device {label} is {width[row]:g} um wide here, and {first[device.codes[row]]:g} um "
            "elsewhere; give each bar a label of its own"
        )
    return np.asarray(first)


def _texts(column: pd.Series) -> npt.NDArray[Any]:
    return column.fillna("").astype(str).to_numpy(object)


def variable(name: str, present: Container[str], taken: Container[str]) -> str:
    """The name of a further column in the cube: letters, digits and _, and no name of the cube itself."""
    result = re.sub(r"\W+", "_", name).strip("_") or "column"
    result = f"log_{result}" if result in taken or not result.isidentifier() else result
    while result in present:
        result += "_"
    return result


def _current_index(
    cell: npt.NDArray[np.int64], i_write: Floats
) -> tuple[npt.NDArray[np.int32], tuple[npt.NDArray[Any], ...]]:
    """Position of each row's current among those of its cell, and (cell, position, A) of each such current."""
    different, codes = _unique(pd.Series(i_write))
    pair, pairs = pd.factorize(cell * np.int64(different.size) + codes)  # few, where sorting all rows takes long
    order = np.argsort(pairs)
    cells, currents = np.divmod(pairs[order], different.size)
    rank = np.arange(order.size, dtype=np.int32)
    first = np.r_[True, cells[1:] != cells[:-1]] if order.size else np.empty(0, np.bool_)
    rank -= np.maximum.accumulate(np.where(first, rank, 0))
    index = np.empty_like(rank)
    index[order] = rank
    return index[pair], (cells, rank, different[currents])


def _require_once(log: Cycles, position: npt.NDArray[np.int64]) -> None:
    seen = np.zeros(int(position.max(initial=-1)) + 1, np.bool_)
    seen[position] = True
    if int(seen.sum()) == position.size:
        return
    order = np.argsort(position, kind="stable")
    repeats = order[1:][position[order][1:] == position[order][:-1]]
    row = int(repeats.min())
    first = int(np.flatnonzero(position == position[row])[0])
    here, earlier = log.line_of(row), log.line_of(first)
    file, _, line = earlier.rpartition(":")
    where = f"on line {line}" if file and here.startswith(f"{file}:") else f"at {earlier}"
    help = "" if log.axis else "; if another quantity was varied, name its column: --axis"
    raise LogError(f"{here}: {key_of(log, row)} is {where} already; each row stands once{help}")


def key_of(log: Cycles, row: int) -> str:
    """What tells a row from others, in words."""
    without = {"polarity" if log.signs != "both" else "", "" if log.axis else "at"}
    shown = [name for name in log.keys if name not in without]
    names = {"at": log.axis}
    values = (log.frame[name].iloc[row] for name in shown)
    return ", ".join(
        f"{names.get(n, n)} {v if isinstance(v, str) else f'{v:g}'}" for n, v in zip(shown, values, strict=True)
    )
