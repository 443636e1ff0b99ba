"""Devices in a figure: their colours, the key to these, and points at their widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spinneurons.analysis.lines import FittedLine
from spinneurons.style.look import panel_width, width_label, width_text
from spinsweep.analysis.look import COLOURS, MARKERS, MM, SHADES

MANY = 8
"""Devices that a legend names; of more, the colour is a number beside a colour bar."""
TICKS = 6

Bars = npt.NDArray[np.float64] | None


def device_look(index: int) -> dict[str, Any]:
    """Colour and marker of the device of that index; 36 different ones."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
    }


@dataclass(frozen=True)
class DeviceColours:
    """Colour, marker and key of the devices of a cube, by their place along ``device``; or those of its widths."""

    labels: tuple[str, ...]
    quantity: str = "Device"
    """Of the labels, beside a colour bar."""

    @classmethod
    def of(cls, cube: xr.Dataset) -> DeviceColours:
        """Of all devices of a cube."""
        return cls(tuple(map(str, cube["device"].values.tolist())))

    @classmethod
    def of_widths(cls, cube: xr.Dataset) -> DeviceColours:
        """Of all widths of a cube."""
        return cls(tuple(f"{width:g}" for width in cube["width"].values.tolist()), width_label(cube))

    @property
    def are_many(self) -> bool:
        """Whether a colour bar is the key, and no legend."""
        return len(self.labels) > MANY

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Look of one device, with its label for a legend."""
        if self.are_many:
            return {"color": SHADES(place / (len(self.labels) - 1)), "marker": "o"}
        label = f"device {self.labels[place]}" if len(self.labels) > 1 else "devices"
        return {**device_look(place), "label": label}

    def add_bar(self, figure: Figure, axes: Axes | Sequence[Axes]) -> None:
        """A colour bar beside the axes, where there are many devices."""
        if self.are_many:
            last = len(self.labels) - 1
            bar = figure.colorbar(ScalarMappable(Normalize(0, last), SHADES), ax=axes, aspect=30, pad=0.02)
            places = np.unique(np.linspace(0, last, TICKS).round().astype(int))
            bar.set_ticks(places.tolist(), labels=[self.labels[place] for place in places])
            bar.ax.tick_params(length=0)
            bar.set_label(self.quantity)


def legend(ax: Axes, *, by_label: bool = False, **look: Any) -> None:
    """A legend below the axes, where it covers nothing, in as many columns as its panel is wide.

    Parameters
    ----------
    by_label : in the order of the labels, not of drawing
    look : of ``Axes.legend``
    """
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    if by_label:
        handles, labels = ([entries[i] for i in np.argsort(labels, kind="stable")] for entries in (handles, labels))
    room = (panel_width(ax) - 4 * MM) * ax.figure.dpi
    for columns in range(min(len(labels), 4), 0, -1):
        drawn = ax.legend(
            handles, labels, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=_BELOW_LABEL,
            columnspacing=1.2, handletextpad=0.4, **look,
        )  # fmt: skip
        if drawn.get_window_extent().width <= room:
            return


_BELOW_LABEL = 3.9
"""From the axes to a legend below the name of the axis, sizes of the legend's text."""


def devices_against_width(cube: xr.Dataset, ax: Axes, values: xr.DataArray, bars: Bars = None) -> None:
    """A hollow point for each device at its width; ``bars`` are (2, width, device) or (width, device).

    Devices of one width are next to each other.
    """
    colours, is_one_width = DeviceColours.of(cube), cube.sizes["width"] == 1
    for index in range(cube.sizes["device"]):
        y = values.transpose("width", "device").values[:, index]
        x = [device_position(cube, w, index) for w in range(y.size)]
        if not np.isfinite(y).any():
            continue
        look = {"ls": "none", "mfc": "none", **colours[index]}
        if is_one_width:
            look["label"] = None
        if bars is None:
            ax.plot(x, y, **look)
        else:
            caps: dict[str, Any] = {"elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6}
            ax.errorbar(x, y, bars[..., index], **look, **caps)
    if is_one_width:
        _devices_on_axis(cube, ax, colours.labels)
    else:
        colours.add_bar(ax.figure.get_figure(root=True), ax)
        ax.set(xlim=(0, 1.06 * cube["width"].values.max()), xlabel=width_label(cube))


def device_position(cube: xr.Dataset, width: int, device: int) -> float:
    """Where the device at these places of a cube is along the axis of :func:`devices_against_width`."""
    return float(cube["width"][width]) if cube.sizes["width"] > 1 else float(device)


def _devices_on_axis(cube: xr.Dataset, ax: Axes, labels: tuple[str, ...]) -> None:
    """Ticks that name the devices of the only width, as many as have room."""
    room = int(0.7 * panel_width(ax) / (0.08 * (1 + max(map(len, labels)))))
    shown = range(0, len(labels), max(1, -(-len(labels) // max(room, 1))))
    ax.set_xticks(list(shown), [labels[i] for i in shown])
    ax.set(xlim=(-0.6, len(labels) - 0.4), xlabel=f"Device ({width_text(float(cube['width'][0]))})")


def line_against_width(ax: Axes, line: FittedLine, devices: int) -> None:
    """The straight line over the whole axis, with its R² and how many of the ``devices`` it leaves out."""
    x, left_out = np.array(ax.get_xlim()), devices - int(line.dof) - 2
    text = f"linear fit, R² = {line.r_squared:.3f}" + (f", {left_out} of {devices} left out" if left_out else "")
    ax.plot(x, line.predict(x), color="black", lw=0.8, zorder=1, label=text)


def devices_by_width(cube: xr.Dataset, ax: Axes, values: xr.DataArray, bars: xr.DataArray) -> None:
    """A point with its error bar for each device, next to each other at ticks that name the widths.

    ``bars`` are of the dims of ``values``, or before them of one more with how far the bar reaches down and up.
    """
    widths, count, colours = cube["width"].values, cube.sizes["device"], DeviceColours.of(cube)
    apart = min(0.16, 0.8 / count)
    for index in range(count):
        x = np.arange(widths.size) + apart * (index - (count - 1) / 2)
        y, error = (a.isel(device=index).transpose(..., "width").values for a in (values, bars))
        ax.errorbar(x, y, error, ls="none", elinewidth=0.6, ms=2.4, mew=0, **colours[index])
    colours.add_bar(ax.figure.get_figure(root=True), ax)
    ax.set_xlim(-0.6, widths.size - 0.4)
    room = int(panel_width(ax) / 0.25)  # ticks whose texts do not touch
    shown = range(0, widths.size, -(-widths.size // max(room, 1)))
    ax.set_xticks(list(shown), [f"{widths[i]:g}" for i in shown])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(width_label(cube))
