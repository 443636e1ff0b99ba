"""Figures of the characterization: Fig. 2(c-k), 3(a), 3(b), S3(b) and S6 of the paper, from a cube or a log.

A panel is given a cube that is blank where cells are not done.  ``FIGURES`` maps a file stem to the builder of the
whole figure.
"""

from __future__ import annotations

from string import ascii_lowercase
from textwrap import wrap
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.cubes import first_device
from spinneurons.analysis.intervals import wilson
from spinneurons.analysis.lines import FittedLine, straight_line
from spinneurons.characterization.energy import relative_energy
from spinneurons.characterization.marks import LINE, mark, note_devices, nothing_fitted, recorded, say_in_panel
from spinneurons.characterization.repeated import s4_persistence, s5_endurance
from spinneurons.neurons.cubes import family, law, standard_error


def switching(cube: xr.Dataset, ax: Axes) -> Axes:
    """Switching probability against the write current for the devices of one width, with their fits.

    ``cube`` has a single width.  Bars are Wilson's 95 % intervals of the counts.  A device without a fit has no
    curve, and the panel says why; the curve of a bad fit is dashed.
    """
    words: list[tuple[str, str]] = []
    for _, _, device in recorded(cube):
        look = {**style.device_look(device.label), "label": f"device {device.label}"}
        marked = mark(cube, device)
        if marked:
            words += [(line, look["color"]) for line in wrap(f"device {device.label}: {marked}", LINE)]
        k, n, current = device.counts
        seen = np.isfinite(current) & (n > 0)
        if not seen.any():
            continue
        p, low, high = wilson(k[seen], n[seen])
        ax.errorbar(current[seen], p, (p - low, high - p), ls="none", ms=2, elinewidth=0.4, mew=0, alpha=0.85, **look)
        fine = np.linspace(current[seen].min(), current[seen].max(), 300)
        i_bias, i0 = (float(device.data[name]) for name in ("i_bias", "i0"))
        if np.isfinite(i_bias * i0):
            curve = law(cube).probability((fine - i_bias) / i0)
            ax.plot(fine, curve, color=look["color"], lw=0.8, ls="--" if marked else "-")
    say_in_panel(ax, words)
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", power=-3)
    return ax


def i_bias_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Bias current of every device, with the straight line through them and their spread about it."""
    _against_width(cube, ax, "i_bias")
    note_devices(cube, ax, cube["i_bias"])
    style.label_axis(ax.yaxis, "Bias current", "A")
    ax.legend(loc="lower right")
    return ax


def window_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Stochastic window (0.01 % to 99.9 %) of every device, with the line through them and their spread about it."""
    _against_width(cube, ax, "window")
    note_devices(cube, ax, cube["window"])
    style.label_axis(ax.yaxis, "Window, 0.01 % to 99.9 %", "A")
    ax.legend(loc="upper left")
    return ax


def _against_width(cube: xr.Dataset, ax: Axes, name: str) -> None:
    """Devices with their 95 % intervals, the straight line, and the spread of the devices about it.

    The spread is what is left of the scatter without the errors of the fits.
    """
    value, low, high = (cube[name + end].transpose("width", "device") for end in ("", "_low", "_high"))
    bars = np.stack([np.maximum(value - low, 0), np.maximum(high - value, 0)])
    style.devices_against_width(cube, ax, value, bars)
    line = _line(cube, name)
    if np.isfinite(line.slope):
        style.line_against_width(ax, line, value.size)
    if np.isfinite(line.spread):
        x = np.array(ax.get_xlim())
        text = f"± spread of devices, {100 * line.spread:.1f} % (s.d.)"
        below, above = line.predict(x) * (1 - line.spread), line.predict(x) * (1 + line.spread)
        ax.fill_between(x, below, above, color="#DDDDDD", lw=0, zorder=0, label=text)
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])


def _line(cube: xr.Dataset, name: str) -> FittedLine:
    """The straight line through the devices, each weighed by its error and by the spread."""
    value, error = (a.transpose("width", "device").values for a in (cube[name], standard_error(cube, name)))
    return straight_line(cube["width"].values[:, None], value, error, proportional=True)


def gain_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Gain 1 mA/i0 of every device, and of the straight line through i0; the "unitless I0" of Fig. S6."""
    width = cube["width"].values
    style.devices_against_width(cube, ax, 1e-3 / cube["i0"])
    line = _line(cube, "i0")
    if np.isfinite(line.slope):
        fine = np.linspace(width.min(), width.max(), 300)
        ax.plot(fine, 1e-3 / line.predict(fine), color="black", lw=0.8, zorder=1, label=f"linear fit of {style.I_0}")
    note_devices(cube, ax, 1e-3 / cube["i0"])
    ax.set(ylim=(0, 1.05 * ax.get_ylim()[1]), ylabel=f"Gain, 1 mA/{style.I_0}")
    ax.legend(loc="best")
    return ax


def energy_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Synaptic energy relative to the widest bar, from the fitted i0, with its 95 % band.  Fig. 3(d)."""
    i0, error = (cube[name].transpose("width", "device").values for name in ("i0", "i0_stderr"))
    energy = relative_energy(cube["width"].values, i0, error)
    if not np.isfinite(energy.relative).any():
        note_devices(cube, ax)
        return style.note(ax, "a line needs two widths with a fit")
    if np.isfinite(energy.low).any():
        ax.fill_between(energy.width, energy.low, energy.high, color="0.85", lw=0, label="95 % interval of the line")
    ax.plot(energy.width, energy.relative, marker="o", color=style.BLUE, label=f"line through fitted {style.I_0}")
    ax.set(
        yscale="log",
        xlim=(0, 1.06 * energy.width[-1]),
        xlabel=style.width_label(cube),
        ylabel="Synaptic energy (rel.)",
    )
    with np.errstate(divide="ignore"):  # an interval of few devices may reach to 0
        less, most, least = (1 / e[0] for e in (energy.relative, energy.low, energy.high))
    span = f"{energy.width[-1]:g} to {energy.width[0]:g} µm"
    known = np.isfinite([least, most]).any()
    interval = f" ({least:.3g} to {most:.3g})" if known else "; too few devices for an interval"
    ax.set_title(f"{span}: {less:.3g} times less{interval}")
    note_devices(cube, ax)
    ax.legend(loc="lower right")
    return ax


def trace(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """What is read of one device, cycle by cycle, at the current closest to 50 %.

    The device is the one of that ``width`` (um) and label, or the first of the narrowest width with valid
    cycles. The line is the decision threshold, the midpoint of the device's own two levels.
    """
    labels = first_device(cube["valid"].any(["current", "cycle"]).sortby("width"), width, device)
    if labels is None:
        return style.note(ax, "no device with valid cycles")
    chosen = cube.sel(labels)
    valid = chosen["valid"].sum("cycle").values
    switched = (chosen["switched"] & chosen["valid"]).sum("cycle").values
    p = np.where(valid > 0, switched / np.maximum(valid, 1), np.inf)
    middle = int(np.argmin(np.abs(p - 0.5)))
    row = chosen.isel(current=middle)
    neurons = family(cube)
    *before, last = neurons.readings
    if last.name not in cube:
        return style.note(ax, "the log has counts, and no readings")
    cycle, written = row["cycle"].values, row[last.name].values
    points: dict[str, Any] = {"ls": "none", "ms": 2.4}
    ax.plot(cycle, written, "-", color=style.SKY, lw=0.4, zorder=1)
    ax.plot(cycle, written, marker="o", mew=0, color=style.BLUE, label=last.moment, **points)
    for reading, colour in zip(before, style.COLOURS[1:], strict=False):
        look = {"marker": "s", "mfc": "none", "mew": 0.6, "color": colour, **points}
        ax.plot(cycle, row[reading.name].values, label=reading.moment, **look)
    levels = neurons.decide(tuple(chosen[reading.name].values for reading in neurons.readings)).levels
    if np.isfinite(levels.threshold):  # a device that never switched shows one level
        ax.axhline(levels.threshold, color="black", ls="--", lw=0.7, label="threshold")
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.03 * (high - low), high + 0.2 * (high - low))  # room for the legend
    ax.set_xlabel("Cycle")
    ax.set_ylabel(f"{last.quantity} ({style.symbol(last.unit)})")
    counts = f"{switched[middle]} of {valid[middle]} switched"
    ax.set_title(f"{style.device_text(chosen)}, {style.si_text(float(row['i_write']), 'A')}: {counts}")
    ax.legend(loc="upper center", ncols=3, columnspacing=1.2, handletextpad=0.4)
    return ax


def fig2_switching(cube: xr.Dataset, figure: Figure) -> None:
    """A panel for each width, wide to narrow as in the cube, from letter (c) on."""
    panels = style.panels_of_widths(cube, figure, 44 * style.MM, sharey=True)
    for index, (ax, leftmost, lowest) in enumerate(panels):
        switching(cube.isel(width=[index]), ax)
        letter = _letter(2 + index)  # the paper's (a) and (b) are others
        ax.set_title(f"({letter})  {style.width_text(float(cube['width'][index]))}", loc="left", pad=3)
        if not lowest:
            ax.set_xlabel("")
        if leftmost:
            ax.set_ylabel("Switching probability")
    handles, labels = _all_labels([panel.ax for panel in panels])
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6))


def _letter(index: int) -> str:
    """Of the panel of that index: a to z, then aa."""
    more, last = divmod(index, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]


def _all_labels(panels: list[Axes]) -> tuple[list[Artist], list[str]]:
    """One legend entry for each label that some panel has."""
    entries: dict[str, Artist] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries)
    return [entries[label] for label in labels], labels


FIGURES: dict[str, style.Builder] = {
    "fig2_switching": style.canvas(fig2_switching, zeros=True),
    "fig3a_i_bias": style.figure(i_bias_against_width, zeros=True, empty=nothing_fitted),
    "fig3b_window": style.figure(window_against_width, zeros=True, empty=nothing_fitted),
    "fig3d_energy_fitted": style.figure(energy_against_width, zeros=True, empty=nothing_fitted),
    "s3b_trace": style.figure(trace, zeros=True),
    "s4_persistence": s4_persistence,
    "s5_endurance": s5_endurance,
    "s6_gain": style.figure(gain_against_width, zeros=True, empty=nothing_fitted),
}
