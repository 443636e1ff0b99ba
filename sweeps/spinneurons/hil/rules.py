"""Rules by which a network learns from what its neurons did: each says how the loss changes with every weight.

A rule shows an image to a network, once or twice, and gets what each layer was given and did.  ``gradient`` and
``physics-aware`` go back through the layers and need a model of a neuron; the others need none: they correlate the
loss with a disturbance, which they make or which the devices make themselves.

The loss of an image is E = |a - t|^2/2 of the output neurons, a being the share of a neuron's valid steps that
switched and t 1 for the image's class, else 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from spinneurons.hil.network import Switches

if TYPE_CHECKING:  # loaded where it computes: a look at the sweeps does not need it
    import torch

Floats: TypeAlias = npt.NDArray[Any]
"""float64, or float32 where the weights are."""

NEWTON = 30
"""Steps towards a neuron's shift, at most; four are usual."""
SETTLED = 1e-4
"""Of the shift, in z: far below what any number of steps can tell."""


class Layer(NamedTuple):
    """What a layer was given and did in one presentation of an image."""

    inputs: Floats
    """(steps, inputs) 0 or 1."""
    z: Floats
    """(steps, neurons), without any perturbation."""
    done: Switches
    """(steps, neurons)."""

    @property
    def valid(self) -> npt.NDArray[np.int64]:
        """(neurons,) valid steps."""
        return np.asarray(self.done.valid.sum(axis=0))

    @property
    def activation(self) -> Floats:
        """(neurons,) share of the valid steps that switched; 0 where none is valid."""
        share = self.done.switched.sum(axis=0) / np.maximum(self.valid, 1)
        return np.asarray(share, self.z.dtype)


class Show(Protocol):
    """Shows the image to devices, or to their model."""

    def __call__(self, time: int, weights: Sequence[Floats], offsets: Sequence[Floats] | None = None) -> list[Layer]:
        """Present the image once, with the same input spikes each time, and luck of its own.

        Parameters
        ----------
        time : 0 is the first presentation, 1 the second
        weights : (inputs, neurons) of each layer, of the inputs that spike at all in the first
        offsets : (neurons,) of each layer, added to z
        """


class Step(NamedTuple):
    """What a rule says after an image."""

    gradient: list[Floats]
    """Of the weights of each layer."""
    loss: float
    """Mean of the presentations."""
    shown: list[Layer]
    """Of the first presentation."""


Rule = Callable[[Show, Sequence[Floats], int, np.random.Generator, float], Step]
"""(show, weights, class, signs of perturbations, their size) -> what to do."""


def gradient(show: Show, weights: Sequence[Floats], target: int, rng: np.random.Generator, size: float = 0.0) -> Step:
    """Back through the layers, each neuron being the sigmoid that would have given what it did.

    The derivative of a neuron in a step is that of sigmoid(z - s), with the shift s at which the sigmoid's mean is
    the measured activation.  It equals automatic differentiation of :func:`spinneurons.hil.network.present`.
    """
    layers = show(0, weights)
    return _backwards(layers, weights, target, [matching_shift(layer) for layer in layers])


def physics_aware(
    show: Show, weights: Sequence[Floats], target: int, rng: np.random.Generator, size: float = 0.0
) -> Step:
    """Forward through the devices, back through the digital model of the nominal one: sigmoid(z).

    Source: physics-aware training, L. G. Wright et al., Nature 601, 549 (2022).
    """
    layers = show(0, weights)
    return _backwards(layers, weights, target, [np.zeros(layer.z.shape[1], layer.z.dtype) for layer in layers])


def node_perturbation(
    show: Show, weights: Sequence[Floats], target: int, rng: np.random.Generator, size: float
) -> Step:
    """The bias of every neuron at once is moved by +-``size`` in z, then by the opposite.

        dE/dw_ij = (E+ - E-)/(2 size) sign_j mean_i

    with the mean input i over both presentations.

    Source: B. G. Oripov et al., Scaling of hardware-compatible perturbative training algorithms (2025), the
    perturbation of nodes; one time constant for all.
    """
    signs = [_signs(rng, w.shape[1:], w.dtype) for w in weights]
    up, down = (show(time, weights, [way * size * one for one in signs]) for time, way in ((0, 1), (1, -1)))
    slope = (_loss(up, target) - _loss(down, target)) / (2 * size)
    gradients = [
        np.outer(i, one * one.dtype.type(slope)) for i, one in zip(_mean_inputs(up, down), signs, strict=True)
    ]
    return Step(gradients, (_loss(up, target) + _loss(down, target)) / 2, up)


def weight_perturbation(
    show: Show, weights: Sequence[Floats], target: int, rng: np.random.Generator, size: float
) -> Step:
    """Every weight that a spike may pass is moved by +-``size`` at once, then by the opposite.

        dE/dw_ij = (E+ - E-)/(2 size) sign_ij

    Source: multiplexed gradient descent with simultaneous perturbations, A. N. McCaughan et al., APL Mach. Learn. 1,
    026118 (2023), with one update a perturbation.
    """
    signs = [_signs(rng, w.shape, w.dtype) for w in weights]
    up, down = (
        show(time, [w + w.dtype.type(way * size) * one for w, one in zip(weights, signs, strict=True)])
        for time, way in ((0, 1), (1, -1))
    )
    slope = (_loss(up, target) - _loss(down, target)) / (2 * size)
    return Step([one * one.dtype.type(slope) for one in signs], (_loss(up, target) + _loss(down, target)) / 2, up)


def noise_based(
    show: Show, weights: Sequence[Floats], target: int, rng: np.random.Generator, size: float = 0.0
) -> Step:
    """The same image twice: the devices' own luck is the perturbation, and nothing else is.

        dE/dw_ij = (E1 - E2) (a1_j - a2_j) n_j/2 mean_i

    Two independent presentations have mean (E1 - E2)(a1 - a2) = 2 cov(E, a); and of a neuron whose n switches have
    the odds exp(z), n cov(E, a) is the derivative of the mean loss by its z.  So no variance has to be divided by.

    Source: K. Koenders et al., Phys. Rev. Applied 23, 054035 (2025), arXiv 2412.12783, for noise in place of a model;
    the scale is that of R. J. Williams, Mach. Learn. 8, 229 (1992), whose baseline is the other presentation here.
    """
    first, second = (show(time, weights) for time in (0, 1))
    change = _loss(first, target) - _loss(second, target)
    gradients = []
    for inputs, one, other in zip(_mean_inputs(first, second), first, second, strict=True):
        moved = (one.activation - other.activation) * (one.valid + other.valid) / 4 * change
        gradients.append(np.outer(inputs, moved.astype(inputs.dtype)))
    return Step(gradients, (_loss(first, target) + _loss(second, target)) / 2, first)


RULES: Mapping[str, Rule] = {
    "gradient": gradient,
    "physics-aware": physics_aware,
    "node-perturbation": node_perturbation,
    "weight-perturbation": weight_perturbation,
    "noise-based": noise_based,
}
"""By name."""
PRESENTATIONS = {
    "gradient": 1,
    "physics-aware": 1,
    "node-perturbation": 2,
    "weight-perturbation": 2,
    "noise-based": 2,
}
"""Of each image that a rule learns from."""
AUTOMATIC = "gradient"
"""The rule that automatic differentiation serves as well."""


@dataclass(frozen=True)
class LearnBy:
    """A rule with its numbers."""

    rule: str
    """One of ``RULES``."""
    rate: float
    size: float
    """Of the perturbation, in z or in weight."""
    steps: int
    """Of a presentation."""

    @property
    def cycles(self) -> int:
        """Cycles that an image takes of each device."""
        return self.steps * PRESENTATIONS[self.rule]


def forward(
    weights: Sequence[Floats],
    spikes: Floats,
    respond: Callable[[int, Floats], Switches],
    offsets: Sequence[Floats] | None = None,
) -> list[Layer]:
    """One presentation, layer by layer; a lost sample passes on no spike.

    Parameters
    ----------
    weights : (inputs, neurons) of each layer
    spikes : (steps, inputs)
    respond : (layer, z of shape (steps, neurons)) -> what its neurons did
    offsets : (neurons,) of each layer, added to what the neurons are driven with
    """
    layers: list[Layer] = []
    for number, w in enumerate(weights):
        z = _product(spikes, w)
        done = respond(number, z if offsets is None else z + offsets[number])
        layers.append(Layer(spikes, z, done))
        spikes = done.switched.astype(z.dtype)
    return layers


def matching_shift(layer: Layer) -> Floats:
    """(neurons,) s with mean sigmoid(z - s) = (k + 1/2)/(n + 1) over the n valid steps, to ``SETTLED``.

    As :func:`spinneurons.hil.network.matching_shift`, by Newton's steps within a bracket, which take a tenth of the
    halvings.
    """
    z, dtype = layer.z, layer.z.dtype
    n = layer.valid
    observed = ((layer.done.switched.sum(axis=0) + 0.5) / (n + 1)).astype(dtype)
    share = (layer.done.valid / np.maximum(n, 1)).astype(dtype)
    logit = np.log(observed / (1 - observed))
    low, high = z.min(axis=0) - logit, z.max(axis=0) - logit
    shift = np.sum(share * z, axis=0) - logit
    tiny = np.finfo(dtype).tiny
    for _ in range(NEWTON):
        p = _sigmoid(z - shift)
        weighed = share * p
        mean = weighed.sum(axis=0)
        other = np.maximum(1 - mean, tiny)
        # Newton's step on the logit of the mean, which is all but a straight line against the shift
        slope = np.maximum((weighed * (1 - p)).sum(axis=0), tiny)
        moved = shift + (np.log(np.maximum(mean, tiny) / other) - logit) * (mean * other) / slope
        low, high = np.where(mean > observed, shift, low), np.where(mean > observed, high, shift)
        moved = np.where((low <= moved) & (moved <= high), moved, (low + high) / 2)
        settled = np.abs(moved - shift).max(initial=0) < SETTLED
        shift = moved
        if settled:
            break
    return np.where(n > 0, shift, 0.0).astype(dtype)


def _backwards(layers: Sequence[Layer], weights: Sequence[Floats], target: int, shifts: Sequence[Floats]) -> Step:
    """The gradient, with the derivative of sigmoid(z - shift) for each neuron."""
    last, valid = layers[-1], layers[-1].valid
    flow: Floats = np.broadcast_to(_error(last, target) / np.maximum(valid, 1).astype(last.z.dtype), last.z.shape)
    gradients: list[Floats] = []
    for layer, w, shift in zip(reversed(layers), reversed(weights), reversed(shifts), strict=True):
        p = _sigmoid(layer.z - shift)
        delta = flow * (p * (1 - p)) * layer.done.valid
        gradients.insert(0, _product(layer.inputs.T, delta))
        if layer is not layers[0]:
            flow = _product(delta, w.T)
    return Step(gradients, _loss(layers, target), list(layers))


def _error(last: Layer, target: int) -> Floats:
    """(classes,) a - t of the output neurons that have an activation, else 0."""
    wanted = np.zeros(last.z.shape[1], last.z.dtype)
    wanted[target] = 1
    return np.where(last.valid > 0, last.activation - wanted, 0).astype(last.z.dtype)


def _loss(layers: Sequence[Layer], target: int) -> float:
    return float(np.sum(_error(layers[-1], target).astype(np.float64) ** 2) / 2)


def _mean_inputs(first: Sequence[Layer], second: Sequence[Layer]) -> list[Floats]:
    """(inputs,) mean input of each layer over the steps of both presentations."""
    return [
        (one.inputs.mean(axis=0) + other.inputs.mean(axis=0)) / 2 for one, other in zip(first, second, strict=True)
    ]


def _signs(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Floats:
    """-1 or 1, each as often."""
    count = int(np.prod(shape))
    bits = np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), np.uint8), count=count)
    return (bits.astype(dtype) * 2 - 1).reshape(shape)


def _sigmoid(z: Floats) -> Floats:
    import torch

    return np.asarray(torch.sigmoid(_tensor(z)).numpy())


def _product(a: Floats, b: Floats) -> Floats:
    """By torch, in whose exact mode one thread adds in the same order each time."""
    return np.asarray((_tensor(a) @ _tensor(b)).numpy())


def _tensor(a: Floats) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.asarray(a))
