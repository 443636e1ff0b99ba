"""The rules of learning as their equations read, neuron by neuron and step by step: what ``rules`` equals.

No matrix product and no vector: a sum is over the steps, inputs and neurons that it names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

from spinneurons.hil import rules
from spinneurons.hil.rules import Layer, Show

Floats = npt.NDArray[np.float64]


class Change(NamedTuple):
    """The loss of an image, and how it changes with each weight of each layer."""

    gradient: list[Floats]
    loss: float


def step(
    rule: str, show: Show, weights: Sequence[rules.Floats], target: int, rng: np.random.Generator, size: float
) -> Change:
    """What a rule of :data:`spinneurons.hil.rules.RULES` says after an image."""
    if rule in ("gradient", "physics-aware"):
        return _backwards(show(0, weights), weights, target, matched=rule == "gradient")
    signs = [_signs(rng, w.shape[1:] if rule == "node-perturbation" else w.shape) for w in weights]
    if rule == "noise-based":
        one, other = show(0, weights), show(1, weights)
    elif rule == "node-perturbation":
        one, other = (show(t, weights, [way * size * s for s in signs]) for t, way in ((0, 1.0), (1, -1.0)))
    else:
        one, other = (
            show(t, [w + np.float32(way * size) * s for w, s in zip(weights, signs, strict=True)])
            for t, way in ((0, 1.0), (1, -1.0))
        )
    up, down = loss(one, target), loss(other, target)
    gradients = []
    for number, w in enumerate(weights):
        gradient = np.zeros(w.shape)
        for i, j in np.ndindex(w.shape):
            mean = (_mean_input(one[number], i) + _mean_input(other[number], i)) / 2
            if rule == "noise-based":
                moved = activation(one[number], j) - activation(other[number], j)
                trials = (one[number].done.valid[:, j].sum() + other[number].done.valid[:, j].sum()) / 2
                gradient[i, j] = (up - down) * moved * trials / 2 * mean
            elif rule == "node-perturbation":
                gradient[i, j] = (up - down) / (2 * size) * signs[number][j] * mean
            else:
                gradient[i, j] = (up - down) / (2 * size) * signs[number][i, j]
        gradients.append(gradient)
    return Change(gradients, (up + down) / 2)


def activation(layer: Layer, neuron: int) -> float:
    """Share of a neuron's valid steps that switched; 0 where none is valid."""
    n = int(layer.done.valid[:, neuron].sum())
    return int(layer.done.switched[:, neuron].sum()) / n if n else 0.0


def loss(layers: Sequence[Layer], target: int) -> float:
    """|a - t|^2/2 of the output neurons that have an activation."""
    last = layers[-1]
    return sum(_error(last, j, target) ** 2 for j in range(last.z.shape[1])) / 2


def _error(last: Layer, neuron: int, target: int) -> float:
    return activation(last, neuron) - (neuron == target) if last.done.valid[:, neuron].any() else 0.0


def _backwards(layers: Sequence[Layer], weights: Sequence[rules.Floats], target: int, *, matched: bool) -> Change:
    """dE/dw_ij = sum_t x_ti flow_tj p'(z_tj - s_j); flow of the layer before is sum_j w_ij flow_tj p'(z_tj - s_j)."""
    last = layers[-1]
    gradients: list[Floats] = []
    flow: Floats = np.zeros(last.z.shape)
    for t, j in np.ndindex(flow.shape):
        flow[t, j] = _error(last, j, target) / max(int(last.done.valid[:, j].sum()), 1)
    for layer, w in zip(reversed(layers), reversed(weights), strict=True):
        steps, neurons = layer.z.shape
        slope = np.zeros((steps, neurons))
        for j in range(neurons):
            s = _shift(layer, j) if matched else 0.0
            for t in range(steps):
                p = float(expit(float(layer.z[t, j]) - s))
                slope[t, j] = p * (1 - p) if layer.done.valid[t, j] else 0.0
        gradient, before = np.zeros(w.shape), np.zeros((steps, len(w)))
        for i, j in np.ndindex(w.shape):
            for t in range(steps):
                gradient[i, j] += float(layer.inputs[t, i]) * flow[t, j] * slope[t, j]
                before[t, i] += float(w[i, j]) * flow[t, j] * slope[t, j]
        gradients.insert(0, gradient)
        flow = before
    return Change(gradients, loss(layers, target))


def _shift(layer: Layer, neuron: int) -> float:
    """s with mean sigmoid(z - s) = (k + 1/2)/(n + 1) over the valid steps."""
    z = [float(a) for a, valid in zip(layer.z[:, neuron], layer.done.valid[:, neuron], strict=True) if valid]
    if not z:
        return 0.0
    share = (int(layer.done.switched[:, neuron].sum()) + 0.5) / (len(z) + 1)

    def above(s: float) -> float:
        return math.fsum(float(expit(a - s)) for a in z) / len(z) - share

    return float(brentq(above, -1000, 1000, xtol=1e-12))


def _mean_input(layer: Layer, i: int) -> float:
    return math.fsum(float(x) for x in layer.inputs[:, i]) / len(layer.inputs)


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> rules.Floats:
    """The same bits as those of the fast rules: 1 for a bit that is set, else -1."""
    count = math.prod(shape)
    raw = rng.bytes(-(-count // 8))
    return np.array([1.0 if raw[n // 8] >> (7 - n % 8) & 1 else -1.0 for n in range(count)], np.float32).reshape(
        shape
    )
