"""Reset, read, write, read: the pulse protocol on a simulated Hall bar, and what the readings decide.

One cycle: a reset pulse puts the device into its reset state, a read pulse gives ``r_reset``, a write pulse
switches it or does not, a read pulse gives ``r_write``.  ``reference.py`` has the
same protocol one pulse at a time.  Numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.device.card import value
from spinneurons.device.model import hall_resistance, pulse_probability

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SEPARATION = 8.0
"""Least distance of two distinct levels in standard deviations of a reading: a threshold midway then
misjudges a reading once in 30,000.  One level of normal noise, cut in two at its middle, has 2.6."""

OVERFLOW = 1e6
"""Readings of this size, ohm, are no resistance of a Hall bar but an instrument's overflow mark: lost
samples."""

RARE = 0.01
"""Share of the readings up to which a class of its own, beside two distinct levels, is taken for glitches."""

RESETS = 0.75
"""Least share of reset readings on the reset side; below, the two 'levels' are not reset and written
state."""


class Draws(NamedTuple):
    """The random numbers of a measurement, each (n, cycles) float64."""

    uniform: Floats
    """A write pulse switches where this is below its probability."""
    noise_reset: Floats
    noise_write: Floats


class Readings(NamedTuple):
    """Hall resistances, ohm, each (n, cycles) float32."""

    r_reset: npt.NDArray[np.float32]
    r_write: npt.NDArray[np.float32]


class Levels(NamedTuple):
    """The two resistance levels of a device, from its own readings, ohm; NaN with a ``reason`` if not
    distinct."""

    low: float
    high: float
    noise: float
    """Standard deviation of a reading about its level."""
    reason: str = ""

    @property
    def threshold(self) -> float:
        """Midpoint of the two levels."""
        return (self.low + self.high) / 2


class Decision(NamedTuple):
    """What the readings say: ``switched`` and ``valid`` have their shape; an invalid cycle is not
    switched."""

    switched: Bools
    valid: Bools
    levels: Levels
    reason: str
    """Why nothing is valid; empty otherwise."""


def draw(rng: np.random.Generator, n: int, cycles: int) -> Draws:
    """All random numbers of ``n`` currents and ``cycles`` cycles, in this order: uniforms, reset noise, write
    noise."""
    uniform = rng.random((n, cycles))
    noise_reset, noise_write = rng.standard_normal((2, n, cycles))
    return Draws(uniform, noise_reset, noise_write)


def measure(
    card: Mapping[str, Any],
    i_bias: float,
    i0: float,
    i_write: npt.ArrayLike,
    cycles: int,
    rng: np.random.Generator,
    link: str = "logistic",
) -> Readings:
    """Readings of ``cycles`` cycles at each write current of one device, all at once.

    The reset pulse is taken to succeed always; the read pulse never switches; a write pulse up to the read
    current does not switch if the card says so.

    Parameters
    ----------
    card : for the Hall levels, the noise and the reset state
    i_bias, i0 : A, of this individual
    i_write : (n,) A
    cycles : number of cycles at each current
    rng : the stream of this measurement, used up in the order of :func:`draw`
    link : "logistic" or "cloglog"

    Returns
    -------
    Readings: r_reset, r_write (n, cycles) float32, ohm

    Source: protocol of the main text and Fig. 2(b).
    """
    currents = np.asarray(i_write, dtype=np.float64)
    draws = draw(rng, currents.size, cycles)
    reset_state = value(card, "hall.reset_state")
    p = pulse_probability(card, currents, i_bias, i0, link)
    state = np.where(draws.uniform < p[:, None], -reset_state, reset_state)
    r_reset = hall_resistance(reset_state, card, draws.noise_reset)
    r_write = hall_resistance(state, card, draws.noise_write)
    return Readings(r_reset.astype(np.float32), r_write.astype(np.float32))


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
        return Levels(np.nan, np.nan, np.nan, f"{flat.size} usable readings; two levels need 2 at least")
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
    found = find_levels(np.concatenate([reset.ravel(), write.ravel()]), separation) if levels is None else levels
    none = np.zeros(reset.shape, dtype=np.bool_)
    if found.reason:
        return Decision(none, none.copy(), found, found.reason)
    plausible = _plausible(reset, found) & _plausible(write, found)
    with np.errstate(invalid="ignore"):
        is_reset = (reset > found.threshold) == (reset_state > 0)
        switched = (write > found.threshold) != (reset_state > 0)
    seen = _plausible(reset, found)
    share = float(is_reset[seen].mean()) if seen.any() else 0.0
    if share < RESETS:
        side = "high" if reset_state > 0 else "low"
        reason = (
            f"{share:.0%} of the reset readings are at the {side} level; check the reset pulse and the reset state"
        )
        return Decision(none, none.copy(), found, reason)
    valid = plausible & is_reset
    return Decision(switched & valid, valid, found, "")


def _plausible(readings: Floats, levels: Levels) -> Bools:
    """Finite, and no further outside the two levels than half their distance."""
    margin = (levels.high - levels.low) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((readings >= levels.low - margin) & (readings <= levels.high + margin))
