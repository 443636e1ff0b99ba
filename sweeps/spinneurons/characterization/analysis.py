"""From what was decided of one device's readings to its switching curve: count, fit, resample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.checked_fit import LEAST_RESAMPLES, STATUSES, checked_fit, with_interval
from spinneurons.neurons.family import Decision, Law, LevelMixture
from spinneurons.neurons.fit import Fit, bootstrap, without_fit
from spinneurons.neurons.levels import RARE

NUMBERS = (
    "i_bias", "i_bias_stderr", "i_bias_low", "i_bias_high",
    "i0", "i0_stderr", "i0_low", "i0_high",
    "window", "window_low", "window_high", "deviance",
)  # fmt: skip
"""Float results of the fit of one device."""


class Analysis(NamedTuple):
    """Results of one device."""

    values: Mapping[str, Any]
    """``switched`` and ``valid`` (n, cycles) bool; NUMBERS as floats in A (deviance: 1); ``dof``, ``fit_status`` (an
    index of ``STATUSES``) and ``level_count`` int; ``intermediate_share`` float."""
    reason: str
    """Why there is no fit, in words; empty if there is one."""


def analyse(
    decision: Decision,
    mixture: LevelMixture,
    i_write: npt.ArrayLike,
    law: Law,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Analysis:
    """Switching curve of one device from its recorded readings.

    Parameters
    ----------
    decision : which cycles switched, (n, cycles)
    mixture : levels among the readings, which say why nothing could be decided
    i_write : (n,) A; NaN where a current was not recorded
    law : of the curve
    rng : stream of the bootstrap
    resamples : bootstrap resamples

    Returns
    -------
    Analysis; 95 % intervals are ``_low`` and ``_high``, standard errors ``_stderr``
    """
    k, n = decision.switched.sum(axis=-1), decision.valid.sum(axis=-1)
    curve = without_levels(decision, mixture) if decision.reason else checked_fit(k, n, i_write, law)
    interval = bootstrap(k, n, i_write, law, rng, resamples)
    if resamples >= LEAST_RESAMPLES:
        curve = with_interval(curve, interval)
    numbers = {**interval._asdict(), **curve._asdict(), "window": law.window * curve.i0}
    if curve.reason:
        numbers |= dict.fromkeys(NUMBERS, np.nan)
    values = {
        "switched": decision.switched,
        "valid": decision.valid,
        **{name: numbers[name] for name in (*NUMBERS, "dof")},
        "fit_status": STATUSES.index(curve.status),
        "level_count": mixture.means.size,
        "intermediate_share": mixture.intermediate_share,
    }
    return Analysis(values, curve.reason)


def without_levels(decision: Decision, mixture: LevelMixture) -> Fit:
    """Why the readings of a device do not say which cycles switched."""
    if not mixture.means.size:
        return without_fit("no_data", f"no data: {decision.reason}")
    share = f"{mixture.intermediate_share:.0%} of the written readings lie between two levels"
    if mixture.means.size > 2:
        means = ", ".join(f"{mean:.3g}" for mean in mixture.means)
        return without_fit("partial_switching", f"partial switching: levels at {means}; {share}")
    if mixture.intermediate_share > RARE:
        return without_fit("partial_switching", f"partial switching: {share}")
    status = "levels_not_distinct" if np.isnan(decision.levels.threshold) else "resets_failed"
    return without_fit(status, decision.reason)
