"""What came of rounds: a table of the sets, and the lines that say it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinsweep.analysis.looks import LEVEL, half_width
from spinsweep.axis import key
from spinsweep.runs.rounds import Measure, Rounds


def table(rounds: Rounds) -> xr.Dataset:
    """One value for each set, over the other axes.

    Returns
    -------
    Dataset with ``replicates`` that were used (0 where the sweep wants no cell), ``is_met``, and for each output of a
    condition ``<output>_mean`` and ``<output>_half_width`` at the last look, at which the interval holds also though
    one looked before; of several elements, those of the one that is the farthest from its limit
    """
    axes = [axis for axis in rounds.sweep.axes if axis.name != rounds.axis]
    dims, shape = [axis.name for axis in axes], [len(axis.values) for axis in axes]

    def over(
        values: npt.NDArray[np.generic], unit: str = "1"
    ) -> tuple[list[str], npt.NDArray[np.generic], dict[str, str]]:
        return dims, values.reshape(shape).copy(), {"units": unit}

    variables = {"replicates": over(rounds.used), "is_met": over(rounds.is_met)}
    units = {output.name: output.unit for output in rounds.sweep.outputs}
    for number, measure in enumerate(rounds.measures):
        name = measure.condition.output
        unit = units[name]
        if f"{name}_mean" in variables:  # a second condition on it
            name = f"{name}_{number}"
        variables |= {f"{name}_mean": over(measure.mean, unit), f"{name}_half_width": over(measure.half, unit)}
    coords = {axis.name: (axis.name, list(axis.values), {"units": axis.unit}) for axis in axes}
    return xr.Dataset(variables, coords, {"until": str(rounds.until), "level": LEVEL})


def full_grid(rounds: Rounds) -> int:
    """Replicates that each set of a full grid has to have for intervals that are nowhere wider.

    They are intervals at the same level, which a full grid looks at once; a set that did not meet its limit counts
    with the half width that it reached.
    """
    return max((_alone(rounds, measure) for measure in rounds.measures), default=0)


def _alone(rounds: Rounds, measure: Measure) -> int:
    known = rounds.is_set & np.isfinite(measure.half)
    most = 0
    for i in np.flatnonzero(known):
        mean, spread = measure.mean[i : i + 1], measure.spread[i : i + 1]
        goal, share = max(measure.limit[i], measure.half[i]), bool(measure.is_share[i])
        low, high = min(max(most, 2), int(rounds.used[i])), int(rounds.used[i])
        while low < high:  # the width falls as replicates are added
            middle = (low + high) // 2
            half = half_width(mean, spread, np.array([middle]), LEVEL, is_share=share)[0]
            low, high = (low, middle) if half <= goal else (middle + 1, high)
        most = max(most, low)
    return most


def lines(rounds: Rounds) -> Iterator[tuple[str, str]]:
    """Label and text of each line that says how the sets are at the end."""
    used, met, axis = rounds.used[rounds.is_set], int(rounds.is_met.sum()), rounds.axis
    spread = f"{used.min()} / {np.median(used):g} / {used.max()} values of {axis} (min / median / max)"
    yield "until", f"{rounds.until}: met by {met} of {rounds.sets} sets, {spread}"
    here = int(rounds.is_open.sum())
    if here:
        yield "open", f"{here} sets need more values of {axis}"
    at_most = rounds.is_set & ~rounds.is_met & ~rounds.is_open
    if at_most.any():
        yield (
            "not met",
            f"{int(at_most.sum())} sets at max, {rounds.until.most} values of {axis}{_widest(rounds, at_most)}",
        )
    if rounds.failed or rounds.blank:
        cells = [
            f"{n} {what}" for n, what in ((rounds.failed, "failed cells"), (rounds.blank, "cells that are NaN")) if n
        ]
        yield "missing", f"{' and '.join(cells)} count as missing: their sets went on without them"
    if not here and (each := full_grid(rounds)):
        computed, full = int(used.sum()), each * rounds.sets
        saved = 100 * (1 - computed / full)
        much = f"{saved:.0f} % fewer" if saved >= 0 else f"{-saved:.0f} % more, for looking in between"
        yield "saved", f"{computed} cells, where a full grid as narrow has {full} ({each} values of {axis}): {much}"


def _widest(rounds: Rounds, sets: npt.NDArray[np.bool_]) -> str:
    """The farthest from its limit of some sets, in words."""
    farthest: tuple[float, int, Measure] | None = None
    for measure in rounds.measures:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(sets, measure.half / measure.limit, -math.inf)
        ratio = np.where(np.isnan(ratio), -math.inf, ratio)
        place = int(np.argmax(ratio))
        if ratio[place] > -math.inf and (farthest is None or ratio[place] > farthest[0]):
            farthest = (float(ratio[place]), place, measure)
    if farthest is None:
        return ""
    _, place, measure = farthest
    axes = [axis for axis in rounds.sweep.axes if axis.name != rounds.axis]
    index = np.unravel_index(place, [len(axis.values) for axis in axes])
    where = " ".join(f"{axis.name}={key(axis.values[i])}" for axis, i in zip(axes, index, strict=True))
    return f"; the widest has half width {measure.half[place]:.3g} of {measure.condition.output} at {where or 'all'}"
