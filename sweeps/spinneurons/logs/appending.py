"""Rows of a log beside those that were imported before: old ones stay, known ones are skipped, new ones are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spinneurons.logs.arrays import BY_BOTH, key_of
from spinneurons.logs.cycles import FURTHER, SECONDS, Condition, Cycles, merged, seconds_of
from spinneurons.logs.table import LogError
from spinsweep import moments


@dataclass(frozen=True)
class Appended:
    """A log with the rows that were there before."""

    log: Cycles
    added: int
    """Rows that were not there before."""
    known: int
    """Rows that were there."""


def rows_of(cube: xr.Dataset, recording: Mapping[str, Any]) -> Cycles:
    """The rows that an imported cube holds, as they were read.

    Parameters
    ----------
    cube : as :func:`spinneurons.logs.arrays.arrays` gives it, with further columns of text as positions in the list
        ``labels``, -1 for no text; its times are not decoded
    recording : what the cube says of the log: ``form``, ``signs``, ``axis``, ``reset_read``, and ``further``, the
        arrays that are further columns; ``conditions``, if it was kept
    """
    place = np.nonzero(cube["recorded"].values)
    dims = cube["recorded"].dims
    frame: dict[str, Any] = {}
    for dim, index in zip(dims, place, strict=True):
        if dim not in ("current", "polarity", "width", "device", "cycle"):
            frame["at"] = cube[dim].values[index]
    frame["device"] = cube["device"].values[place[dims.index("device")]]
    frame["width"] = cube["width"].values[place[dims.index("width" if "width" in dims else "device")]]
    if recording["form"] == BY_BOTH:
        frame["device"] = np.array([str(label).partition("/")[2] for label in frame["device"]], object)
    signs = str(recording["signs"])
    frame["polarity"] = (
        cube["polarity"].values[place[dims.index("polarity")]]
        if "polarity" in dims
        else np.full(place[0].size, -1 if signs == "negative" else 1)
    )
    frame.setdefault("at", np.zeros(place[0].size))
    currents = tuple(index for dim, index in zip(dims, place, strict=True) if dim != "cycle")
    frame["i_write"] = cube["i_write"].transpose(*(d for d in dims if d != "cycle")).values[currents]
    if "cycle" in dims:
        frame["cycle"] = cube["cycle"].values[place[dims.index("cycle")]]
    units = {}
    for name, quantity in (("n_switched", "n_switched"), ("n_valid", "n"), ("r_reset", ""), ("r_write", "")):
        if name in cube:
            frame[quantity or name] = cube[name].values[place]
    for name in recording["further"]:
        column = FURTHER + str(cube[name].attrs["long_name"])
        values, labels = cube[name].values[place], cube[name].attrs.get("labels")
        frame[column] = np.array([*labels, ""], object)[values] if labels is not None else values
        units[column] = str(cube[name].attrs.get("units", "1"))
        if units[column] == moments.ATTRIBUTES["units"]:
            frame[column], units[column] = seconds_of(values), SECONDS
    table = pd.DataFrame(frame)
    if "r_reset" in table and not recording["reset_read"]:
        table = table.drop(columns="r_reset")
    axis = str(recording["axis"])
    conditions = {
        name: {float(value): rows for value, rows in rows_of.items()}
        for name, rows_of in recording.get("conditions", {}).items()
    }
    return Cycles(
        table, lambda row: "the cube", rows=len(table), signs=signs, axis=axis, units=units, conditions=conditions
    )


def appended(old: Cycles, new: Cycles) -> Appended:
    """The rows of both; those of ``old`` first.

    Raises
    ------
    LogError
        A row is not what it was, or the files are of another kind than the cube.
    """
    _require_alike(old, new)
    keys = old.keys
    before, after = old.frame, new.frame
    if before["device"].dtype.kind != after["device"].dtype.kind:  # numbers beside names are names
        before, after = (f.assign(device=f["device"].astype(str).astype(object)) for f in (before, after))
    index = pd.MultiIndex.from_frame(before[keys])
    position = index.get_indexer(pd.MultiIndex.from_frame(after[keys]))
    known = np.flatnonzero(position >= 0)
    for column in after.columns.difference([*keys, "width"]):
        if column in before:
            _require_same(new, column, known, after[column].iloc[known], before[column].iloc[position[known]])
    fresh = np.flatnonzero(position < 0)
    rows = pd.concat([before, after.iloc[fresh]], ignore_index=True)
    for column in rows.columns:
        if rows[column].dtype == object:
            rows[column] = rows[column].where(rows[column].notna(), "")
    size = len(before)

    def line_of(row: int) -> str:
        return old.line_of(row) if row < size else new.line_of(int(fresh[row - size]))

    added = [column.removeprefix(FURTHER) for column in new.further if column not in before]
    left_out = [
        f"column {column!r} of {known.size} rows that are in the cube already" for column in added if known.size
    ]
    log = replace(
        new, frame=rows, line_of=line_of, left_out=(*new.left_out, *left_out), signs=old.signs,
        units={**new.units, **old.units}, conditions=_conditions(old, new, fresh.size),
    )  # fmt: skip
    return Appended(log, fresh.size, known.size)


def _conditions(old: Cycles, new: Cycles, fresh: int) -> dict[str, Condition]:
    """Conditions of both; a file with rows of the cube alone tells those that the cube does not have."""
    return merged([old.conditions, new.conditions]) if fresh else {**new.conditions, **old.conditions}


def _require_alike(old: Cycles, new: Cycles) -> None:
    """Refuse what cannot stand in one cube."""
    kinds = {True: "counts", False: "cycles"}
    have = {True: "readings after reset", False: "no readings after reset"}
    differences = (
        (kinds[old.counted], kinds[new.counted]),
        (f"the further axis {old.axis or 'none'}", f"the further axis {new.axis or 'none'}"),
        (f"{old.signs} write currents", f"{old.signs if old.signs == 'both' else new.signs} write currents"),
        (have["r_reset" in old.frame], have["r_reset" in new.frame]),
    )
    for before, now in differences:
        if before != now:
            raise LogError(f"the cube has {before}, and the files have {now}; give another store")


def _require_same(new: Cycles, column: str, rows: Any, now: pd.Series, before: pd.Series) -> None:
    """Refuse the first of the rows whose value is not what it was."""
    if now.dtype.kind == "f" and before.dtype.kind in "fiu":
        new_values, old_values = now.to_numpy(), before.to_numpy()
        if column in ("r_reset", "r_write"):
            new_values, old_values = new_values.astype(np.float32), old_values.astype(np.float32)
        lost = np.isnan(new_values) & np.isnan(old_values.astype(np.float64))
        different = (new_values != old_values) & ~lost
    else:
        different = now.fillna("").astype(str).to_numpy() != before.fillna("").astype(str).to_numpy()
    if different.any():
        first = int(np.argmax(different))
        name = column.removeprefix(FURTHER)
        raise LogError(
            f"{new.line_of(int(rows[first]))}: {name} is {now.iloc[first]!s} at {key_of(new, int(rows[first]))}, and "
            f"was {before.iloc[first]!s} when it was imported; rows that are in the cube stay: give another store, "
            "or the cycles numbers of their own"
        )
