"""Whether cells and blocks fit into the jobs of a cluster file, before any is submitted."""

from __future__ import annotations

import math

import numpy as np

from spinsweep.cube import Cube
from spinsweep.deployment.cluster_file import Deployment, Jobs
from spinsweep.deployment.job_script import walltime_s
from spinsweep.ledger import State
from spinsweep.progress import duration
from spinsweep.walltime import margin_of

MOST_CELLS = 1_000_000  # of a cube that is looked through
LARGEST_SHARE, GOOD_SHARE = 0.5, 0.1  # of a job's time for one block: where advice begins, and what it advises


def walltime_advice(where: Deployment, cell_s: float, block_cells: int) -> str:
    """What to change where cells or blocks are long for the jobs of a deployment, in words; empty: nothing.

    Parameters
    ----------
    cell_s : that a cell takes, s; NaN: not known
    """
    if not isinstance(where, Jobs) or math.isnan(cell_s):
        return ""
    usable = _usable_s(where)
    if cell_s >= usable:
        return (
            f"a cell takes about {duration(cell_s)}, and a job has {duration(usable)} to compute: give the jobs a "
            "longer walltime; a cell that has not ended in two jobs fails"
        )
    fitting = max(1, int(usable * GOOD_SHARE / cell_s)) if cell_s else block_cells
    if cell_s * block_cells <= usable * LARGEST_SHARE or fitting >= block_cells:
        return ""
    return (
        f"a block of {block_cells} cells takes about {duration(cell_s * block_cells)}, and a job has "
        f"{duration(usable)} to compute: a new store with --block {fitting}, or a longer walltime, leaves less time "
        "over at the end of each job"
    )


def timeout_advice(where: Deployment, timeout: float | None) -> str:
    """That a cell's timeout never comes in the jobs of a deployment, in words; empty: it does, or there is none."""
    if timeout is None or not isinstance(where, Jobs):
        return ""
    usable = _usable_s(where)
    if timeout < usable:
        return ""
    return (
        f"a cell may take {duration(timeout)} by its timeout, and a job has {duration(usable)} to compute: the job's "
        "end comes first; a cell that has not ended in two jobs fails"
    )


def _usable_s(where: Jobs) -> float:
    """Seconds of a job in which cells may be computed."""
    lasts = walltime_s(where)
    return lasts - margin_of(lasts)


def measured_cell_s(cube: Cube) -> float:
    """Seconds of the cells that are done, in the mean; NaN: there is none, or looking would take long."""
    if math.prod(cube.shape) > MOST_CELLS:
        return math.nan
    done = cube.ledger("cell_state") == State.DONE
    return float(np.mean(cube.ledger("cell_duration")[done])) if done.any() else math.nan
