"""Figures of the characterization: Fig. 2(c-k), 3(a), 3(b), S3(b) and S6 of the paper, from a cube or a log.

A panel is given a cube that is blank where cells are not done; its docstring is the caption.  ``FIGURES`` maps a file
stem to the builder of the whole figure.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.cubes import first_device
from spinneurons.analysis.lines import FittedLine, straight_line
from spinneurons.characterization.energy import relative_energy
from spinneurons.characterization.fit_table import CharacterizedDevice
from spinneurons.characterization.marks import (
    IN_PANEL,
    mark,
    note_devices,
    nothing_fitted,
    recorded,
    remarks,
    shortened,
)
from spinneurons.characterization.repeated import OfPart, s4_persistence, s5_endurance
from spinneurons.neurons.card import CardError
from spinneurons.neurons.cubes import family, law, standard_error
from spinsweep.analysis.intervals import wilson

Look = Callable[[int, int], dict[str, Any]]
"""Of the device at a place of width and of device."""


def switching(cube: xr.Dataset, ax: Axes, power: int | None = None, look: Look | None = None) -> Axes:
    """Switching probability of the devices of one width against the write current, with their fits.

    See :func:`fig2_switching` for points, bars and lines.

    Parameters
    ----------
    cube : of the width, or of several that share the panel
    power : of the SI prefix of currents, where other panels have the same
    look : of the devices; None: by device
    """
    colours, devices = style.DeviceColours.of(cube), recorded(cube)
    by_reason: dict[str, list[str]] = {}
    for w, d, device in devices:
        marked = mark(cube, device)
        shown = {"ls": "--" if marked else "-", **(look(w, d) if look else colours[d])}
        _curve(cube, ax, device, shown, bars=len(devices) <= style.MANY)
        if marked:
            by_reason.setdefault(marked, []).append(str(device.label))
    notes = [
        f"device{'s' if len(names) > 1 else ''} {shortened(names, IN_PANEL, ', ')}: {reason}"
        for reason, names in by_reason.items()
    ]
    if cube.sizes["width"] == cube.sizes["device"] == 1:  # the title says which
        notes = list(by_reason)
    ax.set_title("\n".join(notes), loc="left")
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", style.current_power(cube) if power is None else power)
    return ax


def _curve(cube: xr.Dataset, ax: Axes, device: CharacterizedDevice, look: dict[str, Any], *, bars: bool) -> None:
    """Points of one device, and the line of its fit if it has one."""
    k, n, current = device.counts
    seen = np.isfinite(current) & (n > 0)
    if not seen.any():
        return
    p, low, high = wilson(k[seen], n[seen])
    lengths = (p - low, high - p) if bars else None
    ax.errorbar(current[seen], p, lengths, **{**look, "ls": "none"}, ms=2, elinewidth=0.4, mew=0, alpha=0.85)
    fine = np.linspace(current[seen].min(), current[seen].max(), 300)
    i_bias, i0 = (float(device.data[name]) for name in ("i_bias", "i0"))
    if np.isfinite(i_bias * i0):
        ax.plot(fine, law(cube).probability((fine - i_bias) / i0), color=look["color"], lw=0.8, ls=look["ls"])


def i_bias_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Bias current of every device, with the straight line through them and their spread about it.

    Bars are 95 % bootstrap intervals of the fits.  The line weighs each device by its error and by the spread; the
    band is the standard deviation of the devices about the line, without the errors of the fits.  Crosses are bad
    fits (p < 0.001).
    """
    _against_width(cube, ax, "i_bias")
    note_devices(cube, ax, cube["i_bias"])
    style.label_axis(ax.yaxis, "Bias current", "A", style.current_power(cube))
    style.legend(ax)
    return ax


def window_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Stochastic window (0.01 % to 99.9 %) of every device, with the line through them and their spread about it.

    Bars are 95 % bootstrap intervals of the fits.  The line weighs each device by its error and by the spread; the
    band is the standard deviation of the devices about the line, without the errors of the fits.  Crosses are bad
    fits (p < 0.001).
    """
    _against_width(cube, ax, "window")
    note_devices(cube, ax, cube["window"])
    style.label_axis(ax.yaxis, "Window, 0.01 % to 99.9 %", "A", style.current_power(cube))
    style.legend(ax)
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
        style.line_against_width(ax, line, len(recorded(cube)))
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
    """Gain 1 mA/i0 of every device, and of the straight line through i0: the "unitless I0" of the paper.

    No error bars are drawn.  Crosses are bad fits (p < 0.001).
    """
    width = cube["width"].values
    style.devices_against_width(cube, ax, 1e-3 / cube["i0"])
    line = _line(cube, "i0")
    if np.isfinite(line.slope):
        fine = np.linspace(width.min(), width.max(), 300)
        ax.plot(fine, 1e-3 / line.predict(fine), color="black", lw=0.8, zorder=1, label=f"linear fit of {style.I_0}")
    note_devices(cube, ax, 1e-3 / cube["i0"])
    ax.set(ylim=(0, 1.05 * ax.get_ylim()[1]), ylabel=f"Gain, 1 mA/{style.I_0}")
    style.legend(ax)
    return ax


def gain_against_window(cube: xr.Dataset, ax: Axes) -> Axes:
    """Gain 1 mA/i0 of every device against its stochastic window (0.01 % to 99.9 %), as the paper draws its "I0".

    On one law the two are the same number in other units: the line is 1 mA times the law's window in i0, over the
    window.  No error bars are drawn.
    """
    power = style.current_power(cube)
    ratio = float((cube["window"] / cube["i0"]).median())
    for place, width in enumerate(cube["width"].values.tolist()):
        row = cube.sel(width=width)
        look: dict[str, Any] = {
            "color": style.COLOURS[place % len(style.COLOURS)],
            "marker": style.MARKERS[place % len(style.MARKERS)],
        }
        ax.plot(row["window"], 1e-3 / row["i0"], ls="none", ms=3, label=style.width_text(width), **look)
    low, high = float(cube["window"].min()), float(cube["window"].max())
    if np.isfinite(low + high):
        fine = np.linspace(0.9 * low, 1.05 * high, 300)
        ax.plot(fine, 1e-3 * ratio / fine, color="black", lw=0.8, zorder=1, label=f"{ratio:.4g} mA/window")
    style.label_axis(ax.xaxis, "Window, 0.01 % to 99.9 %", "A", power)
    ax.set(ylim=(0, 1.05 * ax.get_ylim()[1]), ylabel=f"Gain, 1 mA/{style.I_0}")
    style.legend(ax)
    return ax


def pulse_sequence(cube: xr.Dataset, ax: Axes) -> Axes:
    """The pulses of two cycles: reset, read, write and read, at the current closest to 50 % of a device.

    Heights are to scale, lengths are not: a write pulse is drawn as wide as a read.  The device is the first of the
    narrowest width with valid cycles.  A log does not say what reset the device and read it: those currents are of
    the card, and named so.
    """
    labels = first_device(cube["valid"].any(["current", "cycle"]).sortby("width"))
    if labels is None:
        return style.note(ax, "no device with valid cycles")
    chosen, neurons = cube.sel(labels), family(cube)
    valid = chosen["valid"].sum("cycle").values
    share = (chosen["switched"] & chosen["valid"]).sum("cycle").values / np.maximum(valid, 1)
    write = float(chosen["i_write"].values[int(np.argmin(np.where(valid > 0, abs(share - 0.5), np.inf)))])
    power, names = style.current_power(cube), {"reset": style.VERMILION, "read": style.GREY, "write": style.BLUE}
    heights = {"read": neurons.read_current, "write": write}
    with suppress(CardError):  # a family that no pulse resets
        heights["reset"] = neurons.reset_current(float(labels["width"]))
    cycle = [name for name in ("reset", "read", "write", "read") if name in heights]
    for place, name in enumerate(2 * cycle):
        ax.bar(2 * place + 0.5, heights[name], 1.0, color=names[name])
    ax.axhline(0, color="black", lw=0.6)
    of_card = " (card)" if "imported_from" in cube.attrs else ""
    words = [name if name == "write" else f"{name}{of_card}" for name in 2 * cycle]
    ax.set_xticks([0.5 + 2 * k for k in range(len(words))], words, rotation=45, ha="right")
    ax.tick_params(axis="x", length=0)
    style.label_axis(ax.yaxis, "Current", "A", power)
    ax.set_title(style.device_text(chosen))
    return ax


def energy_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Synaptic energy relative to the widest device, which goes as i0 squared, from the line through the fitted i0.

    The band is the 95 % interval of the line.
    """
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
    style.legend(ax)
    return ax


def trace(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """What is read of one device, cycle by cycle, at the current closest to 50 %.

    The device is the first of the narrowest width with valid cycles.  The dashed line is the decision threshold, the
    midpoint of the device's own two levels.

    Parameters
    ----------
    width, device : take that width (um) and label instead
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
    ax.set_xlabel("Cycle")
    ax.set_ylabel(f"{last.quantity} ({style.symbol(last.unit)})")
    current = style.si_text(float(row["i_write"]), "A", style.current_power(cube))
    counts = f"{switched[middle]} of {valid[middle]} switched"
    ax.set_title(f"{style.device_text(chosen)}, {current}: {counts}")
    style.legend(ax)
    return ax


def fig2_switching(cube: xr.Dataset, figure: Figure) -> None:
    """Switching probability against the write current, with fits: a panel for each width, wide to narrow.

    Points are shares of valid cycles, and bars Wilson's 95 % intervals; a panel of more than eight devices has no
    bars.  Lines are maximum-likelihood fits, dashed where the fit is bad (p < 0.001); a device without a fit has no
    line, and the panel says why.  Where a page has no room for a panel for each width, a panel shows widths that
    follow each other, and colours are widths.
    """
    panels, power = style.panels_of_widths(cube, figure, 44 * style.MM, sharey=True), style.current_power(cube)
    are_grouped = any(len(panel.widths) > 1 for panel in panels)
    colours = style.DeviceColours.of_widths(cube) if are_grouped else style.DeviceColours.of(cube)
    for panel in panels:
        places, part = panel.widths, cube.isel(width=panel.widths)
        switching(part, panel.ax, power, lambda w, d, p=places: colours[p[w] if are_grouped else d])  # type: ignore[misc]
        between = ": " if part.sizes["width"] == part.sizes["device"] == 1 else "\n"
        panel.ax.set_title(between.join(filter(None, (_title(part), panel.ax.get_title(loc="left")))), loc="left")
        if not panel.lowest or panels[0].is_small:
            panel.ax.set_xlabel("")
        if panel.leftmost and not panel.is_small:
            panel.ax.set_ylabel("Switching probability")
    axes = [panel.ax for panel in panels]
    if panels[0].is_small:
        figure.supylabel("Switching probability")
        figure.supxlabel(f"Write current ({style.si_unit('A', power)})")
    colours.add_bar(figure, axes)
    handles, labels = _all_labels(axes)
    if len(labels) > 1:
        figure.legend(
            handles,
            labels,
            loc="outside upper center",
            ncols=min(len(labels), 6 if len(panels) > 2 else 4),
            markerscale=1.5,
        )


def _title(part: xr.Dataset) -> str:
    """The widths of a panel, and the devices' own names where the legend only numbers them."""
    widths = part["width"].values.tolist()
    if len(widths) > 1:
        return f"{widths[0]:g} to {style.width_text(widths[-1])}"
    present = [device.name for _, _, device in recorded(part)]
    if len(present) == 1 and part.sizes["device"] == 1:
        return f"{style.width_text(widths[0])}, device {present[0]}"
    names = style.numbered_names(part).get(style.width_text(widths[0]), "") if len(present) <= IN_PANEL else ""
    return "\n".join(filter(None, (style.width_text(widths[0]), names)))


def _all_labels(panels: list[Axes]) -> tuple[list[Artist], list[str]]:
    """One legend entry for each label that some panel has."""
    entries: dict[str, Artist] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


FIGURES: dict[str, style.Builder | OfPart] = {
    "fig2_switching": style.canvas(fig2_switching, zeros=True, remarks=remarks),
    "fig3a_i_bias": style.figure(i_bias_against_width, zeros=True, empty=nothing_fitted, remarks=remarks),
    "fig3b_window": style.figure(window_against_width, zeros=True, empty=nothing_fitted, remarks=remarks),
    "fig3d_energy_fitted": style.figure(energy_against_width, zeros=True, empty=nothing_fitted, remarks=remarks),
    "s3a_pulses": style.figure(pulse_sequence, zeros=True),
    "s3b_trace": style.figure(trace, zeros=True),
    "s4_persistence": s4_persistence,
    "s5_endurance": s5_endurance,
    "s6_gain": style.figure(gain_against_width, zeros=True, empty=nothing_fitted, remarks=remarks),
    "s6_gain_window": style.figure(gain_against_window, zeros=True, empty=nothing_fitted, remarks=remarks),
}
