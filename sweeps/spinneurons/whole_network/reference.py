"""A whole network that learns on a chip, neuron by neuron as the equations read: what ``chip`` and ``learning`` are.

It shares with them the random numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.calibrated import NeuronEstimates
from spinneurons.codesign.draws import LEVELS, input_limits, neuron_thresholds
from spinneurons.hil import rules, rules_reference
from spinneurons.hil.network import Switches
from spinneurons.hil.rules import Layer, LearnBy
from spinneurons.hil.streams import Streams
from spinneurons.mnist.data import Digits
from spinneurons.whole_network.chip import LearningChip

Floats = npt.NDArray[np.float64]


def learn(
    start: Sequence[npt.NDArray[np.float32]],
    digits: Digits,
    trains: Streams,
    chip: LearningChip,
    estimates: NeuronEstimates | None,
    pulses: Streams,
    by: LearnBy,
    images: int,
) -> list[Floats]:
    """(inputs, outputs) weights of each layer after so many images."""
    weights = [w.astype(np.float64) for w in start]
    for shown in range(images):
        epoch, place = divmod(shown, len(digits.labels))
        which = int(trains.generator(f"order/{epoch}").permutation(len(digits.labels))[place])
        pixels = digits.images[which]
        active = [k for k in range(len(pixels)) if pixels[k]]
        rng = trains.generator(f"image/{shown}")
        u = rng.integers(0, LEVELS, (by.steps, len(active)), np.uint16)
        spikes = [
            [float(u[t, n] <= input_limits()[pixels[k]]) for n, k in enumerate(active)] for t in range(by.steps)
        ]
        used = [weights[0][active].astype(np.float32), *(w.astype(np.float32) for w in weights[1:])]
        image = ReferenceImage(chip, estimates, pulses, f"image/{shown}", active, spikes)
        change = rules_reference.step(by.rule, image, used, int(digits.labels[which]), rng, by.size)
        for n, k in enumerate(active):
            for j in range(weights[0].shape[1]):
                weights[0][k, j] -= by.rate * change.gradient[0][n, j]
        for w, gradient in zip(weights[1:], change.gradient[1:], strict=True):
            for i, j in np.ndindex(w.shape):
                w[i, j] -= by.rate * gradient[i, j]
    return weights


@dataclass(frozen=True)
class ReferenceImage:
    """One image in front of a chip; see :class:`spinneurons.hil.rules.Show`."""

    chip: LearningChip
    estimates: NeuronEstimates | None
    pulses: Streams
    key: str
    active: list[int]
    spikes: list[list[float]]

    def __call__(
        self, time: int, weights: Sequence[rules.Floats], offsets: Sequence[rules.Floats] | None = None
    ) -> list[Layer]:
        """A neuron fires with p((g^ z - (s - s^))/g), z = sum_i x_i w_ij (1 + variation xi_ij) and its offset."""
        chip, point, steps = self.chip, self.chip.point, len(self.spikes)
        u = self.pulses.generator(f"{self.key}/{time}").integers(0, LEVELS, (steps, sum(chip.sizes)), np.uint16)
        thresholds, x, first, layers = neuron_thresholds(chip.law), self.spikes, 0, []
        for number, w in enumerate(weights):
            inputs, neurons = w.shape
            z, switched = np.zeros((steps, neurons), np.float32), np.zeros((steps, neurons), bool)
            rows = self.active if number == 0 else list(range(inputs))
            for t, j in np.ndindex(steps, neurons):
                xi = chip.xi[number]
                z[t, j] = sum(
                    x[t][n] * float(w[n, j]) * (1 + point.variation * float(xi[k, j])) for n, k in enumerate(rows)
                )
                neuron = first + j
                s = point.variation * point.ratio * float(chip.x[neuron])
                g = 1 + point.i0_variation * float(chip.y[neuron])
                s_estimate, g_estimate = 0.0, 1.0
                if self.estimates is not None:
                    s_estimate = float(self.estimates.shift[0, 0, neuron])
                    g_estimate = float(self.estimates.gain[0, 0, neuron])
                drive_z = float(z[t, j]) + (float(offsets[number][j]) if offsets is not None else 0.0)
                switched[t, j] = (g_estimate * drive_z - (s - s_estimate)) / g > thresholds[u[t, neuron]]
            layers.append(Layer(np.array(x, np.float32), z, Switches(switched, np.ones_like(switched))))
            x, first = switched.astype(float).tolist(), first + neurons
        return layers
