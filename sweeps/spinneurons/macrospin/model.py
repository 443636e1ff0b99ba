"""The stochastic LLG equation of thousands of macrospins: Heun's scheme in float32, vectorised over the trajectories.

The equations are those of :mod:`spinneurons.macrospin.reference`, with each field as the angle g0 dt H/(1 + alpha^2)
by which it turns the magnetisation in a step.  Each trajectory has its own random stream, and nothing passes between
trajectories: any split gives the same bits.  Numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from spinneurons.macrospin.material import Magnet
from spinneurons.macrospin.noise import INLINE, Words, three_normals

Floats = npt.NDArray[np.float32]
Vector = tuple[float, float, float]
f32 = np.float32

LANES = 512
"""Trajectories that are advanced together; their state stays in the first-level cache.  A constant, so that LLVM sees
that the rows of the state do not overlap."""


class Constants(NamedTuple):
    """What is the same for all trajectories in all steps; fields as angles per step, float32."""

    deviation: np.float32
    """Standard deviation of each component of the thermal field."""
    hk: np.float32
    """Anisotropy field."""
    alpha: np.float32
    """Damping."""
    field: tuple[np.float32, np.float32, np.float32]
    """Applied field."""
    spin: tuple[np.float32, np.float32, np.float32]
    """Unit vector s."""


# Vectors are tuples of three numbers: numba keeps them in registers, where an array would be memory.


@njit(**INLINE)
def _cross(a, b):  # type: ignore[no-untyped-def]
    ax, ay, az = a
    bx, by, bz = b
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@njit(**INLINE)
def _slope(m, b, s, hk, alpha):  # type: ignore[no-untyped-def]
    """m x (H + alpha m x H), the negative change in a step; H = b + hk mz z + m x s."""
    tx, ty, tz = _cross(m, s)
    hx, hy, hz = b[0] + tx, b[1] + ty, b[2] + tz + hk * m[2]
    px, py, pz = _cross(m, (hx, hy, hz))
    return _cross(m, (hx + alpha * px, hy + alpha * py, hz + alpha * pz))


@njit(nogil=True, error_model="numpy")
def _advance(m, words, drive, pulse, constants):  # type: ignore[no-untyped-def]
    """``LANES`` trajectories through all steps: m (3 LANES,), words (4 LANES,), drive (LANES,).

    Rows of the state are parts of one flat array whose length LLVM knows, and the loop over trajectories is the inner
    one: so it vectorises, with as many trajectories at a time as a register has float32.
    """
    half = f32(0.5)
    deviation, hk, alpha = constants.deviation, constants.hk, constants.alpha
    fx, fy, fz = constants.field
    ux, uy, uz = constants.spin
    for step in range(pulse.shape[0]):
        amplitude = pulse[step]
        for i in range(LANES):
            mx, my, mz = m[i], m[i + LANES], m[i + 2 * LANES]
            a, b, c, d = words[i], words[i + LANES], words[i + 2 * LANES], words[i + 3 * LANES]
            nx, ny, nz, a, b, c, d = three_normals(a, b, c, d)
            words[i], words[i + LANES], words[i + 2 * LANES], words[i + 3 * LANES] = a, b, c, d
            # one thermal field for predictor and corrector: that makes Heun's scheme converge to Stratonovich's sense
            field = (fx + deviation * nx, fy + deviation * ny, fz + deviation * nz)
            torque = amplitude * drive[i]
            spin = (torque * ux, torque * uy, torque * uz)
            kx, ky, kz = _slope((mx, my, mz), field, spin, hk, alpha)
            qx, qy, qz = _slope((mx - kx, my - ky, mz - kz), field, spin, hk, alpha)
            mx -= half * (kx + qx)
            my -= half * (ky + qy)
            mz -= half * (kz + qz)
            scale = f32(1) / np.sqrt(mx * mx + my * my + mz * mz)  # |m| = 1, which the scheme keeps only nearly
            m[i], m[i + LANES], m[i + 2 * LANES] = scale * mx, scale * my, scale * mz


class Ensemble:
    """Trajectories of one magnet in a constant applied field.

    Parameters
    ----------
    magnet : parameters
    dt : step, s
    start : (3, n) unit vectors
    seeds : (4, n) uint32, of each trajectory's random stream; not all four 0
    field : applied field, A/m
    spin : unit vector s of the spins of a positive current
    """

    def __init__(
        self,
        magnet: Magnet,
        dt: float,
        start: npt.ArrayLike,
        seeds: Words,
        field: Vector = (0.0, 0.0, 0.0),
        spin: Vector = (0.0, 0.0, 1.0),
    ) -> None:
        m = np.array(start, dtype=np.float32)
        words = np.array(seeds, dtype=np.uint32)
        if m.ndim != 2 or m.shape[0] != 3 or words.shape != (4, m.shape[1]):
            raise ValueError(f"start has shape {m.shape} and seeds {words.shape}; they are (3, n) and (4, n)")
        self.m = m
        """(3, n) float32 unit vectors now."""
        self._words = words
        self._angle = magnet.rate * dt
        self._constants = Constants(
            f32(self._angle * magnet.thermal_field(dt)),
            f32(self._angle * magnet.anisotropy_field),
            f32(magnet.damping),
            _vector(self._angle * h for h in field),
            _vector(spin),
        )

    def advance(self, torque_field: npt.ArrayLike, pulse: npt.ArrayLike) -> None:
        """All trajectories through the steps of ``pulse``.

        Parameters
        ----------
        torque_field : (n,) or a number: HDL at the plateau, A/m
        pulse : (steps,) amplitude of the current in each step, relative to the plateau
        """
        count = self.m.shape[1]
        drive = np.broadcast_to(np.asarray(torque_field) * self._angle, (count,)).astype(np.float32)
        amplitude = np.ascontiguousarray(pulse, dtype=np.float32)
        for first in range(0, count, LANES):
            part = slice(first, min(first + LANES, count))
            m, words, torque = (_filled(a[..., part]) for a in (self.m, self._words, drive))
            _advance(m.reshape(-1), words.reshape(-1), torque, amplitude, self._constants)
            used = part.stop - part.start
            self.m[:, part], self._words[:, part] = m[:, :used], words[:, :used]


def _filled(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Copy with ``LANES`` trajectories along the last axis: the last one again and again where there are fewer."""
    missing = LANES - array.shape[-1]
    return np.ascontiguousarray(np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)], mode="edge"))


def _vector(components: Iterable[float]) -> tuple[np.float32, np.float32, np.float32]:
    x, y, z = (f32(c) for c in components)
    return x, y, z
