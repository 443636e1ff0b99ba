"""Where a mean crosses a threshold, with the interval of that place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from spinsweep.analysis.design import replicates, text_of
from spinsweep.analysis.estimates import numbers
from spinsweep.analysis.intervals import check_level
from spinsweep.analysis.resampling import Floats, expanded_tail, means, weights
from spinsweep.analysis.tables import PrintedTable, titled, with_bounds
from spinsweep.axis import closest
from spinsweep.errors import SpecError

RESAMPLES = 2000


def crossing(
    dataset: xr.Dataset,
    output: str,
    threshold: float,
    along: str,
    over: Sequence[str] | str | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """Where the mean of an output over its replicates crosses a threshold along an axis.

    Means are joined by straight lines. The interval is the expanded percentile interval of the bootstrap over the
    replicates (of several dims the first one; the others are averaged). A resample that does not cross counts as one
    that crosses beyond the end of the axis, so that a bound is infinite where the axis may be too short.

    Parameters
    ----------
    dataset : a cube, or a selection from one
    threshold : in the unit of the output
    along : an axis of numbers
    over : axes that are replicates; None: those with names such as ``seed``
    level : confidence of the interval

    Returns
    -------
    Dataset over the remaining dims: ``crossing``, the first place, in the unit of the axis; ``low`` and ``high``, NaN
    with fewer than two replicates or no crossing; ``crossings``, their number; ``told``: ``none``, ``one`` or
    ``several``; and ``left_out``, values of the axis without a number, over which the line goes on

    Raises
    ------
    SpecError
        There is no such output or axis, or ``along`` is no axis of numbers.
    """
    check_level(level)
    values = numbers(dataset, output)
    dims = [str(d) for d in values.dims]
    if along not in dims:
        raise SpecError(f"there is no axis {along!r}{closest(along, dims)}; there are {', '.join(dims) or 'none'}")
    if along not in values.coords or values[along].dtype.kind not in "iuf":
        raise SpecError(f"axis {along!r} holds no numbers: there is no place between two of its values")
    repeated = tuple(d for d in replicates(values, over) if d != along)
    values = values.mean(list(repeated[1:])).sortby(along)
    values = values if repeated else values.expand_dims("replicate of a crossing")
    first = repeated[0] if repeated else "replicate of a crossing"
    x = values[along].values.astype(np.float64)
    names = ("crossing", "low", "high", "crossings", "left_out")
    parts = xr.apply_ufunc(
        lambda y: _place(x, y, threshold, level),
        values,
        input_core_dims=[[first, along]],
        output_core_dims=[[]] * len(names),
        vectorize=True,
        keep_attrs=False,
    )
    result = xr.Dataset(dict(zip(names, parts, strict=True)))
    result["crossings"], result["left_out"] = (
        result["crossings"].astype(np.int64),
        result["left_out"].astype(np.int64),
    )
    words = np.array(["none", "one", "several"])
    result["told"] = result["crossings"].copy(data=words[np.minimum(result["crossings"].values, 2)])
    unit = {"units": str(values[along].attrs.get("units", "1"))}
    for name in ("crossing", "low", "high"):
        result[name].attrs |= unit
    return result.assign_attrs(output=output, threshold=threshold, along=along, level=level)


def crossings_table(places: xr.Dataset) -> PrintedTable:
    """What :func:`crossing` found as a table: one row for each combination of the remaining dims."""
    dims = [str(d) for d in places["crossing"].dims]
    names = ["crossing", "low", "high", "crossings", "left_out"]
    flat = places.stack(row=dims).transpose("row") if dims else places.expand_dims("row")
    rows = tuple(
        (
            *(text_of(row[d].values) for d in dims),
            with_bounds(*(float(row[name]) for name in names[:3])),
            str(row["told"].item()),
        )
        for row in (flat.isel(row=i) for i in range(flat.sizes["row"]))
    )
    along = places.attrs["along"]
    unit = str(places["crossing"].attrs.get("units", "1"))
    heading = along if unit in ("1", "") else f"{along} ({unit})"
    parts = [f"Where the mean of {places.attrs['output']} first crosses {places.attrs['threshold']:g} along {along}."]
    if np.isfinite(places["low"]).any() or np.isinf(places["low"]).any():
        parts.append(f"Intervals ({100 * places.attrs['level']:g} %) from a bootstrap over the replicates.")
    if left_out := int(places["left_out"].sum()):
        parts.append(f"{left_out} means have no number and are passed over.")
    frame = places[names].to_dataframe(dim_order=dims).reset_index() if dims else flat[names].to_dataframe()
    header = (*(titled(places, d) for d in dims), heading, "crossings")
    return PrintedTable(header, rows, len(dims), " ".join(parts), frame[[*dims, *names]])


def _place(x: Floats, y: Floats, threshold: float, level: float) -> tuple[float, ...]:
    """The numbers that :func:`crossing` gives of values (replicates, along) at x (along,)."""
    is_known = np.isfinite(y).any(axis=0)
    x, y = x[is_known], y[:, is_known] - threshold
    left_out = float((~is_known).sum())
    count = y.shape[0]
    if x.size < 2:
        return np.nan, np.nan, np.nan, 0.0, left_out
    mean = means(y, np.ones((1, count)))
    sign = np.sign(mean[0])
    number = float(_changes(mean).sum())
    place = float(first_crossing(x, mean, float(sign[0]))[0])
    if not number:
        return np.nan, np.nan, np.nan, 0.0, left_out
    if count < 2:
        return place, np.nan, np.nan, number, left_out
    places = first_crossing(x, means(y, weights(count, RESAMPLES)), float(sign[0]))
    tail = expanded_tail(count, level)
    low, high = np.quantile(places, [tail, 1 - tail], method="nearest")
    return place, min(float(low), place), max(float(high), place), number, left_out


def _changes(curves: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Between which neighbours each curve (n, along) goes over zero, (n, along - 1); zero counts as above."""
    above = curves >= 0
    return np.asarray(above[:, 1:] != above[:, :-1])


def first_crossing(x: Floats, curves: Floats, begins: float) -> Floats:
    """Where each of the curves (n, along) first crosses zero, (n,).

    Infinite beyond the end for a curve that stays on the side on which the mean ``begins`` (below 0, or not), and
    before the first value for one that begins on the other side and stays there.
    """
    is_above = curves[:, 0] >= 0
    is_known = ~np.isnan(curves).any(axis=1)  # a resample may lack all replicates of a value
    changes = _changes(curves)
    left = changes.argmax(axis=1)
    rows = np.arange(len(curves))
    a, b = curves[rows, left], curves[rows, left + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        place = x[left] + (x[left + 1] - x[left]) * a / (a - b)
    beyond = np.where(is_above == (begins >= 0), np.inf, -np.inf)
    return np.asarray(np.where(changes.any(axis=1), place, beyond)[is_known])
