"""The test of one network as the equations read, image by image and step by step: what ``accuracy.counts`` equals.

It shares the draws and the device law with the fast one, and no product of matrices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinneurons.hil.accuracy import BATCH, NetworkOnDevices, draws
from spinneurons.hil.images import Images
from spinneurons.hil.streams import Streams


def counts(contender: NetworkOnDevices, images: Images, streams: Streams, steps: int) -> npt.NDArray[np.int64]:
    """(images, neurons) steps in which each neuron switched."""
    counts = np.zeros((len(images), contender.weights.shape[1]), np.int64)
    neurons, drive = contender.neurons, contender.drive
    for i, pixels in enumerate(images.pixels):
        spike_draws, uniforms = draws(streams, i // BATCH * BATCH, steps, contender.weights.shape)
        limits = [round(65536 * int(k) / 255) for k in pixels]
        for step in range(steps):
            active_pixels = [q for q in range(pixels.size) if spike_draws[i % BATCH, step, q] < limits[q]]
            for j, device in enumerate(drive.neuron_device):
                z = sum(float(contender.weights[q, j]) for q in active_pixels)
                i_write = max(drive.i_bias[j] + drive.i0[j] * min(z, drive.z_limit), drive.i_low)
                i_bias, i0 = neurons.devices[device]
                p = neurons.family.probability(i_write, i_bias, i0, neurons.law)
                counts[i, j] += uniforms[i % BATCH, step, j] < p
    return counts
