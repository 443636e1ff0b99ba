"""How far the devices of a card deviate from its nominal ones."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import NeuronFamily

Floats = npt.NDArray[np.float64]


def card_deviations(family: NeuronFamily) -> Floats:
    """(devices, 2) relative deviations of I_bias and i0 of a card's devices from its nominal ones.

    The devices are those that the card lists; where it lists none, all of its widths.
    """
    if listed := family.card.get("device"):
        keys = [(one["width_um"], one["index"]) for one in listed]
    else:
        keys = list(product(*family.labels().values()))
    rows = [np.divide(family.individual(w, d), (float(family.i_bias(w)), float(family.i0(w)))) - 1 for w, d in keys]
    return np.array(rows)


def relative(deviations: npt.ArrayLike) -> Floats:
    """(devices, 2) the same, each quantity over its largest; 0 where nothing deviates."""
    values = np.asarray(deviations, np.float64)
    largest = np.abs(values).max(axis=0)
    return np.asarray(np.divide(values, largest, out=np.zeros_like(values), where=largest > 0))
