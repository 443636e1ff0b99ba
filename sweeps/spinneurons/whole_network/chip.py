"""A chip on which a whole network learns: its neurons and synapses, and what a few pulses say of each neuron.

The deviations are those of :mod:`spinneurons.codesign.chip`.  What is learned are the weights as they are programmed:
a synapse of weight w adds w (1 + variation xi).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spinneurons.codesign import chip as chips
from spinneurons.codesign.calibrated import Method, NeuronEstimates, estimate, spread_of
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.draws import LEVELS, Batch, Draws, neuron_thresholds
from spinneurons.codesign.tables import CellGrid
from spinneurons.hil import rules
from spinneurons.hil.network import Switches
from spinneurons.hil.rules import Layer
from spinneurons.hil.streams import Streams
from spinneurons.neurons.family import Law

Floats = npt.NDArray[np.float32]

ON_DEVICES = ("both", "hidden", "output")
"""Which neurons deviate; the others are those of the nominal curve."""


@dataclass(frozen=True)
class Point:
    """How far the devices of a cell deviate."""

    variation: float
    ratio: float
    """I_bias/i0 of the width."""
    i0_variation: float = 0.0


@dataclass(frozen=True)
class LearningChip:
    """The devices of one seed at one point."""

    x: Floats
    """(neurons,) deviations of I_bias."""
    y: Floats
    """(neurons,) of i0."""
    xi: tuple[Floats, ...]
    """(inputs, outputs) of the synapses of each layer."""
    point: Point
    law: Law
    distribution: str = "uniform"

    @classmethod
    def draw(
        cls,
        sizes: Sequence[int],
        rngs: tuple[np.random.Generator, np.random.Generator, np.random.Generator],
        point: Point,
        law: Law,
        vary: str = "both",
        distribution: str = "uniform",
        on_devices: str = "both",
    ) -> LearningChip:
        """The chip whose deviations are the next numbers of the streams ``neurons``, ``weights`` and ``scales``.

        Parameters
        ----------
        sizes : inputs, and neurons of each layer
        vary, distribution : as of :func:`spinneurons.codesign.chip.make`
        on_devices : one of ``ON_DEVICES``
        """
        x, y, xi = chips.draw(list(pairwise(sizes)), *rngs, vary=vary, distribution=distribution)
        output = np.arange(len(x)) >= len(x) - sizes[-1]
        deviates = {"both": np.ones_like(output), "hidden": ~output, "output": output}[on_devices]
        return cls(x * deviates, y * deviates, tuple(xi), point, law, distribution)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer."""
        return tuple(one.shape[1] for one in self.xi)

    def with_weights(self, weights: Sequence[Floats]) -> Chip:
        """The chip as ``codesign`` knows it, with these weights programmed."""
        return chips.assemble([Programmed.ideal(w) for w in weights], self.x, self.y, self.xi)

    def calibrated(self, pulses: int, rng: np.random.Generator, *, gains: bool = False) -> NeuronEstimates | None:
        """Estimates of each neuron after so many pulses; None without any."""
        if not pulses:
            return None
        method = Method(pulses, self.law, gains, spread_of(self.distribution))
        chip = self.with_weights([np.zeros_like(one) for one in self.xi])
        known = estimate(chip, [self.point.variation], [self.point.ratio], self.point.i0_variation, method, rng)
        deviates = (self.x != 0) | (self.y != 0)
        return NeuronEstimates(np.where(deviates, known.shift, 0.0), np.where(deviates, known.gain, 1.0))

    def accuracy(
        self, weights: Sequence[Floats], estimates: NeuronEstimates | None, test: Batch, draws: Draws, steps: int
    ) -> float:
        """Part of the test images that is right, by the kernel of ``codesign``; tied classes share an image."""
        point = self.point
        grid = CellGrid(
            [point.variation],
            [point.ratio],
            steps,
            "fraction",
            neuron_thresholds(self.law),
            point.i0_variation,
            estimates,
        )
        from spinneurons.codesign import model  # late: it loads torch and numba

        return float(model.plane(self.with_weights(weights), test, draws, grid).accuracy[0, 0, -1])


@dataclass(frozen=True)
class ChipDevices:
    """The neurons and synapses of a chip as images are shown to them."""

    chip: LearningChip
    estimates: NeuronEstimates | None
    """About which each neuron is driven; None: as the nominal one."""
    pulses: Streams
    thresholds: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", neuron_thresholds(self.chip.law))

    @cached_property
    def layers(self) -> list[tuple[Floats, Floats, Floats]]:
        """Of each layer, (neurons,) each: drive g^, shift s - s^ and 1/g, with which a neuron fires where
        (g^ z - shift)/g is above its threshold."""
        point = self.chip.point
        shift = np.float64(point.variation) * point.ratio * self.chip.x
        gain = 1 + np.float64(point.i0_variation) * self.chip.y
        drive = np.ones_like(gain)
        if self.estimates is not None:
            shift, drive = shift - self.estimates.shift[0, 0], self.estimates.gain[0, 0]
        ends = np.cumsum(self.chip.sizes)[:-1]
        parts = (np.split(a.astype(np.float32), ends) for a in (drive, shift, 1 / gain))
        return list(zip(*parts, strict=True))

    @cached_property
    def factors(self) -> list[Floats]:
        """(inputs, outputs) 1 + variation xi of each layer."""
        return [1 + np.float32(self.chip.point.variation) * one for one in self.chip.xi]

    def shown(self, key: str, active: npt.NDArray[np.int64], spikes: Floats) -> ShownImage:
        """An image to be shown: ``spikes`` (steps, active) of its ``active`` pixels."""
        return ShownImage(self, key, spikes, [self.factors[0][active], *self.factors[1:]])


@dataclass(frozen=True)
class ShownImage:
    """One image in front of a chip; see :class:`spinneurons.hil.rules.Show`."""

    devices: ChipDevices
    key: str
    spikes: Floats
    factors: list[Floats]
    """Of the synapses that spikes may pass."""

    def __call__(self, time: int, weights: Sequence[Floats], offsets: Sequence[Floats] | None = None) -> list[Layer]:
        """Present the image once."""
        sizes = self.devices.chip.sizes
        rng = self.devices.pulses.generator(f"{self.key}/{time}")
        u = np.split(
            rng.integers(0, LEVELS, (len(self.spikes), sum(sizes)), np.uint16), np.cumsum(sizes)[:-1], axis=1
        )

        def respond(layer: int, z: rules.Floats) -> Switches:
            drive, shift, per_gain = self.devices.layers[layer]
            switched = (drive * z - shift) * per_gain > self.devices.thresholds[u[layer]]
            return Switches(switched, np.ones_like(switched))

        effective = [w * factor for w, factor in zip(weights, self.factors, strict=True)]
        return rules.forward(effective, self.spikes, respond, offsets)
