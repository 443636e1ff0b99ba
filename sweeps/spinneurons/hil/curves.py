"""The switching curve of each device before the training, measured as everything else: by trains of pulses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.hil.neurons import Neurons
from spinneurons.hil.states import States
from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import Fit

Floats = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """Counts of one device at each write current, and the curve through them."""

    switches: npt.NDArray[np.int64]
    trials: npt.NDArray[np.int64]
    """Valid cycles."""
    fit: Fit


def characterize(
    neurons: Neurons, states: States, devices: Sequence[int], i_write: Floats, cycles: int, law: Law
) -> dict[int, Curve]:
    """Curve of each of the different ``devices``; their levels are known to ``states`` afterwards.

    Parameters
    ----------
    i_write : (n,) A, each applied ``cycles`` times
    law : of the curves

    Source: Fig. 4(b).
    """
    different = list(dict.fromkeys(devices))
    train = np.repeat(i_write, cycles)[:, None] * np.ones(len(different))
    done = states.decide(different, neurons.read("curves", different, train))
    shape = (len(i_write), cycles, len(different))
    k, n = (a.reshape(shape).sum(axis=1) for a in (done.switched, done.valid))
    return {d: Curve(k[:, j], n[:, j], checked_fit(k[:, j], n[:, j], i_write, law)) for j, d in enumerate(different)}
