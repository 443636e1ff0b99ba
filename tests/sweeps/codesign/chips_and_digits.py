"""A quick recipe, a chip of a trained network, and a plane against its reference, for several test files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spinneurons.codesign import chip as chips
from spinneurons.codesign import reference
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.draws import CHUNK, Batch, Draws
from spinneurons.codesign.model import CellGrid, Spikes, plane
from spinneurons.codesign.network import Network, Recipe

QUICK = Recipe(epochs=1)
"""Enough for about 93 %."""


def make_chip(trained: Network, vary: str = "both", distribution: str = "uniform", seed: int = 1) -> Chip:
    """A chip of the trained network with the deviations of a seed."""
    layers = [Programmed.ideal(w) for w in trained.folded]
    neurons, weights, scales = (np.random.default_rng([seed, i]) for i in range(3))
    return chips.make(layers, neurons, weights, vary, distribution, scales)


def reference_neurons(grid: CellGrid, e: int, r: int) -> reference.CellNeurons:
    """The neurons of one cell of a plane, for the reference."""
    if grid.estimates is None:
        return reference.CellNeurons(grid.thresholds, grid.zeta)
    return reference.CellNeurons(grid.thresholds, grid.zeta, grid.estimates.shift[e, r], grid.estimates.gain[e, r])


def compare_spikes(
    chip: Chip, batch: Batch, draws: Draws, grid: CellGrid, cells: Iterable[tuple[int, int]]
) -> tuple[int, int]:
    """Spikes of these cells (index of eta and of ratio) that were compared with the reference's, and that differ.

    Output spikes are compared where the hidden ones are the same.
    """
    seen: list[Spikes] = []
    plane(chip, batch, draws, grid, threads=1, observe=seen.append)
    compared = different = 0
    for e, r in cells:
        mine = [s for s in seen if s.eta == e and r in s.ratios]
        hidden, output = (
            np.concatenate(
                [
                    np.concatenate([getattr(s, name) for s in mine if s.first == first], axis=0)
                    for first in range(0, grid.steps, CHUNK)
                ],
                axis=1,
            )
            for name in ("hidden", "output")
        )
        neurons = reference_neurons(grid, e, r)
        for step in reference.spikes(chip, batch, draws, grid.etas[e], grid.ratios[r], grid.steps, neurons):
            unequal = hidden[:, step.number] != step.hidden
            same_hidden = ~unequal.any(axis=1)
            unequal_output = (output[:, step.number] != step.output)[same_hidden]
            compared += unequal.size + unequal_output.size
            different += int(unequal.sum() + unequal_output.sum())
    return compared, different
