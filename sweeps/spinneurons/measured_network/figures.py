"""Figures of the network of characterized devices: accuracy against the bar width, by the pulses of a calibration."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spinneurons import style
from spinneurons.codesign.analysis import final
from spinneurons.codesign.pulses_axis import EXACT

_NAMES = {"0": "no calibration", EXACT: "exact calibration"}


def accuracy_against_width(cube: xr.Dataset, ax: Axes) -> None:
    """Final accuracy of chips whose neurons are the characterized devices, against the bar width.

    Bars are 95 % intervals over chips; fewer than five chips are points.
    """
    accuracy = final(cube, "accuracy").sortby("width")
    colours = style.shades(accuracy.sizes["calibration_cycles"])
    for i, (colour, pulses) in enumerate(zip(colours, accuracy["calibration_cycles"].values.tolist(), strict=True)):
        label = _NAMES.get(pulses, f"{pulses} pulses a neuron")
        look = {"color": colour, "marker": style.MARKERS[i % len(style.MARKERS)], "label": label}
        style.shares_against(ax, accuracy["width"], accuracy.sel(calibration_cycles=pulses), **look)
    floor = 100 * float(np.nanmin(accuracy.values)) - 3
    ax.set(xlim=(0, None), ylim=(max(floor, 0), 101), xlabel=style.width_label(cube), ylabel="Accuracy (%)")
    style.legend(ax)


def which_devices(cube: xr.Dataset) -> list[str]:
    """What the neurons are."""
    i_bias, i0 = (100 * cube.attrs[f"largest_deviation_{name}"] for name in ("i_bias", "i0"))
    left_out = len(cube.attrs["devices_left_out"])
    less = f", {left_out} more left out" if left_out else ""
    return [
        f"Neurons are drawn from {cube.attrs['devices']} devices{less}, which deviate by at most {i_bias:.2g} % in "
        f"the bias current and {i0:.2g} % in the scale current, with the errors of their fits."
    ]


FIGURES: dict[str, style.Builder] = {
    "measured_network": style.figure(accuracy_against_width, remarks=which_devices),
}
