"""The junction's samples one at a time, from the equations: the statement that ``TunnelJunction.measure`` equals.

It shares the random numbers of ``tunnel_junction.draw_samples`` and the card with the fast kernel, and no line of its
physics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import value
from spinneurons.neurons.tunnel_junction import draw_samples


def times(card: Mapping[str, Any], i_50: float, i0: float, current: float) -> tuple[float, float]:
    """Mean times in the parallel and in the antiparallel state, s, as Neel and Brown have them."""
    tau0 = value(card, "dwell.attempt_time")
    barrier = math.log(value(card, "dwell.time") / tau0)
    i_c = 2 * barrier * i0
    x = (current - i_50) / i_c
    return tau0 * math.exp(barrier * (1 - x)), tau0 * math.exp(barrier * (1 + x))


def measure(
    card: Mapping[str, Any],
    i_50: float,
    i0: float,
    i_write: npt.ArrayLike,
    cycles: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """As ``TunnelJunction(card).measure``: same arguments, same random numbers, same readings (n, cycles), ohm."""
    currents = np.asarray(i_write, dtype=np.float64)
    draws = draw_samples(rng, currents.size, cycles)
    low, noise = value(card, "junction.resistance"), value(card, "read.noise")
    high = low * (1 + value(card, "junction.magnetoresistance"))
    readings = np.empty((currents.size, cycles), dtype=np.float32)
    for i, current in enumerate(currents):
        parallel, antiparallel = times(card, i_50, i0, float(current))
        p = antiparallel / (parallel + antiparallel)
        rho = math.exp(-value(card, "sampling.interval") * (1 / parallel + 1 / antiparallel))
        is_antiparallel = False
        for c in range(cycles):
            if c == 0 or draws.kept[i, c] >= rho:
                is_antiparallel = bool(draws.state[i, c] < p)
            readings[i, c] = (high if is_antiparallel else low) + draws.noise[i, c] * noise
    return readings
