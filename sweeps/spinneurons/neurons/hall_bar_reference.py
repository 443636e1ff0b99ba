"""The Hall bar's pulses as they read in the paper, one at a time: the statement that ``HallBar.measure`` equals.

Slow on purpose (a Python loop over each pulse).  It shares the random numbers of ``hall_bar.draw`` and the card with
the fast kernel, and no line of its physics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import value
from spinneurons.neurons.hall_bar import HallReadings, draw


class PulsedBar:
    """One device that is pulsed and read; it remembers its state, -1 or +1."""

    def __init__(self, card: Mapping[str, Any], i_bias: float, i0: float, link: str) -> None:
        self.card, self.i_bias, self.i0, self.link = card, i_bias, i0, link
        self.state = -value(card, "hall.reset_state")  # unknown before the first reset; the worst case

    def reset(self) -> None:
        """A reset pulse: the device is in its reset state."""
        self.state = value(self.card, "hall.reset_state")

    def write(self, current: float, uniform: float) -> None:
        """A write pulse of ``current`` A: a reset device switches if ``uniform`` is below the probability."""
        if uniform < self.probability(current):
            self.state = -value(self.card, "hall.reset_state")

    def probability(self, current: float) -> float:
        """Switching probability of one write pulse, written as each law is usually given."""
        if value(self.card, "read.never_switches") and abs(current) <= value(self.card, "read.current"):
            return 0.0
        z = (current - self.i_bias) / self.i0
        if self.link == "logistic":
            return 1 / (1 + math.exp(-z))
        # a rate that grows exponentially with the current: ln 2 expected events at I_bias
        return 1 - math.exp(-math.log(2) * math.exp(z / (2 * math.log(2))))

    def read(self, normal: float) -> float:
        """A read pulse: measured voltage over read current, ohm; the state stays."""
        current = value(self.card, "read.current")
        perpendicular = self.state * math.sqrt(1 - value(self.card, "hall.tilt") ** 2)
        level = value(self.card, "hall.offset") + value(self.card, "hall.amplitude") * perpendicular
        return float(level + normal * (value(self.card, "read.noise") / current))


def measure(
    card: Mapping[str, Any],
    i_bias: float,
    i0: float,
    i_write: npt.ArrayLike,
    cycles: int,
    rng: np.random.Generator,
    link: str = "logistic",
) -> HallReadings:
    """As ``HallBar(card).measure``: same arguments, same random numbers, same readings."""
    currents = np.asarray(i_write, dtype=np.float64)
    rho = value(card, "use.pulse_correlation") if "use" in card else 0.0
    draws = draw(rng, currents.size, cycles, correlated=rho > 0)
    uniform = math.nan
    r_reset, r_write = np.empty((2, currents.size, cycles), dtype=np.float32)
    bar = PulsedBar(card, i_bias, i0, link)
    for i, current in enumerate(currents):
        for c in range(cycles):
            bar.reset()
            r_reset[i, c] = bar.read(draws.noise_reset[i, c])
            if draws.kept is None or (i, c) == (0, 0) or not draws.kept[i, c] < rho:
                uniform = draws.uniform[i, c]
            bar.write(current, uniform)
            r_write[i, c] = bar.read(draws.noise_write[i, c])
    return HallReadings(r_reset, r_write)
