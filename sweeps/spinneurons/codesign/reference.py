"""One cell as the equations read, step by step in batches of 500: what the fast kernel has to equal.

Nothing is shared between cells, sums are in float64, and no step knows a trick.  ``plain_loop`` is the loop that a
user of PyTorch would write, with draws of its own: the independent check, and the unit of all speeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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
class Neurons:
    """How the neurons of a cell fire, beside the shift of equation 3."""

    thresholds: npt.NDArray[np.float32] = field(default_factory=neuron_thresholds)
    """(65536,) from :func:`spinneurons.codesign.draws.neuron_thresholds`; by default the sigmoid, without noise."""
    zeta: float = 0.0
    """Spread of i0."""
    shift: Floats | float = 0.0
    """(neurons,) s^ and g^ of a calibration, hidden neurons first."""
    gain: Floats | float = 1.0


@dataclass(frozen=True)
class BatchStep:
    """What one cell does with a batch in one step."""

    number: int
    """0, 1, ..."""
    inputs: Bools
    """(n, 784) spikes."""
    hidden: Bools
    """(n, hidden)."""
    output: Bools
    """(n, 10)."""
    u_tie: Whole
    """(n,) number that decides among tied classes."""


@dataclass(frozen=True)
class CellResult:
    """Results of one cell; element t - 1 is after t steps, and all are means of the images."""

    accuracy: Floats
    """(steps,) part that is classified right."""
    spikes_hidden: Floats
    """(steps,) spikes of the hidden layer in steps 1..t."""
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
    neurons: Neurons | None = None,
) -> CellResult:
    """One cell: variation ``eta``, width with I_bias/i0 = ``ratio``.

    The class is the one with most output spikes.  Ties count as the fraction 1/k, or one of the k is drawn
    ("random"): both have the same mean.
    """
    w1, w2 = chip.w1 + np.float64(eta) * chip.d1, chip.w2 + np.float64(eta) * chip.d2
    read1, read2 = np.abs(w1).sum(axis=1), np.abs(w2).sum(axis=1)
    right, hidden, output, read = np.zeros((4, steps))
    for part in (batch[i : i + BATCH] for i in range(0, len(batch), BATCH)):
        counts = np.zeros((len(part), w2.shape[1]), np.int64)
        for step in spikes(chip, part, draws, eta, ratio, steps, neurons):
            counts += step.output
            right[step.number] += credit(counts, part.labels, step.u_tie, ties).sum()
            hidden[step.number] += step.hidden.sum()
            output[step.number] += step.output.sum()
            read[step.number] += step.inputs.sum(axis=0) @ read1 + step.hidden.sum(axis=0) @ read2
    n = len(batch)
    return CellResult(right / n, np.cumsum(hidden) / n, np.cumsum(output) / n, np.cumsum(read) / n)


def spikes(
    chip: Chip,
    batch: Batch,
    draws: Draws,
    eta: float,
    ratio: float,
    steps: int,
    neurons: Neurons | None = None,
) -> Iterator[BatchStep]:
    """The spikes of a batch, step by step.

        input     with probability intensity/255
        hidden    with probability p((g^ x W1(eta) - (s - s^))/g),   s = eta x I_bias/i0,   g = 1 + zeta y
        output    likewise, from the hidden spikes and W2(eta)

    ``neurons``: their law p, zeta, and s^ and g^ of a calibration; None: the sigmoid, and i0 as it is nominally.

    Source: sections 2.3 and 4.5 of the paper; the deviations are equation 3.
    """
    w1, w2 = chip.w1 + np.float64(eta) * chip.d1, chip.w2 + np.float64(eta) * chip.d2
    neurons = neurons or Neurons()
    hidden, classes = w2.shape
    (s1, s2), (g1, g2), (drive1, drive2) = (
        np.split(np.broadcast_to(each, hidden + classes), [hidden])
        for each in (chip.shift(eta, ratio) - neurons.shift, chip.gain(neurons.zeta), neurons.gain)
    )
    thresholds, limits = neurons.thresholds.astype(np.float64), input_limits()
    for first in range(0, steps, CHUNK):
        u = _numbers(draws, batch, first, min(CHUNK, steps - first), hidden, classes)
        for row in range(min(CHUNK, steps - first)):
            x = (batch.images > 0) & (u["input"][:, row] <= limits[batch.images])
            h = (drive1 * (x @ w1) - s1) / g1 > thresholds[u["hidden"][:, row]]
            y = (drive2 * (h @ w2) - s2) / g2 > thresholds[u["output"][:, row]]
            yield BatchStep(first + row, x, h, y, u["tie"][:, row])


def credit(counts: Whole, labels: Whole, u_tie: Whole, ties: str) -> Floats:
    """(n,) how right each image is: 1/k when its label is one of the k classes with most spikes, else 0.

    With "random" ties it is 0 or 1: 1 with probability 1/k.
    """
    most = counts == counts.max(axis=1, keepdims=True)
    tied = most.sum(axis=1)
    among = most[np.arange(len(labels)), labels]
    if ties == "random":
        return np.asarray(among & (u_tie.astype(np.int64) * tied < LEVELS), np.float64)
    return np.asarray(among / tied)


def _numbers(draws: Draws, batch: Batch, first: int, steps: int, hidden: int, classes: int) -> dict[str, Whole]:
    """The numbers of the steps from ``first`` on, (n, steps, ...); of the pixels only the active ones have one."""
    n, chunk = len(batch), first // CHUNK
    u: dict[str, Whole] = {
        "input": np.zeros((n, steps, batch.images.shape[1]), np.uint16),
        "hidden": np.empty((n, steps, hidden), np.uint16),
        "output": np.empty((n, steps, classes), np.uint16),
        "tie": np.empty((n, steps), np.uint16),
    }
    for i, number in enumerate(batch.numbers.tolist()):
        active_pixels = np.flatnonzero(batch.images[i])
        numbers = draws.draw_chunk(number, chunk, steps, len(active_pixels) + hidden + classes + 1)
        ends = np.cumsum([len(active_pixels), hidden, classes])
        u["input"][i][:, active_pixels], u["hidden"][i], u["output"][i], tie = np.split(numbers, ends, axis=1)
        u["tie"][i] = tie[:, 0]
    return u


def plain_loop(
    chip: Chip, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], eta: float, ratio: float, steps: int
) -> float:
    """Accuracy of one cell as a user of PyTorch would write it: float32, ``torch.bernoulli``, batches of 500.

    Its draws are torch's own, from the global seed.
    """
    w1, w2 = torch.from_numpy(chip.w1 + eta * chip.d1).float(), torch.from_numpy(chip.w2 + eta * chip.d2).float()
    s1, s2 = torch.from_numpy(eta * ratio * chip.x1).float(), torch.from_numpy(eta * ratio * chip.x2).float()
    p, target = torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))
    right = 0
    for batch in range(0, len(p), BATCH):
        pixels = p[batch : batch + BATCH]
        counts = torch.zeros(len(pixels), w2.shape[1])
        for _ in range(steps):
            x = torch.bernoulli(pixels)
            h = torch.bernoulli(torch.sigmoid(x @ w1 - s1))
            counts += torch.bernoulli(torch.sigmoid(h @ w2 - s2))
        right += int((counts.argmax(1) == target[batch : batch + BATCH]).sum())
    return right / len(p)
