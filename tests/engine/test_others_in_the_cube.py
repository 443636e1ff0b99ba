"""A cube is its user's, too: what others add stays, is not looked at, and grows with the axes."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from examples import GRID, LOGGED, calls

from spinsweep.cube import Cube, examine, execute
from spinsweep.errors import CubeError, RunnerError
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.outputs import Coordinate
from spinsweep.runs import Run, open_run
from spinsweep.spec import Sweep


def doubled(widths: np.ndarray, parameters: object) -> np.ndarray:
    return 2.0 * widths


FIRST = dataclasses.replace(GRID, coordinates=(Coordinate("ratio", "width", doubled),)).with_values(
    width=[5.0, 1.0], variation=[0.1], seed=range(4)
)


def go(sweep: Sweep, store: Path, **options: object) -> Run:
    with open_run(sweep, store, block={"seed": 3}, **options) as run:  # type: ignore[arg-type]
        drive(run, serial)
    return run


def add_by_xarray(store: Path) -> None:
    ds = xr.open_zarr(store)
    ds["mine"] = ds["sum"] * 2
    ds["mine"].attrs = {"units": "A"}
    ds[["mine"]].to_zarr(store, mode="a")


def add_all_by_xarray(store: Path) -> None:
    """The whole Dataset is written again, with one more variable and attribute."""
    ds = xr.open_zarr(store).load()
    ds["mine"] = ("seed", np.arange(ds.sizes["seed"]))
    ds.attrs["note"] = "by me"
    ds.to_zarr(store, mode="a")


def consolidate(store: Path) -> None:
    zarr.consolidate_metadata(store)


def add_groups_and_files(store: Path) -> None:
    group = zarr.open_group(store, mode="a")
    group.create_group("analysis").create_array("fit", shape=(3,), dtype="float64")  # without names of dimensions
    group.attrs["note"] = "by me"
    (store / "README.txt").write_text("mine")


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning", "ignore::UserWarning")
@pytest.mark.parametrize("add", [add_by_xarray, add_all_by_xarray, consolidate, add_groups_and_files])
def test_what_others_add_survives_growth_stale_cells_and_repair(tmp_path: Path, add: object) -> None:
    store = tmp_path / "grid.zarr"
    go(FIRST, store)
    add(store)  # type: ignore[operator]
    before = {n: v.load() for n, v in xr.open_zarr(store).variables.items() if n not in Cube(store).metadata}
    note = xr.open_zarr(store).attrs.get("note")

    assert go(FIRST, store).progress.cells == 0
    grown = FIRST.with_values(width=[5.0, 1.0, 0.3], seed=range(7))
    assert go(grown, store).complete
    assert list(examine(store)) == []
    stale = grown.with_values(gain=3.0)
    assert go(stale, store, mark_stale=True).progress.cells == 21

    after = xr.open_zarr(store)
    assert after.attrs.get("note") == note
    assert after.coords["ratio"].values.tolist() == [10.0, 2.0, 0.6]
    assert after.sizes["seed"] == 7
    for name, variable in before.items():
        there = after[name].isel(seed=slice(4), width=slice(2), missing_dims="ignore")
        np.testing.assert_array_equal(there.values, variable.values)
        assert dict(after[name].sizes) == {d: after.sizes[d] for d in variable.dims}
    zarr.consolidate_metadata(store)
    assert xr.open_zarr(store).sizes["seed"] == 7
    want = tmp_path / "want.zarr"
    go(stale, want)
    xr.testing.assert_equal(xr.open_zarr(store)["noise"].load(), xr.open_zarr(want)["noise"].load())


def test_the_folder_of_a_killed_creation_goes_with_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    dead, alive, other = (tmp_path / f".{n}.partial" for n in ("grid.zarr.dead", "grid.zarr.alive", "other.zarr.x"))
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / ".busy").touch()
    handle = os.open(alive / ".busy", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        go(FIRST, tmp_path / "grid.zarr")
    finally:
        os.close(handle)

    assert (dead.exists(), alive.exists(), other.exists()) == (False, True, True)
    assert [p.name for p in (tmp_path / "grid.zarr").iterdir() if p.name.startswith(".")] == []


def test_a_cluster_that_does_not_start_leaves_no_new_cube_and_an_old_one_as_it_was(
    tmp_path: Path,
) -> None:
    store = tmp_path / "new" / "folder" / "grid.zarr"
    with pytest.raises(RunnerError, match="no cluster"), open_run(FIRST, store):
        raise RunnerError("no cluster")
    assert list(store.parent.iterdir()) == []

    go(FIRST, store)
    with pytest.raises(RunnerError, match="no cluster"), open_run(FIRST.with_values(seed=range(5)), store):
        raise RunnerError("no cluster")
    assert Cube(store).counts().done == 8


def test_a_place_where_no_cube_can_be_made_keeps_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CubeError, match="is a file, not a folder"):
        go(FIRST, tmp_path / "file" / "sub" / "grid.zarr")
    long = tmp_path / "a" / "b" / ("x" * 225 + ".zarr")  # a name that leaves no room for the one beside it
    with pytest.raises(OSError, match="File name too long"):
        go(FIRST, long)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_block_whose_receipt_was_lost_is_not_computed_again(tmp_path: Path, log: Path) -> None:
    with open_run(LOGGED.with_values(log=str(log)), tmp_path / "c.zarr", block=50) as run:
        first, second = run.tasks()
        receipts = [execute(run.job, task) for task in (first, first, second, first)]
    assert [(r.done, r.failed) for r in receipts] == [(50, 0)] * 4
    assert set(calls(log).values()) == {1}
