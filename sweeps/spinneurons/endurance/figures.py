"""Figure of the endurance: Fig. S5 of the paper, of the sweep or of a measured log.

The device model is a coin of probability 1/2 at its bias current, and is held against a fair one.  A measured device
has whatever probability its current gives: it is held against independent pulses of the share that was measured.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from spinneurons import style
from spinneurons.analysis.cubes import first_device
from spinneurons.endurance.analysis import LONG, long_record
from spinsweep.analysis.intervals import share, wilson

Floats = npt.NDArray[np.float64]

SPANS = (100, 1000)
"""Cycles of the two moving averages."""

CORRELATED = 4.5
"""Standard errors from which on a correlation of neighbours is no chance: once in 150,000 fair coins."""


def moving_average(switched: npt.ArrayLike, span: int) -> Floats:
    """Mean of each ``span`` successive entries, (m - span + 1,) float64; empty if there are fewer."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(switched, dtype=np.float64))])
    return np.asarray((total[span:] - total[:-span]) / span) if total.size > span else np.empty(0)


def moving_averages(
    cube: xr.Dataset,
    ax: Axes,
    width: float | None = None,
    device: int | None = None,
    *,
    expected: float | None = 0.5,
) -> Axes:
    """Moving averages of one device over its valid cycles, with the 95 % bands of independent pulses.

    Parameters
    ----------
    width, device : um and label of the device; by default the one with most valid cycles
    expected : probability of the bands; None: the share of the device itself.  Drift and correlation are said of it
        then, and of a device of the model whose cycles remember those before
    """
    valid = cube["valid"].sum("cycle")
    labels = first_device(
        (valid == valid.max()) & (valid > 0) if width is device is None else valid > 0, width, device
    )
    if labels is None:
        return style.note(ax, "no device with valid cycles")
    chosen = cube.sel(labels)
    used = chosen["valid"].values
    switched, cycle = chosen["switched"].values[used], chosen["cycle"].values[used]
    p, low, high = (float(v) for v in wilson(switched.sum(), switched.size))
    centre = p if expected is None else expected
    sd = np.sqrt(centre * (1 - centre))
    for span, colour, lw in zip(SPANS, (style.SKY, style.BLUE), (0.4, 1.0), strict=True):
        average = moving_average(switched, span)
        if average.size:
            ax.plot(cycle[span - 1 :], average, color=colour, lw=lw, label=f"mean of {span} cycles")
            half = 1.96 * sd / np.sqrt(span)
            ax.axhspan(
                centre - half, centre + half, color="#EEEEEE" if span == SPANS[0] else "#DCDCDC", lw=0, zorder=0
            )
    ax.axhline(centre, color="black", ls="--", lw=0.7)
    current = style.si_text(float(chosen["i_write"]), "A", style.current_power(cube))
    counts = f"{int(switched.sum())} of {switched.size}, {100 * p:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    more = f"\n{_pulses(switched)}" if switched.size >= LONG and (expected is None or _remember(switched)) else ""
    ax.set(title=f"{style.device_text(chosen)}, {current}: {counts}{more}", xlim=(cycle.min(), cycle.max() + 1))
    _limits(ax, centre, sd / np.sqrt(SPANS[0]), moving_average(switched, SPANS[0]))
    ax.set(xlabel="Cycle", ylabel="Switching probability")
    if switched.size >= min(SPANS):
        of = "a fair coin" if expected == 0.5 else "independent pulses of this share"
        style.legend(ax, title=f"bands: 95 % of {of}")
    return ax


def _pulses(switched: npt.ArrayLike) -> str:
    """Whether the share drifts from start to end, and whether a pulse depends on the one before."""
    record = long_record(switched)
    change, low, high = (100 * v for v in (record.change, record.change_low, record.change_high))
    if np.isnan(low + high):
        return "all pulses alike"
    text = f"drift {change:+.1f} points ({low:.1f} to {high:.1f}), p = {record.change_p_value:.2g}"
    if np.isfinite(record.correlation):
        text += f"; correlation of neighbours {record.correlation:+.3f}"
    return text.replace("-", "−")


def _remember(switched: npt.ArrayLike) -> bool:
    """Whether neighbours are correlated beyond chance: 1/sqrt(n) is the standard error of independent ones."""
    return bool(abs(long_record(switched).correlation) * np.sqrt(np.size(switched)) > CORRELATED)


def _limits(ax: Axes, centre: float, sd: float, average: Floats) -> None:
    """Probabilities within 5 sd of the shorter average about the centre, and all of the data."""
    sd = max(sd, 0.005)  # of pulses that are all alike
    low = min(centre - 5 * sd, float(average.min(initial=centre)) - sd)
    high = max(centre + 5 * sd, float(average.max(initial=centre)) + sd)
    ax.set_ylim(max(low, -0.02), min(high, 1.02))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def all_devices(cube: xr.Dataset, ax: Axes, *, expected: float | None = 0.5) -> Axes:
    """Switching probability of each device over all its cycles.

    Bars are Wilson's 95 % intervals.  A band, where there is one, holds 95 % of coins of the expected probability.

    Parameters
    ----------
    expected : probability of the band; None: of measured devices, which have none
    """
    valid = cube["valid"].sum("cycle")
    p = share((cube["switched"] & cube["valid"]).sum("cycle"), valid)
    bars = xr.concat([p["share"] - p["low"], p["high"] - p["share"]], "end")
    style.devices_by_width(cube, ax, p["share"], bars)
    half = 1.96 * np.sqrt(0.25 / max(float(valid.max()), 1.0))
    if expected is not None:
        ax.axhspan(expected - half, expected + half, color="#EEEEEE", lw=0, zorder=0)
    ax.axhline(0.5, color="black", ls="--", lw=0.7)
    margin = max(3 * half, 1.15 * float(abs(p[["low", "high"]].to_dataarray() - 0.5).max()))
    ax.set(ylim=(0.5 - margin, 0.5 + margin), ylabel="Switching probability")
    without = int((valid == 0).sum()) if expected is None else 0
    if without:
        ax.set_title(f"devices without {LONG} cycles at one current: {without}")
    style.legend(ax)
    return ax


FIGURES: dict[str, style.Builder] = {
    "s5_endurance": style.figure(moving_averages, all_devices, width=style.PAGE, ratios=(1.25, 1), zeros=True)
}
"""Moving averages of one device beside the overall probability of all devices."""

MEASURED = style.figure(
    partial(moving_averages, expected=None), partial(all_devices, expected=None), width=style.PAGE, ratios=(1.25, 1),
    zeros=True,
)  # fmt: skip
"""The same of long records: see :func:`spinneurons.endurance.analysis.long_records`."""
