"""One call for notebooks and scripts: compute what is missing and open the cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr
from distributed import Client

from spinsweep.errors import RunnerError
from spinsweep.executors.dask import run_dask
from spinsweep.executors.sending import require_sendable
from spinsweep.executors.serial import run_serial
from spinsweep.runs import open_run
from spinsweep.spec import Sweep


def compute(sweep: Sweep, store: str | Path, client: Client | None = None, **options: Any) -> xr.Dataset:
    """Compute the cells of ``sweep`` that the cube at ``store`` does not have, and open it.

    Parameters
    ----------
    client
        Where to compute; None: in this process.
    options
        As of :func:`spinsweep.run.open_run`: ``block``, ``retry_failed``, ``mark_stale``, ``allow_mixed``.

    Returns
    -------
    The cube, lazily; ``ds.cell_state == 1`` where a cell is done.

    Raises
    ------
    CubeError
        The cube cannot be written, or holds another definition.
    SpecError
        The sweep cannot be sent to workers.
    RunnerError
        The run was stopped, the scheduler was lost, or a block ended without a result.
    """
    workers = max(1, sum(client.nthreads().values())) if client else 1
    if client is not None:
        require_sendable(sweep)
    with open_run(sweep, store, workers=workers, **options) as run:
        if client is None:
            run_serial(run)
        else:
            run_dask(run, client)
    if run.outcome == "stopped" or run.unwritten_blocks:
        raise RunnerError(
            f"{run.cube.storage} is not complete: {(run.unwritten_blocks or ['the run was stopped'])[0]}"
        )
    return run.cube.dataset()
