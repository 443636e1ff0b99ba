"""The exact law of a macrospin whose problem has an axis of symmetry: the Fokker-Planck equation in z = mz.

    dW/dt = d/dz { D (1 - z^2) [dW/dz + W dU/dz] },      D = g0 alpha kB T/((1 + alpha^2) mu0 Ms V)
    U = -Delta (z^2 + 2 h z),                            h = (Hz + HDL/alpha)/Hk

Spins along the easy axis act like the field HDL/alpha.  The moments c_l = <P_l(z)> of the Legendre polynomials obey

    dc_l/dt = D l(l + 1) {-c_l + 2 Delta <(z + h)(P_{l-1} - P_{l+1})>/(2l + 1)}
    z P_n = [(n + 1) P_{n+1} + n P_{n-1}]/(2n + 1)

so that each is coupled to two neighbours on either side.  Such banded systems are solved without threads: the bits do
not depend on how many a worker has.  Numbers only.

Source: W. F. Brown, Phys. Rev. 130, 1677 (1963).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from numpy.polynomial.legendre import leggauss, legvander
from scipy.linalg import solve_banded
from scipy.optimize import brentq
from scipy.special import comb, eval_legendre, factorial, logit

from spinneurons.macrospin.material import Magnet

Floats = npt.NDArray[np.float64]

_LEVELS = 16  # of the amplitude: an edge is a stair
_GROWTH = 1.1  # of the time steps


def diffusion(magnet: Magnet) -> float:
    """D, 1/s; 1/(2 D) is the relaxation time of a magnet without anisotropy."""
    return magnet.rate * magnet.damping * magnet.anisotropy_field / (2 * magnet.stability)


def modes(magnet: Magnet, h: float = 0.0) -> int:
    """Legendre polynomials that resolve the equilibrium in a well, whose angle is of the order of Delta^(-1/2), and
    the crowd at the pole to which h drives, (Delta (1 + |h|))^(-1/2): to 1e-4 in a probability, mostly far better."""
    return 40 + math.ceil(math.sqrt(magnet.stability) * max(8.0, 5 * math.sqrt(1 + abs(h))))


def generator(magnet: Magnet, h: float, count: int) -> Floats:
    """(5, count) matrix A of dc/dt = A c (1/s) as diagonals, from the second above to the second below the main one:
    ``generator[2 + i - j, j]`` is A[i, j]."""
    order = np.arange(count, dtype=np.float64)
    factor = diffusion(magnet) * order * (order + 1)
    pull = 2 * magnet.stability * factor / (2 * order + 1)
    before, after = 2 * order - 1, 2 * order + 3
    diagonals = np.zeros((5, count))
    diagonals[0, 2:] = (-pull * (order + 2) / after)[:-2]
    diagonals[1, 1:] = (-pull * h)[:-1]
    diagonals[2] = pull * (order / before - (order + 1) / after) - factor
    diagonals[3, :-1] = (pull * h)[1:]
    diagonals[4, :-2] = (pull * (order - 1) / before)[2:]
    return diagonals


def well(magnet: Magnet, count: int) -> Floats:
    """(count,) moments of the equilibrium within z < 0, without current and field; 0 where they are negligible."""
    moments, resolved = np.zeros(count), min(count, modes(magnet))
    panels = np.linspace(-1, 0, 17 + math.ceil(magnet.stability / 4))
    nodes, weights = _GAUSS
    z = (panels[:-1, None] + np.diff(panels)[:, None] * (nodes + 1) / 2).ravel()
    density = np.tile(weights, panels.size - 1) * np.exp(magnet.stability * (z**2 - 1))
    moments[:resolved] = (legvander(z, resolved - 1) * (density / density.sum())[:, None]).sum(axis=0)
    return moments


def upper(moments: Floats) -> float:
    """Probability of z > 0."""
    value = eval_legendre(np.arange(moments.size + 1), 0.0)
    return float(moments[0] / 2 + moments[1:] @ (value[:-2] - value[2:]) / 2)


def evolve(magnet: Magnet, moments: Floats, h: float, duration: float) -> Floats:
    """Moments after ``duration`` (s) at h: exp(A t) c, in steps that grow by a tenth.

    A step takes the Pade approximant (3, 4) of the exponential, of order 7, which damps what is fast (E. Hairer, G.
    Wanner, Solving Ordinary Differential Equations II, 2nd ed. (1996), IV.5), by partial fractions.
    """
    matrix = generator(magnet, h, moments.size)
    first = 0.1 / (2 * diffusion(magnet) * (1 + magnet.stability * (1 + abs(h))))
    count = max(1, math.ceil(math.log1p((_GROWTH - 1) * duration / first) / math.log(_GROWTH)))
    steps = _GROWTH ** np.arange(count)
    for dt in steps * (duration / steps.sum()):
        parts = []
        for pole, residue in _FRACTIONS:
            shifted = dt * matrix.astype(np.complex128)
            shifted[2] -= pole
            solution = solve_banded(
                (2, 2), shifted, moments.astype(np.complex128), overwrite_ab=True, overwrite_b=True
            )
            parts.append(2 * (residue * solution).real)
        moments = parts[0] + parts[1]
    return moments


def switching_probability(magnet: Magnet, torque_field: float, pulse: npt.ArrayLike, dt: float) -> float:
    """Probability of z > 0 after a pulse, from equilibrium within z < 0; spins along the easy axis, no field.

    Parameters
    ----------
    torque_field : HDL at the plateau, A/m
    pulse : (steps,) amplitude in each step ``dt`` (s) relative to the plateau; taken in 16ths
    """
    amplitude = np.round(np.asarray(pulse, dtype=np.float64) * _LEVELS) / _LEVELS
    starts = np.append(0, np.flatnonzero(np.diff(amplitude)) + 1)
    drive = amplitude[starts] * torque_field / (magnet.damping * magnet.anisotropy_field)
    count = modes(magnet, float(np.abs(drive).max()))
    moments = well(magnet, count)
    for h, length in zip(drive, np.diff(np.append(starts, amplitude.size)), strict=True):
        moments = evolve(magnet, moments, h, length * dt)
    return upper(moments)


def current_at(magnet: Magnet, p: float, duration: float) -> float:
    """Current (A) of a rectangular pulse of ``duration`` (s) whose switching probability is ``p``, to 1e-4.

    0 where the probability is more without current.
    """

    def excess(log_current: float) -> float:  # nearly a straight line
        torque = float(magnet.torque_field(math.exp(log_current)))
        return float(
            logit(np.clip(switching_probability(magnet, torque, [1.0], duration), 1e-12, 1 - 1e-12)) - logit(p)
        )

    if switching_probability(magnet, 0.0, [1.0], duration) >= p:
        return 0.0
    low, high = (math.log(factor * magnet.critical_current("collinear")) for factor in (1e-4, 1.0))
    while excess(high) < 0:
        low, high = high, high + math.log(2)
    return math.exp(brentq(excess, low, high, xtol=1e-4))


def _partial_fractions() -> list[tuple[complex, complex]]:
    """Poles above the real axis and residues of the Pade approximant (3, 4) of exp."""
    over, under = (
        Polynomial([sign**j * comb(n, j) * factorial(7 - j) / factorial(7) for j in range(n + 1)])
        for n, sign in ((3, 1), (4, -1))
    )
    roots = np.asarray(under.roots(), dtype=np.complex128)
    return [(complex(pole), complex(over(pole) / under.deriv()(pole))) for pole in roots[roots.imag > 0]]


_FRACTIONS = _partial_fractions()
_GAUSS = leggauss(16)
