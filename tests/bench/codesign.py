"""How fast the kernel is: ``python -m tests.bench.codesign``.

All is measured in one process and in turns, so that a machine that drifts or is shared does so for all: quote ratios.
With two threads the plain loop suffers more than the kernel from other busy processes, because torch's threads
wait for each other in each product: the ratio of the fastest turns is then the fair one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spinneurons.codesign import chip as chips
from spinneurons.codesign import model, reference
from spinneurons.codesign.calibrated import Method, NeuronEstimates, estimate
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.network import Recipe, obtain
from spinneurons.codesign.sweep import SWEEP
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

GOAL, STRETCH = 60, 150
STEPS = 50
PULSES = 28
FLOP = 2 * STEPS * (784 * 400 + 400 * 10)
"""Of one image in one cell, as the plain loop multiplies."""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rate(dtype: torch.dtype, n: int = 1536) -> float:
    """Products of square matrices, 1e9 operations a second: the best of 5."""
    if dtype == torch.int8:
        a = torch.ones(n, n, dtype=dtype)
        best = min(seconds(lambda: torch._int_mm(a, a)) for _ in range(5))
    else:
        a = torch.ones(n, n, dtype=dtype)
        best = min(seconds(lambda: a @ a) for _ in range(5))
    return 2 * n**3 / best / 1e9


@dataclass(frozen=True)
class Found:
    """Seconds for all 10,000 images in each turn."""

    loop: list[float]
    """One cell in the plain loop."""
    plane: list[float]
    """All cells of a plane in the kernel."""
    alone: list[float]
    """One cell in the kernel."""
    calibrated: list[float]
    """All cells of a plane whose neurons are calibrated, without the calibration."""
    calibration: list[float]
    """The calibration of all cells of a plane, which no image is needed for."""
    cells: int
    """Of the plane."""

    @property
    def ratio(self) -> float:
        """The plain loop's time over that of a plane's cell: median of the turns."""
        return statistics.median(a * self.cells / b for a, b in zip(self.loop, self.plane, strict=True))

    @property
    def calibrated_ratio(self) -> float:
        """A calibrated plane's time, with its calibration, over that of a plane: median of the turns."""
        turns = zip(self.calibrated, self.calibration, self.plane, strict=True)
        return statistics.median((a + b) / c for a, b, c in turns)

    @property
    def fastest_ratio(self) -> float:
        return min(self.loop) * self.cells / min(self.plane)


def real_plane(images: int, epochs: int) -> tuple[chips.Chip, Batch, list[float], list[float]]:
    """A chip of the trained network, the first test images, and the variations and I_bias/i0 of the sweep."""
    network = obtain(Recipe(epochs=epochs), data.describe(), 0, print)
    test = data.load("test")
    batch = Batch.first(test.images, test.labels, images)
    layers = [chips.Programmed.ideal(w) for w in network.folded]
    chip = chips.make(layers, np.random.default_rng(1), np.random.default_rng(2))
    widths, variations = (np.array(SWEEP.axis(name).values, np.float64) for name in ("width", "variation"))
    bars = HallBar(cards.default())
    ratios = (bars.i_bias(widths) / bars.i0(widths)).tolist()
    return chip, batch, variations.tolist(), ratios


def compare(images: int, rounds: int, threads: int, epochs: int) -> Found:
    """The plain loop and the kernel in turns, each with that many threads, on the first ``images``."""
    chip, batch, etas, ratios = real_plane(images, epochs)
    draws = Draws((1, 2))
    torch.set_num_threads(threads)
    method = Method(PULSES, LOGISTIC)

    def calibration() -> NeuronEstimates:
        return estimate(chip, etas, ratios, 0.0, method, np.random.default_rng(3))

    calibrated = model.CellGrid(etas, ratios, STEPS, estimates=calibration())
    work: list[Callable[[], object]] = [
        lambda: reference.plain_loop(chip, batch.images, batch.labels, 0.1, ratios[0], STEPS),
        lambda: model.plane(chip, batch, draws, model.CellGrid(etas, ratios, STEPS), threads=threads),
        lambda: model.plane(chip, batch, draws, model.CellGrid([0.1], ratios[:1], STEPS), threads=threads),
        lambda: model.plane(chip, batch, draws, calibrated, threads=threads),
    ]
    scale = 10_000 / len(batch)
    turns = [[*(seconds(call) * scale for call in work), seconds(calibration)] for _ in range(rounds + 1)][
        1:
    ]  # one to warm up
    return Found(*(list(column) for column in zip(*turns, strict=True)), len(etas) * len(ratios))


def main(arguments: Sequence[str] | None = None) -> list[Found]:
    """Print what was found with all threads and with one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.codesign")
    parser.add_argument("--images", type=int, default=2000, help="test images in a run")
    parser.add_argument("--rounds", type=int, default=5, help="turns that are counted")
    parser.add_argument("--epochs", type=int, default=40, help="of the network's training")
    options = parser.parse_args(arguments)
    most, found = torch.get_num_threads(), []
    try:
        for threads in dict.fromkeys((most, 1)):
            found.append(compare(options.images, options.rounds, threads, options.epochs))
            peaks = {name: rate(getattr(torch, name)) for name in ("float32", "bfloat16", "int8")}
            print(f"{threads} thread{'s'[: threads > 1]}, {options.images} images, {options.rounds} turns")
            report(found[-1], peaks)
    finally:
        torch.set_num_threads(most)
    return found


def report(found: Found, peaks: dict[str, float]) -> None:
    """Print the medians, the ratios and how they stand to the peak rates of a matrix product."""
    loop, plane, alone = (statistics.median(t) for t in (found.loop, found.plane, found.alone))
    cell, dense = plane / found.cells, FLOP * 10_000 / 1e9
    goals = f"goal {GOAL}, stretch {STRETCH}"
    print(f"  plain loop      {loop:7.3f} s a cell of 10,000 images and {STEPS} steps")
    print(f"  one cell alone  {alone:7.3f} s")
    print(f"  a plane of {found.cells:<4} {plane:7.3f} s")
    after, calibration = (statistics.median(t) for t in (found.calibrated, found.calibration))
    print(
        f"  the same after {PULSES} pulses a neuron {after:7.3f} s, and {calibration:.3f} s for the calibration:",
        end="",
    )
    print(f" {found.calibrated_ratio:.2f} times the plane's time")
    print(f"  a cell of it    {cell:7.3f} s: {found.ratio:.0f} times the loop's speed ({goals})")
    print(
        f"                  {min(found.plane) / found.cells:7.3f} s: {found.fastest_ratio:.0f} times, fastest turns"
    )
    for name, peak in peaks.items():
        print(f"  {name:<9} peak {peak:5.0f} GFLOP/s; the plane does a cell's {dense:.0f} dense GFLOP at ", end="")
        print(f"{dense / cell / peak:.1f} times that")


if __name__ == "__main__":
    main()
