"""Loops of a two-state magnet that reverses by thermal activation: probabilities of each step, and states.

Numbers only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.hall_bar import HallBar

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.int8]


def triangle(limit: float, steps: int) -> Floats:
    """(2, steps) one loop: from -limit to limit in the first row, and back in the second."""
    up = np.linspace(-limit, limit, steps)
    return np.stack([up, -up])


def field_probability(
    field: npt.ArrayLike, stability: float, switching_field: float, dwell: float, attempt: float
) -> Floats:
    """Probability that a down state turns up within a step of the field loop.

        P = 1 - exp(-f0 t exp(-Delta (1 - H/H0)^2)),   H held within -H0 .. H0

    Parameters
    ----------
    field : perpendicular field, A/m, any shape; positive is up
    stability : Delta, barrier without field in kB T
    switching_field : H0 at which the barrier is gone, A/m
    dwell : time t at each field, s
    attempt : f0, 1/s

    Source: L. Neel, Ann. Geophys. 5, 99 (1949); W. F. Brown, Phys. Rev. 130, 1677 (1963).
    """
    relative = np.clip(np.asarray(field, dtype=np.float64) / switching_field, -1.0, 1.0)
    return np.asarray(-np.expm1(-attempt * dwell * np.exp(-stability * (1 - relative) ** 2)))


def current_limit(bars: HallBar, width: float) -> float:
    """Largest current of a loop (A): the last of the amplitude plan, at which every device of the width switches."""
    return float(bars.write_currents(width, 2)[-1])


def states(p_up: Floats, p_down: Floats, cycles: int, rng: np.random.Generator, start: int = -1) -> States:
    """States after each step of loops that begin in the state ``start``, -1 (down) or 1.

    Parameters
    ----------
    p_up, p_down : (2, steps) probability that a step turns a down state up, an up state down
    cycles : loops, each by itself

    Returns
    -------
    (2, steps, cycles) int8, -1 or 1
    """
    states = np.empty((*p_up.shape, cycles), np.int8)
    state = np.full(cycles, start, np.int8)
    for step in np.ndindex(p_up.shape):
        turned = rng.random(cycles) < np.where(state < 0, p_up[step], p_down[step])
        state = np.where(turned, -state, state)
        states[step] = state
    return states


def reversal(drive: Floats, states: States, start: int = -1) -> Floats:
    """(2, cycles) drive at the first step of each branch whose state is not that before the branch.

    ``drive`` (2, steps) in any unit, ``states`` (2, steps, cycles) of loops that begin in the state ``start``; NaN
    for a branch that does not reverse.
    """
    before = np.stack([np.full(states.shape[2], start, np.int8), states[0, -1]])
    other = states != before[:, None, :]
    first = np.take_along_axis(np.broadcast_to(drive[..., None], states.shape), other.argmax(axis=1)[:, None, :], 1)
    return np.where(other.any(axis=1), first[:, 0, :], np.nan)
