"""The network in software: initial weights, Poisson trains, and one step of gradient descent.

A layer has z = x W in each time step, x being the spikes of its inputs, with no biases.  In software the neurons are
the ideal sigmoid.  With hardware in the loop the switches of the devices take the place of the sigmoid on the way
forward; on the way back each neuron is the sigmoid that would have given its readings, shifted along z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # loaded where it computes: a look at the sweeps does not need it
    import torch

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Weights: TypeAlias = "list[torch.Tensor]"


class Switches(NamedTuple):
    """What the neurons of a layer did in each step, (steps, neurons)."""

    switched: Bools
    valid: Bools
    """The sample was not lost; where it is not, ``switched`` is False."""


Respond = Callable[[int, Floats], Switches]
"""(layer, z of shape (steps, neurons)) -> what its neurons did."""


class Response(NamedTuple):
    """What a network did with one train."""

    activation: tuple[torch.Tensor, ...]
    """For each layer (neurons,): share of the valid steps that switched; NaN where none is valid."""
    trials: tuple[npt.NDArray[np.int64], ...]
    """For each layer (neurons,): valid steps."""
    z: tuple[Floats, ...] = ()
    """For each layer (steps, neurons): what its neurons were given."""


def start(rng: np.random.Generator, layers: Sequence[int], limit: float) -> list[Floats]:
    """Initial weights, uniform on +-``limit``: one (inputs, neurons) float64 for each two sizes that follow.

    ``limit`` is assumed: the paper says "random" only.
    """
    return [rng.uniform(-limit, limit, shape) for shape in pairwise(layers)]


def poisson_train(rng: np.random.Generator, pixels: npt.NDArray[np.uint8], steps: int) -> Floats:
    """(steps, pixels) of 0 and 1: a pixel of intensity k spikes in a step with the probability k/255."""
    return (rng.random((steps, pixels.size)) < pixels / 255).astype(np.float64)


def tensors(weights: Sequence[Floats]) -> Weights:
    """Weights as tensors that a gradient is taken for."""
    import torch

    return [torch.from_numpy(w.copy()).requires_grad_() for w in weights]


def arrays(weights: Weights) -> list[Floats]:
    """Weights as arrays of their own."""
    return [w.detach().numpy().copy() for w in weights]


def present(weights: Weights, train: Floats, respond: Respond | None = None) -> Response:
    """The activations of all layers for one train.

    Without ``respond`` a neuron passes on its probability sigmoid(z) in each step, with no noise: its activation is
    the mean of them.  With it a neuron passes on its switches, a lost sample as none.  The gradient is then that of
    sigmoid(z - s), where the shift s of a neuron is such that the mean over its valid steps is (k + 1/2)/(n + 1) for
    k switches in n steps: the half keeps the slope of a neuron that never or always switched above 0, for n steps
    cannot tell it from one that seldom does.

    Parameters
    ----------
    weights : one (inputs, neurons) a layer
    train : (steps, inputs)
    respond : the hardware

    Source: main text of the paper (activation and gradient); shift and half are ours.
    """
    import torch

    flow = torch.from_numpy(train)
    activation, trials, inputs = [], [], []
    for layer, w in enumerate(weights):
        z = flow @ w
        inputs.append(z.detach().numpy())
        if respond is None:
            flow = torch.sigmoid(z)
            count = np.full(w.shape[1], len(train))
        else:
            done = respond(layer, inputs[-1])
            count = done.valid.sum(axis=0)
            ideal = torch.sigmoid(z - torch.from_numpy(matching_shift(inputs[-1], done)))
            measured = torch.from_numpy(done.switched.astype(np.float64))
            # the value is that of the switches, the gradient that of the sigmoid
            flow = torch.where(torch.from_numpy(done.valid), measured + (ideal - ideal.detach()), 0.0)
        activation.append(flow.sum(dim=0) / torch.from_numpy(count))  # 0/0 is NaN
        trials.append(count)
    return Response(tuple(activation), tuple(trials), tuple(inputs))


def matching_shift(z: Floats, done: Switches) -> Floats:
    """(neurons,) s with mean sigmoid(z - s) = (k + 1/2)/(n + 1) over the n valid steps; 0 where there are none.

    Parameters
    ----------
    z : (steps, neurons)
    done : switches and valid steps of the same shape
    """
    from scipy.special import expit, logit

    n = done.valid.sum(axis=0)
    observed = (done.switched.sum(axis=0) + 0.5) / (n + 1)
    share = done.valid / np.maximum(n, 1)
    low, high = z.min(axis=0) - logit(observed), z.max(axis=0) - logit(observed)
    for _ in range(50):  # halves the bracket: to 1e-13 of a reach of 100
        middle = (low + high) / 2
        above = np.sum(share * expit(z - middle), axis=0) > observed
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(n > 0, (low + high) / 2, 0.0)


def loss_of(activation: torch.Tensor, target: int) -> torch.Tensor:
    """Squared error |a - t|^2/2 of the output neurons that have an activation; t is 1 at ``target``, else 0."""
    import torch

    seen = ~torch.isnan(activation.detach())
    target_activation = torch.zeros_like(activation)
    target_activation[target] = 1.0
    return (activation[seen] - target_activation[seen]).square().sum() / 2


def descend(weights: Weights, loss: torch.Tensor, rate: float) -> None:
    """One step W <- W - rate dE/dW, in place.  Weights that the loss does not depend on stay."""
    import torch

    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        with torch.no_grad():
            for w, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    w -= rate * gradient
