"""Hall resistance of a perpendicular magnet in an in-plane field, and its fit.

    R = R_off + state R_A mz,      mz = sqrt(1 - (Hx/H_an)^2)     for |Hx| < H_an, else 0

mz minimises the energy mu0 Ms [-H_an mz^2/2 - Hx mx].  Numbers only.

Source: equation S2 of the paper.  (Its S1 has the Zeeman term with the cosine of the angle from which S2 follows with
the sine.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import value
from spinneurons.neurons.hall_bar import HallBar

Floats = npt.NDArray[np.float64]


def perpendicular(field: npt.ArrayLike, h_an: float) -> Floats:
    """mz of the up state in the in-plane ``field`` (A/m, any shape), 1 at zero field and 0 from ``h_an`` on."""
    return np.asarray(np.sqrt(np.maximum(1 - (np.asarray(field, dtype=np.float64) / h_an) ** 2, 0.0)))


def anisotropy_field(card: Mapping[str, Any], width: float, device_index: int, mean: float, spread: float) -> float:
    """H_an (A/m) of one individual: ``mean`` (1 + ``spread`` u), u uniform on [-1, 1) from its own stream."""
    u = HallBar(card).stream(width, device_index, "anisotropy").uniform(-1.0, 1.0)
    return float(mean * (1 + spread * u))


def readings(card: Mapping[str, Any], field: Floats, h_an: float, rng: np.random.Generator) -> Floats:
    """(2, fields) ohm: as read from the up state, then from the down state, with the card's noise."""
    state = np.array([[1.0], [-1.0]])
    noise = rng.standard_normal((2, field.size)) * value(card, "read.noise") / value(card, "read.current")
    level = value(card, "hall.amplitude") * perpendicular(field, h_an)
    return np.asarray(value(card, "hall.offset") + state * level + noise)


class ScanFit(NamedTuple):
    """Least-squares fit of both states; NaN where the readings have none."""

    h_an: float
    """A/m."""
    h_an_stderr: float
    amplitude: float
    """R_A, ohm."""
    amplitude_stderr: float
    offset: float
    """R_off, ohm."""
    offset_stderr: float
    residual: float
    """Standard deviation of the readings about the fit, ohm."""


def fit(field: Floats, resistance: Floats) -> ScanFit:
    """H_an, R_A and R_off from readings of both states; errors from the scatter of the readings.

    Parameters
    ----------
    field : (n,) A/m; all below H_an
    resistance : (2, n) ohm, of the up and the down state

    Returns
    -------
    ScanFit; NaN where the readings are too few, or do not bend by more than their own error
    """
    from scipy.optimize import least_squares  # late: a look at the sweeps does not need it

    unit = float(np.abs(field).max(initial=0.0))
    if unit == 0 or resistance.size <= 3:
        return _NO_FIT
    square = (field / unit) ** 2

    def residuals(x: Floats) -> Floats:
        curvature, amplitude, offset = x
        mz = np.sqrt(np.maximum(1 - curvature * square, 0.0))
        return np.concatenate([offset + amplitude * mz, offset - amplitude * mz]) - resistance.ravel()

    solution = least_squares(residuals, [0.3, float(np.ptp(resistance)) / 2, float(resistance.mean())], method="lm")
    jacobian = np.asarray(solution.jac, dtype=np.float64)
    information = jacobian.T @ jacobian
    if not solution.success or np.linalg.matrix_rank(information) < 3:
        return _NO_FIT
    residual = math.sqrt(2 * solution.cost / (resistance.size - 3))
    error = residual * np.sqrt(np.diag(np.linalg.inv(information)))
    curvature, amplitude, offset = solution.x.tolist()
    if curvature <= max(error[0], 1e-9):
        return _NO_FIT
    h_an = unit / math.sqrt(curvature)
    h_an_error = float(h_an * error[0] / (2 * curvature))
    return ScanFit(h_an, h_an_error, amplitude, float(error[1]), offset, float(error[2]), residual)


_NO_FIT = ScanFit(*(math.nan,) * 7)
