"""Figures of the macrospin: Fig. S7 of the paper and what follows from it.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spinneurons.device import style
from spinneurons.macrospin.analysis import Trend, exact_bias, trajectories, trend
from spinneurons.macrospin.barrier import bias_current
from spinneurons.macrospin.sweep import magnet
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

_PANELS = 3  # pulse lengths that are drawn side by side
LONG = 1e-4
"""Pulse of the paper's experiments, s."""


def switching(cube: xr.Dataset, pulse: int, ax: Axes) -> Axes:
    """Share of switched trajectories against the current for the pulse length at that position, with the fits."""
    one = cube.isel(pulse=pulse)
    shade = _shade(cube)
    for index, width in enumerate(one["width"].values):
        row = one.isel(width=index)
        i_bias, i0, current = float(row["i_bias"]), float(row["i0"]), row["i_write"].values
        if not np.isfinite(current).all():
            continue
        share = row["switches"].values / trajectories(cube)
        ax.plot(current, share, ls="none", marker="o", ms=1.8, mew=0, color=shade.to_rgba(width))
        if np.isfinite(i_bias * i0):
            fine = np.linspace(current[0], current[-1], 200)
            ax.plot(fine, LOGISTIC.probability((fine - i_bias) / i0), color=shade.to_rgba(width), lw=0.8)
    ax.set_xlim(0)
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A")
    ax.set_title(f"pulse of {time_text(float(one['pulse']))}")
    return ax


def against_width(trends: list[Trend], name: str, ax: Axes) -> Axes:
    """``i_bias`` or ``window`` of each pulse length against the width, relative to the line at the widest."""
    for index, found in enumerate(trends):
        look = style.device_look(index)
        line = found.bias_line if name == "i_bias" else found.window_line
        unit = float(line.at(found.width[-1]))
        text = f"{time_text(found.pulse)}: {style.current_text(unit)} at 1, R² = {line.r_squared:.4f}"
        ax.plot(found.width, getattr(found, name) / unit, ls="none", mfc="none", **look, label=text)
        ends = np.array([0.0, found.width[-1]])
        ax.plot(ends, line.at(ends) / unit, color=look["color"], lw=0.8)
    ax.axhline(0, color=style.GREY, lw=0.5)
    ax.set_xlim(0)
    ax.set_xlabel("Width of the magnet (nm)")
    ax.set_ylabel("Bias current (rel.)" if name == "i_bias" else "Window, 0.01 % to 99.9 % (rel.)")
    ax.legend(loc="lower right")
    return ax


def s7_switching(cube: xr.Dataset) -> Figure:
    """A panel for each pulse length (the first three), a curve for each width."""
    cube = style.mask_unfinished(cube)
    count = max(1, min(cube.sizes["pulse"], _PANELS))
    figure = style.new_figure(style.PAGE if count > 1 else style.COLUMN, 62 * style.MM)
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    if not cube.sizes["width"]:
        for ax in panels:
            style.note(ax, "no cell is done yet")
        return figure
    for pulse, ax in enumerate(panels):
        switching(cube, pulse, ax)
    panels[0].set_ylabel("Switching probability")
    figure.colorbar(_shade(cube), ax=panels, label="Width of the magnet (nm)", aspect=30, pad=0.01)
    return figure


def s7_linear(cube: xr.Dataset) -> Figure:
    """Bias current and window against the width, for each pulse length."""
    figure = style.new_figure(style.PAGE, 65 * style.MM)
    panels = figure.subplots(1, 2)
    trends = _trends(cube)
    for name, ax in zip(("i_bias", "window"), panels, strict=True):
        if trends:
            against_width(trends, name, ax)
        else:
            style.note(ax, "fewer than two widths have a fit")
    return figure


def ratio(cube: xr.Dataset) -> Figure:
    """I_bias/i0 against the width, each relative to its widest: macrospins beside the default device card.

    The card's ratio is what the paper's statements ask for; its intercept is assumed.
    """
    figure = style.new_figure()
    ax = figure.add_subplot()
    trends = _trends(cube)
    if not trends:
        style.note(ax, "fewer than two widths have a fit")
        return figure
    for index, found in enumerate(trends):
        ax.errorbar(
            found.width / found.width[-1],
            found.ratio / found.ratio[-1],
            1.96 * found.ratio_stderr / found.ratio[-1],
            **style.device_look(index),
            mfc="none",
            elinewidth=0.6,
            lw=0.8,
            label=f"macrospin, {time_text(found.pulse)}",
        )
    built_in = HallBar(HallBar.default())
    width = np.sort(built_in.value("devices.widths"))
    bars = built_in.i_bias(width) / built_in.i0(width)
    ax.plot(width / width[-1], bars / bars[-1], color="black", marker="x", lw=0.8, label="Hall bars, device card")
    ax.axhline(1, color=style.GREY, ls="--", lw=0.6)
    ax.set_xscale("log")
    ax.set_xlabel("Width relative to the widest")
    ax.set_ylabel(f"{style.RATIO} relative to the widest")
    ax.legend(loc="upper right")
    return figure


def pulse_length(cube: xr.Dataset) -> Figure:
    """Bias current against the pulse length up to 100 us: counted, exact, and by thermal activation.

    Narrowest, middle and widest magnet.
    """
    cube = style.mask_unfinished(cube)
    figure = style.new_figure()
    ax = figure.add_subplot()
    trends, params = _trends(cube), style.parameters(cube)
    if not trends:
        style.note(ax, "fewer than two widths have a fit")
        return figure
    widths = trends[0].width
    times = np.geomspace(min(found.pulse for found in trends), LONG, 16)
    for index, width in enumerate(dict.fromkeys((widths[0], widths[len(widths) // 2], widths[-1]))):
        look, one = style.device_look(index), magnet(float(width), params)
        seen = [(t.pulse, t.i_bias[t.width == width][0]) for t in trends if width in t.width]
        ax.plot(*zip(*seen, strict=True), ls="none", mfc="none", **look, label=f"{width:g} nm")
        ax.plot(times, [exact_bias(params, float(width), t) for t in times], color=look["color"], lw=0.8)
        activated = [bias_current(one, t, params["torque"]) for t in times]
        ax.plot(times, activated, color=look["color"], lw=1.2, ls=":")
    ax.plot([], [], color="black", lw=0.8, label="Fokker-Planck")
    ax.plot([], [], color="black", lw=1.0, ls=":", label="barrier")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("Pulse length (s)")
    ax.set_ylabel("Bias current (A)")
    ax.legend(loc="upper right")
    return figure


def time_text(seconds: float) -> str:
    """A time with its prefix, such as ``10 ns``."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= 0.9999 * factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-12:.3g} ps"


def _trends(cube: xr.Dataset) -> list[Trend]:
    """Of the pulse lengths with two fitted widths at least."""
    cube = style.mask_unfinished(cube)
    found = [trend(cube, i) for i in range(cube.sizes["pulse"])] if cube.sizes["width"] else []
    return [one for one in found if one.width.size > 1]


def _shade(cube: xr.Dataset) -> ScalarMappable:
    widths = cube["width"].values
    return ScalarMappable(Normalize(widths.min(), max(widths.max(), widths.min() + 1)), style.SHADES)


FIGURES: dict[str, style.Builder] = {
    "s7_switching": style.styled(s7_switching),
    "s7_linear": style.styled(s7_linear),
    "s7_ratio": style.styled(ratio),
    "s7_pulse_length": style.styled(pulse_length),
}
