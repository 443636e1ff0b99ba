"""Parameters of a macrospin, and the fields, currents and energies that follow from them.  SI units.

Numbers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Torque = Literal["collinear", "in-plane"]

TORQUES: tuple[Torque, ...] = ("collinear", "in-plane")
"""Direction of the spins that flow in: along the easy axis, z, or in the plane across the current, y."""
# CODATA 2022, written out: a cube does not change with the release of a library
e = 1.602176634e-19
"""Elementary charge, C."""
hbar = 1.0545718176461565e-34
"""Reduced Planck constant, J s."""
k = 1.380649e-23
"""Boltzmann constant, J/K."""
mu_0 = 1.25663706127e-06
"""Vacuum permeability, N/A^2."""
GYROMAGNETIC = 176085962784.0 * mu_0  # 1/(s T)
"""g0, 2.2128e5 m/(A s): precession rate of a magnetisation in a field in A/m."""


@dataclass(frozen=True)
class Magnet:
    """A rectangular single-domain magnet with an easy axis z on a strip of heavy metal.

    Raises
    ------
    ValueError
        A parameter that has to be above zero is not.
    """

    saturation: float = 1e6
    """Saturation magnetisation Ms, A/m."""
    damping: float = 0.02
    """Gilbert damping alpha."""
    anisotropy_field: float = 5.493e4
    """Effective Hk along z, A/m: anisotropy less shape."""
    temperature: float = 300.0
    """K."""
    spin_hall_angle: float = 0.3
    length: float = 100e-9
    """Along the current, m."""
    width: float = 40e-9
    """Across the current, m."""
    thickness: float = 1.2e-9
    """Size of the magnet, m."""
    metal: float = 2e-9
    """Thickness of the heavy metal, m."""

    def __post_init__(self) -> None:
        for name in ("saturation", "length", "width", "thickness", "metal"):
            if not getattr(self, name) > 0:
                raise ValueError(f"magnet: {name} is {getattr(self, name):g}; it has to be above 0")
        for name in ("damping", "temperature", "anisotropy_field"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"magnet: {name} is {getattr(self, name):g}; it has to be 0 or more")

    @property
    def volume(self) -> float:
        """V, m^3."""
        return self.length * self.width * self.thickness

    @property
    def stability(self) -> float:
        """Delta = mu0 Ms Hk V/(2 kB T), the barrier between the two states in kB T; infinite at 0 K."""
        if self.temperature == 0:
            return math.inf
        return mu_0 * self.saturation * self.anisotropy_field * self.volume / (2 * k * self.temperature)

    @property
    def rate(self) -> float:
        """g0/(1 + alpha^2), m/(A s)."""
        return GYROMAGNETIC / (1 + self.damping**2)

    def torque_field(self, current: npt.ArrayLike) -> Floats:
        """Damping-like field HDL = hbar theta J/(2 e mu0 Ms t) of a ``current`` (A, any shape), A/m.

        J flows in the heavy metal alone.  Source: equation S3 with a_J = g0 HDL and I_s = theta J L w.
        """
        density = np.asarray(current, dtype=np.float64) / (self.width * self.metal)
        return np.asarray(hbar * self.spin_hall_angle * density / (2 * e * mu_0 * self.saturation * self.thickness))

    def current_of(self, field: npt.ArrayLike) -> Floats:
        """Current (A) whose damping-like field is ``field`` (A/m, any shape)."""
        return np.asarray(np.asarray(field, dtype=np.float64) / self.torque_field(1.0))

    def critical_field(self, torque: Torque) -> float:
        """HDL at which a state loses its stability at zero temperature and zero field, A/m.

        alpha Hk if the spins lie along the easy axis (the torque undoes the damping), Hk/2 if they lie in the plane
        (it turns the magnet over).
        """
        return self.anisotropy_field * (self.damping if torque == "collinear" else 0.5)

    def critical_current(self, torque: Torque) -> float:
        """Current of the critical field, A."""
        return float(self.current_of(self.critical_field(torque)))

    def thermal_field(self, dt: float) -> float:
        """Standard deviation of each component of the thermal field during a step ``dt`` (s), A/m.

        sqrt(2 alpha kB T/(g0 mu0 Ms V dt)).  Source: W. F. Brown, Phys. Rev. 130, 1677 (1963).
        """
        moment = mu_0 * self.saturation * self.volume
        return math.sqrt(2 * self.damping * k * self.temperature / (GYROMAGNETIC * moment * dt))


def spin_direction(torque: Torque) -> tuple[float, float, float]:
    """Unit vector s of the spins of a positive current."""
    return (0.0, 0.0, 1.0) if torque == "collinear" else (0.0, 1.0, 0.0)


def envelope(length: float, rise: float, rest: float, dt: float) -> npt.NDArray[np.float32]:
    """Amplitude of a trapezoidal pulse at the middle of each step, relative to its plateau.

    Parameters
    ----------
    length : between the half-height points, s; not below ``rise``
    rise : duration of each edge, s; 0 for a rectangle
    rest : time without current after the pulse, s
    dt : step, s

    Returns
    -------
    (steps,) float32
    """
    if length < max(rise, dt):
        raise ValueError(f"pulse: {length:g} s is shorter than its edge or one step, {max(rise, dt):g} s")
    time = (np.arange(round((length + rise + rest) / dt)) + 0.5) * dt
    if rise == 0:
        return np.asarray(time < length, np.float32)
    return np.asarray(np.clip(np.minimum(time, length + rise - time) / rise, 0.0, 1.0), np.float32)
