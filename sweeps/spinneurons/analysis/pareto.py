"""The points that no other beats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr


def pareto(cost: npt.ArrayLike, benefit: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which points no other beats: none costs less and gives at least as much, or costs as much and gives more.

    Of equal points all are on the front, or none.

    Parameters
    ----------
    cost, benefit : arrays of one shape; NaN is never on the front

    Returns
    -------
    bool array of that shape
    """
    c, b = np.asarray(cost, np.float64), np.asarray(benefit, np.float64)
    order = np.lexsort((-b.ravel(), c.ravel()))
    best, best_cost, front = -np.inf, np.nan, np.zeros(b.size, bool)
    for i in order:
        equal = b.ravel()[i] == best and c.ravel()[i] == best_cost
        if (b.ravel()[i] > best or equal) and np.isfinite(c.ravel()[i]):
            best, best_cost, front[i] = b.ravel()[i], c.ravel()[i], True
    return front.reshape(b.shape)


def pareto_front(cube: xr.Dataset, cost: str, benefit: str) -> xr.Dataset:
    """The points of the front of two variables, the cheapest first.

    Parameters
    ----------
    cube : holds ``cost`` (less is better) and ``benefit`` (more is better) over the same dims, in any units

    Returns
    -------
    Dataset over ``point``: both variables, and the coordinates of each point
    """
    flat = cube[[cost, benefit]].stack(point=[...]).reset_index("point")
    front = flat.isel(point=pareto(flat[cost], flat[benefit]))
    return front.sortby(cost)
