"""What makes up for the variation of devices: methods, each with the cycles that it takes of a device.

All methods of a seed have the same chip, images, initial weights and trains; each is given budgets of cycles a device
and says what network it comes to on which drive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.hil import network, training
from spinneurons.hil.accuracy import NetworkOnDevices, exact
from spinneurons.hil.chips import OutputDevices
from spinneurons.hil.images import Images
from spinneurons.hil.network import Response, Weights
from spinneurons.hil.neurons import Drive
from spinneurons.hil.rules import AUTOMATIC, LearnBy
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.hil.training import Hardware, Responds
from spinneurons.neurons.family import Readings

Floats = npt.NDArray[np.float64]
Sample = Callable[[np.random.Generator], tuple[Floats, Floats]]


class Outcome(NamedTuple):
    """What a method comes to within a budget."""

    network: NetworkOnDevices
    cycles: int
    """Of each device, that the method used."""
    loss: float
    """Mean squared error of an image, over those of the last pass that was begun; NaN without any training."""


class Learned(NamedTuple):
    """Weights, or offsets, after some images."""

    values: Floats
    loss: float


@dataclass(frozen=True)
class Schedule:
    """How a network of one layer is trained."""

    images: Images
    initial: Floats
    """(pixels, neurons) weights."""
    trains: Streams
    """Of the first training of a network."""
    later_trains: Streams
    """Of one that goes on from software."""
    devices: Streams
    """Devices that a variation-aware training samples."""
    steps: int
    epochs: int
    """In software."""
    rate: float
    trim_rate: float
    """Of the offsets."""
    currents: int
    """Of a calibration."""
    calibration: int
    """Cycles of a device that go to its calibration before a training in the loop."""

    def images_within(self, cycles: int) -> int:
        """How many images can be shown to a device in so many cycles."""
        return cycles // self.steps

    def learn(
        self, weights: Floats, trains: Streams, counts: Sequence[int], hardware: Responds | None
    ) -> dict[int, Learned]:
        """Weights after so many images, with hardware in the loop or another model of the neurons."""
        kept, shown = {0: Learned(weights, float("nan"))}, 0

        def keep(loss: float, current: Weights) -> None:
            nonlocal shown
            shown += 1
            if shown in counts:
                kept[shown] = Learned(network.arrays(current)[0], loss)

        epochs = -(-max(counts) // len(self.images))
        if epochs:
            by = LearnBy(AUTOMATIC, self.rate, 0.0, self.steps)
            training.train([weights], self.images, trains, by, epochs, hardware, keep)
        return kept

    @cached_property
    def software(self) -> Learned:
        """Trained with the ideal sigmoid."""
        count = self.epochs * len(self.images)
        return self.learn(self.initial, self.trains, [count], None)[count]

    @cached_property
    def software_weights(self) -> npt.NDArray[np.float32]:
        """One array for all chips, so that its products are made once."""
        return exact(self.software.values)


@dataclass(frozen=True)
class SampledDevices:
    """A layer in software whose neurons are other devices for each image: sigmoid((z - s)/g)."""

    streams: Streams
    sample: Sample
    """Shift s and gain g, (neurons,) each."""
    readings: int = 0

    def present(self, key: str, weights: Weights, train: Floats) -> tuple[Response, Readings]:
        """As :meth:`spinneurons.hil.training.Responds.present`, of a network of one layer."""
        import torch

        shift, gain = (torch.from_numpy(a) for a in self.sample(self.streams.generator(key)))
        p = torch.sigmoid((torch.from_numpy(train) @ weights[0] - shift) / gain)
        return Response((p.mean(dim=0),), (np.full(len(shift), len(train)),)), ()


def trim(
    weights: Floats, schedule: Schedule, hardware: Hardware, counts: Sequence[int], rate: float
) -> dict[int, Learned]:
    """Offsets in z, one a neuron, after so many images with hardware in the loop; the weights stay.

    The offset b of a neuron moves its bias current by b i0 and descends its own part of the gradient of a training:
    dE/db = (a - t) mean sigmoid'(z - s), s being the shift of :func:`spinneurons.hil.network.matching_shift`.

    Parameters
    ----------
    weights : (pixels, neurons)

    Returns
    -------
    (neurons,) offsets, and the mean loss of the images of the pass so far
    """
    images, drive = schedule.images, hardware.drive
    offset, kept = np.zeros(weights.shape[1]), {0: Learned(np.zeros(weights.shape[1]), float("nan"))}
    losses: list[float] = []
    for shown in range(max(counts)):
        epoch, i = divmod(shown, len(images))
        key = f"epoch {epoch + 1}/image {i}"
        z = network.poisson_train(schedule.later_trains.generator(key), images.pixels[i], schedule.steps) @ weights
        moved = replace(drive, i_bias=drive.i_bias + drive.i0 * offset)
        readings = hardware.neurons.read(f"{key}/layer 1", drive.neuron_device, moved.i_write(z))
        done = hardware.states.decide(drive.neuron_device, readings)
        valid = done.valid.sum(axis=0)
        error = done.switched.sum(axis=0) / np.maximum(valid, 1) - (np.arange(len(offset)) == images.targets[i])
        p = _sigmoid(z - network.matching_shift(z, done))
        slope = np.sum(done.valid * p * (1 - p), axis=0) / np.maximum(valid, 1)
        offset = offset - rate * error * slope
        losses = [*(losses if i else []), float(np.sum(np.where(valid > 0, error, 0.0) ** 2) / 2)]
        if shown + 1 in counts:
            kept[shown + 1] = Learned(offset, float(np.mean(losses)))
    return kept


def _sigmoid(z: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(z))


# The methods: (chip, schedule, budgets) -> one outcome a budget


def none(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """Weights of software, all devices driven about the nominal bias current."""
    return [_of_software(chip, schedule, chip.drive(), 0)] * len(budgets)


def calibrated(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """Weights of software, each device driven about its most probable bias current."""
    return [_of_software(chip, schedule, chip.calibrated(b, schedule.currents), b) for b in budgets]


def calibrated_i0(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """The same with the most probable scale current of each device."""
    return [_of_software(chip, schedule, chip.calibrated(b, schedule.currents, gain=True), b) for b in budgets]


def variation_aware(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """Weights of a training in software in which each image meets other devices."""
    count = schedule.epochs * len(schedule.images)
    sampled = SampledDevices(schedule.devices, chip.sampled)
    learned = schedule.learn(schedule.initial, schedule.trains, [count], sampled)[count]
    return [_outcome(chip, exact(learned.values), chip.drive(), 0, learned.loss)] * len(budgets)


def in_the_loop(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """Trained with hardware in the loop, driven about the nominal bias current."""
    return _in_the_loop(chip, schedule, chip.drive(), [(0, b) for b in budgets])


def in_the_loop_calibrated(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """The first cycles calibrate each device, the rest train with hardware in the loop."""
    spent = [min(b, schedule.calibration) for b in budgets]
    by_budget: dict[int, Outcome] = {}
    for first in set(spent):
        parts = [(first, b - first) for b, s in zip(budgets, spent, strict=True) if s == first]
        results = _in_the_loop(chip, schedule, chip.calibrated(first, schedule.currents), parts)
        by_budget |= {sum(part): one for part, one in zip(parts, results, strict=True)}
    return [by_budget[b] for b in budgets]


def software_then_loop(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """The training goes on from the weights of software with hardware in the loop."""
    counts = [schedule.images_within(b) for b in budgets]
    drive = chip.drive()
    learned = schedule.learn(schedule.software.values, schedule.later_trains, counts, _hardware(chip, drive))
    start = none(chip, schedule, budgets)[0]
    trained = {n: _outcome(chip, exact(learned[n].values), drive, n * schedule.steps, learned[n].loss)
               for n in set(counts) - {0}}  # fmt: skip
    return [trained.get(n, start) for n in counts]


def output_trim(chip: OutputDevices, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """Weights of software; an offset of each neuron alone is learned with hardware in the loop."""
    counts = [schedule.images_within(b) for b in budgets]
    hardware = _hardware(chip, chip.drive())
    offsets = trim(schedule.software.values, schedule, hardware, counts, schedule.trim_rate)
    return [
        _of_software(chip, schedule, chip.drive(offsets[n].values), n * schedule.steps, offsets[n].loss)
        for n in counts
    ]


Method = Callable[[OutputDevices, Schedule, Sequence[int]], list[Outcome]]
METHODS: Mapping[str, Method] = {
    "none": none,
    "calibrated": calibrated,
    "calibrated-i0": calibrated_i0,
    "variation-aware": variation_aware,
    "output-trim": output_trim,
    "software-then-loop": software_then_loop,
    "in-the-loop": in_the_loop,
    "in-the-loop-calibrated": in_the_loop_calibrated,
}
"""By name."""


def _hardware(chip: OutputDevices, drive: Drive) -> Hardware:
    return Hardware(chip.neurons, drive, States(chip.family))


def _outcome(
    chip: OutputDevices, weights: npt.NDArray[np.float32], drive: Drive, cycles: int, loss: float
) -> Outcome:
    return Outcome(NetworkOnDevices(weights, chip.neurons, drive), cycles, loss)


def _of_software(
    chip: OutputDevices, schedule: Schedule, drive: Drive, cycles: int, loss: float | None = None
) -> Outcome:
    """The network of software with this drive; its loss is that of software unless it is given."""
    known = loss if loss is not None and np.isfinite(loss) else schedule.software.loss
    return _outcome(chip, schedule.software_weights, drive, cycles, known)


def _in_the_loop(
    chip: OutputDevices, schedule: Schedule, drive: Drive, parts: Sequence[tuple[int, int]]
) -> list[Outcome]:
    """A training from the initial weights; ``parts``: cycles spent before it, and cycles for it, of each budget."""
    counts = [schedule.images_within(left) for _, left in parts]
    learned = schedule.learn(schedule.initial, schedule.trains, counts, _hardware(chip, drive))
    weights = {n: exact(learned[n].values) for n in counts}
    return [
        _outcome(chip, weights[n], drive, first + n * schedule.steps, learned[n].loss)
        for n, (first, _) in zip(counts, parts, strict=True)
    ]
