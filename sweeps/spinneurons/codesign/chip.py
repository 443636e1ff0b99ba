"""One chip: the network's weights and neurons with the deviations of equation 3, the same at every width.

    I_bias -> I_bias (1 + eta x)         z -> z - s,   s = eta x I_bias/i0
    w      -> w (1 + eta xi)             W(eta) = W + eta D,   D = W xi
    i0     -> i0 g,  g = 1 + zeta y      a neuron fires with probability p((z - s)/g)

x, xi and y belong to the chip, eta, zeta and the width to the cell: a chip is seen at every width and every eta.  The
spread zeta of i0 is not in equation 3; without it g = 1.

Weights of the first layer are kept on a grid of a power of two, as fine as float32's own rounding of the largest sum:
every sum of weights is then exact in float32, in any order.  That is why results cannot depend on the batch, the
number of threads, the BLAS library or the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

VARY = ("both", "neurons", "weights")
DISTRIBUTIONS = ("uniform", "normal")


@dataclass(frozen=True)
class Chip:
    """Weights W + eta D of all layers, and the deviations x and y of the neurons, first layer first."""

    w: tuple[Floats, ...]
    """(inputs, outputs) each."""
    d: tuple[Floats, ...]
    x: Floats
    """(neurons,)."""
    y: Floats
    """(neurons,)."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer; the last are the classes."""
        return tuple(w.shape[1] for w in self.w)

    @property
    def x1(self) -> Floats:
        """x of the first layer."""
        return self.x[: self.sizes[0]]

    def shift(self, eta: float, ratio: float) -> npt.NDArray[np.float64]:
        """(neurons,) s of each neuron, at a width with I_bias/i0 = ``ratio``."""
        return np.float64(eta) * ratio * self.x

    def gain(self, zeta: float) -> npt.NDArray[np.float64]:
        """(neurons,) g of each neuron."""
        return 1 + np.float64(zeta) * self.y


@dataclass(frozen=True)
class Programmed:
    """One layer's weights as they are in the crossbar before any deviation."""

    w: Floats
    """(inputs, outputs)."""
    varying: Floats
    """The part of ``w`` that deviates: all of it but for what sits in stuck cells."""

    @classmethod
    def ideal(cls, w: Floats) -> Programmed:
        """The weights as they are, all of them varying."""
        return cls(w, w)


def deviations(rng: np.random.Generator, shape: tuple[int, ...], distribution: str) -> Floats:
    """x or xi: uniform on [-1, 1), or standard normal.  Source: equation 3 (uniform)."""
    if distribution == "normal":
        return rng.standard_normal(shape, np.float32)
    return rng.random(shape, np.float32) * 2 - 1


def make(
    layers: Sequence[Programmed],
    neurons: np.random.Generator,
    weights: np.random.Generator,
    vary: str = "both",
    distribution: str = "uniform",
    scales: np.random.Generator | None = None,
    measured: npt.NDArray[np.float64] | None = None,
) -> Chip:
    """The chip of these layers whose deviations are the next numbers of the streams; see :func:`draw`.

    Parameters
    ----------
    layers : weights as they are programmed, first layer first
    """
    shapes = [layer.w.shape for layer in layers]
    deviates = draw(shapes, neurons, weights, scales, vary=vary, distribution=distribution, measured=measured)
    return assemble(layers, *deviates)


def draw(
    shapes: Sequence[tuple[int, ...]],
    neurons: np.random.Generator,
    weights: np.random.Generator,
    scales: np.random.Generator | None = None,
    *,
    vary: str = "both",
    distribution: str = "uniform",
    measured: npt.NDArray[np.float64] | None = None,
) -> tuple[Floats, Floats, list[Floats]]:
    """x and y of all neurons, (neurons,) each, and xi of each layer, (inputs, outputs).

    Parameters
    ----------
    shapes : (inputs, outputs) of each layer
    neurons, weights : streams of x and xi
    scales : of y, which is uniform on [-1, 1) always, so that no i0 is below 0; None: y = 0
    vary : what deviates: "neurons", "weights" or "both"; the deviations of the others are 0
    distribution : of x and xi, "uniform" on [-1, 1) or standard "normal"
    measured : (devices, 2) x and y of devices of which each neuron is one, drawn again and again; None: of no device
    """
    count = sum(outputs for _, outputs in shapes)
    if measured is not None:
        x, y = measured[neurons.integers(len(measured), size=count)].astype(np.float32).T
    else:
        x = deviations(neurons, (count,), distribution)
        y = np.zeros_like(x) if scales is None else deviations(scales, x.shape, "uniform")
    xi = [deviations(weights, shape, distribution) for shape in shapes]
    if vary == "weights":
        x, y = np.zeros_like(x), np.zeros_like(y)
    if vary == "neurons":
        xi = [np.zeros_like(one) for one in xi]
    return x, y, xi


def assemble(layers: Sequence[Programmed], x: Floats, y: Floats, xi: Sequence[Floats]) -> Chip:
    """The chip of these layers with deviations as of :func:`draw`."""
    w, d = [layer.w for layer in layers], [layer.varying * one for layer, one in zip(layers, xi, strict=True)]
    w[0], d[0] = on_grid(w[0]), on_grid(d[0])
    return Chip(tuple(w), tuple(d), x, y)


def digest_of(weights: Sequence[Floats]) -> str:
    """SHA-256 of the weights of all layers."""
    return hashlib.sha256(b"".join(w.astype("<f4").tobytes() for w in weights)).hexdigest()


def on_grid(w: npt.NDArray[np.floating]) -> Floats:
    """``w`` (rows to be summed, columns) on a grid on which each sum of some of its rows is exact in float32.

    The step is 2^-24 of the power of two above the largest such sum, so that the change is of the order of float32's
    own rounding of that sum.
    """
    positive, negative = (part(w, 0).sum(axis=0, dtype=np.float64) for part in (np.maximum, np.minimum))
    # A float32 holds every whole number up to 2^24: multiples of the step up to 2^24 steps, and so every partial sum,
    # are exact.  The hundredth is for weights that are rounded up to the grid.
    largest = 1.01 * max(positive.max(), -negative.min(), np.finfo(np.float32).tiny)
    step = 2.0 ** (np.ceil(np.log2(largest)) - 24)
    return np.asarray(np.rint(w.astype(np.float64) / step) * step, np.float32)
