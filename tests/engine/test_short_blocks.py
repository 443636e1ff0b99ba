"""Short blocks go several in one Dask task: the cube is the same, and each block has an end of its own."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

from spinsweep import Axis, Cells, Output, Parameter, Sweep
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.runs import Run, open_run

BLOCKS = 400


def doubled(cells: Cells) -> dict[str, Any]:
    """Ends its worker once, at the block in the middle, if there is a file that says so."""
    if (flag := cells.params["flag"]) and int(cells.coords["x"][0]) == BLOCKS // 2 and Path(flag).exists():
        Path(flag).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"y": cells.coords["x"] * 2.0}


SHORT = Sweep(
    name="short",
    title="Short blocks",
    axes=(Axis("x", tuple(range(BLOCKS))),),
    outputs=(Output("y"),),
    function=doubled,
    parameters=(Parameter("flag", ""),),
)


def tasks_of(client: Client, sweep: Sweep, store: Path) -> tuple[Run, int]:
    """The run, and how many tasks the workers computed for it."""
    sent: list[int] = []
    submit = client.map

    def counted(*arguments: Any, **options: Any) -> Any:
        sent.append(len(options["key"]))
        return submit(*arguments, **options)

    client.map = counted  # type: ignore[method-assign]
    try:
        with open_run(sweep, store, block=1) as run:
            drive(run, on_client(client))
    finally:
        client.map = submit  # type: ignore[method-assign]
    return run, sum(sent)


def test_short_blocks_share_tasks_and_the_cube_is_what_it_is_with_one_each(client: Client, tmp_path: Path) -> None:
    run, tasks = tasks_of(client, SHORT, tmp_path / "c.zarr")
    assert run.complete
    assert run.progress.blocks_ended == BLOCKS
    assert tasks < BLOCKS
    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "c.zarr")["y"], np.arange(BLOCKS) * 2.0)


def test_a_block_that_cannot_be_written_takes_no_other_of_its_task_along(client: Client, tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    with open_run(SHORT, store, block=1):
        pass
    (store / "y/c" / str(BLOCKS // 2)).mkdir(parents=True)  # where its chunk is to be
    run, tasks = tasks_of(client, SHORT, store)
    assert tasks < BLOCKS
    assert run.cube.counts().done == BLOCKS - 1
    assert [text.partition(":")[0] for text in run.unwritten_blocks] == [f"block ({BLOCKS // 2},)"]


@pytest.mark.parametrize("kind", ["timeout", "memory"])
def test_a_cell_that_may_end_its_process_has_a_task_of_its_own(kind: str, client: Client, tmp_path: Path) -> None:
    limited = {"timeout": {"timeout": 60.0}, "memory": {"memory": "200 MB"}}[kind]
    few = replace(SHORT.with_values(x=range(60)), **limited)
    run, tasks = tasks_of(client, few, tmp_path / "c.zarr")
    assert run.complete
    assert tasks == 60


def test_the_blocks_of_a_task_whose_worker_died_are_computed_again(client: Client, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    run, tasks = tasks_of(client, SHORT.with_values(flag=str(flag)), tmp_path / "c.zarr")
    assert not flag.exists(), "it died"
    assert run.complete
    assert tasks < BLOCKS
    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "c.zarr")["y"], np.arange(BLOCKS) * 2.0)
