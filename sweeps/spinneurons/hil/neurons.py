"""Neurons that answer a train of write currents with readings: what any hardware has to do, and the device model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spinneurons.hil.streams import Streams
from spinneurons.neurons.family import Law, NeuronFamily, Readings

Floats = npt.NDArray[np.float64]


class Neurons(Protocol):
    """Devices on a bench, or their model."""

    def read(self, key: str, neuron_device: Sequence[int], i_write: Floats) -> Readings:
        """Apply one train: in each step a reset, a read, a write and a read of each neuron's device.

        Parameters
        ----------
        key : names this train uniquely within the cell, such as "epoch 3/image 7/layer 1"; the same key always means
            the same train
        neuron_device : (neurons,) column j of ``i_write`` goes to device number ``neuron_device[j]``
        i_write : (steps, neurons) A

        Returns
        -------
        Readings of the family, each (steps, neurons) float32; NaN where a sample was lost
        """


@dataclass(frozen=True)
class ModelNeurons:
    """The devices of a card in the process itself."""

    family: NeuronFamily
    devices: Mapping[int, tuple[float, float]]
    """(I_bias, i0) in A of each device number: the true ones."""
    law: Law
    streams: Streams

    def read(self, key: str, neuron_device: Sequence[int], i_write: Floats) -> Readings:
        """As :meth:`Neurons.read`; random numbers come from the stream of the key."""
        rng = self.streams.generator(key)
        columns = [
            self.family.measure(*self.devices[device], i_write[:, j], 1, rng, self.law)
            for j, device in enumerate(neuron_device)
        ]
        return tuple(np.concatenate(r, axis=1) for r in zip(*columns, strict=True))

    def probability(self, neuron_device: Sequence[int], i_write: Floats) -> Floats:
        """(..., neurons) probability that a write pulse of (..., neurons) ``i_write`` A switches its device."""
        i_bias, i0 = np.array([self.devices[device] for device in neuron_device]).T
        return self.family.probability(i_write, i_bias, i0, self.law)


@dataclass(frozen=True)
class Drive:
    """How z becomes a write current: I = I_bias + i0 z, within the limits that the drive keeps."""

    neuron_device: tuple[int, ...]
    """Device number of each neuron, all layers in their order."""
    i_bias: Floats
    """(neurons,) A: of each neuron's device as fitted, or the mean of the width."""
    i0: Floats
    """(neurons,) A: of the width, one read voltage of the crossbar for all columns; or of each device."""
    i_low: float
    """A, the read current: no current up to it switches, so that nothing is lost below."""
    z_limit: float
    """Largest z; what is above is driven with it."""

    def i_write(self, z: Floats, neurons: slice = slice(None)) -> Floats:
        """(..., neurons) A for (..., neurons) z of these neurons.

        Source: main text of the paper, I_write = I_bias + I0 z; the limits are ours.
        """
        return np.maximum(self.i_bias[neurons] + self.i0[neurons] * np.minimum(z, self.z_limit), self.i_low)


def drive(
    family: NeuronFamily, neuron_device: Sequence[int], i_bias: npt.ArrayLike, i0: npt.ArrayLike, z_limit: float
) -> Drive:
    """The drive of these neurons; ``i_bias`` and ``i0`` (A) are one value or one a neuron.

    Raises
    ------
    ValueError
        A bias is not finite, or not above the card's read current, or a neuron's pulse could not switch.
    """
    low = family.read_current
    biases, scales = (np.array(np.broadcast_to(np.asarray(a, np.float64), len(neuron_device))) for a in (i_bias, i0))
    for device, bias in zip(neuron_device, biases, strict=True):
        if not bias > low:
            raise ValueError(
                f"device {device}: bias current {bias:.3g} A; it has to be above the read current {low:g} A"
            )
    return Drive(tuple(neuron_device), biases, scales, low, z_limit)
