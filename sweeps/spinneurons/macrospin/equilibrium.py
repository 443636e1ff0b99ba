"""Directions of a magnet in thermal equilibrium within its lower well, mz < 0: where every trajectory starts.

Numbers only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spinneurons.macrospin.material import Magnet

Floats = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

_RINGS, _SECTORS = 1000, 128


def draw(magnet: Magnet, field: Vector, n: int, rng: np.random.Generator) -> Floats:
    """Unit vectors from the Boltzmann distribution exp(-U/kB T) over mz < 0, without current.

        U/kB T = -Delta [mz^2 + 2 (H . m)/Hk]

    The lower half of the sphere is cut into cells, rings fine towards the pole; a cell is drawn by its weight, and
    the direction evenly within it.

    Parameters
    ----------
    field : H, A/m
    n : how many

    Returns
    -------
    (3, n) float64
    """
    edge = np.linspace(0, 1, _RINGS + 1)  # sqrt(1 + mz)
    middle, turn = (edge[:-1] + edge[1:]) / 2, (np.arange(_SECTORS) + 0.5) * 2 * np.pi / _SECTORS
    m = _direction(middle[:, None], turn)
    along = sum(h * part for h, part in zip(field, m, strict=True)) / magnet.anisotropy_field
    exponent = magnet.stability * (m[2] ** 2 + 2 * along)
    weight = np.cumsum((np.exp(exponent - exponent.max()) * middle[:, None]).ravel())
    cell = np.searchsorted(weight, rng.random(n) * weight[-1], side="right")
    ring, sector = np.divmod(cell, _SECTORS)
    square = edge[ring] ** 2 + rng.random(n) * (edge[ring + 1] ** 2 - edge[ring] ** 2)
    return np.stack(_direction(np.sqrt(square), (sector + rng.random(n)) * 2 * np.pi / _SECTORS))


def _direction(root: Floats, turn: Floats) -> tuple[Floats, Floats, Floats]:
    """m at sqrt(1 + mz) and the azimuth, in any shapes that broadcast."""
    across = root * np.sqrt(2 - root**2)
    return across * np.cos(turn), across * np.sin(turn), root**2 - 1 + 0 * turn
