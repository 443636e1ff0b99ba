"""One cell as the equations read, step by step in batches of 500: what the fast kernel has to equal.

Nothing is shared between cells, sums are in float64, and no step knows a trick.  ``plain_loop`` is the loop that a
user of PyTorch would write, with draws of its own: the independent check, and the unit of all speeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spinneurons.codesign.chip import Chip
from spinneurons.codesign.draws import CHUNK, LEVELS, Batch, Draws, input_limits, neuron_thresholds

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]
BATCH = 500


@dataclass(frozen=True)
class CellNeurons:
    """How the neurons of a cell fire, beside the shift of equation 3."""

    thresholds: npt.NDArray[np.float32] = field(default_factory=neuron_thresholds)
    """(65536,) from :func:`spinneurons.codesign.draws.neuron_thresholds`; by default the sigmoid, without noise."""
    zeta: float = 0.0
    """Spread of i0."""
    shift: Floats | float = 0.0
    """(neurons,) s^ and g^ of a calibration, in the order of the chip."""
    gain: Floats | float = 1.0
    class_by: str = "spikes"
    """Of the output neurons; "membrane": the sum of what they are given."""


@dataclass(frozen=True)
class BatchStep:
    """What one cell does with a batch in one step."""

    number: int
    """0, 1, ..."""
    inputs: Bools
    """(n, 784) spikes."""
    hidden: Bools
    """(n, hidden) of all hidden layers, one after the other."""
    output: Bools
    """(n, 10)."""
    u_tie: Whole
    """(n,) number that decides among tied classes."""
    membrane: Floats
    """(n, 10) what the output neurons received."""


@dataclass(frozen=True)
class CellResult:
    """Results of one cell; element t - 1 is after t steps, and all are means of the images."""

    accuracy: Floats
    """(steps,) part that is classified right."""
    spikes_hidden: Floats
    """(steps,) spikes of the hidden layers in steps 1..t."""
    spikes_output: Floats
    weight_read: Floats
    """(steps,) sum of |w| over the synapses that spikes read in steps 1..t."""


def run(
    chip: Chip,
    batch: Batch,
    draws: Draws,
    eta: float,
    ratio: float,
    steps: int,
    ties: str = "fraction",
    neurons: CellNeurons | None = None,
) -> CellResult:
    """One cell: variation ``eta``, width with I_bias/i0 = ``ratio``.

    The class is the one with most output spikes, or with the largest sum of what its neuron was given.  Ties count as
    the fraction 1/k, or one of the k is drawn ("random"): both have the same mean.
    """
    reads = np.concatenate([np.abs(w).sum(axis=1) for w in _weights(chip, eta)])
    right, hidden, output, read = np.zeros((4, steps))
    for part in (batch[i : i + BATCH] for i in range(0, len(batch), BATCH)):
        counts = np.zeros((len(part), chip.sizes[-1]))
        for step in spikes(chip, part, draws, eta, ratio, steps, neurons):
            counts += step.membrane if neurons is not None and neurons.class_by == "membrane" else step.output
            right[step.number] += credit(counts, part.labels, step.u_tie, ties).sum()
            hidden[step.number] += step.hidden.sum()
            output[step.number] += step.output.sum()
            read[step.number] += np.concatenate([step.inputs, step.hidden], axis=1).sum(axis=0) @ reads
    n = len(batch)
    return CellResult(right / n, np.cumsum(hidden) / n, np.cumsum(output) / n, np.cumsum(read) / n)


def spikes(
    chip: Chip,
    batch: Batch,
    draws: Draws,
    eta: float,
    ratio: float,
    steps: int,
    neurons: CellNeurons | None = None,
) -> Iterator[BatchStep]:
    """The spikes of a batch, step by step.

        input     with probability intensity/255
        hidden    with probability p((g^ x W1(eta) - (s - s^))/g),   s = eta x I_bias/i0,   g = 1 + zeta y
        next      likewise, from the spikes of the layer before and W2(eta), up to the output

    ``neurons``: their law p, zeta, and s^ and g^ of a calibration; None: the sigmoid, and i0 as it is nominally.

    Source: sections 2.3 and 4.5 of the paper; the deviations are equation 3.
    """
    neurons = neurons or CellNeurons()
    weights, ends = _weights(chip, eta), np.cumsum(chip.sizes)
    shifts, gains, drives = (
        np.split(np.broadcast_to(each, ends[-1]), ends[:-1])
        for each in (chip.shift(eta, ratio) - neurons.shift, chip.gain(neurons.zeta), neurons.gain)
    )
    thresholds, limits = neurons.thresholds.astype(np.float64), input_limits()
    for first in range(0, steps, CHUNK):
        u = _numbers(draws, batch, first, min(CHUNK, steps - first), ends[-1])
        for row in range(min(CHUNK, steps - first)):
            x = (batch.images > 0) & (u["input"][:, row] <= limits[batch.images])
            levels = np.split(thresholds[u["neurons"][:, row]], ends[:-1], axis=1)
            fired = [x]
            for w, s, g, drive, level in zip(weights, shifts, gains, drives, levels, strict=True):
                z = fired[-1] @ w
                fired.append((drive * z - s) / g > level)
            hidden = np.concatenate(fired[1:-1], axis=1)
            yield BatchStep(first + row, x, hidden, fired[-1], u["tie"][:, row], z)


def _weights(chip: Chip, eta: float) -> list[Floats]:
    return [w + np.float64(eta) * d for w, d in zip(chip.w, chip.d, strict=True)]


def credit(counts: npt.NDArray[np.number[Any]], labels: Whole, u_tie: Whole, ties: str) -> Floats:
    """(n,) how right each image is: 1/k when its label is one of the k classes with most spikes, else 0.

    With "random" ties it is 0 or 1: 1 with probability 1/k.
    """
    most = counts == counts.max(axis=1, keepdims=True)
    tied = most.sum(axis=1)
    among = most[np.arange(len(labels)), labels]
    if ties == "random":
        return np.asarray(among & (u_tie.astype(np.int64) * tied < LEVELS), np.float64)
    return np.asarray(among / tied)


def _numbers(draws: Draws, batch: Batch, first: int, steps: int, neurons: int) -> dict[str, Whole]:
    """The numbers of the steps from ``first`` on, (n, steps, ...); of the pixels only the active ones have one."""
    n, chunk = len(batch), first // CHUNK
    u: dict[str, Whole] = {
        "input": np.zeros((n, steps, batch.images.shape[1]), np.uint16),
        "neurons": np.empty((n, steps, neurons), np.uint16),
        "tie": np.empty((n, steps), np.uint16),
    }
    for i, number in enumerate(batch.numbers.tolist()):
        active_pixels = np.flatnonzero(batch.images[i])
        numbers = draws.draw_chunk(number, chunk, steps, len(active_pixels) + neurons + 1)
        ends = np.cumsum([len(active_pixels), neurons])
        u["input"][i][:, active_pixels], u["neurons"][i], tie = np.split(numbers, ends, axis=1)
        u["tie"][i] = tie[:, 0]
    return u


def plain_loop(
    chip: Chip, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], eta: float, ratio: float, steps: int
) -> float:
    """Accuracy of one cell as a user of PyTorch would write it: float32, ``torch.bernoulli``, batches of 500.

    Its draws are torch's own, from the global seed.
    """
    weights = [torch.from_numpy(w).float() for w in _weights(chip, eta)]
    shifts = [torch.from_numpy(s).float() for s in np.split(chip.shift(eta, ratio), np.cumsum(chip.sizes)[:-1])]
    p, target = torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))
    right = 0
    for batch in range(0, len(p), BATCH):
        pixels = p[batch : batch + BATCH]
        counts = torch.zeros(len(pixels), chip.sizes[-1])
        for _ in range(steps):
            spikes = torch.bernoulli(pixels)
            for w, s in zip(weights, shifts, strict=True):
                spikes = torch.bernoulli(torch.sigmoid(spikes @ w - s))
            counts += spikes
        right += int((counts.argmax(1) == target[batch : batch + BATCH]).sum())
    return right / len(p)
