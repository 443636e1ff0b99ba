"""Two levels among readings, and which cycles switched: for families whose devices have two states.

One cycle gives a reading after reset and one after write.  Numbers only.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any

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

RESOLVED = 2.0
"""Difference between written and reset readings, in standard deviations of a reading, that is excluded at every
current of a device that never switched."""

SHIFT = 0.5
"""Difference, in standard deviations of a reading, that may be heating and is no switch."""

PAIRS = 30
"""Pairs of readings whose mean difference is looked at."""

MOST_LEVELS = 5
"""Levels among readings that are told apart at most."""

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
    flat = _ordered(readings)
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


def _ordered(readings: npt.ArrayLike) -> Floats:
    """The usable readings, rising; float32 is sorted as it is, in half the time."""
    flat = np.asarray(readings).ravel()
    return np.asarray(np.sort(flat[is_reading(flat)]), np.float64)


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
    outside the two levels than half their distance, and the reset reading is on the reset side.  A device whose
    written readings are those after reset, at every current (see :func:`is_unchanged`), never switched: its cycles
    are valid, and its levels NaN, for it showed one.  If the levels are not distinct otherwise, or a quarter of the
    resets did not reset, no cycle is valid and ``reason`` says why.

    Parameters
    ----------
    r_reset, r_write : arrays of one shape (..., cycles), ohm; NaN marks a lost sample
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
        levels = find_levels(np.concatenate([np.ravel(r_reset), np.ravel(r_write)]), separation)
    none = np.zeros(reset.shape, dtype=np.bool_)
    if levels.reason and is_unchanged(reset, write):
        return Decision(none, is_reading(reset) & is_reading(write), levels, "")
    if levels.reason:
        return Decision(none, none.copy(), levels, _and_drift(levels.reason, reset, write, separation))
    plausible = is_plausible(reset, levels) & is_plausible(write, levels)
    with np.errstate(invalid="ignore"):
        is_reset = (reset > levels.threshold) == (reset_state > 0)
        switched = (write > levels.threshold) != (reset_state > 0)
    seen = is_plausible(reset, levels)
    share = float(is_reset[seen].mean()) if seen.any() else 0.0
    if share < RESETS:
        side = "high" if reset_state > 0 else "low"
        reason = (
            f"{share:.0%} of the reset readings are at the {side} level; check the reset pulse and the reset state"
        )
        return Decision(none, none.copy(), levels, reason)
    valid = plausible & is_reset
    return Decision(switched & valid, valid, levels, "")


def is_unchanged(r_reset: npt.ArrayLike, r_write: npt.ArrayLike) -> bool:
    """Whether no write pulse changed the reading: the device never switched.

    Neighbouring currents are taken together until they have 30 pairs of readings.  The mean difference of each such
    group and three times its standard error are together at most ``RESOLVED`` standard deviations of a reading, and
    the difference itself is at most ``SHIFT`` of one, or within four standard errors of none.  So noise that hides
    two levels is no proof, nor are four pairs in all; heating that shifts a written reading a little is no switch.

    Parameters
    ----------
    r_reset, r_write : arrays of one shape (..., cycles), ohm, the currents in order; what is no reading is left out
    """
    reset, write = (np.atleast_2d(np.asarray(r, dtype=np.float64)) for r in (r_reset, r_write))
    usable = is_reading(reset) & is_reading(write)
    pairs = write[usable] - reset[usable]  # in the order of the currents
    if pairs.size < 2:
        return False
    groups = np.array_split(pairs, max(pairs.size // PAIRS, 1))
    mean, size = np.array([g.mean() for g in groups]), np.array([g.size for g in groups])
    noise = float(np.median([g.std(ddof=1) for g in groups]))  # of a difference
    error, reading = noise / np.sqrt(size), noise / np.sqrt(2)
    rounding = 1e-6 * float(np.abs(reset[usable]).max())
    excluded = np.abs(mean) + 3 * error <= RESOLVED * reading + rounding
    small = np.abs(mean) <= np.maximum(SHIFT * reading, 4 * error) + rounding
    return bool(np.all(excluded & small))


def level_means(readings: npt.ArrayLike, separation: float = SEPARATION) -> Floats:
    """The levels among ``readings`` (any shape, ohm), rising: 1 of a device that rests, 3 of one that stops half-way.

    Readings are taken for a mixture of normal distributions of one width.  That of 1 to ``MOST_LEVELS`` levels with
    the least Bayesian information criterion is chosen, among those whose neighbouring levels are ``separation``
    standard deviations apart.  At this distance every reading belongs to one level, so that the mixture's likelihood
    is that of its classes.  The classes are cut where the squares within them are least, one cut after the other.  A
    class of up to 1 % of the readings, beside two larger ones, is taken for glitches and left out, as readings that
    are not finite or an overflow mark are.

    Returns
    -------
    (levels,) float64, ohm; empty without two usable readings

    Source: G. Schwarz, Ann. Stat. 6, 461 (1978); G. Celeux, G. Govaert, Comput. Stat. Data Anal. 14, 315 (1992).
    """
    flat = _ordered(readings)
    if flat.size < 2:
        return np.empty(0)
    classes = [_Class(flat)]
    best, least = classes, _criterion(classes)
    for _ in range(2 * MOST_LEVELS):  # glitches take cuts as well
        widest = int(np.argmax([c.gain for c in classes]))
        if not classes[widest].gain > 0:
            break
        classes = [*classes[:widest], *classes[widest].parts, *classes[widest + 1 :]]
        second = sorted(c.size for c in classes)[-2]
        levels = [c for c in classes if c.size >= min(second, RARE * flat.size)]
        if len(levels) > MOST_LEVELS:
            break
        if _all_distinct(levels, separation) and (value := _criterion(levels)) < least:
            best, least = levels, value
    return np.array([c.mean for c in best])


class _Class:
    """Sorted readings that belong together; what is known of them is computed once."""

    def __init__(self, values: Floats) -> None:
        self.values, self.size, self.mean = values, values.size, float(values.mean())
        self.squares = float(np.sum((values - self.mean) ** 2))

    @cached_property
    def parts(self) -> list[_Class]:
        """The two classes of the best cut; none where all values are the same."""
        if not np.ptp(self.values) > 0:
            return []
        cut = _cut(self.values)[1]
        return [_Class(self.values[:cut]), _Class(self.values[cut:])]

    @cached_property
    def gain(self) -> float:
        """By how much a cut lessens the squares within classes."""
        return self.squares - sum(part.squares for part in self.parts) if self.parts else 0.0


def intermediate_share(r_reset: npt.ArrayLike, r_write: npt.ArrayLike, separation: float = SEPARATION) -> float:
    """Share of the written readings between the reset level and the fully switched one: partial switching.

    The noise is that of the reset readings, 1.48 times their median absolute deviation.  The switched level is the
    1st or 99th percentile of the written readings, whichever is further from the reset level.  A reading is between
    the two if it is ``separation`` times the noise away from both.

    Parameters
    ----------
    r_reset, r_write : arrays, ohm; what is no reading is left out

    Returns
    -------
    0 to 1; NaN without any reading after reset or after write
    """
    reset, write = (np.asarray(r, dtype=np.float64).ravel() for r in (r_reset, r_write))
    reset, write = reset[is_reading(reset)], write[is_reading(write)]
    if not (reset.size and write.size):
        return float("nan")
    resting = float(np.median(reset))
    ends = np.percentile(write, [1, 99])
    switched = float(ends[np.argmax(np.abs(ends - resting))])
    rounding = 1e-6 * max(abs(resting), abs(switched))
    margin = separation * 1.4826 * float(np.median(np.abs(reset - resting))) + rounding
    low, high = sorted((resting, switched))
    return float(np.mean((write > low + margin) & (write < high - margin)))


def is_reading(readings: npt.NDArray[np.floating[Any]]) -> Bools:
    """Which readings are numbers, and no overflow mark."""
    return np.asarray(np.isfinite(readings) & (np.abs(readings) < OVERFLOW))


def _all_distinct(classes: list[_Class], separation: float) -> bool:
    """Whether neighbours are two distinct levels each, with the noise of all classes."""
    noise = float(np.sqrt(sum(c.squares for c in classes) / sum(c.size for c in classes)))
    return all(_distinct(Levels(a.mean, b.mean, noise), separation) for a, b in pairwise(classes))


def _criterion(classes: list[_Class]) -> float:
    """Bayesian information criterion of classes of one width, but for what all numbers of classes have in common."""
    size = np.array([c.size for c in classes], dtype=np.float64)
    n = size.sum()
    largest = max(max(-c.values[0], c.values[-1]) for c in classes)
    variance = max(sum(c.squares for c in classes) / n, 1e-12 * largest**2, 1e-300)
    likelihood = float((size * np.log(size / n)).sum() - n / 2 * np.log(variance))
    return 2 * len(classes) * float(np.log(n)) - 2 * likelihood  # means, weights less one, and a width


def _and_drift(reason: str, reset: Floats, write: Floats, separation: float) -> str:
    """The reason, and where the differences of the pairs show two levels, that the offset is what moves."""
    usable = is_reading(reset) & is_reading(write)
    steps = find_levels(write[usable] - reset[usable], separation)
    if steps.reason:
        return reason
    low, high = steps.low, steps.high
    return f"{reason}; differences of the pairs have two levels, {low:.3g} and {high:.3g} ohm: an offset drifts"


def is_plausible(readings: Floats, levels: Levels) -> Bools:
    """Finite, and no further outside the two levels than half their distance."""
    margin = (levels.high - levels.low) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((readings >= levels.low - margin) & (readings <= levels.high + margin))
