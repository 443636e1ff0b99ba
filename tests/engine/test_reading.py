"""A cube as its readers take it: a Dataset with unfinished cells blank, and what it says beside its numbers."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spinsweep
from spinsweep import Axis, Cell, Coordinate, CubeError, CubeView, Dim, Output, Parameter, State, Sweep, per_cell
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import Counts
from spinsweep.runs import open_run


@per_cell
def walk(cell: Cell) -> dict[str, Any]:
    if cell["seed"] == 2:
        raise ValueError("no seed of that number")
    return {"steps": 7, "far": 1.5, "good": [True, False]}


WALK = Sweep(
    name="walk",
    title="a walk",
    axes=(Axis("gain", (1.0, 2.0), "V"), Axis("seed", (1, 2, 3))),
    dims=(Dim("try", values=(0, 1)),),
    outputs=(Output("steps", dtype="int64"), Output("far", unit="m"), Output("good", ("try",), "bool")),
    parameters=(Parameter("length", 0.5, "m"),),
    function=walk,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube whose seed 2 fails, and whose seed 3 is computed at the first gain only."""
    path = tmp_path_factory.mktemp("cubes") / "walk.zarr"
    for part in (WALK.with_values(gain=(1.0,)), WALK.with_values(gain=(1.0, 2.0), seed=(1, 2))):
        with open_run(part, path, block=1) as run:
            drive(run, serial)
    return path


def test_cells_that_are_not_done_are_blank_and_count_in_no_mean(store: Path) -> None:
    ds = spinsweep.open_cube(store)

    np.testing.assert_array_equal(ds.far, [[1.5, np.nan, 1.5], [1.5, np.nan, np.nan]])
    np.testing.assert_array_equal(ds.steps, [[7, np.nan, 7], [7, np.nan, np.nan]])
    np.testing.assert_array_equal(ds.good.mean("try"), [[0.5, np.nan, 0.5], [0.5, np.nan, np.nan]])
    assert ds.cell_state.dtype == np.uint8
    assert ds.far.chunks is not None  # nothing but the states has been read


def test_counts_keep_their_type_where_that_is_asked_for_or_nothing_is_left_out(store: Path) -> None:
    assert spinsweep.open_cube(store, zeros=True).steps.values.tolist() == [[7, 0, 7], [7, 0, 0]]
    assert spinsweep.open_cube(store, zeros=True).good.dtype == bool
    whole = CubeView(xr.open_zarr(store).sel(seed=1)).finished()
    assert whole.steps.dtype == np.int64


def test_a_cube_says_its_parameters_units_and_states(store: Path) -> None:
    view = spinsweep.open_cube(store).sweep

    assert view.parameters == {"length": 0.5}
    assert {name: view.units[name] for name in ("gain", "far", "cell_duration")} == {
        "gain": "V",
        "far": "m",
        "cell_duration": "s",
    }
    assert view.counts == Counts(done=3, failed=2, absent=1)
    assert (view.states == State.FAILED).sel(seed=2).all()
    assert view.done.values.tolist() == [[True, False, True], [True, False, False]]


def test_failures_of_a_selection_name_their_cells_and_errors(store: Path) -> None:
    ds = spinsweep.open_cube(store)

    failures = ds.sweep.failures()
    assert [failure.coords for failure in failures] == [{"gain": 1.0, "seed": 2}, {"gain": 2.0, "seed": 2}]
    assert {(f.attempt, f.error.type, f.error.message) for f in failures} == {
        (1, "ValueError", "no seed of that number")
    }
    assert [failure.coords["gain"] for failure in ds.sel(gain=[2.0]).load().sweep.failures()] == [2.0]
    assert ds.sel(seed=[1, 3]).sweep.failures() == []
    with pytest.raises(CubeError, match="which cube it came from"):
        xr.Dataset({"cell_state": ("x", np.array([2], np.uint8))}).sweep.failures()


def test_a_recording_without_a_ledger_is_done(store: Path) -> None:
    recording = xr.open_zarr(store)[["far"]]

    assert CubeView(recording).finished() is recording
    assert bool(CubeView(recording).done)


def test_what_is_no_cube_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="is not a cube"):
        spinsweep.open_cube(tmp_path)


def test_reading_is_imported_when_it_is_used() -> None:
    script = "import spinsweep, sys; assert 'xarray' not in sys.modules; spinsweep.open_cube"
    subprocess.run([sys.executable, "-c", f"{script}; assert 'xarray' in sys.modules"], check=True, timeout=120)


@pytest.mark.parametrize("unit", ["days", "hours", "seconds", "nanoseconds", "s", "day"])
def test_xarray_gives_numbers_back_as_numbers_whatever_their_unit(tmp_path: Path, unit: str) -> None:
    timed = Sweep(
        "timed",
        "A time in a unit that xarray knows",
        (Axis("delay", (0.5, 2.0), unit),),
        (Output("lag", unit=unit), Output("ticks", ("k",), "int64", attrs={"units": unit})),
        per_cell(lambda cell: {"lag": cell["delay"] * 2, "ticks": [3, 4]}),
        dims=(Dim("k", values=(1.0, 2.0), unit=unit),),
        coordinates=(Coordinate("late", "delay", lambda values, params: values + 1, unit),),
    )
    spinsweep.run(timed, tmp_path / "c.zarr")

    with warnings.catch_warnings(action="error"):
        ds = xr.open_zarr(tmp_path / "c.zarr").load()
    assert ds.delay.values.tolist() == [0.5, 2.0]
    assert ds.lag.values.tolist() == [1.0, 4.0]
    assert ds.ticks.values.tolist() == [[3, 4], [3, 4]]
    assert (ds.k.values.tolist(), ds.late.values.tolist()) == ([1.0, 2.0], [1.5, 3.0])
    assert ds.lag.attrs["units"] == unit.removesuffix("s") or unit == "s"
