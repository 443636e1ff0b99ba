"""The switching curve of each device before the training, measured as everything else: by trains of pulses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.hil.neurons import Neurons
from spinneurons.hil.states import States
from spinneurons.neurons.calibration import calibrate
from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.family import Law, NeuronFamily
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


def most_probable_bias(
    curves: Mapping[int, Curve], i_write: Floats, family: NeuronFamily, width: float, law: Law
) -> dict[int, float]:
    """Most probable bias current of each device, A: from its counts, and from how far the card's devices deviate.

    Unlike a fit, there is one for any counts.

    Parameters
    ----------
    i_write : (n,) A, of the curves
    """
    nominal, i0 = float(family.i_bias(width)), float(family.i0(width))
    k, n = (np.stack([counts[part] for counts in curves.values()]) for part in (0, 1))
    deviation = family.spread[0] * nominal / i0 / 3**0.5  # standard deviation of what is uniform within the spread
    shift = calibrate(k, n, (i_write - nominal) / i0, law, deviation).shift
    return dict(zip(curves, (nominal + i0 * shift).tolist(), strict=True))
