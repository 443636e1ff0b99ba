"""How much of an output's variance each axis explains: main effects and Sobol indices of a full grid.

All values of an axis weigh the same, and axes are independent of each other: on a full grid, the analysis of variance
is then exact, and its shares are the Sobol indices of that uniform distribution over the grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from spinsweep.analysis.design import Design
from spinsweep.analysis.estimates import numbers
from spinsweep.analysis.intervals import check_level
from spinsweep.analysis.resampling import Floats, means, weights
from spinsweep.analysis.tables import PrintedTable, with_bounds
from spinsweep.errors import SpecError

RESAMPLES = 400
INDICES = ("first", "total")
AT_ONCE = 2_000_000
"""Means of resamples in memory."""


def sensitivity(
    dataset: xr.Dataset, output: str, over: Sequence[str] | str | None = None, level: float = 0.95
) -> xr.Dataset:
    """First-order and total Sobol indices of each axis, and the share of interactions.

    With Y the mean over the replicates and V its variance over the grid, ``first`` is Var(E[Y | axis]) / V, the main
    effect, and ``total`` is E[Var(Y | all other axes)] / V. What the noise of the replicates adds is subtracted: its
    variance is that within cells, without what is common to all cells of a replicate, such as a chip. ``noise`` is
    that variance over V plus itself, for one replicate. Intervals are the estimate and Student's t times the standard
    error of the bootstrap over the replicates, within 0 to 1. Replicates of several dims are averaged over all but
    the first.

    Parameters
    ----------
    dataset : a cube, or a selection from one
    over : axes that are replicates; None: those with names such as ``seed``
    level : confidence of the intervals

    Returns
    -------
    Dataset over ``axis``: ``first`` and ``total`` (axis,), each with ``_low`` and ``_high``; and ``interactions``
    with its bounds, and ``noise``. Bounds are NaN with fewer than two replicates, ``noise`` too

    Raises
    ------
    SpecError
        A combination of the grid has no number, the output does not vary more than its noise, there is no axis of two
        values, or no such output or axis.

    Source: I. M. Sobol', Math. Comput. Simul. 55, 271 (2001); A. Saltelli et al., Global Sensitivity Analysis (2008).
    """
    check_level(level)
    values = numbers(dataset, output)
    design = Design.of(values, over)
    axes = [str(d) for d in values.dims if d in (*design.numeric, *design.categories)]
    if not axes:
        raise SpecError(f"output {output!r} has no axis of two values besides its replicates: nothing can explain it")
    first, inner = design.replicates[:1], list(design.replicates[1:])
    values = values.isel({d: 0 for d in values.dims if values.sizes[d] == 1}).mean(inner)
    array = values.transpose(*first, *axes).values
    array = array if first else array[None]
    missing = int((~np.isfinite(array)).all(axis=0).sum())
    if missing:
        raise SpecError(
            f"output {output!r} has no number at {missing} of {array[0].size} combinations of {', '.join(axes)}: "
            "sensitivity needs a full grid; compute them, or select values that all have one"
        )
    array = array[np.isfinite(array).any(axis=tuple(range(1, array.ndim)))]
    count = array.shape[0]
    estimates = _indices(array, np.ones((1, count)))[0]
    if not np.isfinite(estimates).all():
        raise SpecError(f"output {output!r} varies over {', '.join(axes)} no more than its noise: nothing to explain")
    half = np.full(estimates.shape, np.nan)
    if count > 1:
        batches = np.array_split(weights(count, RESAMPLES), max(1, RESAMPLES * array[0].size // AT_ONCE))
        resampled = np.concatenate([_indices(array, batch) for batch in batches])
        error = np.nanstd(resampled, axis=0, ddof=1) * np.sqrt(count / (count - 1))
        half = error * stats.t.ppf((1 + level) / 2, count - 1)
    low, high = np.clip(estimates - half, 0, 1), np.clip(estimates + half, 0, 1)
    n = len(axes)
    parts: dict[str, object] = {}
    for name, place in (("first", slice(0, n)), ("total", slice(n, 2 * n)), ("interactions", 2 * n)):
        dims = ("axis",) if name != "interactions" else ()
        for suffix, numbers_there in (("", estimates), ("_low", low), ("_high", high)):
            parts[name + suffix] = (dims, numbers_there[place])
    parts["noise"] = ((), estimates[-1] if count > 1 else np.nan)
    return xr.Dataset(parts, {"axis": axes}, {"output": output, "replicates": count, "level": level})


def sensitivity_table(indices: xr.Dataset) -> PrintedTable:
    """What :func:`sensitivity` found as a table: one row for each axis, the largest total index first."""
    ordered = indices.isel(axis=np.argsort(-indices["total"].values, kind="stable"))
    columns = [[_bounded(ordered.isel(axis=i), name) for i in range(ordered.sizes["axis"])] for name in INDICES]
    rows = tuple(zip(ordered["axis"].values.tolist(), *columns, strict=True))
    parts = [
        f"Shares of the variance of {indices.attrs['output']} over the grid: first for an axis alone, total with"
    ]
    parts.append(f"its interactions. Interactions: {_bounded(indices, 'interactions')}.")
    if indices.attrs["replicates"] > 1:
        parts.append(f"Noise: {float(indices['noise']):.2g} of the variance of one replicate, left out above.")
        parts.append(f"Intervals ({100 * indices.attrs['level']:g} %) over {indices.attrs['replicates']} replicates.")
    names = [name + bound for name in INDICES for bound in ("", "_low", "_high")]
    frame = ordered[names].to_dataframe().reset_index()[["axis", *names]]
    return PrintedTable(("axis", *INDICES), rows, 1, " ".join(parts), frame)


def _bounded(indices: xr.Dataset, name: str) -> str:
    return with_bounds(*(float(indices[name + bound]) for bound in ("", "_low", "_high")))


def _indices(array: Floats, weight: Floats) -> Floats:
    """First-order, then total indices, interactions and noise, (resamples, 2 axes + 2).

    Parameters
    ----------
    array : (replicates, *axes), NaN allowed
    weight : (resamples, replicates)
    """
    count, sizes = array.shape[0], array.shape[1:]
    cells = int(np.prod(sizes))
    y = means(array, weight)
    grid = tuple(range(1, y.ndim))
    variance = np.zeros(len(y))
    if count > 1:
        common = np.nanmean(array, axis=tuple(range(1, array.ndim)), keepdims=True)
        rest = array - common
        within = means(rest**2, weight) - means(rest, weight) ** 2  # around the mean of the resample
        present = means(np.isfinite(array).astype(np.float64), weight) * count
        unbiased = np.where(present > 1, within * present / np.maximum(present - 1, 1), np.nan)
        known = np.maximum(np.isfinite(unbiased).sum(axis=grid), 1)
        variance = np.nansum(unbiased, axis=grid) / known * cells / max(cells - 1, 1)
        noise = variance * np.mean(1 / np.maximum(present, 1), axis=grid)
    else:
        noise = np.zeros(len(y))
    total = np.var(y, axis=grid) - noise * (cells - 1) / cells
    total = np.where(total > 1e-12 * np.mean(y**2, axis=grid), total, np.nan)
    first, whole = [], []
    for axis, size in enumerate(sizes, start=1):
        others = tuple(a for a in grid if a != axis)
        main = np.var(y.mean(axis=others), axis=1) - noise * (size - 1) / cells
        first.append(np.clip(main / total, 0, 1))
        within_others = np.var(y, axis=axis).reshape(len(y), -1).mean(axis=1) - noise * (size - 1) / size
        whole.append(np.clip(within_others / total, 0, 1))
    remainder = np.clip(1 - np.sum(first, axis=0), 0, 1)
    return np.stack([*first, *whole, remainder, variance / (variance + total)], axis=1)
