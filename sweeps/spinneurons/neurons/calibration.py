"""Calibration: the bias current of each device from a few pulses, where a fit would find no curve.

In units of the nominal scale current about the nominal bias current, a device switches with p = law((z - s)/g): its
shift s = (i_bias - nominal)/i0, its gain g = own i0/nominal i0.  What is known before any pulse is how far devices
deviate; with it two pulses say something, and none say "nominal".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Law

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

STEPS = 60
"""Towards the best shift, at most: halvings alone come to 1e-13 of a reach of 100."""
SETTLED = 1e-11
"""Newton's step at which a shift stays as it is."""
SECTIONS = 40
"""Golden sections of a bracket of log g: to 1e-8 of it."""
GOLDEN = (np.sqrt(5) - 1) / 2
REACH = 3.0
"""Half of that bracket, in standard deviations of log g."""


class Calibration(NamedTuple):
    """What is known of devices after a calibration."""

    shift: Floats
    """(devices,) s, in nominal i0."""
    gain: Floats
    """(devices,) g; 1 where it was not estimated."""


def pulses_at(budget: int, z: npt.ArrayLike) -> Counts:
    """(m,) pulses at each drive: as many at each, and what is left over at those closest to z = 0.

    Parameters
    ----------
    budget : pulses of one device
    z : (m,) drives of the plan
    """
    drives = np.asarray(z, np.float64)
    each, rest = divmod(int(budget), drives.size)
    pulses = np.full(drives.size, each, np.int64)
    pulses[np.argsort(np.abs(drives), kind="stable")[:rest]] += 1
    return pulses


def calibrate(
    k: npt.ArrayLike, n: npt.ArrayLike, z: npt.ArrayLike, law: Law, shift_sd: float, gain_sd: float = 0.0
) -> Calibration:
    """The most probable shift, and gain, of each device.

    Maximises sum_m log Binomial(k_m; n_m, law((z_m - s)/g)) - s^2/(2 shift_sd^2) - (log g)^2/(2 gain_sd^2).  Both
    laws are log-concave, so that the derivative in s falls and its zero is bracketed.  Steps are Newton's where they
    get shorter fast enough, else they halve the bracket.  g is found by golden sections, each with its best s.  With
    ``shift_sd`` 0, s is 0.

    Source of the steps: W. H. Press et al., Numerical Recipes, 3rd ed. (2007), section 9.4.

    Parameters
    ----------
    k, n : (devices, m) or (m,) pulses that switched, and pulses, at each drive
    z : (m,) drives
    law : probability against the reduced drive
    shift_sd : standard deviation of s over devices before any pulse; 0: there is none
    gain_sd : of log g; 0: g is 1

    Raises
    ------
    ValueError
        A standard deviation is negative.

    Source: maximum a posteriori; A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), section 13.1.
    """
    if shift_sd < 0 or gain_sd < 0:
        raise ValueError(f"standard deviations {shift_sd:g} and {gain_sd:g}; neither is below 0")
    drives = np.asarray(z, np.float64)
    switched, pulses = np.broadcast_arrays(*(np.atleast_2d(np.asarray(a, np.float64)) for a in (k, n)))
    devices = len(switched)
    if not shift_sd and not gain_sd:
        return Calibration(np.zeros(devices), np.ones(devices))

    def best(log_gain: Floats, shift: Floats) -> tuple[Floats, Floats]:
        """Shift and posterior at this log g; the search begins at ``shift``."""
        per_gain = law.scale / np.exp(log_gain)[:, None]

        def score(shift: Floats) -> tuple[Floats, Floats, Floats]:
            """Posterior, its derivative, and how fast that falls."""
            eta = law.half + per_gain * (drives - shift[:, None])
            likelihood, slope, curvature = law.score(switched, pulses, eta)
            if not shift_sd:
                return likelihood, np.zeros(devices), np.ones(devices)
            likelihood = likelihood - (shift / shift_sd) ** 2 / 2
            falls = (curvature * per_gain**2).sum(axis=1) + 1 / shift_sd**2
            return likelihood, -(slope * per_gain).sum(axis=1) - shift / shift_sd**2, falls

        settled = np.zeros(devices, bool)
        high = np.full(devices, np.abs(drives).max() + 8 * shift_sd + 40.0)
        low, moved = -high, 2 * high
        for _ in range(STEPS):
            _, rises, falls = score(shift)
            low, high = np.where(rises > 0, shift, low), np.where(rises > 0, high, shift)
            step = rises / falls
            settled |= np.abs(step) < SETTLED
            if settled.all():
                break
            good = (low < shift + step) & (shift + step < high) & (np.abs(step) < np.abs(moved) / 2)
            moved = np.where(settled, 0.0, np.where(good, step, (low + high) / 2 - shift))
            shift = shift + moved
        prior = 0.0 if not gain_sd else (log_gain / gain_sd) ** 2 / 2
        return shift, score(shift)[0] - prior

    zeros = np.zeros(devices)
    if not gain_sd:
        return Calibration(best(zeros, zeros)[0], np.ones(devices))
    low, high = np.full(devices, -REACH * gain_sd), np.full(devices, REACH * gain_sd)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    shift, at_left = best(left, zeros)
    shift, at_right = best(right, shift)
    for _ in range(SECTIONS):
        better = at_left > at_right
        low, high = np.where(better, low, left), np.where(better, right, high)
        new = np.where(better, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        shift, at_new = best(new, shift)
        left, right = np.where(better, new, right), np.where(better, left, new)
        at_left, at_right = np.where(better, at_new, at_right), np.where(better, at_left, at_new)
    log_gain = (low + high) / 2
    return Calibration(best(log_gain, shift)[0], np.exp(log_gain))
