"""Which cells of a cube are missing, as the tasks that compute them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spinsweep.cube import Cube, Task
from spinsweep.ledger import pending


def missing_tasks(
    cube: Cube, state: npt.NDArray[np.uint8], requested: tuple[npt.NDArray[np.bool_], ...], *, retry_failed: bool
) -> Iterator[Task]:
    """One task for each block that holds a cell to compute, last axis fastest.

    Parameters
    ----------
    state : state of every cell, in the cube's shape
    requested : along each axis of the cube, whether the sweep asks for that value
    retry_failed : whether failed cells are computed again
    """
    for block in cube.grid.blocks(requested):
        before = state[block.region]
        mask = pending(before, retry_failed=retry_failed)
        for axis, along in enumerate(requested):
            part = along[block.region[axis]]
            if not part.all():
                mask = mask & part.reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
        if mask.any():
            yield Task(block, None if mask.all() and not before.any() else mask)
