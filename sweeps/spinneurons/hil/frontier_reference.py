"""The methods of the frontier as their equations read, image by image and step by step: what ``methods`` equals.

It shares with them the random numbers, the readings and what is decided from them, and no matrix product and no
automatic gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

from spinneurons.hil import network
from spinneurons.hil.accuracy import NetworkOnDevices, exact
from spinneurons.hil.chips import OutputDevices
from spinneurons.hil.methods import Schedule
from spinneurons.hil.neurons import Drive
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams

Floats = npt.NDArray[np.float64]


class Activity(NamedTuple):
    """What a neuron did in a train."""

    activation: float
    slopes: list[float]
    """Of the activation against z of each step."""


Neuron = Callable[[str, list[list[float]], Floats], list[Activity]]
"""(key, z of each step and neuron, offsets) -> what the neurons did."""


def result(method: str, chip: OutputDevices, schedule: Schedule, cycles: int) -> NetworkOnDevices:
    """The network and the drive that a method comes to within so many cycles of each device."""
    software = _in_software(lambda key: (np.zeros(len(chip.numbers)), np.ones(len(chip.numbers))))
    passes = schedule.epochs * len(schedule.images)
    weights, offset, drive = schedule.initial, np.zeros(len(chip.numbers)), chip.drive()
    if method == "variation-aware":
        sampled = _in_software(lambda key: chip.sampled(schedule.devices.generator(key)))
        weights, _ = descend(schedule, weights, schedule.trains, passes, sampled)
    elif not method.startswith("in-the-loop"):
        weights, _ = descend(schedule, weights, schedule.trains, passes, software)
    if method in ("calibrated", "calibrated-i0"):
        drive = chip.calibrated(cycles, schedule.currents, gain=method == "calibrated-i0")
    if method == "in-the-loop-calibrated":
        first = min(cycles, schedule.calibration)
        drive, cycles = chip.calibrated(first, schedule.currents), cycles - first
    images = cycles // schedule.steps
    if method.startswith("in-the-loop"):
        weights, _ = descend(schedule, weights, schedule.trains, images, _in_the_loop(chip, drive))
    if method == "software-then-loop":
        weights, _ = descend(schedule, weights, schedule.later_trains, images, _in_the_loop(chip, drive))
    if method == "output-trim":
        trains = schedule.later_trains
        _, offset = descend(schedule, weights, trains, images, _in_the_loop(chip, drive), only_offsets=True)
    moved = replace(drive, i_bias=drive.i_bias + drive.i0 * offset)
    return NetworkOnDevices(exact(weights), chip.neurons, moved)


def descend(
    schedule: Schedule, start: Floats, trains: Streams, images: int, neurons: Neuron, *, only_offsets: bool = False
) -> tuple[Floats, Floats]:
    """Weights and offsets after so many images: one step of gradient descent an image."""
    weights, offset = start.copy(), np.zeros(start.shape[1])
    for shown in range(images):
        epoch, i = divmod(shown, len(schedule.images))
        key = f"epoch {epoch + 1}/image {i}"
        spikes = network.poisson_train(trains.generator(key), schedule.images.pixels[i], schedule.steps)
        active = [[q for q in range(len(step)) if step[q]] for step in spikes]
        z = [[math.fsum(weights[q, j] for q in pixels) for j in range(len(offset))] for pixels in active]
        for j, did in enumerate(neurons(key, z, offset)):
            error = did.activation - (schedule.images.targets[i] == j)
            for pixels, slope in zip(active, did.slopes, strict=True):
                if only_offsets:
                    offset[j] -= schedule.trim_rate * error * slope
                    continue
                for q in pixels:
                    weights[q, j] -= schedule.rate * error * slope
    return weights, offset


def _in_software(sample: Callable[[str], tuple[Floats, Floats]]) -> Neuron:
    """The sigmoid ((z - s)/g), and its slope."""

    def neurons(key: str, z: list[list[float]], offset: Floats) -> list[Activity]:
        done = []
        for j, (shift, gain) in enumerate(zip(*sample(key), strict=True)):
            p = [float(expit((step[j] - shift) / gain)) for step in z]
            done.append(Activity(math.fsum(p) / len(p), [a * (1 - a) / gain / len(p) for a in p]))
        return done

    return neurons


def _in_the_loop(chip: OutputDevices, drive: Drive) -> Neuron:
    """Switches of the devices, and the slope of the sigmoid that would have given them."""
    states = States(chip.family)

    def neurons(key: str, z: list[list[float]], offset: Floats) -> list[Activity]:
        currents = [
            [
                max(drive.i_bias[j] + drive.i0[j] * offset[j] + drive.i0[j] * min(a, drive.z_limit), drive.i_low)
                for j, a in enumerate(step)
            ]
            for step in z
        ]
        readings = chip.neurons.read(f"{key}/layer 1", chip.numbers, np.array(currents))
        switched, valid = states.decide(chip.numbers, readings)
        assert valid.all(), "the reference is of devices that are never at fault"
        done = []
        for j in range(len(chip.numbers)):
            k, n = int(switched[:, j].sum()), len(z)
            shift = brentq(lambda s, j=j, k=k, n=n: _mean(z, j, s) - (k + 0.5) / (n + 1), -1000, 1000, xtol=1e-12)
            p = [float(expit(step[j] - shift)) for step in z]
            done.append(Activity(k / n, [a * (1 - a) / n for a in p]))
        return done

    return neurons


def _mean(z: list[list[float]], neuron: int, shift: float) -> float:
    return math.fsum(float(expit(step[neuron] - shift)) for step in z) / len(z)
