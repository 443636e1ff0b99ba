"""Figures of the images that a training had, and of the network: S11 and S12(c) of the paper.

A cube holds no images: they are drawn again from its data and its seed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.cubes import parameters
from spinneurons.hil import analysis
from spinneurons.hil.images import Images
from spinneurons.hil.sweep import FITTED, MULTIPLEXED, SWEEP, images_of
from spinneurons.mnist.data import SIDE, DataError
from spinsweep.analysis.intervals import wilson
from spinsweep.evaluate import Cell

MOST = 40
"""Images that a panel has room for."""


def images_in(cube: xr.Dataset, seed: int) -> tuple[Images, Images]:
    """Training and test images of a seed; ``DataError`` or ``OSError`` where the cube's data are not here."""
    sweep = next((s for s in (FITTED, MULTIPLEXED) if s.name == cube.attrs.get("sweep")), SWEEP)
    known = {name: v for name, v in parameters(cube).items() if name in {p.name for p in sweep.parameters}}
    sweep = sweep.with_values(root_seed=int(cube.attrs.get("root_seed", 0)), **known)
    return images_of(Cell(sweep, {"mode": str(cube["mode"].values[0]), "seed": seed}))


def show_images(images: Images, labels: list[int], ax: Axes, columns: int) -> None:
    """Images in rows, bright on dark, each with its class below."""
    count = min(len(images), MOST)
    for n in range(count):
        row, column = divmod(n, columns)
        picture = images.pixels[n].reshape(SIDE, SIDE)
        x, y = column * 1.15, -row * 1.45
        ax.imshow(picture, cmap="gray", extent=(x, x + 1, y - 1, y), vmin=0, vmax=255)
        ax.text(x + 0.5, y - 1.04, f"{labels[n]}", ha="center", va="top", size=style.SMALL)
    rows = -(-count // columns)
    ax.set(xlim=(0, columns * 1.15 - 0.15), ylim=(-rows * 1.45, 0.05), aspect="equal")
    ax.set_axis_off()


def network(run: xr.Dataset, ax: Axes, sizes: list[int]) -> None:
    """The layers: pixels, hidden neurons, and output neurons with their classes and devices."""
    tall = 8
    places = [np.linspace(-1, 1, min(size, tall)) for size in sizes]
    for layer, (before, after) in enumerate(pairwise(places)):
        for y in before:
            for z in after:
                ax.plot([layer, layer + 1], [y, z], color="0.8", lw=0.3, zorder=0)
    for layer, (y, size) in enumerate(zip(places, sizes, strict=True)):
        colour = style.GREY if layer == 0 else style.BLUE
        ax.plot(np.full(len(y), layer), y, ls="none", marker="o", ms=4, color=colour)
        name = "pixels" if layer == 0 else "output neurons" if layer == len(sizes) - 1 else "hidden neurons"
        ax.text(layer, 1.2, f"{size}\n{name}", ha="center", va="bottom")
    outputs, devices = analysis.classes_of(run), run["device_number"].values.tolist()
    for y, digit, device in zip(places[-1], outputs, devices[-len(outputs) :], strict=False):
        ax.text(len(sizes) - 0.9, y, f"{digit} (device {device})", va="center")
    ax.set(xlim=(-0.5, len(sizes) + 0.2), ylim=(-1.3, 1.9))
    ax.set_axis_off()


def s11_network(cube: xr.Dataset, figure: Figure, seed: int) -> None:
    """The network with the devices of its neurons, and the training images of the seed with their classes.

    Of a layer of more than eight neurons, eight are drawn; of more than 40 images, the first 40.
    """
    run = analysis.run_of(cube, seed)
    axes = style.panels(figure, 2, ratios=(1.0, 1.2))
    hidden = cube.sizes["neuron"] - len(analysis.classes_of(run))
    layers = [int(h) for h in str(parameters(cube).get("hidden", "")).split(",") if h.strip()] if hidden else []
    network(run, axes[0], [cube.sizes["pixel"], *layers, len(analysis.classes_of(run))])
    _images(cube, axes[1], seed, part=0, columns=8)


def s12_images(cube: xr.Dataset, ax: Axes, seed: int) -> Axes:
    """The test images of the seed, with their classes."""
    _images(cube, ax, seed, part=1, columns=6)
    return ax


def _images(cube: xr.Dataset, ax: Axes, seed: int, part: int, columns: int) -> None:
    name, label = (("training", "label"), ("test", "test_label"))[part]
    labels = analysis.run_of(cube, seed)[label].values.tolist()
    try:
        shown = images_in(cube, seed)[part]
    except (DataError, OSError):
        style.note(ax, f"the data of the {name} images are not here")
        return
    if analysis.classes(cube) and [_named(analysis.classes(cube), i) for i in shown.targets.tolist()] != labels:
        style.note(ax, f"the data here give other {name} images")
        return
    show_images(shown, labels, ax, columns)
    ax.set_title(f"{name} images of seed {seed}")


def _named(outputs: list[int], place: int) -> int:
    return outputs[place] if place < len(outputs) else -1


def right_by_class(cube: xr.Dataset, ax: Axes) -> Axes:
    """Share of the test images of each class that are right, over seeds; bars are Wilson's 95 % intervals.

    Of k classes that share the largest confidence each is worth 1/k.
    """
    outputs = analysis.classes(cube)
    shares = analysis.right_of_each(cube)
    for k, mode in enumerate(cube["mode"].values.tolist()):
        name, colour, _ = MODES[mode]
        for j, digit in enumerate(outputs):
            each = shares.sel(mode=mode).where(cube["test_label"].sel(mode=mode) == digit)
            n, won = float(each.notnull().sum()), float(each.sum())
            if not n:
                continue
            p, low, high = (100 * float(v) for v in wilson(won, n))
            bars = [[p - low], [high - p]]
            label = name if j == 0 else None
            x = j + 0.12 * (2 * k - 1)
            ax.errorbar(x, p, bars, marker="os"[k % 2], ms=3, color=colour, capsize=1.5, elinewidth=0.6, label=label)
    ax.set_xticks(range(len(outputs)), [f"{digit}" for digit in outputs])
    ax.set(xlabel="Class", ylabel="Test images right (%)", ylim=(0, 104))
    style.legend(ax)
    return ax


MODES = {"hil": ("hardware in the loop", style.BLUE, "-"), "software": ("software", style.VERMILION, "--")}
"""Name in words, colour and line of each mode."""
