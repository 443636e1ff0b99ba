"""All test images at once: the accuracy of many one-layer networks on many sets of devices.

Networks and devices are all shown the same trains and the same luck of the pulses, so that they are compared without
this noise; and a product of spikes and weights is exact in float32, so that the numbers of a network do not depend on
the others in the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.hil.images import Images
from spinneurons.hil.neurons import Drive, ModelNeurons
from spinneurons.hil.streams import Streams
from spinneurons.neurons.base import with_luck_of_before
from spinneurons.torch_determinism import exact_torch

Floats = npt.NDArray[np.float64]

BATCH = 64
"""Images whose draws are made together; part of their address, so it is never changed."""
LEVELS = 1 << 16


@dataclass(frozen=True)
class NetworkOnDevices:
    """A network on its devices."""

    weights: npt.NDArray[np.float32]
    """(pixels, neurons), from :func:`exact`."""
    neurons: ModelNeurons
    drive: Drive


def exact(weights: Floats) -> npt.NDArray[np.float32]:
    """Weights rounded so that float32 holds each sum of a column's weights exactly, in any order.

    The quantum of a column is 2^-24 of the power of two above the sum of its magnitudes: z changes by 3e-6 at most
    for 784 weights of size 0.1.

    Parameters
    ----------
    weights : (pixels, neurons)
    """
    quantum = 2.0 ** (np.ceil(np.log2(np.abs(weights).sum(axis=0) + 2.0**-100)) - 24)
    return np.asarray(np.rint(weights / quantum) * quantum, np.float32)


def draws(streams: Streams, first: int, steps: int, shape: tuple[int, int]) -> tuple[npt.NDArray[np.uint16], Floats]:
    """The random numbers of the ``BATCH`` images from ``first`` on.

    Parameters
    ----------
    shape : pixels, neurons

    Returns
    -------
    (BATCH, steps, pixels) uint16, uniform; and (BATCH, steps, neurons) float64, uniform on [0, 1)
    """
    pixels, neurons = shape
    spikes = streams.generator(f"trains/{first}").integers(0, LEVELS, (BATCH, steps, pixels), np.uint16)
    return spikes, streams.generator(f"pulses/{first}").random((BATCH, steps, neurons))


def counts(
    contenders: Sequence[NetworkOnDevices], images: Images, streams: Streams, steps: int
) -> npt.NDArray[np.int64]:
    """(contenders, images, neurons) steps in which each neuron switched.

    A pixel of intensity k spikes where its draw is below 65536 k/255, a neuron switches where its draw is below its
    device's probability at the write current of its z.
    """
    return evidence(contenders, images, streams, steps)["counts"].astype(np.int64)


def evidence(
    contenders: Sequence[NetworkOnDevices],
    images: Images,
    streams: Streams,
    steps: int,
    decisions: Sequence[str] = ("counts",),
) -> dict[str, Floats]:
    """What each decision of :data:`spinneurons.hil.decisions.DECISIONS` compares, (contenders, images, neurons) each.

    ``counts``: steps in which a neuron switched, as :func:`counts` has them; ``inputs``: mean of z over the steps;
    ``normalised``: mean of the probability that its device has at the write current of z.
    """
    import torch  # late: a look at the sweeps does not need it

    distinct = {id(c.weights): c.weights for c in contenders}  # those of several contenders are multiplied once
    place = {key: n for n, key in enumerate(distinct)}
    stack = torch.from_numpy(np.concatenate(list(distinct.values()), axis=1))
    pixels, neurons = contenders[0].weights.shape
    compared = {name: np.empty((len(contenders), len(images), neurons)) for name in decisions}
    limits = np.rint(np.arange(256) * (LEVELS / 255)).astype(np.uint32)
    with exact_torch():
        for first in range(0, len(images), BATCH):
            batch = slice(first, min(first + BATCH, len(images)))
            u, uniforms = draws(streams, first, steps, (pixels, neurons))
            size = batch.stop - first
            uniforms = _correlated(uniforms, contenders[0].neurons.family.pulse_correlation, streams, first)
            spikes = u[:size] < limits[images.pixels[batch]][:, None, :]
            z = (torch.from_numpy(spikes).reshape(-1, pixels).float() @ stack).numpy()
            z = z.reshape(size, steps, len(distinct), neurons).astype(np.float64)
            for c, contender in enumerate(contenders):
                drive, inputs = contender.drive, z[:, :, place[id(contender.weights)]]
                p = contender.neurons.probability(drive.neuron_device, drive.i_write(inputs))
                if "counts" in compared:
                    compared["counts"][c, batch] = np.sum(uniforms[:size] < p, axis=1)
                if "inputs" in compared:
                    compared["inputs"][c, batch] = inputs.mean(axis=1)
                if "normalised" in compared:
                    compared["normalised"][c, batch] = p.mean(axis=1)
    return compared


def _correlated(uniforms: Floats, correlation: float, streams: Streams, first: int) -> Floats:
    """The luck of a batch, (BATCH, steps, neurons), along the steps of each image as the card has it."""
    if not correlation:
        return uniforms
    kept = streams.generator(f"kept/{first}").random(uniforms.shape) < correlation
    in_time, keeps = uniforms.swapaxes(1, 2), kept.swapaxes(1, 2)
    return with_luck_of_before(in_time, keeps).swapaxes(1, 2)


def accuracy(counts: npt.NDArray[np.number[Any]], targets: npt.NDArray[np.int64]) -> Floats:
    """(...) part of the images whose class switched most often; of k classes that did so, each is worth 1/k.

    Parameters
    ----------
    counts : (..., images, classes), or what else is compared
    targets : (images,) place of the right class
    """
    best = counts == counts.max(axis=-1, keepdims=True)
    right = np.take_along_axis(best, np.broadcast_to(targets[:, None], (*best.shape[:-1], 1)), axis=-1)[..., 0]
    return np.asarray(np.mean(right / best.sum(axis=-1), axis=-1))
