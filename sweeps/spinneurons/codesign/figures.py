"""Figures of the co-design grid: Fig. 3(c, d), S8, S9, S10 of the paper, and the trade-off that it only talks about.

Error bars are 95 % intervals over chip seeds; fewer than five chips are points or curves of their own.  Cells that
are not done are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from spinneurons import style
from spinneurons.analysis.cubes import parameters
from spinneurons.analysis.pareto import pareto
from spinneurons.codesign import account, analysis
from spinneurons.codesign.crossbar import COLUMNS, ROWS, layers
from spinneurons.codesign.energy_ledger import fold
from spinneurons.codesign.pulses_axis import EXACT

P = ParamSpec("P")
R = TypeVar("R")
S9_WIDTHS = (5.0, 1.0)


def _not_calibrated(draw: Callable[Concatenate[xr.Dataset, P], R]) -> Callable[Concatenate[xr.Dataset, P], R]:
    """Draw the first number of pulses and the first variation of i0 of a cube that has these axes, by networks."""

    @wraps(draw)
    def wrapped(cube: xr.Dataset, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return draw(analysis.by_network(analysis.at_first(cube, *analysis.CALIBRATION)), *args, **kwargs)

    return wrapped


def accuracy_against_variation(cube: xr.Dataset, figure: Figure) -> None:
    """Final accuracy against variation, one line a width.

    After a calibration of the neurons there is one panel for each number of pulses a neuron, and a last one with the
    error that is left at the largest variation, on a logarithmic scale.  Bars are 95 % intervals over chips; fewer
    than five chips are points.
    """
    cube = analysis.by_network(analysis.at_first(cube, "i0_variation"))
    accuracy = analysis.final(cube, "accuracy")
    if "calibration_cycles" not in accuracy.dims:
        (ax,) = style.panels(figure, 1)
        _against_variation(accuracy, ax)
        return style.legend(ax, title="Width (µm)")
    pulses = accuracy["calibration_cycles"].values.tolist()
    if getattr(figure, "columns", None) is None:
        figure.set_figwidth(style.PAGE)
    figure.set_figheight(50 * style.MM)
    *axes, last = style.panels(figure, len(pulses) + 1, narrowest=34 * style.MM)
    for i, (ax, value) in enumerate(zip(axes, pulses, strict=True)):
        _against_variation(accuracy.isel(calibration_cycles=i), ax)
        ax.set_ylim(_floor(accuracy), 101)
        spec = ax.get_subplotspec()
        ax.set_ylabel("Accuracy (%)" if spec and spec.is_first_col() else "")
        ax.set_title({"0": "no calibration", EXACT: "exact calibration"}.get(value, f"{value} pulses"))
    largest = float(accuracy["variation"].max())
    for width, look in _looks(cube).items():
        error = 1 - accuracy.sel(width=width, variation=largest)
        style.shares_against(last, np.arange(len(pulses)), error, label=f"{width:g}", **look)
    last.set_xticks(np.arange(len(pulses)), pulses)
    last.set_yscale("log")
    last.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    last.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    last.yaxis.set_minor_formatter(NullFormatter())
    last.set(xlabel="Pulses of a neuron", ylabel="Error (%)", title=f"variation {100 * largest:g} %")
    style.legend(last, title="Width (µm)")
    return None


def _against_variation(accuracy: xr.DataArray, ax: Axes) -> None:
    """Lines of (width, variation, seed)."""
    for width, look in _looks(accuracy).items():
        label = f"{width:g}"
        style.shares_against(ax, 100 * accuracy["variation"], accuracy.sel(width=width), label=label, **look)
    ax.set(ylim=(_floor(accuracy), 101), xlabel="Variation (%)", ylabel="Accuracy (%)")


@_not_calibrated
def energy_against_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """Synaptic energy of an image against width, without variation, relative to the widest bar."""
    energy = _no_variation(analysis.final(cube, "synaptic_energy")).mean("seed").sortby("width").dropna("width")
    if energy.size == 0:
        return style.note(ax, "no cell without variation is done yet")
    relative = energy / energy.isel(width=-1)
    ax.plot(relative["width"], relative, marker="o", color=style.BLUE)
    ax.set(yscale="log", xlim=(0, 1.06 * float(relative["width"][-1])), xlabel=style.width_label(cube))
    ax.set_ylabel("Synaptic energy (rel.)")
    first, last = (float(energy.isel(width=i)) for i in (0, -1))
    text = (
        f"{style.width_text(float(energy['width'][-1]))}: {style.si_text(last, 'J')} an image\n"
        f"{style.width_text(float(energy['width'][0]))}: {style.si_text(first, 'J')}, {last / first:.3g} times less"
    )
    ax.text(0.96, 0.06, text, transform=ax.transAxes, ha="right", va="bottom", linespacing=1.5)
    return ax


@_not_calibrated
def accuracy_against_steps(cube: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy after each step without variation; the band is the 95 % interval over chips, if there are five."""
    widest = float(cube["width"].max())
    curve = _no_variation(cube["accuracy"].astype(np.float64)).sel(width=widest)
    if curve.isnull().all():
        return style.note(ax, "no cell without variation is done yet")
    mean, steps = curve.mean("seed"), cube["timestep"].values
    style.share_curve(ax, steps, curve, style.BLUE)
    ax.set(xlabel="Time steps", ylabel="Accuracy (%)")
    settled = int(analysis.steps_to_settle(cube).sel(width=widest, variation=float(curve["variation"])))
    near = f"within {100 * analysis.SETTLED:g} points from {settled} on"
    text = f"{100 * float(mean[-1]):.2f} % after {steps[-1]} steps,\n{near}"
    ax.set_xlim(0)
    ax.text(0.96, 0.06, text, transform=ax.transAxes, ha="right", va="bottom", linespacing=1.5)
    return ax


def accuracy_against_steps_varied(cube: xr.Dataset, ax: Axes, width: float) -> Axes:
    """Accuracy after each step at one width, one line a variation.  Fig. S9."""
    accuracy = cube["accuracy"].astype(np.float64).sel(width=width)
    colours = style.shades(accuracy.sizes["variation"])
    for colour, variation in zip(colours, accuracy["variation"].values, strict=True):
        curve = accuracy.sel(variation=variation)
        style.share_curve(ax, cube["timestep"].values, curve, colour, f"{100 * variation:g}")
    ax.set(title=f"{style.width_text(width)} bars", xlim=0, xlabel="Time steps")
    return ax


@_not_calibrated
def accuracy_against_energy(cube: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy against energy after the last step, one line a variation, with the Pareto front of all steps.

    Bars are 95 % intervals over chips; fewer than five chips are points.
    """
    accuracy = analysis.final(cube, "accuracy")
    energy = analysis.final(cube, "synaptic_energy").mean("seed")
    colours = style.shades(accuracy.sizes["variation"])
    for i, (colour, variation) in enumerate(zip(colours, accuracy["variation"].values, strict=True)):
        look = {"color": colour, "marker": style.MARKERS[i % len(style.MARKERS)], "label": f"{100 * variation:g}"}
        shares, place = (values.sel(variation=variation) for values in (accuracy, energy))
        style.shares_against(ax, place, shares, ms=2.4, capsize=1.2, **look)
        early = cube[["accuracy", "synaptic_energy"]].sel(variation=variation).astype(np.float64).mean("seed")
        early = early.transpose("width", "timestep")
        x, y = early["synaptic_energy"].values, early["accuracy"].values
        front = pareto(x, y)
        order = np.argsort(x[front])
        ax.plot(x[front][order], 100 * y[front][order], color=colour, ls=":", lw=0.8)
    ax.set(xscale="log", xlabel="Synaptic energy of an image (J)", ylabel="Accuracy (%)")
    ax.set_ylim(max(0.0, _lowest(accuracy) - 3), 100)
    style.legend(ax, title="Variation (%)")
    ax.set_title("solid: after the last step, narrow to wide bars\ndotted: best of all widths and numbers of steps")
    return ax


@_not_calibrated
def good_width(cube: xr.Dataset, ax: Axes) -> Axes:
    """The narrowest bar that loses at most one point, against variation, with its energy and steps."""
    narrowest = analysis.smallest_good_width(cube)
    x, y = 100 * narrowest["variation"].values, narrowest["width"].values
    ax.plot(x, y, color=style.VERMILION, marker="s", ls="-")
    for variation, width, energy, steps in zip(
        x, y, narrowest["energy"].values, narrowest["steps"].values, strict=True
    ):
        good = bool(np.isfinite(width))
        text = f"{style.si_text(energy, 'J')}\n{steps:.0f} steps" if good else "none"
        point = (variation, width if good else float(cube["width"].max()))
        ax.annotate(text, point, (-4, 4), textcoords="offset points", ha="right", fontsize=style.SMALL)
    ax.set_yscale("log")
    widths = np.sort(cube["width"].values)
    shown = [w for w in widths if w in (0.3, 0.5, 1.0, 2.0, 5.0)] or widths.tolist()
    ax.yaxis.set_major_locator(FixedLocator(shown))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(widths[0] * 0.8, widths[-1] * 2.2)
    ax.set_xticks(x, [f"{v:g}" for v in x])
    ax.set(xlim=(x.min() - 0.18 * np.ptp(x) - 1, x.max() + 0.05 * np.ptp(x) + 1), xlabel="Variation (%)")
    ax.set_ylabel(f"Narrowest bar that loses\nat most {100 * analysis.WITHIN:g} point (µm)")
    return ax


def pair_sketch(cube: xr.Dataset, ax: Axes) -> Axes:
    """A corner of a crossbar: spikes on rows, conductances in pairs of columns, a neuron under each pair."""
    rows, outputs = 4, 2
    rng = np.random.default_rng(3)
    positive, magnitude = rng.random((rows, outputs)) < 0.5, rng.random((rows, outputs))
    for r in range(rows):
        ax.plot([-0.2, 2 * outputs - 0.1], [r, r], color="black", lw=0.8)
        ax.text(-0.3, r, f"$x_{{{rows - r}}}$", ha="right", va="center")
    for o in range(outputs):
        for sign, (name, colour) in enumerate((("+", style.BLUE), ("-", style.VERMILION))):
            x = 2 * o + 0.8 * sign + 0.3
            ax.plot([x, x], [-0.7, rows - 0.6], color=colour, lw=0.8)
            ax.text(x, rows - 0.5, f"$g^{{{name}}}$", ha="center", va="bottom", color=colour)
            size = np.where(positive[:, o] == (sign == 0), 40 * magnitude[:, o] + 5, 0)
            ax.scatter(np.full(rows, x), range(rows), s=size, color=colour, zorder=3, lw=0)
        middle = 2 * o + 0.7
        ax.plot([middle - 0.4, middle, middle + 0.4], [-0.7, -1.15, -0.7], color="black", lw=0.8)
        ax.scatter([middle], [-1.45], s=150, facecolor="white", edgecolor="black", lw=0.8, zorder=3)
        ax.text(middle, -1.45, f"$z_{{{o + 1}}}$", ha="center", va="center", fontsize=style.SMALL, zorder=4)
    ax.set(title="$w = (g^{+} - g^{-})/G_0$; read with $V_0$: $I = I_0\\,z$", xlim=(-0.9, 2 * outputs + 0.1))
    ax.set_ylim(-1.95, rows + 0.2)
    ax.set_axis_off()
    return ax


def tile_map(cube: xr.Dataset, ax: Axes) -> Axes:
    """All layers cut into tiles of the sweep's size; filled where a tile's cells belong to weights."""
    params, x0 = parameters(cube), 0.0
    rows, columns = params.get("tile_rows", ROWS), params.get("tile_columns", COLUMNS)
    every = layers(rows, columns, analysis.layer_sizes(params))
    for number, layer in enumerate(every, start=1):
        for across in range(layer.across):
            for down in range(layer.down):
                filled = min(layer.rows, layer.inputs - down * layer.rows) / layer.rows
                wide = min(layer.columns // 2, layer.outputs - across * layer.columns // 2) / (layer.columns // 2)
                x, y = x0 + across, -float(down)
                ax.add_patch(Rectangle((x, y - filled * 0.9), wide * 0.9, filled * 0.9, color=style.SKY, lw=0))
                ax.add_patch(Rectangle((x, y - 0.9), 0.9, 0.9, fill=False, ec=style.GREY, lw=0.5))
        tiles = f"{layer.count} tile" + "s"[: layer.count > 1]
        text = f"layer {number}: {layer.inputs} × {layer.outputs}\n{tiles}, {100 * layer.used:.0f} % used"
        ax.text(x0, 0.25, text, ha="left", va="bottom", linespacing=1.3)
        x0 += layer.across + 2.6
    ax.set_title(f"Tiles of {rows} × {columns} cells, two columns an output", pad=10)
    ax.set(xlim=(-0.2, x0), ylim=(-max(layer.down for layer in every) - 0.2, 1.6))
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


@_not_calibrated
def s9_steps_varied(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy against time steps at several variations, for 5 µm and 1 µm, or the first two widths.

    Bands are 95 % intervals over chips; fewer than five chips are thin lines.
    """
    chosen = [w for w in S9_WIDTHS if np.isclose(cube["width"].values, w).any()] or cube["width"].values.tolist()[:2]
    axes = style.panels(figure, len(chosen), narrowest=60 * style.MM, sharey=True)
    for ax, width in zip(axes, chosen, strict=True):
        nearest = float(cube["width"].sel(width=width, method="nearest"))
        accuracy_against_steps_varied(cube, ax, nearest)
    shown = cube["accuracy"].sel(width=chosen, method="nearest")
    axes[0].set(ylim=(_floor(shown), 101), ylabel="Accuracy (%)")
    style.legend(axes[-1], title="Variation (%)")


def crossbar_accuracy(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy against conductance levels, one line for each share of stuck cells and read noise.

    Bars are 95 % intervals over chips; fewer than five chips are points.
    """
    accuracy = analysis.final(cube, "accuracy")
    panels = [(w, v) for w in cube["width"].values for v in cube["variation"].values]
    axes = style.panels(figure, len(panels), sharey=True)
    x = np.arange(cube.sizes["levels"])
    stuck = [(off, on) for off in cube["stuck_off"].values for on in cube["stuck_on"].values]
    for ax, (width, variation) in zip(axes, panels, strict=True):
        for i, (off, on) in enumerate(stuck):
            for j, noise in enumerate(cube["read_noise"].values):
                cell = {"width": width, "variation": variation, "stuck_off": off, "stuck_on": on, "read_noise": noise}
                label = f"{100 * off:g} % off, {100 * on:g} % on, noise {noise:g} {style.I_0}"
                line = ("-", "--", ":", "-.")[j % 4]
                style.shares_against(
                    ax, x, accuracy.sel(cell), ls=line, capsize=0, label=label, **style.device_look(i)
                )
        ax.set_xticks(x, [f"{n}" if n else "any" for n in cube["levels"].values])
        ax.set_xlabel("Conductance levels")
        ax.set_title(f"{style.width_text(float(width))}, variation {100 * variation:g} %")
    axes[0].set(ylim=(_floor(accuracy), 101), ylabel="Accuracy (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, handlelength=2.6)


def _lowest(accuracy: xr.DataArray) -> float:
    """The lowest accuracy that is drawn, %: a mean over seeds, or one of few seeds; NaN without any."""
    few = accuracy.notnull().sum("seed") < style.FEW
    return 100 * float(xr.where(few, accuracy.min("seed"), accuracy.mean("seed")).min())


def _floor(accuracy: xr.DataArray) -> float:
    """Lower end of an axis of accuracies, %: a little below the lowest; long bars may leave it."""
    lowest = _lowest(accuracy)
    return max(0.0, lowest - 0.15 * (100 - lowest)) if np.isfinite(lowest) else 0.0


def _looks(cube: xr.Dataset | xr.DataArray) -> dict[float, dict[str, Any]]:
    """Colour and marker of each width, the widest first."""
    widths = sorted(cube["width"].values.tolist(), reverse=True)
    colours = style.shades(len(widths))
    markers = (*style.MARKERS, "<", ">", "X")
    return {w: {"color": c, "marker": markers[i % 9]} for i, (w, c) in enumerate(zip(widths, colours, strict=True))}


def _no_variation(array: xr.DataArray) -> xr.DataArray:
    """At the smallest variation, which is 0 in the default grid."""
    return array.sel(variation=float(array["variation"].min()))


def _no_baseline(cube: xr.Dataset) -> str:
    done = cube.sizes["width"] and 0.0 in cube["variation"].values
    return "" if done else "no cell without variation is done yet"


@_not_calibrated
def energy_terms(cube: xr.Dataset, figure: Figure) -> None:
    """Energy of an image against width, by where it goes: synapses, write pulses, reset pulses and reads.

    Without variation.  Bars are of one shape at each width at the left, and of one length at the right.  Write pulses
    are taken at the bias current.  Sheet resistance, squares and length are those of the card's section ``bar``, or
    the built-in ones: no numbers of the paper.
    """
    both = account.of_cube(cube)
    axes = style.panels(figure, 2, narrowest=60 * style.MM, sharey=True)
    looks = zip(("synapse", "write", "reset", "read"), style.COLOURS, style.MARKERS, strict=False)
    shown: dict[str, dict[str, Any]] = {
        name: {"color": colour, "marker": marker, "label": name} for name, colour, marker in looks
    }
    for ax, (shape, energies) in zip(axes, both.items(), strict=True):
        for name, look in shown.items():
            ax.plot(energies["width"], energies[name], **look)
        pulsed = energies[list(account.WITHOUT_READS)].to_dataarray().sum("variable")
        ax.plot(energies["width"], pulsed, color="black", ls="--", label="without reads")
        folds = [fold(e, energies["width"]) for e in (energies["synapse"], pulsed)]
        ends = [f"{float(energies['width'][i]):g}" for i in (-1, 0)]
        ax.set(yscale="log", xlim=(0, 1.06 * float(energies["width"][-1])), xlabel=style.width_label(cube))
        ax.set_title(f"{shape}; {ends[0]} over {ends[1]} µm:\nsynapses {folds[0]:.3g}, with pulses {folds[1]:.3g}")
    axes[0].set_ylabel("Energy of an image (J)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)


@_not_calibrated
def _no_resistance(cube: xr.Dataset) -> str:
    done = cube.sizes["width"] and _no_variation(analysis.final(cube, "synaptic_energy")).notnull().any()
    return account.missing(cube) if done else "no cell without variation is done yet"


def _which_networks(cube: xr.Dataset) -> list[str]:
    """What of a cube over networks and a spread of i0 is shown."""
    said = []
    if "training" in cube.dims:
        said.append(f"There are {cube.sizes['training']} networks; what is said of chips is of means of their chips.")
    if "i0_variation" in cube.dims:
        said.append(f"i0 varies by {100 * float(cube['i0_variation'][0]):g} %, the first value in the cube.")
    return said


def _which_neurons(cube: xr.Dataset) -> list[str]:
    """What of a cube over calibrations, networks and a spread of i0 is shown."""
    if "calibration_cycles" not in cube.dims:
        return _which_networks(cube)
    pulses = str(cube["calibration_cycles"].values[0])
    said = {"0": "No neuron is calibrated", EXACT: "Neurons are calibrated exactly"}
    return [f"{said.get(pulses, f'Neurons are calibrated by {pulses} pulses each')}.", *_which_networks(cube)]


_CROSSBAR = style.figure(pair_sketch, tile_map, width=style.PAGE, ratios=(1, 1.4), empty=lambda cube: "")
"""How the network lies on crossbars."""

FIGURES: dict[str, style.Builder] = {
    "fig3c_accuracy": style.canvas(accuracy_against_variation, height=75 * style.MM, remarks=_which_networks),
    "fig3d_energy": style.figure(energy_against_width, remarks=_which_neurons),
    "s8_steps": style.figure(accuracy_against_steps, remarks=_which_neurons),
    "s9_steps_varied": style.canvas(s9_steps_varied, width=style.PAGE, remarks=_which_neurons),
    "s10_crossbar": _CROSSBAR,
    "energy_ledger": style.canvas(
        energy_terms, width=style.PAGE, height=70 * style.MM, empty=_no_resistance, remarks=_which_neurons
    ),
    "trade_off": style.figure(
        accuracy_against_energy,
        good_width,
        width=style.PAGE,
        height=70 * style.MM,
        empty=_no_baseline,
        remarks=_which_neurons,
    ),
}
FIGURES_CROSSBAR: dict[str, style.Builder] = {
    "s10_crossbar": _CROSSBAR,
    "crossbar_accuracy": style.canvas(crossbar_accuracy, width=style.PAGE, height=70 * style.MM),
}
