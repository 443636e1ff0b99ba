"""Figures of the macrospin: Fig. S7 of the paper and what follows from it.  Cells that are not done are left out."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.cubes import parameters
from spinneurons.macrospin.analysis import WidthCurves, curves_by_width, exact_bias, trajectories
from spinneurons.macrospin.barrier import bias_current
from spinneurons.macrospin.sweep import magnet
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

_PANELS = 3  # pulse lengths that are drawn side by side
LONG = 1e-4
"""Pulse of the paper's experiments, s."""


def switching(cube: xr.Dataset, pulse: int, ax: Axes) -> Axes:
    """Share of switched trajectories against the current for the pulse length at that position, with the fits."""
    cells = cube.isel(pulse=pulse)
    shade = _shade(cube)
    for index, width in enumerate(cells["width"].values):
        row, colour = cells.isel(width=index), shade.to_rgba(width)
        i_bias, i0, current = float(row["i_bias"]), float(row["i0"]), row["i_write"].values
        if not np.isfinite(current).all():
            continue
        share = row["switches"].values / trajectories(cube)
        ax.plot(current, share, ls="none", marker="o", ms=1.8, mew=0, color=colour)
        if np.isfinite(i_bias * i0):
            fine = np.linspace(current[0], current[-1], 200)
            ax.plot(fine, LOGISTIC.probability((fine - i_bias) / i0), color=colour, lw=0.8)
    ax.set_xlim(0)
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", style.current_power(cube))
    ax.set_title(f"pulse of {style.si_text(float(cells['pulse']), 's')}")
    return ax


def s7_switching(cube: xr.Dataset, figure: Figure) -> None:
    """Switched trajectories against the current: a panel for each pulse length (the first three), a curve a width.

    Points are shares of trajectories, without error bars; lines are fits.
    """
    count = min(cube.sizes["pulse"], _PANELS)
    if count == 1 and getattr(figure, "columns", None) is None:
        figure.set_figwidth(style.COLUMN)
    panels = style.panels(figure, count, sharey=True)
    for pulse, ax in enumerate(panels):
        switching(cube, pulse, ax)
    panels[0].set_ylabel("Switching probability")
    figure.colorbar(_shade(cube), ax=panels, label="Width of the magnet (nm)", aspect=30, pad=0.01)


def i_bias_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Bias current of each pulse length against the width, relative to the line at the widest; no error bars."""
    _against_width(cube, ax, "i_bias")
    ax.set_ylabel("Bias current (rel.)")
    return ax


def window_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Window of each pulse length against the width, relative to the line at the widest; no error bars."""
    _against_width(cube, ax, "window")
    ax.set_ylabel("Window, 0.01 % to 99.9 % (rel.)")
    return ax


def _against_width(cube: xr.Dataset, ax: Axes, name: str) -> None:
    for index, curves in enumerate(_fitted(cube)):
        look = style.device_look(index)
        line = curves.bias_line if name == "i_bias" else curves.window_line
        unit = float(line.predict(curves.width[-1]))
        pulse, scale = style.si_text(curves.pulse, "s"), style.si_text(unit, "A", style.current_power(cube))
        text = f"{pulse}: {scale} at 1, R² = {line.r_squared:.4f}"
        ax.plot(curves.width, getattr(curves, name) / unit, ls="none", mfc="none", **look, label=text)
        ends = np.array([0.0, curves.width[-1]])
        ax.plot(ends, line.predict(ends) / unit, color=look["color"], lw=0.8)
    ax.axhline(0, color=style.GREY, lw=0.5)
    ax.set(xlim=0, xlabel="Width of the magnet (nm)")
    style.legend(ax)


def ratio(cube: xr.Dataset, ax: Axes) -> Axes:
    """I_bias/i0 against the width, each relative to its widest: macrospins and the Hall bars of the default card.

    Bars are 95 % intervals of the fits.  The card's ratio is what the paper's statements ask for; its intercept is
    assumed.
    """
    for index, curves in enumerate(_fitted(cube)):
        widest = curves.ratio[-1]
        x, y, error = curves.width / curves.width[-1], curves.ratio / widest, 1.96 * curves.ratio_stderr / widest
        look = {**style.device_look(index), "label": f"macrospin, {style.si_text(curves.pulse, 's')}"}
        ax.errorbar(x, y, error, mfc="none", elinewidth=0.6, lw=0.8, **look)
    built_in = HallBar(HallBar.default())
    width = np.sort(built_in.value("devices.widths"))
    bars = built_in.i_bias(width) / built_in.i0(width)
    ax.plot(width / width[-1], bars / bars[-1], color="black", marker="x", lw=0.8, label="Hall bars, device card")
    ax.axhline(1, color=style.GREY, ls="--", lw=0.6)
    ax.set(xscale="log", xlabel="Width relative to the widest", ylabel=f"{style.RATIO} relative to the widest")
    style.legend(ax)
    return ax


def pulse_length(cube: xr.Dataset, ax: Axes) -> Axes:
    """Bias current of the narrowest, a middle and the widest magnet against the pulse length, up to 100 µs.

    Points are fits of counts, without error bars; lines are exact (Fokker-Planck) or of thermal activation over a
    barrier.
    """
    fitted, params = _fitted(cube), parameters(cube)
    widths = fitted[0].width
    times = np.geomspace(min(curves.pulse for curves in fitted), LONG, 16)
    for index, width in enumerate(dict.fromkeys((widths[0], widths[len(widths) // 2], widths[-1]))):
        look, particle = style.device_look(index), magnet(float(width), params)
        counted = [(c.pulse, c.i_bias[c.width == width][0]) for c in fitted if width in c.width]
        ax.plot(*zip(*counted, strict=True), ls="none", mfc="none", **look, label=f"{width:g} nm")
        ax.plot(times, [exact_bias(params, float(width), t) for t in times], color=look["color"], lw=0.8)
        activated = [bias_current(particle, t, params["torque"]) for t in times]
        ax.plot(times, activated, color=look["color"], lw=1.2, ls=":")
    ax.plot([], [], color="black", lw=0.8, label="Fokker-Planck")
    ax.plot([], [], color="black", lw=1.0, ls=":", label="barrier")
    ax.set(xscale="log", yscale="log", xlabel="Pulse length (s)")
    style.label_axis(ax.yaxis, "Bias current", "A", style.current_power(cube))
    style.legend(ax)
    return ax


def _fitted(cube: xr.Dataset) -> list[WidthCurves]:
    """The pulse lengths with at least two fitted widths."""
    every = [curves_by_width(cube, i) for i in range(cube.sizes["pulse"])] if cube.sizes["width"] else []
    return [curves for curves in every if curves.width.size > 1]


def _no_line(cube: xr.Dataset) -> str:
    return "" if _fitted(cube) else "fewer than two widths have a fit"


def _shade(cube: xr.Dataset) -> ScalarMappable:
    widths = cube["width"].values
    return ScalarMappable(Normalize(widths.min(), max(widths.max(), widths.min() + 1)), style.SHADES)


FIGURES: dict[str, style.Builder] = {
    "s7_switching": style.canvas(s7_switching, width=style.PAGE, height=62 * style.MM),
    "s7_linear": style.figure(i_bias_against_width, window_against_width, width=style.PAGE, empty=_no_line),
    "s7_ratio": style.figure(ratio, empty=_no_line),
    "s7_pulse_length": style.figure(pulse_length, empty=_no_line),
}
