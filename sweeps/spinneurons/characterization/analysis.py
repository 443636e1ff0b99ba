"""From the readings of one device to its switching curve: decide, count, fit, resample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Law, NeuronFamily, Readings
from spinneurons.neurons.fit import REASONS, bootstrap, fit

NUMBERS = (
    "i_bias", "i_bias_stderr", "i_bias_low", "i_bias_high",
    "i0", "i0_stderr", "i0_low", "i0_high",
    "window", "window_low", "window_high", "deviance",
)  # fmt: skip
"""Float results of one device; with ``dof``, ``switched`` and ``valid`` they are all of them."""


FIT_STATUS = ("fitted", "no_data", "separated", "falling", "not_converged", "levels_not_distinct")
"""Meaning of ``fit_status``: the reasons of ``spinneurons.neurons.fit``, and one level instead of two."""


class Analysis(NamedTuple):
    """Results of one device."""

    values: Mapping[str, Any]
    """``switched`` and ``valid`` (n, cycles) bool; NUMBERS as floats in A (deviance: 1); ``dof`` and
    ``fit_status`` int."""
    reason: str
    """Why numbers are NaN, in words; empty if all went well."""


def analyse(
    family: NeuronFamily,
    i_write: npt.ArrayLike,
    readings: Readings,
    law: Law,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Analysis:
    """Switching curve of one device from its recorded readings.

    Parameters
    ----------
    family : decides what switched
    i_write : (n,) A; NaN where a current was not recorded
    readings : of the family, (n, cycles) each; NaN marks a lost or absent sample
    law : of the curve
    rng : stream of the bootstrap
    resamples : bootstrap resamples

    Returns
    -------
    Analysis; 95 % intervals are ``_low`` and ``_high``, standard errors ``_stderr``
    """
    decision = family.decide(readings)
    k, n = decision.switched.sum(axis=-1), decision.valid.sum(axis=-1)
    curve = fit(k, n, i_write, law)
    interval = bootstrap(k, n, i_write, law, rng, resamples)
    numbers = {**interval._asdict(), **curve._asdict(), "window": law.window * curve.i0}
    values = {
        "switched": decision.switched,
        "valid": decision.valid,
        **{name: numbers[name] for name in (*NUMBERS, "dof")},
        "fit_status": FIT_STATUS.index("levels_not_distinct") if decision.reason else REASONS.index(curve.reason),
    }
    return Analysis(values, decision.reason or curve.reason or interval.reason)
