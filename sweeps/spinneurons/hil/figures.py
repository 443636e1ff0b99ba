"""Figures of the trainings: Fig. 4(b-e), S11, S12 of the paper, and the spread over seeds that it does not show.

Figures of one run show one seed, which they name; the others are drawn faintly or counted beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.hil import analysis
from spinneurons.hil.image_figures import MODES, right_by_class, s11_network, s12_images
from spinneurons.neurons.cubes import law as law_of
from spinsweep.analysis.intervals import wilson

Target = TypeVar("Target", Axes, Figure)


def switching_curves(cube: xr.Dataset, ax: Axes, seed: int) -> Axes:
    """Counted and fitted switching curve of each device; bars are Wilson's 95 % intervals."""
    run = analysis.run_of(cube, seed)
    current, law = run["curve_i_write"].values, law_of(cube)
    _, first = np.unique(run["device_number"].values, return_index=True)
    for j in first:
        neuron = run.isel(neuron=int(j))
        look = style.device_look(int(neuron["device_number"]))
        trials = neuron["curve_trials"].values
        seen = trials > 0
        p, low, high = wilson(neuron["curve_switches"].values[seen], trials[seen])
        look["label"] = f"device {int(neuron['device_number'])}"
        ax.errorbar(current[seen], p, (p - low, high - p), ls="none", elinewidth=0.5, ms=2.6, mew=0, **look)
        fine = np.linspace(current[0], current[-1], 300)
        z = (fine - float(neuron["curve_i_bias"])) / float(neuron["curve_i0"])
        ax.plot(fine, law.probability(z), color=look["color"])
    style.switching_axis(ax)
    style.label_axis(ax.xaxis, "Write current", "A", style.current_power(cube, "curve_i_write"))
    ax.set_ylabel("Switching probability")
    style.legend(ax)
    return ax


def loss_against_epochs(cube: xr.Dataset, ax: Axes, seed: int) -> Axes:
    """Loss of each epoch in both modes; the seed in full, the others faint."""
    epochs, loss = cube["epoch"].values, cube["loss"].where(analysis.done(cube))
    for mode in cube["mode"].values.tolist():
        name, colour, line = MODES[mode]
        others = loss.sel(mode=mode).drop_sel(seed=seed).transpose("epoch", "seed").values
        ax.plot(epochs, others, color=colour, ls=line, lw=0.4, alpha=0.35)
        ax.plot(epochs, loss.sel(mode=mode, seed=seed), color=colour, ls=line, lw=1.3, marker="o", ms=2.4, label=name)
    ax.set_yscale("log")
    style.whole_numbers(ax.xaxis)
    ax.set(xlabel="Epoch", ylabel="Mean squared error of an image")
    style.legend(ax, title=f"seed {seed}; faint: other seeds")
    return ax


def confidence_of_test_images(cube: xr.Dataset, ax: Axes, mode: str, seed: int) -> Axes:
    """Confidence in each class for each test image, next to each other."""
    run = cube.sel(mode=mode, seed=seed)
    classes = analysis.classes_of(run)
    outputs = run["confidence"].isel(neuron=slice(-len(classes), None)).transpose("test_image", "neuron").values
    wide, images = 0.8 / len(classes), np.arange(cube.sizes["test_image"])
    for j, digit in enumerate(classes):
        colour = style.COLOURS[j % len(style.COLOURS)]
        x = images + wide * (j - (len(classes) - 1) / 2)
        ax.bar(x, np.nan_to_num(outputs[:, j]), wide * 0.92, color=colour, label=f"{digit}")
    for i, good in enumerate((run["test_label"] == run["predicted"]).values):
        mark, colour = ("✓", style.GREEN) if good else ("✗", style.VERMILION)
        ax.text(i, 1.02, mark, ha="center", va="bottom", color=colour)
    right = int((run["predicted"] == run["test_label"]).sum())
    ax.set(title=f"{MODES[mode][0]}: {right} of {len(images)} right", ylim=(0, 1.14))
    ax.set_xticks(images, [f"{label}" for label in run["test_label"].values])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("Class of the test image")
    return ax


def activations_in_training(cube: xr.Dataset, ax: Axes, seed: int, neuron: int) -> Axes:
    """Activation of an output neuron for each image shown: those of its own class and others."""
    run = cube.sel(mode="hil", seed=seed).isel(neuron=neuron)
    activation, label = run["activation"].transpose("epoch", "image").values, run["label"].values
    digit = analysis.classes_of(run)[neuron]
    number = np.arange(activation.size).reshape(activation.shape)
    for own_class, colour, marker, name in ((True, style.BLUE, "o", "own class"), (False, style.GREY, "x", "others")):
        chosen = (label == digit) == own_class
        ax.plot(
            number[:, chosen].ravel(), activation[:, chosen].ravel(), ls="none", marker=marker, ms=2.2, mew=0.5,
            color=colour, label=name,
        )  # fmt: skip
    ax.set(title=f"class {digit}, device {int(run['device_number'])}", ylim=(-0.05, 1.05))
    return ax


def right_over_seeds(cube: xr.Dataset, ax: Axes) -> Axes:
    """How many seeds have how many test images right, in both modes; what ties are worth is rounded down."""
    right, count = analysis.right(cube), cube.sizes["test_image"]
    for k, mode in enumerate(cube["mode"].values.tolist()):
        each = right.sel(mode=mode).dropna("seed").values.astype(int)
        name, colour, _ = MODES[mode]
        label = f"{name}: {each.mean():.3g} on average" if each.size else name
        x = np.arange(count + 1) + 0.4 * (k - (cube.sizes["mode"] - 1) / 2)
        ax.bar(x, np.bincount(each, minlength=count + 1), 0.38, color=colour, label=label)
    ax.set_xticks(range(count + 1))
    style.whole_numbers(ax.yaxis)
    ax.set(xlabel=f"Test images right, of {count}", ylabel="Seeds")
    style.legend(ax)
    return ax


def accuracy_against_variation(cube: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy on the test images against variation, two lines a ratio.

    Bars are 95 % intervals over seeds; fewer than five seeds are points.

    The ratios have the colours of :func:`gain_against_variation`, whose legend names them.
    """
    accuracy, x = cube["accuracy"].where(analysis.done(cube)), 100 * cube["variation"].values
    for k, ratio in enumerate(cube["ratio"].values.tolist()):
        for mode in cube["mode"].values.tolist():
            look = style.device_look(k) | {"ls": MODES[mode][2], "capsize": 1.2, "elinewidth": 0.5}
            style.shares_against(ax, x, accuracy.sel(mode=mode, ratio=ratio), **look)
    ax.set(xlabel="Variation (%)", ylabel="Accuracy (%)")
    for mode in cube["mode"].values.tolist():
        ax.plot([], [], color="black", ls=MODES[mode][2], label=MODES[mode][0])
    style.legend(ax)
    return ax


def gain_against_variation(cube: xr.Dataset, ax: Axes) -> Axes:
    """What hardware in the loop gains on the same seeds, with 95 % intervals."""
    advantage = analysis.advantage(cube)
    for k, ratio in enumerate(cube["ratio"].values.tolist()):
        y, error = (100 * advantage[name].sel(ratio=ratio).values for name in ("mean", "half"))
        look = style.device_look(k) | {"label": f"{style.RATIO} = {ratio:g}"}
        ax.errorbar(100 * cube["variation"].values, y, error, capsize=1.2, elinewidth=0.5, **look)
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xlabel="Variation (%)", ylabel="Gain (points)")
    style.legend(ax)
    ax.set_title(f"paired over {int(analysis.gain(cube).notnull().sum('seed').max())} seeds")
    return ax


def wins_against_variation(cube: xr.Dataset, ax: Axes) -> Axes:
    """Share of seeds in which hardware in the loop is better, with Wilson's 95 % interval."""
    advantage = analysis.advantage(cube)
    for k, ratio in enumerate(cube["ratio"].values.tolist()):
        share, low, high = (100 * advantage[name].sel(ratio=ratio).values for name in ("wins", "low", "high"))
        x = 100 * cube["variation"].values + 0.3 * (k - (cube.sizes["ratio"] - 1) / 2)
        ax.errorbar(x, share, (share - low, high - share), capsize=1.2, elinewidth=0.5, **style.device_look(k))
    ax.axhline(50, color="black", lw=0.6, ls=":")
    ax.set(ylim=(0, 104), xlabel="Variation (%)", ylabel="Seeds with a gain (%)")
    return ax


def fig4de_confidence(cube: xr.Dataset, figure: Figure, seed: int) -> None:
    """Confidence in the classes for the test images, with and without hardware in the loop."""
    _confidences(cube, style.panels(figure, cube.sizes["mode"], narrowest=60 * style.MM, sharey=True), seed)
    figure.suptitle(f"seed {seed}")


def s11_activations(cube: xr.Dataset, figure: Figure, seed: int) -> None:
    """Activation of each output neuron in the course of the training."""
    outputs = _outputs(cube.sel(mode="hil", seed=seed))
    axes = style.panels(figure, outputs.sizes["neuron"], sharey=True)
    for j, ax in enumerate(axes):
        activations_in_training(outputs.expand_dims(["mode", "seed"]), ax, seed, j)
        ax.set_xlabel("Image shown")
    axes[0].set_ylabel("Activation")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handletextpad=0.1)


def s12_multiplexed(cube: xr.Dataset, figure: Figure, seed: int) -> None:
    """One device as two neurons: loss, and confidence for the test images."""
    axes = style.panels(figure, 1 + cube.sizes["mode"], narrowest=50 * style.MM)
    loss_against_epochs(cube, axes[0], seed)
    _confidences(cube, axes[1:], seed)


def replicates_gain(cube: xr.Dataset, figure: Figure) -> None:
    """Accuracy in both modes, the gain of hardware in the loop on the same seeds, and how often there is one.

    Bars are 95 % intervals over seeds; fewer than five seeds are points.
    """
    axes = style.panels(figure, 3, narrowest=50 * style.MM)
    accuracy_against_variation(cube, axes[0])
    if cube.sizes["mode"] < 2:
        style.note(axes[1], "one mode only")
        axes[2].remove()
        return
    gain_against_variation(cube, axes[1])
    wins_against_variation(cube, axes[2])


def replicates_loss(cube: xr.Dataset, ax: Axes) -> Axes:
    """Loss in training with hardware in the loop, mean of the seeds, at the largest ratio: variation slows it."""
    loss, ratio = cube["loss"].where(analysis.done(cube)), float(cube["ratio"].max())
    colours = style.shades(cube.sizes["variation"])
    for colour, variation in zip(colours, cube["variation"].values, strict=True):
        curve = loss.sel(mode="hil", ratio=ratio, variation=variation).mean("seed")
        ax.plot(cube["epoch"], curve, color=colour, label=f"{100 * variation:g}")
    ax.set_yscale("log")
    style.whole_numbers(ax.xaxis)
    ax.set(xlabel="Epoch", ylabel="Mean squared error of an image")
    ax.set_title(f"hardware in the loop, {style.RATIO} = {ratio:g}")
    style.legend(ax, title="Variation (%)")
    return ax


def _confidences(cube: xr.Dataset, axes: list[Axes], seed: int) -> None:
    """One panel a mode, and one legend."""
    drawn = []
    for ax, mode in zip(axes, cube["mode"].values.tolist(), strict=True):
        if analysis.done(cube).sel(mode=mode, seed=seed):
            confidence_of_test_images(cube, ax, mode, seed)
            drawn.append(ax)
        else:
            style.note(ax, f"{MODES[mode][0]}: not done yet")
    drawn[0].set_ylabel("Confidence")
    style.legend(drawn[-1], title="in class", handlelength=0.8)


def _outputs(run: xr.Dataset) -> xr.Dataset:
    """The output neurons alone."""
    return run.isel(neuron=slice(-len(analysis.classes_of(run)), None))


def replicates_conventions(cube: xr.Dataset, figure: Figure) -> None:
    """What hardware in the loop gains on the same seeds: a panel for each way to choose a class.

    Full lines: all devices driven about the mean bias current; dashed: each about its own.  Bars are 95 % intervals.
    """
    decisions = cube["decision"].values.tolist() if "decision" in cube.dims else ["counts"]
    drives = cube["bias"].values.tolist() if "bias" in cube.dims else ["mean"]
    axes = style.panels(figure, len(decisions), narrowest=50 * style.MM, sharey=True)
    for ax, decision in zip(axes, decisions, strict=True):
        for drive in drives:
            advantage = analysis.advantage(analysis.with_convention(cube, drive, decision))
            for k, ratio in enumerate(cube["ratio"].values.tolist()):
                y, error = (100 * advantage[name].sel(ratio=ratio).values for name in ("mean", "half"))
                line = "-" if drive == "mean" else "--"
                text = f"{style.RATIO} = {ratio:g}" if drive == drives[0] else None
                look = style.device_look(k) | {"ls": line, "label": text}
                ax.errorbar(100 * cube["variation"].values, y, error, capsize=1.2, elinewidth=0.5, **look)
        ax.axhline(0, color="black", lw=0.6)
        ax.set(xlabel="Variation (%)", title=f"class by {BY[decision]}")
        ax.label_outer()
    axes[0].set_ylabel("Gain (points)")
    if len(drives) > 1:
        for line, text in (("-", "mean bias current"), ("--", "own bias current")):
            axes[0].plot([], [], color="black", ls=line, label=text)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


BY = {"counts": "counts", "inputs": "largest input", "normalised": "inputs through curves"}


def _no_training(cube: xr.Dataset) -> str:
    return "" if bool(analysis.done(cube).any()) else "no training is done yet"


def _none_in_the_loop(cube: xr.Dataset) -> str:
    in_the_loop = analysis.done(cube).sel(mode=cube["mode"] == "hil")
    return "" if bool(in_the_loop.any()) else "no training in the loop is done yet"


def _shown_not_in_the_loop(cube: xr.Dataset) -> str:
    return _no_training(cube) or _none_in_the_loop(cube.sel(seed=[analysis.shown_seed(cube)]))


def _of_shown_seed(draw: Callable[[xr.Dataset, Target, int], object]) -> Callable[[xr.Dataset, Target], object]:
    """Draw the seed that figures of one run show; the frame has made sure that there is one."""

    @wraps(draw)
    def drawn(cube: xr.Dataset, target: Target) -> object:
        seed = analysis.shown_seed(cube)
        assert seed is not None
        return draw(cube, target, seed)

    return drawn


def _of_one_convention(draw: Callable[[xr.Dataset, Target], object]) -> Callable[[xr.Dataset, Target], object]:
    """Draw the replicates about the mean bias current and by counts."""

    @wraps(draw)
    def drawn(cube: xr.Dataset, target: Target) -> object:
        return draw(analysis.with_convention(cube), target)

    return drawn


def _no_pair(cube: xr.Dataset) -> str:
    return _no_training(cube) or ("" if cube.sizes["mode"] > 1 else "one mode only")


def _one_run(panel: Callable[[xr.Dataset, Axes, int], object]) -> style.Builder:
    return style.figure(_of_shown_seed(panel), empty=_no_training, zeros=True)


def _page(draw: style.Draw, height_mm: float, empty: Callable[[xr.Dataset], str] = _no_training) -> style.Builder:
    return style.canvas(draw, style.PAGE, height_mm * style.MM, empty, zeros=True)


_CURVES = _one_run(switching_curves)
_RIGHT = style.figure(right_over_seeds, empty=_no_training, zeros=True)
_BY_CLASS = style.figure(right_by_class, empty=_no_training, zeros=True)

FIGURES: dict[str, style.Builder] = {
    "fig4b_curves": _CURVES,
    "fig4c_loss": _one_run(loss_against_epochs),
    "fig4de_confidence": _page(_of_shown_seed(fig4de_confidence), 60),
    "s11_network": _page(_of_shown_seed(s11_network), 60),
    "s11_activations": _page(_of_shown_seed(s11_activations), 55, _shown_not_in_the_loop),
    "right_by_seed": _RIGHT,
    "right_by_class": _BY_CLASS,
}
FIGURES_FITTED: dict[str, style.Builder] = {f"{name}_fitted": builder for name, builder in FIGURES.items()}
FIGURES_MULTIPLEXED: dict[str, style.Builder] = {
    "s12_multiplexed": _page(_of_shown_seed(s12_multiplexed), 60),
    "s12_images": _one_run(s12_images),
    "fig4b_curves": _CURVES,
    "right_by_seed": _RIGHT,
}
FIGURES_REPLICATES: dict[str, style.Builder] = {
    "replicates_gain": _page(_of_one_convention(replicates_gain), 62),
    "replicates_conventions": _page(replicates_conventions, 58, _no_pair),
    "replicates_loss": style.figure(_of_one_convention(replicates_loss), empty=_none_in_the_loop, zeros=True),
}
