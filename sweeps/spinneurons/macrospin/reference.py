"""The stochastic LLG equation as it is written, in float64 NumPy: what the fast kernel has to agree with.

    dm/dt = -g0/(1 + alpha^2) [m x H + alpha m x (m x H)]                    (Stratonovich)
    H = H_applied + Hk mz z + H_thermal + HDL (m x s)

Numbers only.  Source: equation S3 of the paper, solved for dm/dt, with the spin torque as a field.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from spinneurons.macrospin.material import Magnet

Floats = npt.NDArray[np.float64]
Vector = tuple[float, float, float]


def effective_field(m: Floats, magnet: Magnet, applied: Floats, torque_field: Floats, spin: Floats) -> Floats:
    """H of each trajectory, A/m.

    Parameters
    ----------
    m : (3, n) unit vectors
    applied : (3, n) applied and thermal field, A/m
    torque_field : (n,) HDL, A/m
    spin : (3, 1) direction s
    """
    anisotropy = np.zeros_like(m)
    anisotropy[2] = magnet.anisotropy_field * m[2]
    return applied + anisotropy + torque_field * np.cross(m, spin, axis=0)


def slope(m: Floats, field: Floats, magnet: Magnet) -> Floats:
    """dm/dt in the field H (3, n), 1/s."""
    m_h = np.cross(m, field, axis=0)
    return -magnet.rate * (m_h + magnet.damping * np.cross(m, m_h, axis=0))


def heun(
    m: npt.ArrayLike,
    magnet: Magnet,
    dt: float,
    normals: Iterable[npt.ArrayLike],
    torque_field: npt.ArrayLike,
    pulse: npt.ArrayLike,
    field: Vector = (0.0, 0.0, 0.0),
    spin: Vector = (0.0, 0.0, 1.0),
) -> Floats:
    """Heun's scheme with one thermal field for predictor and corrector, and |m| = 1 after each step.

    Parameters
    ----------
    m : (3, n) unit vectors at the start
    dt : step, s
    normals : standard normal numbers of each step, (3, n)
    torque_field : (n,) HDL at the plateau of the pulse, A/m
    pulse : (steps,) amplitude of the current relative to the plateau
    field : applied field, A/m
    spin : unit vector s

    Returns
    -------
    (3, n) unit vectors at the end

    Source: J. L. Garcia-Palacios, F. J. Lazaro, Phys. Rev. B 58, 14937 (1998).
    """
    m = np.array(m, dtype=np.float64)
    s = np.reshape(spin, (3, 1))
    plateau = np.asarray(torque_field, dtype=np.float64)
    deviation = magnet.thermal_field(dt)
    for amplitude, normal in zip(np.asarray(pulse), normals, strict=True):
        applied = np.reshape(field, (3, 1)) + deviation * np.asarray(normal)
        hdl = amplitude * plateau
        first = slope(m, effective_field(m, magnet, applied, hdl, s), magnet)
        ahead = m + dt * first
        second = slope(ahead, effective_field(ahead, magnet, applied, hdl, s), magnet)
        m = m + dt * (first + second) / 2
        m /= np.linalg.norm(m, axis=0)
    return m
