"""Switched or not, from readings alone, also while a device has shown one of its two levels only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.device.card import value
from spinneurons.device.model import hall_resistance
from spinneurons.device.protocol import RARE, Levels, Readings, decide, find_levels
from spinneurons.hil.network import Switches

POOL = 2000
"""Latest readings of a device from which its levels are found: they may drift in the days that a training takes."""


class States:
    """The levels of each device as they become known, train by train.

    A device starts with the levels of the card.  Its own take their place as soon as its pooled readings have two
    distinct ones and both are seen more often than glitches are: a neuron of probability 0 or 1 shows one only.
    What is decided depends on the readings so far and on nothing else.

    Parameters
    ----------
    card : for the levels and the noise of a reading, before a device has shown its own
    reset_state : -1 if reset gives the low level, +1 for the high one
    """

    def __init__(self, card: Mapping[str, Any], reset_state: int) -> None:
        self._reset_state = reset_state
        low, high = hall_resistance(np.array([-1, 1]), card)
        self._card = Levels(float(low), float(high), value(card, "read.noise") / value(card, "read.current"))
        self._pool: dict[int, npt.NDArray[np.float64]] = {}
        self._levels: dict[int, Levels] = {}

    def levels(self, device: int) -> Levels:
        """The levels by which the device is judged at present, ohm."""
        return self._levels.get(device, self._card)

    def decide(self, neuron_device: Sequence[int], readings: Readings) -> Switches:
        """What the neurons did in one train; all samples of a neuron are invalid where its device is faulty.

        Parameters
        ----------
        neuron_device : (neurons,)
        readings : (steps, neurons) ohm
        """
        for device in dict.fromkeys(neuron_device):
            columns = [j for j, d in enumerate(neuron_device) if d == device]
            self._learn(device, np.concatenate([r[:, columns].ravel() for r in readings]))
        decisions = [
            decide(readings.r_reset[:, j], readings.r_write[:, j], self._reset_state, self.levels(device))
            for j, device in enumerate(neuron_device)
        ]
        return Switches(
            np.stack([d.switched for d in decisions], axis=1), np.stack([d.valid for d in decisions], axis=1)
        )

    def _learn(self, device: int, readings: npt.NDArray[np.float32]) -> None:
        new = readings[np.isfinite(readings)].astype(np.float64)
        pool = np.concatenate([self._pool.get(device, np.empty(0)), new])[-POOL:]
        self._pool[device] = pool
        levels = find_levels(pool)
        if levels.reason:
            return
        high = float(np.mean(pool > levels.threshold))
        if RARE < high < 1 - RARE:
            self._levels[device] = levels
