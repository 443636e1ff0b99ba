"""What a cell computes with dask is computed where the cell is, and never by workers that wait for each other."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import dask
import xarray as xr
from distributed import Client

from spinsweep import Axis, Input, Output, Parameter, Sweep, per_cell, run


@per_cell
def where(cell: Any) -> dict[str, Any]:
    """Whether a dask task of the cell is computed in its process and thread; and a cube that it opens by itself."""
    process, thread = dask.delayed(lambda: (os.getpid(), threading.get_ident()))().compute()
    opened = float(xr.open_zarr(cell.params["store"])["y"].sum()) if cell.params["store"] else 0.0
    return {"is_here": (process, thread) == (os.getpid(), threading.get_ident()), "y": opened}


WHERE = Sweep(
    name="where",
    title="Where dask computes",
    axes=(Axis("n", tuple(range(24))),),
    outputs=(Output("is_here", dtype="bool"), Output("y")),
    function=where,
    parameters=(Parameter("store", ""),),
)


@per_cell
def summed(cell: Any) -> dict[str, float]:
    return {"total": float(cell.params["where"]["y"].sum())}


SUMMED = Sweep(
    "summed", "Sums", (Axis("n", tuple(range(24))),), (Output("total"),), summed, parameters=(Input("where"),)
)


def test_dask_in_a_cell_computes_in_its_thread(client: Client, tmp_path: Path) -> None:
    result = run(WHERE, tmp_path / "c.zarr", client=client, block=1)
    assert bool(result.dataset["is_here"].all())
    settings = client.run(lambda: dask.config.get("scheduler", None))
    assert set(settings.values()) == {None}, "as it was before"


def test_workers_that_all_read_a_cube_at_once_do_not_wait_for_each_other(client: Client, tmp_path: Path) -> None:
    store = str(tmp_path / "c.zarr")
    run(WHERE, store, client=client, block=1)
    opened = run(WHERE.with_values(store=store), tmp_path / "opened.zarr", client=client, block=1)
    assert opened.complete
    rested = run(SUMMED.with_values(where=str(tmp_path / "opened.zarr")), tmp_path / "s.zarr", client=client, block=1)
    assert rested.complete
