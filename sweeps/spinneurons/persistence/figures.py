"""Figure of the persistence: Fig. S4 of the paper.  Devices without both days done are left out."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons.device import style
from spinneurons.device.wilson import wilson
from spinneurons.neurons.registry import family_of


def curves(cube: xr.Dataset, ax: Axes, width: float | None = None, device: int | None = None) -> Axes:
    """Switching curves of one device on its first and last day, with their fits.

    The device is the one of that ``width`` (um) and label, or the first fitted on both days of the narrowest
    width.
    """
    cube = _ends(cube)
    fitted = cube["i_bias"].notnull().all("day").transpose("width", "device").values
    for w in np.argsort(cube["width"].values, kind="stable"):
        for d in range(cube.sizes["device"]):
            asked = width is None or np.isclose(cube["width"].values[w], width)
            asked = asked and device in (None, int(cube["device"].values[d]))
            if asked and fitted[w, d]:
                return _two_days(cube.isel(width=int(w), device=d), ax)
    return style.note(ax, "no device fitted on both days")


def _two_days(one: xr.Dataset, ax: Axes) -> Axes:
    for index, (colour, marker) in enumerate(zip(style.COLOURS, style.MARKERS, strict=True)):
        if index >= one.sizes["day"]:
            break
        row = one.isel(day=index)
        current, n = row["i_write"].values, row["trials"].values
        seen = np.isfinite(current) & (n > 0)
        p, low, high = wilson(row["switches"].values[seen], n[seen])
        ax.errorbar(
            current[seen],
            p,
            (p - low, high - p),
            ls="none",
            marker=marker,
            ms=2.6,
            mew=0.6,
            mfc="none" if index else colour,
            elinewidth=0.5,
            color=colour,
            label=f"day {int(row['day'])}",
        )
        fine = np.linspace(current[seen].min(), current[seen].max(), 300)
        p_fit = style.law(one).probability((fine - float(row["i_bias"])) / float(row["i0"]))
        ax.plot(fine, p_fit, color=colour, ls="--" if index else "-")
    change, error = (float(v) for v in drift_percent(one))
    where = f"{style.width_text(float(one['width']))}, device {int(one['device'])}"
    ax.set_title(f"{where}: {change:+.2f} ± {error:.2f} %".replace("-", "−"))
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A")
    ax.set_ylabel("Switching probability")
    ax.legend(loc="upper left")
    return ax


def drift_percent(cube: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Change of the bias current from the first to the last day and its standard error, both in per cent."""
    first, last = cube.isel(day=0), cube.isel(day=-1)
    ratio = last["i_bias"] / first["i_bias"]
    relative = [day["i_bias_stderr"] / day["i_bias"] for day in (first, last)]
    return 100 * (ratio - 1), 100 * ratio * np.sqrt(relative[0] ** 2 + relative[1] ** 2)


def drifts(cube: xr.Dataset, ax: Axes) -> Axes:
    """Change of the bias current of each device beside its own standard error.

    Dotted lines are one standard deviation of the card's drift.  Where the bars are as long as the points are
    far from zero, the fit's own error explains the "drift".
    """
    cube = _ends(cube)
    days = cube["day"].values
    change, error = (v.transpose("width", "device").values for v in drift_percent(cube))
    widths, count = cube["width"].values, cube.sizes["device"]
    for index, device in enumerate(cube["device"].values):
        x = np.arange(widths.size) + 0.16 * (index - (count - 1) / 2)
        ax.errorbar(
            x,
            change[:, index],
            error[:, index],
            ls="none",
            elinewidth=0.7,
            ms=2.4,
            mew=0,
            label=f"device {device}",
            **style.device_look(int(device)),
        )
    ax.axhline(0, color="black", lw=0.6)
    card = style.parameters(cube).get("card")
    if card is not None:
        sd = 100 * family_of(card).drift_deviation(float(days[-1] - days[0]))
        for sign in (-1, 1):
            ax.axhline(
                sign * sd,
                color=style.GREY,
                ls=":",
                lw=0.8,
                label=f"± drift s.d., {sd:.2g} %" if sign > 0 else None,
            )
    with np.errstate(invalid="ignore"):
        beyond = int(np.sum(np.abs(change) > 2 * error))
    fitted = int(np.isfinite(change).sum())
    ax.set_title(f"{beyond} of {fitted} devices beyond two standard errors")
    reach = 1.1 * float(np.nanmax(np.abs(change) + error, initial=0.1))
    ax.set_ylim(-reach, 1.5 * reach)
    ax.set_xlim(-0.6, widths.size - 0.4)
    ax.set_xticks(range(widths.size), [f"{w:g}" for w in widths])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("Bar width (µm)")
    ax.set_ylabel(f"Change of bias current in {days[-1] - days[0]} days (%)")
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=labels.__getitem__)  # devices first
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        ncols=3,
        columnspacing=1.0,
        handletextpad=0.3,
    )
    return ax


def _ends(cube: xr.Dataset) -> xr.Dataset:
    """First and last day of the done cells."""
    cube = style.mask_unfinished(cube)
    order = np.argsort(cube["day"].values, kind="stable")
    return cube.isel(day=[int(order[0]), int(order[-1])])


def s4_persistence(cube: xr.Dataset) -> Figure:
    """Curves of one device on both days beside the drift of all devices."""
    figure = style.new_figure(style.PAGE, 65 * style.MM)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    both = _ends(cube)
    if both.sizes["width"] == 0 or cube.sizes["day"] < 2 or not both["i_bias"].notnull().all("day").any():
        style.note(left, "no device is done on two days yet")
        right.set_axis_off()
        return figure
    curves(cube, left)
    drifts(cube, right)
    return figure


FIGURES: dict[str, style.Builder] = {"s4_persistence": style.styled(s4_persistence)}
