"""Devices, images and small trainings for several test files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from spinneurons.hil import images, network, training
from spinneurons.hil.images import Images
from spinneurons.hil.neurons import ModelNeurons, Neurons, drive
from spinneurons.hil.rules import LearnBy
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.hil.training import Hardware, Training
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Readings
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC

Floats = npt.NDArray[np.float64]

CARD = cards.default()
WIDTH = 0.5
I_BIAS, I0 = float(HallBar(CARD).i_bias(WIDTH)), float(HallBar(CARD).i0(WIDTH))
CLASSES = (0, 2, 4, 6)


def streams(seed: int = 0) -> Streams:
    return Streams(np.random.default_rng(seed))


def bars(shifts: Sequence[float] = (0.0, 0.0, 0.0, 0.0), seed: int = 3) -> ModelNeurons:
    """Devices 0, 1, ... whose bias is so many i0 above the nominal one."""
    devices = {d: (I_BIAS + shift * I0, I0) for d, shift in enumerate(shifts)}
    return ModelNeurons(HallBar(CARD), devices, LOGISTIC, streams(seed))


def hardware(neurons: Neurons, numbers: Sequence[int] = (0, 1, 2, 3)) -> Hardware:
    """These devices, driven about the nominal bias; what is decided starts anew."""
    return Hardware(neurons, drive(HallBar(CARD), numbers, I_BIAS, I0, 12.0), States(HallBar(CARD)))


@cache
def some(count: int = 8, part: str = "train") -> Images:
    return images.some(data.load(part), CLASSES, count, "images", np.random.default_rng(1))


def trained(
    with_hardware: Hardware | None,
    count: int = 8,
    steps: int = 20,
    epochs: int = 2,
    hidden: Sequence[int] = (),
    rule: str = "gradient",
) -> Training:
    """A short training on the same images, initial weights and trains, whatever the hardware."""
    layers = (data.PIXELS, *hidden, len(CLASSES))
    initial = network.start(np.random.default_rng(2), layers, 0.1)
    by = LearnBy(rule, 0.3, 0.5, steps)
    return training.train(initial, some(count), streams(4), by, epochs, with_hardware)


class Kept:
    """Neurons whose readings are written down by key and given back, as a journal does; and that may be cut off."""

    def __init__(self, neurons: Neurons, journal: dict[str, Readings], trains: int | None = None) -> None:
        self.neurons, self.journal, self.left = neurons, journal, trains

    def read(self, key: str, neuron_device: Sequence[int], i_write: Floats) -> Readings:
        if key not in self.journal:
            if self.left == 0:
                raise ConnectionError(key)
            self.left = None if self.left is None else self.left - 1
            self.journal[key] = self.neurons.read(key, neuron_device, i_write)
        return self.journal[key]


class Faulty:
    """Neurons of which some devices give no reading from some train on."""

    def __init__(self, neurons: Neurons, broken: Sequence[int], good_trains: int = 0) -> None:
        self.neurons, self.broken, self.good_trains = neurons, broken, good_trains

    def read(self, key: str, neuron_device: Sequence[int], i_write: Floats) -> Readings:
        readings = self.neurons.read(key, neuron_device, i_write)
        self.good_trains -= 1
        if self.good_trains < 0:
            for j, device in enumerate(neuron_device):
                if device in self.broken:
                    for reading in readings:
                        reading[:, j] = np.nan
        return readings
