"""The neurons of a chip after a calibration: what a few pulses at each of them say of its bias and scale current.

A neuron is driven by I_bias + i0 z.  With its own estimates s^ and g^, in nominal i0, it is driven by
I_bias + i0 (s^ + g^ z) instead, and fires with probability

    p((g^ z - (s - s^))/g)

so that of the shift s only the error of the estimate is left.  The pulses are of the bench, without the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.chip import Chip
from spinneurons.neurons.base import REACH
from spinneurons.neurons.calibration import calibrate, pulses_at
from spinneurons.neurons.family import Law

Floats = npt.NDArray[np.float64]

DRIVES = 14
"""Of the plan, as in a characterization."""
ROUND = 256
"""Pulses at a drive whose random numbers are in memory together."""
SPREAD = {"uniform": 1 / np.sqrt(3), "normal": 1.0}
"""Standard deviation of x, by its distribution."""


def spread_of(distribution: str, measured: npt.NDArray[np.float64] | None = None) -> tuple[float, float]:
    """Standard deviations of x and y: of the distribution, or of measured devices, (devices, 2)."""
    if measured is None:
        return float(SPREAD[distribution]), float(SPREAD["uniform"])
    x, y = np.sqrt(np.mean(measured**2, axis=0)).tolist()
    return x, y


@dataclass(frozen=True)
class NeuronEstimates:
    """What is known of the neurons of a plane, in the order of the chip."""

    shift: Floats
    """(etas, ratios, neurons) s^."""
    gain: Floats
    """(etas, ratios, neurons) g^."""


@dataclass(frozen=True)
class Method:
    """How neurons are calibrated."""

    pulses: int | None
    """At each neuron; None: so many that nothing is left to learn."""
    law: Law
    gains: bool = False
    """Whether i0 is estimated, too."""
    spread: tuple[float, float] = (1 / np.sqrt(3), 1 / np.sqrt(3))
    """Standard deviations of x and y, which are what is known before any pulse."""


@dataclass(frozen=True)
class Spread:
    """How far the neurons of a cell deviate: what is known before any pulse, and what the drives have to cover."""

    shift: float
    """s of a neuron with x = 1."""
    zeta: float
    """Spread of i0."""

    @property
    def drives(self) -> Floats:
        """(DRIVES,) z of the plan, about nominal: half-span 6 and the spread of the shift."""
        return np.linspace(-1, 1, DRIVES) * (REACH + self.shift)


def estimate(
    chip: Chip, etas: Sequence[float], ratios: Sequence[float], zeta: float, method: Method, rng: np.random.Generator
) -> NeuronEstimates:
    """Calibrate every neuron of a chip in all cells of a plane.

    All cells share the random numbers of the pulses, and the first pulses of a larger budget are those of a smaller
    one.

    Parameters
    ----------
    etas, ratios : variations, and I_bias/i0 of each width
    zeta : spread of i0
    rng : its next numbers decide which pulses switch

    Source: maximum a posteriori, see :func:`spinneurons.neurons.calibration.calibrate`.
    """
    shift = np.array([[chip.shift(eta, ratio) for ratio in ratios] for eta in etas])
    gain = np.broadcast_to(chip.gain(zeta), shift.shape)
    if method.pulses is None:
        return NeuronEstimates(shift, gain if method.gains else np.ones_like(gain))
    varied = bool(np.any(chip.x) or np.any(chip.y))
    spreads = [[Spread(eta * ratio if varied else 0.0, zeta if varied else 0.0) for ratio in ratios] for eta in etas]
    plans = np.array([[spread.drives for spread in row] for row in spreads])
    n = pulses_at(method.pulses, np.linspace(-1, 1, DRIVES))
    p = method.law.probability((plans[..., None] - shift[..., None, :]) / gain[..., None, :])
    k = _switched(p, n, rng)
    estimates = NeuronEstimates(np.empty_like(shift), np.empty_like(shift))
    for e, r in np.ndindex(k.shape[:2]):
        spread = spreads[e][r]
        estimates.shift[e, r], estimates.gain[e, r] = calibrate(
            k[e, r].T,
            n,
            plans[e, r],
            method.law,
            shift_sd=spread.shift * method.spread[0],
            gain_sd=spread.zeta * method.spread[1] if method.gains else 0.0,
        )
    return estimates


def _switched(p: Floats, n: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Pulses that switch of ``n`` (drives,), with probabilities ``p`` (etas, ratios, drives, neurons); shape of p."""
    k = np.zeros(p.shape, np.int64)
    for first in range(0, int(n.max(initial=0)), ROUND):
        rows = np.arange(first, min(first + ROUND, n.max()))
        u = rng.random((len(rows), *p.shape[2:]))
        u[rows[:, None] >= n] = 2.0  # no pulse
        for cell in np.ndindex(p.shape[:2]):
            k[cell] += np.count_nonzero(u < p[cell], axis=0)
    return k
