"""A quick recipe and a chip of a trained network, for several test files."""

from __future__ import annotations

import numpy as np

from spinneurons.codesign import chip as chips
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.network import Network, Recipe

QUICK = Recipe(epochs=1)
"""Enough for about 93 %."""


def make_chip(trained: Network, vary: str = "both", distribution: str = "uniform", seed: int = 1) -> Chip:
    """A chip of the trained network with the deviations of a seed."""
    first, second = Programmed.ideal(trained.w1), Programmed.ideal(trained.folded)
    neurons, weights = (np.random.default_rng([seed, i]) for i in range(2))
    return chips.make(first, second, neurons, weights, vary, distribution)
