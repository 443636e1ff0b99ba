"""The training loop, with hardware in the loop or in software, and the test on hardware.

Weights are a function of the initial weights, the images, the trains and the readings, and of nothing else: where the
readings of a key are kept and given back (a journal behind :class:`spinneurons.hil.neurons.Neurons`), an interrupted
training runs again from the start and comes to the same weights, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from spinneurons.hil import network, rules
from spinneurons.hil.images import Images
from spinneurons.hil.network import Respond, Response, Switches, Weights
from spinneurons.hil.neurons import Drive, Neurons
from spinneurons.hil.rules import AUTOMATIC, RULES, Layer, LearnBy
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.neurons.family import Readings
from spinneurons.torch_determinism import exact_torch

Floats = npt.NDArray[np.float64]


class Responds(Protocol):
    """What a network is trained on: devices, or a model of them in software."""

    @property
    def readings(self) -> int:
        """How many readings each cycle gives."""

    def present(self, key: str, weights: Weights, train: Floats) -> tuple[Response, Readings]:
        """The response of all layers to the train (steps, pixels) of that key, and the readings of all neurons."""


@dataclass(frozen=True)
class Hardware:
    """Devices, how z drives them, and what their readings mean."""

    neurons: Neurons
    drive: Drive
    states: States

    @property
    def readings(self) -> int:
        """How many readings each cycle gives."""
        return self.states.readings

    def present(self, key: str, weights: Weights, train: Floats) -> tuple[Response, Readings]:
        """The response of all layers to one train, and the readings of all neurons, (steps, neurons)."""
        respond, parts = self.responds(key, [w.shape[1] for w in weights])
        response = network.present(weights, train, respond)
        return response, _joined(parts)

    def responds(self, key: str, sizes: Sequence[int]) -> tuple[Respond, list[Readings]]:
        """What answers to the train of that key, layer by layer, and where it leaves the readings of each.

        Parameters
        ----------
        sizes : neurons of each layer
        """
        parts: list[Readings] = []

        def respond(layer: int, z: rules.Floats) -> Switches:
            columns = slice(sum(sizes[:layer]), sum(sizes[: layer + 1]))
            devices = self.drive.neuron_device[columns]
            i_write = self.drive.i_write(z.astype(np.float64), columns)
            parts.append(self.neurons.read(f"{key}/layer {layer + 1}", devices, i_write))
            return self.states.decide(devices, parts[-1])

        return respond, parts


class Presented:
    """One image in front of devices; see :class:`spinneurons.hil.rules.Show`.

    The train of its second presentation has a key of its own, "again".
    """

    def __init__(self, hardware: Hardware, key: str, spikes: Floats) -> None:
        self._hardware, self._key, self._spikes = hardware, key, spikes
        self.readings: Readings = ()
        """Of the first presentation, (steps, neurons) each."""
        self.layers: list[Layer] = []
        """What the neurons did in it."""

    def __call__(
        self, time: int, weights: Sequence[rules.Floats], offsets: Sequence[rules.Floats] | None = None
    ) -> list[Layer]:
        """Present the image once."""
        key = f"{self._key}/again" if time else self._key
        respond, parts = self._hardware.responds(key, [w.shape[1] for w in weights])
        layers = rules.forward(weights, self._spikes, respond, offsets)
        if not time:
            self.readings, self.layers = _joined(parts), layers
        return layers


class Shown(NamedTuple):
    """What the neurons of all layers, in their order, did for some images."""

    activation: Floats
    """(..., images, neurons), NaN where no sample was valid."""
    trials: npt.NDArray[np.int64]
    """(..., images, neurons) valid samples."""
    readings: Readings
    """The family's readings, (..., images, steps, neurons) each; none in software."""


class Training(NamedTuple):
    """The course of a training; the first axis is the epoch."""

    weights: list[list[Floats]]
    """After each epoch, one (inputs, neurons) a layer."""
    loss: Floats
    """(epochs,) mean squared error |a - t|^2/2 of an image, before its update."""
    shown: Shown


def train(
    initial: Sequence[Floats],
    images: Images,
    trains: Streams,
    by: LearnBy,
    epochs: int,
    hardware: Responds | None = None,
    after_image: Callable[[float, Weights], None] = lambda loss, weights: None,
) -> Training:
    """Gradient descent, one update an image, each image with a new Poisson train in each epoch.

    Parameters
    ----------
    initial : (inputs, neurons) of each layer
    trains : streams of the Poisson trains
    by : any rule but ``gradient``, which automatic differentiation serves here, needs devices
    hardware : None trains in software, with the ideal sigmoid and no noise but that of the trains
    after_image : told after each image the mean loss of the epoch so far, and the weights

    Source: main text of the paper, Fig. 4(c).
    """
    weights = network.tensors(initial)
    shown = _empty((epochs, len(images)), by.steps, sum(w.shape[1] for w in initial), hardware)
    losses, after = np.zeros((epochs, len(images))), []
    with exact_torch():
        for epoch in range(epochs):
            for i, (pixels, target) in enumerate(zip(images.pixels, images.targets, strict=True)):
                key = f"epoch {epoch + 1}/image {i}"
                if by.rule == AUTOMATIC:
                    response = _show(hardware, key, weights, pixels, trains, by.steps, shown, (epoch, i))
                    loss = network.loss_of(response.activation[-1], int(target))
                    network.descend(weights, loss, by.rate)
                    losses[epoch, i] = loss.item()
                else:
                    assert isinstance(hardware, Hardware)
                    spikes = network.poisson_train(trains.generator(key), pixels, by.steps)
                    active, signs = np.flatnonzero(spikes.any(axis=0)), trains.generator(f"{key}/signs")
                    image = Presented(hardware, key, spikes[:, active])
                    losses[epoch, i] = _learn(by, image, weights, active, int(target), signs)
                    _write_down(image, shown, (epoch, i))
                after_image(float(losses[epoch, : i + 1].mean()), weights)
            after.append(network.arrays(weights))
    return Training(after, losses.mean(axis=1), shown)


def test(
    weights: Sequence[Floats], images: Images, trains: Streams, steps: int, hardware: Hardware
) -> tuple[Shown, Floats]:
    """Each image once on the hardware.

    Returns
    -------
    What the neurons did, and (images, steps, classes) z of the output neurons

    Source: Fig. 4(d, e).
    """
    shown = _empty((len(images),), steps, sum(w.shape[1] for w in weights), hardware)
    inputs = np.empty((len(images), steps, weights[-1].shape[1]))
    with exact_torch():
        for i, pixels in enumerate(images.pixels):
            response = _show(
                hardware, f"test/image {i}", network.tensors(weights), pixels, trains, steps, shown, (i,)
            )
            inputs[i] = response.z[-1]
    return shown, inputs


def confidence(activation: Floats) -> Floats:
    """Share of each class in the activations of an image: a/sum(a), with no softmax.

    It is our reading of the paper's confidence "from normalised inputs".  A neuron without a valid sample has NaN and
    counts for nothing; where no neuron switched at all, no class has any confidence.

    Parameters
    ----------
    activation : (..., classes) of the output neurons
    """
    total = np.nansum(activation, axis=-1, keepdims=True)
    return np.asarray(activation / np.where(total > 0, total, 1.0))


def most_confident(confidence: Floats) -> npt.NDArray[np.int64]:
    """(...) place of the class with the largest confidence; -1 where no class or more than one has it."""
    known = np.nan_to_num(confidence, nan=-1.0)
    best = known.max(axis=-1, keepdims=True)
    alone = (np.sum(known == best, axis=-1) == 1) & (best[..., 0] > 0)
    return np.where(alone, known.argmax(axis=-1), -1)


def _show(
    hardware: Responds | None,
    key: str,
    weights: Weights,
    pixels: npt.NDArray[np.uint8],
    trains: Streams,
    steps: int,
    shown: Shown,
    index: tuple[int, ...],
) -> Response:
    """The response to the train of that key, which is also written down in ``shown``."""
    spikes = network.poisson_train(trains.generator(key), pixels, steps)
    if hardware is None:
        response = network.present(weights, spikes)
    else:
        response, readings = hardware.present(key, weights, spikes)
        for kept, new in zip(shown.readings, readings, strict=True):
            kept[index] = new
    shown.activation[index] = np.concatenate([a.detach().numpy() for a in response.activation])
    shown.trials[index] = np.concatenate(response.trials)
    return response


def _learn(
    by: LearnBy,
    image: Presented,
    weights: Weights,
    active: npt.NDArray[np.intp],
    target: int,
    signs: np.random.Generator,
) -> float:
    """The loss of an image after which the rule has moved the weights, in place; ``active`` inputs spike in it."""
    import torch

    first, *later = network.arrays(weights)
    step = RULES[by.rule](image, [first[active], *later], target, signs, by.size)
    with torch.no_grad():
        weights[0][torch.from_numpy(active)] -= by.rate * torch.from_numpy(step.gradient[0])
        for w, gradient in zip(weights[1:], step.gradient[1:], strict=True):
            w -= by.rate * torch.from_numpy(gradient)
    return step.loss


def _write_down(image: Presented, shown: Shown, index: tuple[int, ...]) -> None:
    """What the devices did in the first presentation of an image."""
    for kept, new in zip(shown.readings, image.readings, strict=True):
        kept[index] = new
    with np.errstate(invalid="ignore"):  # 0/0 is NaN: no sample of the neuron was valid
        shown.activation[index] = np.concatenate([r.done.switched.sum(axis=0) / r.valid for r in image.layers])
    shown.trials[index] = np.concatenate([r.valid for r in image.layers])


def _joined(parts: Sequence[Readings]) -> Readings:
    """Readings of all layers, the neurons of each next to each other."""
    return tuple(np.concatenate(r, axis=1) for r in zip(*parts, strict=True))


def _empty(images: tuple[int, ...], steps: int, neurons: int, hardware: Responds | None) -> Shown:
    count = 0 if hardware is None else hardware.readings
    return Shown(
        np.full((*images, neurons), np.nan),
        np.zeros((*images, neurons), np.int64),
        tuple(np.full((*images, steps, neurons), np.nan, np.float32) for _ in range(count)),
    )
