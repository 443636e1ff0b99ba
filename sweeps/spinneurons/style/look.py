"""What figures of devices look like: widths of panels, axes with SI prefixes, and names of devices."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from spinsweep.analysis.look import MM, prefix_power, si_unit, symbol

COLOUR_BAR = 15 * MM
"""What a colour bar takes of the width, inches."""
NARROW = 35 * MM
"""Width of a panel in which few ticks have room, inches."""

I_0, RATIO = "$i_0$", r"$I_\mathrm{bias}/i_0$"
"""Scale current, and bias current over it: quantities in italics, what is said of them upright."""


def whole_numbers(axis: Axis) -> None:
    """Tick the axis at whole numbers only."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))


def switching_axis(ax: Axes) -> None:
    """Limits and ticks of a switching probability, upwards; its name is left to the caller."""
    ax.set_ylim(-0.05, 1.05)
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def panel_width(ax: Axes) -> float:
    """Width of the part of the figure that a panel has, without colour bars, inches."""
    spec, figure = ax.get_subplotspec(), ax.figure.get_figure(root=True)
    bars = sum(other.get_label() == "<colorbar>" for other in figure.axes)
    width = float(figure.get_figwidth()) - bars * COLOUR_BAR
    if spec is None:
        return width
    ratios = np.array(spec.get_gridspec().get_width_ratios(), float)
    return width * float(ratios[spec.colspan.start : spec.colspan.stop].sum() / ratios.sum())


def current_power(cube: xr.Dataset, name: str = "i_write") -> int:
    """The power of :func:`prefix_power` for every current in figures of a cube: that of its write currents, A."""
    return prefix_power(cube[name].values)


def label_axis(axis: Axis, name: str, unit: str, power: int | None = None) -> None:
    """Name the axis with an SI prefix and tick it in that unit.  Call after plotting.

    Data stay in the bare unit ("A"); 2e-4 A is ticked 0.2 under "mA" or 200 under "µA".  The prefix is that
    of ``power`` (a multiple of 3), or the one that suits the limits; panels with one label need one prefix.
    """
    if power is None:
        power = prefix_power(axis.get_view_interval())
    factor = 10.0**power
    if axis.get_scale() == "linear":
        most = 5 if panel_width(axis.axes) > NARROW else 3
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / factor:.6g}".replace("-", "−")))
    axis.set_label_text(f"{name} ({si_unit(unit, power)})")


def si_text(value: float, unit: str, power: int | None = None) -> str:
    """A value with three digits and its prefix, such as ``401 µA`` or ``10 ns``; ``power``: of that prefix."""
    if power is None:
        return str(EngFormatter(unit).format_data(float(f"{value:.3g}")))
    return f"{value / 10.0**power:.3g} {si_unit(unit, power)}"


def width_text(width: float) -> str:
    """The width of a device, such as ``0.3 µm``."""
    return f"{width:g} µm"


def width_label(cube: xr.Dataset) -> str:
    """The label of an axis of widths, as the cube names them: ``Bar width (µm)`` for Hall bars."""
    attrs = cube["width"].attrs
    name = str(attrs.get("long_name", "width"))
    return f"{name[:1].upper()}{name[1:]} ({symbol(str(attrs.get('units', 'um')))})"


def device_text(device: xr.Dataset) -> str:
    """Which device a Dataset without the dims ``width`` and ``device`` is of, such as ``0.3 µm, device 2``."""
    name = device["name"].item() if "name" in device.coords else int(device["device"])
    return f"{width_text(float(device['width']))}, device {name}"
