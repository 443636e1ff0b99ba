"""Figures of the whole network on devices: accuracy against the pulses of each device, by method."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.hil.frontier_figures import accuracy_against_pulses, chips_of, no_chip

_RULES: dict[str, dict[str, Any]] = {
    "loop": {"color": style.VERMILION, "marker": "v", "label": "in the loop"},
    "physics-aware": {"color": style.ORANGE, "marker": "^", "label": "physics-aware"},
    "noise-based": {"color": style.GREEN, "marker": "P", "label": "noise-based"},
    "node-perturbation": {"color": style.PURPLE, "marker": "D", "label": "node perturbation"},
    "weight-perturbation": {"color": style.GREY, "marker": "X", "label": "weight perturbation"},
}
FROM_SOFTWARE: dict[str, dict[str, Any]] = {
    "none": {"color": "black", "label": "software alone"},
    "calibrated": {"color": style.BLUE, "marker": "o", "label": "calibrated"},
    "calibrated-i0": {"color": style.SKY, "marker": "s", "ls": "--", "label": "calibrated, and $i_0$"},
    "calibrated-then-loop": {"color": style.BLUE, "marker": "v", "ls": ":", "label": "calibrated, then in the loop"},
    **{f"software-then-{name}": look for name, look in _RULES.items()},
}
FROM_RANDOM = {("in-the-loop" if name == "loop" else name): look for name, look in _RULES.items()}
STARTS = {"weights of software": FROM_SOFTWARE, "random weights": FROM_RANDOM}


def whole_network(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy against the write pulses of each device, from the weights of software and from random ones.

    Points and lines are means over chips, which are the same for all methods; bars and bands are 95 % intervals, and
    fewer than five chips are points.
    """
    parts = [
        (start, looks, title, part)
        for title, part in chips_of(cube)
        for start, looks in STARTS.items()
        if any(name in looks for name in part["method"].values)
    ]
    axes = style.panels(figure, len(parts), narrowest=80 * style.MM)
    known: dict[str, Any] = {}
    for ax, (start, looks, title, part) in zip(axes, parts, strict=True):
        accuracy_against_pulses(part, ax, looks)
        ax.set_title(f"{title}: {start}")
        known |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known.keys(), loc="outside upper center", ncols=3)


FIGURES: dict[str, style.Builder] = {
    "whole_network": style.canvas(whole_network, style.PAGE, 68 * style.MM, no_chip, zeros=True),
}
