"""By what a class is chosen: three readings of the paper's "normalized inputs to the neurons from the network".

They are our conventions, and they decide which training looks better: see the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DECISIONS: Mapping[str, str] = {
    "counts": "shares of the switches that each output neuron counted",
    "inputs": "the largest mean input z from the network, whatever the devices do",
    "normalised": "the same inputs through each device's own switching curve",
}
"""By name, in words."""


def of_inputs(z: Floats) -> Floats:
    """(..., classes) confidence from inputs (..., steps, classes): softmax of the mean over the steps.

    The class of the largest mean input has the largest; the paper gives no formula.
    """
    mean = z.mean(axis=-2)
    weight = np.exp(mean - mean.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def of_curves(z: Floats, curve: Callable[[Floats], Any]) -> Floats:
    """(..., classes) mean probability of each device's curve over the steps of inputs (..., steps, classes).

    Parameters
    ----------
    curve : probability of each device at z; NaN of a device whose curve is not known
    """
    return np.asarray(curve(z).mean(axis=-2))
