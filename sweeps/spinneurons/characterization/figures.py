"""Figures of the characterization: Fig. 2(c-k), 3(a), 3(b), S3(b) and S6 of the paper, from a cube or a log.

Every function draws cells that are done only.  ``FIGURES`` maps a file stem to the builder of the whole
figure.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons.characterization.energy import relative_energy
from spinneurons.device import style
from spinneurons.device.wilson import wilson
from spinneurons.linear import straight_line


def switching(cube: xr.Dataset, ax: Axes) -> Axes:
    """Switching probability against the write current for the devices of one width, with their fits.

    ``cube`` has a single width.  Bars are Wilson's 95 % intervals of the counts.
    """
    valid = cube["valid"].sum("cycle")
    switched = (cube["switched"] & cube["valid"]).sum("cycle")
    for index, device in enumerate(cube["device"].values):
        one = {"device": index, "width": 0}
        current, n = cube["i_write"].isel(one).values, valid.isel(one).values
        seen = np.isfinite(current) & (n > 0)
        if not seen.any():
            continue
        look = style.device_look(int(device))
        p, low, high = wilson(switched.isel(one).values[seen], n[seen])
        ax.errorbar(
            current[seen],
            p,
            (p - low, high - p),
            ls="none",
            ms=2,
            elinewidth=0.4,
            mew=0,
            alpha=0.85,
            label=f"device {device}",
            **look,
        )
        fine = np.linspace(current[seen].min(), current[seen].max(), 300)
        i_bias, i0 = float(cube["i_bias"].isel(one)), float(cube["i0"].isel(one))
        if np.isfinite(i_bias * i0):
            ax.plot(fine, style.law(cube).probability((fine - i_bias) / i0), color=look["color"], lw=0.8)
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", power=-3)
    return ax


def i_bias_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Bias current of every device, with the straight line through them and their spread about it."""
    _against_width(cube, ax, "i_bias")
    style.label_axis(ax.yaxis, "Bias current", "A")
    return ax


def window_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Stochastic window (0.01 % to 99.9 %) of every device, with the straight line and the spread about
    it."""
    _against_width(cube, ax, "window")
    style.label_axis(ax.yaxis, "Window, 0.01 % to 99.9 %", "A")
    return ax


def gain_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Gain 1 mA/i0 of every device, and of the straight line through i0; the "unitless I0" of Fig. S6."""
    cube = style.mask_unfinished(cube, zeros=True)
    width, i0 = cube["width"].values, cube["i0"].transpose("width", "device").values
    for index, device in enumerate(cube["device"].values):
        ax.plot(
            width,
            1e-3 / i0[:, index],
            ls="none",
            label=f"device {device}",
            mfc="none",
            **style.device_look(int(device)),
        )
    line = straight_line(width[:, None], i0)
    if np.isfinite(line.slope):
        fine = np.linspace(width.min(), width.max(), 300)
        ax.plot(fine, 1e-3 / line.at(fine), color="black", lw=0.8, zorder=1, label=f"linear fit of {style.I_0}")
    ax.set_xlim(0, 1.06 * width.max())
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    ax.set_xlabel("Bar width (µm)")
    ax.set_ylabel(f"Gain, 1 mA/{style.I_0}")
    ax.legend(loc="best")
    return ax


def energy_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Synaptic energy relative to the widest bar, from the fitted i0, with its 95 % band.  Fig. 3(d)."""
    cube = style.mask_unfinished(cube, zeros=True)
    i0 = cube["i0"].transpose("width", "device").values
    if np.isfinite(i0).any(axis=1).sum() < 2:
        return style.note(ax, "a line needs two widths with a fit")
    found = relative_energy(cube["width"].values, i0, np.random.default_rng(0))
    ax.fill_between(found.width, found.low, found.high, color="0.85", lw=0, label="95 %, devices resampled")
    ax.plot(found.width, found.relative, marker="o", color=style.BLUE, label=f"line through fitted {style.I_0}")
    ax.set_yscale("log")
    ax.set_xlim(0, 1.06 * found.width[-1])
    ax.set_xlabel("Bar width (µm)")
    ax.set_ylabel("Synaptic energy (rel.)")
    less, most, least = (1 / e[0] for e in (found.relative, found.low, found.high))
    span = f"{found.width[-1]:g} to {found.width[0]:g} µm"
    ax.set_title(f"{span}: {less:.3g} times less ({least:.3g} to {most:.3g})")
    ax.legend(loc="lower right")
    return ax


def trace(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """What is read of one device, cycle by cycle, at the current closest to 50 %.

    The device is the one of that ``width`` (um) and label, or the first of the narrowest width with valid
    cycles. The line is the decision threshold, the midpoint of the device's own two levels.
    """
    cube = style.mask_unfinished(cube, zeros=True)
    found = _device_with_cycles(cube, width, device)
    if found is None:
        return style.note(ax, "no device with valid cycles")
    one = cube.isel(found)
    valid = one["valid"].sum("cycle").values
    switched = (one["switched"] & one["valid"]).sum("cycle").values
    p = np.where(valid > 0, switched / np.maximum(valid, 1), np.inf)
    at = int(np.argmin(np.abs(p - 0.5)))
    row = one.isel(current=at)
    cycle = row["cycle"].values
    family = style.family(cube)
    *before, last = family.readings
    ax.plot(cycle, row[last.name].values, "-", color=style.SKY, lw=0.4, zorder=1)
    ax.plot(cycle, row[last.name].values, ls="none", marker="o", ms=2.4, mew=0, color=style.BLUE, label=last.moment)
    for reading, colour in zip(before, style.COLOURS[1:], strict=False):
        look: dict[str, Any] = {"marker": "s", "ms": 2.4, "mfc": "none", "mew": 0.6, "color": colour}
        ax.plot(cycle, row[reading.name].values, ls="none", label=reading.moment, **look)
    levels = family.decide(tuple(one[reading.name].values for reading in family.readings)).levels
    ax.axhline(levels.threshold, color="black", ls="--", lw=0.7, label="threshold")
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.03 * (high - low), high + 0.2 * (high - low))  # room for the legend
    ax.set_xlabel("Cycle")
    ax.set_ylabel(f"{last.quantity} ({style.symbol(last.unit)})")
    where = f"{style.width_text(float(one['width']))}, device {int(one['device'])}"
    ax.set_title(f"{where}, {style.current_text(float(row['i_write']))}: {switched[at]} of {valid[at]} switched")
    ax.legend(loc="upper center", ncols=3, columnspacing=1.2, handletextpad=0.4)
    return ax


def _against_width(cube: xr.Dataset, ax: Axes, name: str) -> None:
    """Devices with their 95 % intervals, straight line, and the standard deviation of the devices about
    it."""
    cube = style.mask_unfinished(cube, zeros=True)
    width = cube["width"].values
    value, low, high = (cube[name + end].transpose("width", "device").values for end in ("", "_low", "_high"))
    for index, device in enumerate(cube["device"].values):
        bars = [np.maximum(value - low, 0)[:, index], np.maximum(high - value, 0)[:, index]]
        ax.errorbar(
            width,
            value[:, index],
            bars,
            ls="none",
            elinewidth=0.6,
            capsize=1.2,
            capthick=0.6,
            mfc="none",
            label=f"device {device}",
            **style.device_look(int(device)),
        )
    line = straight_line(width[:, None], value)
    ax.set_xlim(0, 1.06 * width.max() if width.size else 1)
    if np.isfinite(line.slope):
        spread = float(np.nanstd(value / line.at(width)[:, None] - 1))
        fine = np.array([0.0, 1.06 * width.max()])
        ax.plot(
            fine,
            line.at(fine),
            color="black",
            lw=0.8,
            zorder=1,
            label=f"linear fit, R² = {line.r_squared:.3f}",
        )
        below, above = line.at(fine) * (1 - spread), line.at(fine) * (1 + spread)
        ax.fill_between(
            fine,
            below,
            above,
            color="#DDDDDD",
            lw=0,
            zorder=0,
            label=f"± s.d. of devices, {100 * spread:.1f} %",
        )
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    ax.set_xlabel("Bar width (µm)")
    ax.legend(loc="lower right" if name == "i_bias" else "upper left")


def _device_with_cycles(cube: xr.Dataset, width: float | None, device: int | None) -> dict[str, int] | None:
    """Position of the device asked for, or of the first of the narrowest width, with a valid cycle."""
    valid = cube["valid"].any(["current", "cycle"]).transpose("width", "device").values
    for w in np.argsort(cube["width"].values, kind="stable"):
        for d in range(cube.sizes["device"]):
            asked = width is None or np.isclose(cube["width"].values[w], width)
            asked = asked and (device is None or cube["device"].values[d] == device)
            if asked and valid[w, d]:
                return {"width": int(w), "device": d}
    return None


def fig2_switching(cube: xr.Dataset) -> Figure:
    """A panel for each width, wide to narrow as in the cube, from letter (c) on."""
    cube = style.mask_unfinished(cube, zeros=True)
    count = cube.sizes["width"]
    columns = min(3, max(count, 1))
    rows = -(-max(count, 1) // columns)
    figure = style.new_figure(style.PAGE * columns / 3 if columns > 1 else style.COLUMN, (12 + 44 * rows) * style.MM)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for index, ax in enumerate(panels):
        if index >= count:
            ax.set_axis_off()
            continue
        switching(cube.isel(width=[index]), ax)
        letter = ascii_lowercase[2 + index] if index < 24 else ""
        ax.set_title(f"({letter})  {style.width_text(float(cube['width'][index]))}", loc="left", pad=3)
        if index + columns < count:
            ax.set_xlabel("")
        if index % columns == 0:
            ax.set_ylabel("Switching probability")
    if not count:
        style.note(panels[0], "no cell is done yet")
    handles, labels = _all_labels(list(panels[:count]))
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6))
    return figure


def _all_labels(panels: list[Axes]) -> tuple[list[Artist], list[str]]:
    """One legend entry for each label that some panel has."""
    found: dict[str, Artist] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = sorted(found)
    return [found[name] for name in names], names


def _single(draw: Callable[[xr.Dataset, Axes], Axes]) -> Callable[[xr.Dataset], Figure]:
    """A figure of one column with one axes."""

    def build(cube: xr.Dataset) -> Figure:
        figure = style.new_figure()
        ax = figure.add_subplot()
        if style.mask_unfinished(cube, zeros=True).sizes["width"] == 0:
            style.note(ax, "no cell is done yet")
        else:
            draw(cube, ax)
        return figure

    return build


FIGURES: dict[str, style.Builder] = {
    "fig2_switching": style.styled(fig2_switching),
    "fig3a_i_bias": style.styled(_single(i_bias_against_width)),
    "fig3b_window": style.styled(_single(window_against_width)),
    "fig3d_energy_fitted": style.styled(_single(energy_against_width)),
    "s3b_trace": style.styled(_single(trace)),
    "s6_gain": style.styled(_single(gain_against_width)),
}
