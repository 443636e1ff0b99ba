"""Switched or not, from readings alone, also while a device has shown one of its two levels only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spinneurons.hil.network import Switches
from spinneurons.neurons.family import Levels, NeuronFamily, Readings

POOL = 2000
"""Latest readings of a device from which its levels are found: they may drift in the days that a training takes."""


class States:
    """The levels of each device as they become known, train by train.

    A device starts with the levels of the card.  Its own take their place as soon as its family learns them from its
    pooled readings: a neuron of probability 0 or 1 shows one level only.  What is decided depends on the readings so
    far and on nothing else.

    Parameters
    ----------
    family : says the levels before a device has shown its own, learns its own, and decides by them
    """

    def __init__(self, family: NeuronFamily) -> None:
        self._family = family
        self._initial = family.levels()
        self._pool: dict[int, npt.NDArray[np.float64]] = {}
        self._levels: dict[int, Levels] = {}

    @property
    def readings(self) -> int:
        """How many readings each cycle gives."""
        return len(self._family.readings)

    def levels(self, device: int) -> Levels:
        """The levels by which the device is judged at present, in the unit of its readings."""
        return self._levels.get(device, self._initial)

    def decide(self, neuron_device: Sequence[int], readings: Readings) -> Switches:
        """What the neurons did in one train; all samples of a neuron are invalid where its device is faulty.

        Parameters
        ----------
        neuron_device : (neurons,)
        readings : of the family, (steps, neurons) each
        """
        for device in dict.fromkeys(neuron_device):
            columns = [j for j, d in enumerate(neuron_device) if d == device]
            self._learn(device, np.concatenate([r[:, columns].ravel() for r in readings]))
        decisions = [
            self._family.decide(tuple(r[:, j] for r in readings), self.levels(device))
            for j, device in enumerate(neuron_device)
        ]
        return Switches(
            np.stack([d.switched for d in decisions], axis=1), np.stack([d.valid for d in decisions], axis=1)
        )

    def _learn(self, device: int, readings: npt.NDArray[np.float32]) -> None:
        new = readings[np.isfinite(readings)].astype(np.float64)
        pool = np.concatenate([self._pool.get(device, np.empty(0)), new])[-POOL:]
        self._pool[device] = pool
        levels = self._family.learn(pool)
        if levels is not None:
            self._levels[device] = levels
