"""What a sweep rests on beside its definition: one cube never holds cells of two of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

from spinsweep import Axis, Cells, Output, Sweep
from spinsweep.errors import CubeError, RunnerError
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.runs import open_run

HERE = "SPINSWEEP_TEST_CALIBRATION"


def found(sweep: Sweep) -> Mapping[str, Any]:
    """What a machine finds, such as weights that it trained."""
    return {"calibration": os.environ.get(HERE, "first"), "tiles": [1, 2]}


def calibrated(cells: Cells) -> dict[str, Any]:
    return {"y": cells.coords["x"] + len(os.environ.get(HERE, "first"))}


SWEEP = Sweep(
    name="calibrated",
    title="Cells that rest on what their machine finds",
    axes=(Axis("x", (1.0, 2.0, 3.0, 4.0)),),
    outputs=(Output("y"),),
    function=calibrated,
    artifact_ids=found,
)


def go(sweep: Sweep, store: Path, client: Client | None = None, **options: Any) -> None:
    with open_run(sweep, store, block=1, **options) as run:
        if client is None:
            drive(run, serial)
        else:
            drive(run, on_client(client))
        assert run.complete, run.unwritten_blocks


def files(store: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in store.rglob("*") if file.is_file()}


def test_a_cube_does_not_grow_where_another_thing_is_found_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "c.zarr"
    go(SWEEP.with_values(x=(1.0, 2.0)), store)
    before = files(store)
    monkeypatch.setenv(HERE, "second")
    with pytest.raises(CubeError, match=r'computed with calibration "first" and here it is "second".*--mark-stale'):
        go(SWEEP, store)
    assert files(store) == before


def test_a_complete_cube_is_opened_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "c.zarr"
    go(SWEEP, store)
    monkeypatch.setenv(HERE, "second")
    go(SWEEP, store)
    assert xr.open_zarr(store, consolidated=False).attrs["calibration"] == "first"


def test_marked_stale_all_cells_rest_on_what_is_found_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "c.zarr"
    go(SWEEP.with_values(x=(1.0, 2.0)), store)
    monkeypatch.setenv(HERE, "second")
    go(SWEEP, store, mark_stale=True)
    cube = xr.open_zarr(store, consolidated=False)
    np.testing.assert_array_equal(cube.y, cube.x + len("second"))
    assert cube.attrs["calibration"] == "second"


def test_workers_that_find_another_thing_than_the_driver_add_nothing(tmp_path: Path, client: Client) -> None:
    store = tmp_path / "c.zarr"
    client.run(lambda: os.environ.update({HERE: "second"}))
    try:
        many = SWEEP.with_values(x=[float(i) for i in range(1, 31)])
        with pytest.raises(RunnerError, match=r'the driver has calibration "first" and here it is "second"'):
            go(many, store, client)
        assert not (xr.open_zarr(store, consolidated=False).cell_state == 1).any()
    finally:
        client.run(lambda: os.environ.pop(HERE))
    go(many, store, client)
