"""Two levels among readings, and which cycles switched: for families whose devices have two states.

One cycle gives a reading after reset and one after write.  Numbers only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Bools, Decision, Floats, Levels

SEPARATION = 8.0
"""Least distance of two distinct levels in standard deviations of a reading: a threshold midway then
misjudges a reading once in 30,000.  One level of normal noise, cut in two at its middle, has 2.6."""

OVERFLOW = 1e6
"""Readings of this size are an instrument's overflow mark: lost samples."""

RARE = 0.01
"""Share of the readings up to which a class of its own, beside two distinct levels, is taken for glitches."""

RESETS = 0.75
"""Least share of reset readings on the reset side; below, the two 'levels' are not reset and written
state."""


def find_levels(readings: npt.ArrayLike, separation: float = SEPARATION) -> Levels:
    """The two levels among ``readings`` (any shape, ohm): means of the two classes of the best cut.

    The cut is exact: of all cuts of the sorted readings the one with the largest variance between the two
    classes (N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), without its histogram).  Readings that are
    not finite or an overflow mark are left out, and so is a class of up to 1 % of them whose rest has two
    distinct levels by itself.

    Returns
    -------
    Levels; low, high and threshold are NaN and ``reason`` is set if the classes are not ``separation``
    standard deviations apart.
    """
    flat = np.asarray(readings, dtype=np.float64).ravel()
    flat = np.sort(flat[np.isfinite(flat) & (np.abs(flat) < OVERFLOW)])
    if flat.size < 2:
        return Levels(np.nan, np.nan, np.nan, f"{flat.size} usable readings; two levels need at least 2")
    levels, cut = _cut(flat)
    while min(cut, flat.size - cut) <= RARE * flat.size:  # a few glitches may be a class of their own
        rest = flat[cut:] if cut < flat.size - cut else flat[:cut]
        inner, inner_cut = _cut(rest)
        if not _distinct(inner, separation):
            break
        flat, levels, cut = rest, inner, inner_cut
    if _distinct(levels, separation):
        return levels
    reason = (
        f"one resistance level only: the two best classes are {levels.high - levels.low:.3g} ohm apart "
        f"with noise {levels.noise:.3g} ohm"
    )
    return Levels(np.nan, np.nan, levels.noise, reason)


def _cut(ordered: Floats) -> tuple[Levels, int]:
    """Class means and pooled noise of the best cut of sorted values, and the size of its lower class."""
    centred = ordered - ordered.mean()
    size = np.arange(1, ordered.size)
    below = np.cumsum(centred)[:-1]
    between = below**2 * (1 / size + 1 / (ordered.size - size))  # times N: n1 m1^2 + n2 m2^2 with n1 m1 = -n2 m2
    cut = int(np.argmax(between)) + 1
    low, high = ordered[:cut], ordered[cut:]
    within = np.sum((low - low.mean()) ** 2) + np.sum((high - high.mean()) ** 2)
    return Levels(float(low.mean()), float(high.mean()), float(np.sqrt(within / ordered.size))), cut


def _distinct(levels: Levels, separation: float) -> bool:
    apart = levels.high - levels.low
    rounding = 1e-6 * max(abs(levels.low), abs(levels.high))  # of float32: no contrast at all
    return apart > rounding and apart >= separation * levels.noise


def learn(readings: Floats) -> Levels | None:
    """Levels of pooled readings; None unless two are distinct and both are seen more often than glitches are.

    A device of probability 0 or 1 shows one level only.
    """
    levels = find_levels(readings)
    if levels.reason:
        return None
    high = float(np.mean(readings > levels.threshold))
    return levels if RARE < high < 1 - RARE else None


def decide(
    r_reset: npt.ArrayLike,
    r_write: npt.ArrayLike,
    reset_state: int = -1,
    levels: Levels | None = None,
    separation: float = SEPARATION,
) -> Decision:
    """Which cycles of one device switched it, from its measured resistances only.

    The threshold is the midpoint of the two levels of the device's own pooled readings, since the offset of a
    Hall bar may be a third of its signal.  A cycle is valid if both readings are finite and nowhere further
    outside the two levels than half their distance, and the reset reading is on the reset side.  If the
    levels are not distinct, or a quarter of the resets did not reset, no cycle is valid and ``reason`` says
    why.

    Parameters
    ----------
    r_reset, r_write : arrays of one shape, ohm; NaN marks a lost sample
    reset_state : -1 if reset gives the low level (main text of the paper), +1 for the high one (Fig. S3b)
    levels : known levels, for a recording too short to show both
    separation : least distance of distinct levels in standard deviations of a reading

    Returns
    -------
    Decision: switched, valid (bool, shape of the readings), levels, reason
    """
    reset, write = np.asarray(r_reset, dtype=np.float64), np.asarray(r_write, dtype=np.float64)
    if reset.shape != write.shape:
        raise ValueError(f"r_reset has shape {reset.shape}, r_write {write.shape}; they are pairs of readings")
    if reset_state not in (-1, 1):
        raise ValueError(f"reset state {reset_state!r}; it is -1 (low resistance) or 1 (high resistance)")
    if levels is None:
        levels = find_levels(np.concatenate([reset.ravel(), write.ravel()]), separation)
    none = np.zeros(reset.shape, dtype=np.bool_)
    if levels.reason:
        return Decision(none, none.copy(), levels, levels.reason)
    plausible = _plausible(reset, levels) & _plausible(write, levels)
    with np.errstate(invalid="ignore"):
        is_reset = (reset > levels.threshold) == (reset_state > 0)
        switched = (write > levels.threshold) != (reset_state > 0)
    seen = _plausible(reset, levels)
    share = float(is_reset[seen].mean()) if seen.any() else 0.0
    if share < RESETS:
        side = "high" if reset_state > 0 else "low"
        reason = (
            f"{share:.0%} of the reset readings are at the {side} level; check the reset pulse and the reset state"
        )
        return Decision(none, none.copy(), levels, reason)
    valid = plausible & is_reset
    return Decision(switched & valid, valid, levels, "")


def _plausible(readings: Floats, levels: Levels) -> Bools:
    """Finite, and no further outside the two levels than half their distance."""
    margin = (levels.high - levels.low) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((readings >= levels.low - margin) & (readings <= levels.high + margin))
