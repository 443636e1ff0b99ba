"""The random numbers of the spiking runs, by address: chip seed, image, step.

A draw is a whole number u, uniform on 0 .. 65535.  It is the same number for an image whatever other images are
computed with it, in whatever batch, and for a step whatever the number of steps.

An event of probability p happens when u falls below 65536 p, so that its probability is p rounded to a multiple of
2^-16: the bias of one spike is 2^-17 = 7.6e-6 at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Law
from spinneurons.neurons.laws import LOGISTIC

Draw = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]

CHUNK = 50
"""Successive steps that are drawn together; part of the address, so it is never changed."""
LEVELS = 1 << 16
"""Values of a draw."""


@dataclass(frozen=True)
class Batch:
    """Images, their labels, and their numbers in the data, which address their draws."""

    images: npt.NDArray[np.uint8]
    """(n, inputs), 0 is dark."""
    labels: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.int64]

    @classmethod
    def first(cls, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], n: int) -> Batch:
        """The first ``n`` images of the data."""
        return cls(images[:n], labels[:n], np.arange(min(n, len(labels)), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> Batch:
        return Batch(self.images[rows], self.labels[rows], self.numbers[rows])


class Draws:
    """The numbers of one chip seed; ``key`` is two words of 64 bits that stand for root seed and chip.

    A chunk of steps comes from Philox 4x64-10 (Salmon et al., SC 2011) with the counter at (chunk, image).  Such a
    generator is a function of its counter and can start anywhere: an image's numbers need no other's to be drawn
    before.  An object serves one thread.
    """

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self._generator = np.random.Philox(key=np.array(key, np.uint64))
        self._state = self._generator.state

    @classmethod
    def of(cls, rng: np.random.Generator) -> Draws:
        """The numbers that the next two words of ``rng`` stand for."""
        first, second = rng.integers(0, 1 << 64, 2, np.uint64)
        return cls((int(first), int(second)))

    def draw_chunk(self, image: int, chunk: int, steps: int, each: int) -> Draw:
        """(steps, each) numbers of an image from step ``CHUNK * chunk`` on; ``steps`` <= CHUNK.

        A step has one for each active pixel, each neuron, layer by layer, and one for the choice among tied
        classes, in this order.  Fewer steps give the first rows of the same array.
        """
        # Setting the state is cheaper than a new generator.  The lowest word of the counter runs while numbers are
        # taken: 2^64 blocks of four words are more than any chunk needs, so no two addresses share a number.
        self._state["state"]["counter"][:] = (0, chunk, image, 0)
        self._state["buffer_pos"] = 4  # the buffer of four words counts as used up
        self._generator.state = self._state
        # Four numbers of 16 bits from each word; as little-endian, so that they are the same on every machine.
        words: npt.NDArray[np.uint64] = self._generator.random_raw(-(-steps * each // 4))
        numbers = words.astype("<u8", copy=False).view("<u2")[: steps * each]
        return np.asarray(numbers, np.uint16).reshape(steps, each)


@cache
def input_limits() -> Draw:
    """(256,) a pixel of intensity k >= 1 spikes where u <= limits[k]; probability k/255.

    ``<=`` and not ``<``, since 65536, the limit of a pixel that always spikes, does not fit 16 bits.
    """
    return np.asarray(np.maximum(np.rint(np.arange(256) * (LEVELS / 255)) - 1, 0), np.uint16)


@cache
def neuron_thresholds(law: Law = LOGISTIC, read_noise: float = 0.0) -> Floats:
    """(65536,) a neuron with input z fires where z > thresholds[u]; probability ``law.probability(z)``.

    thresholds[u] is the quantile (u + 1/2)/65536 of the law, so that the kernel is equally fast for every law.  A
    normal ``read_noise`` on z, anew in each step and given as its standard deviation, is the same as the quantile of
    the sum of the two.
    """
    quantile = (np.arange(LEVELS) + 0.5) / LEVELS
    if read_noise == 0.0:
        return law.quantile(quantile).astype(np.float32)
    # The law convolved with the noise, by Gauss-Hermite quadrature on a grid, and then inverted by interpolation.
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    farthest = max(12.0, *np.ceil(np.abs(law.quantile(quantile[[0, -1]]))))
    extent = farthest + 8 * read_noise
    grid = np.linspace(-extent, extent, 20_001)
    fired = law.probability(grid[:, None] - read_noise * nodes) @ (weights / weights.sum())
    return np.interp(quantile, fired, grid).astype(np.float32)
