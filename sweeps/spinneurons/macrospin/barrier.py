"""Thermal activation over a barrier: the way to pulses that are too long to integrate.

    P = 1 - exp(-rate tau),      rate = f0 exp(-Delta g(h))                        (Neel-Brown)

with h the current relative to the critical one.  Spins along the easy axis act like a field, so that barrier and
attempt frequency are Brown's; for spins in the plane f0 is a constant.  Numbers only.

Source: L. Neel, Ann. Geophys. 5, 99 (1949); W. F. Brown, Phys. Rev. 130, 1677 (1963).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from spinneurons.macrospin.material import Magnet, Torque

Floats = npt.NDArray[np.float64]

ATTEMPT = 1e9
"""f0 for spins in the plane, 1/s."""
_PEAK = {"collinear": 0.9, "in-plane": 1.0}
"""h up to which a bias is sought: beyond, little of a barrier is left."""


def height(h: npt.ArrayLike, torque: Torque) -> Floats:
    """g(h), the barrier relative to that without current, 1 at h = 0 and 0 from h = 1 on.

    collinear: (1 - h)^2.  in-plane: sqrt(1 - h^2) - h acos(h), from U/K = sin^2(t) - h t with the angle t in the
    plane of easy axis and current.
    """
    x = np.clip(np.asarray(h, dtype=np.float64), 0.0, 1.0)
    if torque == "collinear":
        return np.asarray((1 - x) ** 2)
    return np.asarray(np.sqrt(1 - x**2) - x * np.arccos(x))


def rate(magnet: Magnet, h: npt.ArrayLike, torque: Torque) -> Floats:
    """Rate of escape from the lower well (1/s) at relative current ``h`` (any shape), for barriers of some kB T.

    collinear: f0 = g0 alpha Hk/(1 + alpha^2) (Delta/pi)^(1/2) (1 - h^2)(1 - h).
    """
    x = np.clip(np.asarray(h, dtype=np.float64), 0.0, 1.0)
    attempt: Floats | float = ATTEMPT
    if torque == "collinear":
        relaxation = magnet.rate * magnet.damping * magnet.anisotropy_field
        attempt = relaxation * math.sqrt(magnet.stability / math.pi) * (1 - x**2) * (1 - x)
    return np.asarray(attempt * np.exp(-magnet.stability * height(x, torque)))


def switching_probability(magnet: Magnet, h: npt.ArrayLike, tau: float, torque: Torque) -> Floats:
    """P of a pulse of ``tau`` (s) at relative current ``h`` (any shape), 0 to 1."""
    return np.asarray(-np.expm1(-rate(magnet, h, torque) * tau))


def bias(magnet: Magnet, tau: float, torque: Torque) -> float:
    """Relative current h of P = 1/2 for a pulse of ``tau`` (s).

    NaN if the magnet does not keep its state that long without current, or if so short a pulse needs more current
    than thermal activation can explain.
    """

    def excess(h: float) -> float:
        return float(rate(magnet, h, torque)) * tau - math.log(2)

    if excess(0.0) >= 0 or excess(_PEAK[torque]) <= 0:
        return math.nan
    return float(brentq(excess, 0.0, _PEAK[torque]))


def bias_current(magnet: Magnet, tau: float, torque: Torque) -> float:
    """Bias current (A) of a pulse of ``tau`` (s); NaN where :func:`bias` is."""
    return bias(magnet, tau, torque) * magnet.critical_current(torque)
