"""A run into a cube: resume, growth, failures, changed definitions, and identity of the numbers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client
from examples import GRID, LOGGED, calls
from hypothesis import given, settings
from hypothesis import strategies as st

from spinsweep import Cells, CubeError, Sweep
from spinsweep.cube import Cube, Task, execute, record_failure
from spinsweep.deployment.local_cluster import local_client
from spinsweep.errors import Fenced
from spinsweep.evaluate import CellError
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import Counts, State
from spinsweep.runs import Run, open_run
from spinsweep.runs.sampling import sample


def go(sweep: Sweep, store: Path, client: Client | None = None, **options: object) -> Run:
    with open_run(sweep, store, **options) as run:  # type: ignore[arg-type]
        if client is None:
            drive(run, serial)
        else:
            drive(run, on_client(client))
    return run


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """The grid computed cell by cell in this process."""
    path = tmp_path_factory.mktemp("reference") / "grid.zarr"
    go(GRID.with_values(seed=range(8)), path, block=1)
    return xr.open_zarr(path).load()


def assert_same(cube: Path, expected: xr.Dataset) -> None:
    got = xr.open_zarr(cube).load()
    for name in ("sum", "noise"):
        want = expected[name].sel({a: got[a] for a in GRID.axis_names})
        np.testing.assert_array_equal(got[name].values, want.values)
    assert (got.cell_state == State.DONE).all()


def test_xarray_opens_the_cube_with_units_and_names_before_the_first_block(tmp_path: Path) -> None:
    with open_run(GRID, tmp_path / "grid.zarr", block=10):
        ds = xr.open_zarr(tmp_path / "grid.zarr")

    assert dict(ds.sizes) == {"width": 4, "variation": 4, "seed": 6, "step": 3}
    assert ds["width"].attrs == {"units": "um", "long_name": "bar width"}
    assert ds["sum"].attrs == {"units": "A", "long_name": "a sum", "ancillary_variables": "cell_state"}
    assert ds["noise"].dims == ("width", "variation", "seed", "step")
    assert ds["noise"].dtype == np.float32
    assert (ds.cell_state == State.ABSENT).all()
    assert np.isnan(ds["sum"]).all()


@pytest.mark.parametrize("block", [1, 5, 24, 1000, {"seed": 4, "width": 3}], ids=str)
def test_numbers_do_not_depend_on_the_block(tmp_path: Path, block: int, expected: xr.Dataset) -> None:
    go(GRID, tmp_path / "grid.zarr", block=block)

    assert_same(tmp_path / "grid.zarr", expected)


def test_numbers_do_not_depend_on_the_workers(tmp_path: Path, client: Client, expected: xr.Dataset) -> None:
    go(GRID, tmp_path / "grid.zarr", client, block=7)

    assert_same(tmp_path / "grid.zarr", expected)


@pytest.mark.parametrize("examples", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_numbers_do_not_depend_on_order_retries_cut_or_growth(
    examples: int, expected: xr.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @given(data=st.data())
    @settings(max_examples=examples)
    def in_any_way(data: st.DataObject) -> None:
        written_in_any_way(data, expected, tmp_path_factory)

    in_any_way()


def written_in_any_way(data: st.DataObject, expected: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "grid.zarr"
    subset = {a.name: data.draw(st.permutations(a.values)) for a in GRID.axes}
    for number in range(data.draw(st.integers(1, 3))):
        values = {n: v[: data.draw(st.integers(1, len(v)))] for n, v in subset.items()}
        with open_run(
            GRID.with_values(**values), path, block=data.draw(st.integers(1, 50)) if number == 0 else None
        ) as run:
            for task in data.draw(st.permutations(list(run.tasks()))):
                for _ in range(data.draw(st.integers(0, 2))):  # 0: a killed worker; 2: a block that ran twice
                    execute(run.job, task)
    go(GRID, path)

    assert_same(path, expected)


def test_running_again_computes_nothing(tmp_path: Path, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log))
    go(sweep, tmp_path / "c.zarr", block=7)
    again = go(sweep, tmp_path / "c.zarr")

    assert again.progress.cells == 0
    assert set(calls(log).values()) == {1}


def test_a_legitimate_nan_is_done_and_not_computed_again(tmp_path: Path, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log), hole=0.3)
    go(sweep, tmp_path / "c.zarr", block=10)
    go(sweep, tmp_path / "c.zarr")

    ds = xr.open_zarr(tmp_path / "c.zarr")
    assert int(np.isnan(ds.y.sel(x=0.3)).sum()) == 10
    assert set(calls(log).values()) == {1}


@pytest.mark.parametrize("axis", ["x", "seed"])
def test_growing_any_axis_runs_only_the_new_cells_and_leaves_old_chunks_alone(
    tmp_path: Path, log: Path, axis: str
) -> None:
    sweep = LOGGED.with_values(log=str(log))
    path = tmp_path / "c.zarr"
    go(sweep, path, block=10)
    before = {p: p.stat().st_mtime_ns for p in path.rglob("c/*/*")}
    more = {"x": [0.05, 0.1 * 3, 2.0], "seed": [3, 99]}[axis]  # 0.3 and seed 3 are there
    grown = go(sweep.with_values(**{axis: more}), path)

    assert grown.progress.cells == len([v for v in more if v not in (0.1 * 3, 3)]) * 10
    assert set(calls(log).values()) == {1}
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert list(xr.open_zarr(path)[axis].values[10:]) == [v for v in more if v not in (0.1 * 3, 3)]


def test_growing_into_a_part_filled_chunk_keeps_its_cells(tmp_path: Path, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log))
    path = tmp_path / "c.zarr"
    go(sweep.with_values(seed=range(3)), path, block={"x": 10, "seed": 3})
    go(sweep.with_values(seed=range(4)), path)
    first = xr.open_zarr(path).load()
    go(sweep.with_values(seed=range(9)), path)

    assert set(calls(log).values()) == {1}
    xr.testing.assert_identical(xr.open_zarr(path).load().isel(seed=slice(4)).drop_attrs(), first.drop_attrs())


def test_asking_for_a_part_leaves_the_rest_absent(tmp_path: Path, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log))
    go(sweep.with_values(x=[0.1], seed=[0, 1]), tmp_path / "c.zarr", block=1)
    part = go(sweep.with_values(x=[0.2], seed=[5]), tmp_path / "c.zarr")

    assert part.complete
    assert part.outcome == "complete"
    assert Cube(tmp_path / "c.zarr").counts() == Counts(absent=3, done=3)


def test_a_failed_cell_keeps_its_error_until_a_retry_succeeds(tmp_path: Path, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log), bad=0.4)
    path = tmp_path / "c.zarr"
    (log / "broken").write_text("first")

    run = go(sweep, path, block=20)
    assert (run.outcome, run.complete) == ("failed cells", False)
    assert Cube(path).counts() == Counts(done=99, failed=1)
    (failure,) = Cube(path).failures()
    assert failure.coords == {"x": 0.4, "seed": 1}
    assert (failure.attempt, failure.error.type) == (1, "ValueError")
    assert failure.error.message == "no good at seed 1: first"
    assert 'raise ValueError(f"no good' in failure.error.traceback

    go(sweep, path)  # without --retry-failed nothing happens
    assert calls(log)[0.4, 1] == 1

    (log / "broken").write_text("second")
    go(sweep, path, retry_failed=True)
    (failure,) = Cube(path).failures()
    assert (failure.attempt, failure.error.message) == (2, "no good at seed 1: second")

    (log / "broken").unlink()
    assert go(sweep, path, retry_failed=True).complete
    assert list(Cube(path).failures()) == []
    assert calls(log).pop((0.4, 1)) == 3
    assert sum(calls(log).values()) == 102
    assert xr.open_zarr(path).cell_attempt.sel(x=0.4, seed=1) == 3


def test_a_changed_definition_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    go(GRID, path, block=24)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in path.rglob("*") if p.is_file()}

    with (
        pytest.raises(CubeError, match=r"was made with parameters.gain = 1.0, and now it is 2.0; .*--mark-stale"),
        open_run(GRID.with_values(gain=2.0, seed=range(9)), path),
    ):
        pass
    with pytest.raises(CubeError, match="made with version"), open_run(dataclasses.replace(GRID, version="2"), path):
        pass
    with pytest.raises(CubeError, match=r"parameters.steps|dims\[step\]"), open_run(GRID.with_values(steps=9), path):
        pass

    after = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in path.rglob("*") if p.is_file()}
    assert set(after) == set(before)
    assert [p.name for p in after if after[p] != before[p] and not p.name.startswith(".driver")] == []


def test_stale_cells_are_computed_again_under_the_new_definition(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    go(GRID, path, block=24)
    old = xr.open_zarr(path)["sum"].load()
    double = GRID.with_values(gain=2.0)

    with open_run(double, path, mark_stale=True) as run:
        assert Cube(path).counts() == Counts(stale=96)
        for task in list(run.tasks())[:2]:
            execute(run.job, task)
    assert Cube(path).counts() == Counts(done=48, stale=48)
    go(double, path)

    np.testing.assert_array_equal(xr.open_zarr(path)["sum"], 2 * old)
    assert json.loads(xr.open_zarr(path).attrs["parameters"])["gain"] == 2.0


def test_another_sweep_is_refused_even_when_stale_marking_is_allowed(tmp_path: Path) -> None:
    go(GRID, tmp_path / "grid.zarr", block=24)

    with (
        pytest.raises(CubeError, match="holds another sweep"),
        open_run(LOGGED, tmp_path / "grid.zarr", mark_stale=True),
    ):
        pass


def test_stores_of_others_are_never_written_into(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "foreign.zarr")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")

    for store in ("foreign.zarr", "folder"):
        with pytest.raises(CubeError), open_run(GRID, tmp_path / store, block=24):
            pass
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["notes.txt"]


def test_two_drivers_cannot_write_one_cube(tmp_path: Path) -> None:
    with (
        open_run(GRID, tmp_path / "grid.zarr", block=24),
        pytest.raises(CubeError, match=rf"is being written by process {os.getpid()} on"),
        open_run(GRID, tmp_path / "grid.zarr"),
    ):
        pass


def test_a_task_of_an_older_run_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    with open_run(GRID, path, block=24) as old:
        left_behind: list[Task] = list(old.tasks())
    with open_run(GRID.with_values(seed=range(8)), path) as new:
        with pytest.raises(Fenced):
            execute(old.job, left_behind[0])
        assert Cube(path).counts() == Counts(absent=128)
        drive(new, serial)
    assert new.complete


def test_a_growth_that_was_killed_half_way_is_invisible_and_can_be_done_again(
    tmp_path: Path, expected: xr.Dataset
) -> None:
    path = tmp_path / "grid.zarr"
    go(GRID, path, block=24)
    for name in ("seed", "sum"):  # what a kill before the commit leaves: some arrays longer than others
        array = zarr.open_array(path / name, mode="r+")
        array.resize(
            tuple(
                9 if d == "seed" else n
                for d, n in zip(Cube(path).metadata[name]["dimension_names"], array.shape, strict=True)
            )
        )

    assert xr.open_zarr(path).sizes["seed"] == 6
    assert Cube(path).counts().total == 96
    go(GRID.with_values(seed=range(8)), path)
    assert_same(path, expected)


def test_a_cube_in_another_place_of_a_killed_creation_is_no_cube(tmp_path: Path) -> None:
    (tmp_path / ".grid.zarr.0123.partial" / "sum").mkdir(parents=True)

    assert go(GRID, tmp_path / "grid.zarr", block=24).complete


def test_provenance_says_what_one_needs_to_run_it_again(tmp_path: Path) -> None:
    go(GRID.with_values(root_seed=5), tmp_path / "grid.zarr", block=24)
    attrs = xr.open_zarr(tmp_path / "grid.zarr").attrs

    record = json.loads(attrs["provenance"])
    assert attrs["root_seed"] == 5
    assert json.loads(attrs["sweep_definition"]) == json.loads(json.dumps(GRID.with_values(root_seed=5).identity()))
    assert {"numpy", "zarr", "dask"} <= set(record["packages"])
    assert record["code"]["function"].endswith("examples:blockwise")
    assert len(record["code"]["git_commit"]) == 40
    assert record["code"]["git_dirty"] in (True, False)
    assert record["start"] < record["end"]
    assert record["outcome"] == "complete"
    assert record["machine"]["host"]


def test_a_cell_that_takes_time_gives_smaller_blocks(tmp_path: Path, log: Path) -> None:
    slow = LOGGED.with_values(log=str(log), seconds=0.01)

    assert sample(slow).cell_seconds >= 0.01  # more on a busy machine
    with open_run(slow, tmp_path / "c.zarr", workers=1) as run:
        assert np.prod(run.cube.grid.chunk) <= 100 / 8 + 1


def test_axes_that_share_work_stay_whole_in_a_block_and_preparation_comes_first(tmp_path: Path) -> None:
    prepared: list[str] = []
    shared = dataclasses.replace(
        GRID, shared_axes=("width", "variation"), prepare=lambda sweep: prepared.append(sweep.name)
    )
    with open_run(shared, tmp_path / "grid.zarr", workers=8) as run:
        assert run.cube.grid.chunk[:2] == (4, 4)
        assert prepared
        drive(run, serial)
    before = len(prepared)
    with open_run(shared, tmp_path / "grid.zarr"):
        assert len(prepared) == before  # nothing to compute, nothing to prepare


def test_a_growth_that_was_killed_does_not_break_the_run_without_it(tmp_path: Path, expected: xr.Dataset) -> None:
    path = tmp_path / "grid.zarr"
    go(GRID.with_values(seed=range(4)), path, block=24)
    array = zarr.open_array(path / "sum", mode="r+")
    array.resize((4, 4, 9, *array.shape[3:]))  # what a kill between two resizes leaves
    go(GRID.with_values(seed=range(4)), path)

    assert xr.open_zarr(path).sizes["seed"] == 4
    go(GRID.with_values(seed=range(8)), path)
    assert_same(path, expected)


def test_tasks_of_a_removed_cube_do_not_write_into_the_one_that_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    with pytest.raises(CubeError, match="was removed or replaced"), open_run(GRID, path, block=24) as old:  # noqa: PT012
        tasks = list(old.tasks())
        execute(old.job, tasks[0])
        shutil.rmtree(path)
        with open_run(GRID.with_values(gain=100.0), path, block=24) as new:
            with pytest.raises(Fenced, match="removed or replaced"):
                execute(old.job, tasks[1])
            drive(new, serial)
    after = Cube(path)
    assert after.attributes.params["gain"] == 100.0
    assert after.counts() == Counts(done=96)
    assert float(xr.open_zarr(path)["sum"].min()) >= 30  # all by the new gain


def test_a_removed_cube_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    with pytest.raises(CubeError, match="was removed or replaced"), open_run(GRID, path, block=24):
        shutil.rmtree(path)
    assert not path.exists()


def test_a_failure_never_replaces_what_another_copy_of_the_task_has_done(
    tmp_path: Path, expected: xr.Dataset
) -> None:
    path = tmp_path / "grid.zarr"
    with open_run(GRID, path, block=24) as run:
        first, second, *rest = run.tasks()
        execute(run.job, first)
        late = record_failure(run.job, first, CellError("distributed.KilledWorker", "taken for dead", ""))
        early = record_failure(run.job, second, CellError("distributed.KilledWorker", "taken for dead", ""))
        assert (late.done, late.failed, early.failed) == (24, 0, 24)
        for task in (second, *rest):
            execute(run.job, task)
    assert_same(path, expected)
    assert not xr.open_zarr(path).cell_error.any()


def test_two_copies_of_a_block_do_not_mix_their_writes(tmp_path: Path, expected: xr.Dataset) -> None:
    path = tmp_path / "grid.zarr"
    with open_run(GRID, path, block=24) as run, ThreadPoolExecutor(8) as pool:
        for task in run.tasks():
            mask = np.ones(task.block.shape, bool)
            singles = [Task(task.block, np.arange(24).reshape(mask.shape) == n) for n in range(24)]
            list(pool.map(lambda t: execute(run.job, t), [*singles, task, *singles]))
    assert_same(path, expected)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), GeneratorExit(), OSError("caf\udce9")])
def test_any_exception_of_a_cell_is_kept(tmp_path: Path, error: BaseException) -> None:
    def raises(cells: Cells) -> None:
        raise error

    sweep = dataclasses.replace(GRID, function=raises)
    run = go(sweep.with_values(width=[5.0], variation=[0.1], seed=[0]), tmp_path / "grid.zarr", block=1)

    assert run.outcome == "failed cells"
    (failure,) = Cube(tmp_path / "grid.zarr").failures()
    assert failure.error.type.rsplit(".", 1)[-1] == type(error).__name__


def test_a_sweep_that_needs_a_resource_finds_it_on_local_workers(tmp_path: Path) -> None:
    needy = dataclasses.replace(GRID, resources={"bench": 1}).with_values(width=[5.0], variation=[0.1], seed=[0, 1])
    with local_client(1, dashboard=False, resources=needy.resources) as client:
        assert go(needy, tmp_path / "grid.zarr", client, block=1).complete


def test_a_run_without_a_worker_says_what_it_waits_for(tmp_path: Path, client: Client) -> None:
    needy = dataclasses.replace(GRID, resources={"bench": 1})
    seen: list[str] = []

    def look(run: Run) -> None:
        seen.append(run.progress.line(0.0))
        os.kill(os.getpid(), signal.SIGINT)

    with open_run(needy, tmp_path / "grid.zarr", block=24) as run:
        drive(run, on_client(client), look)

    assert "waiting for a worker with bench=1" in seen[0]
    assert run.outcome == "stopped"


def test_runs_of_one_sweep_into_two_cubes_at_once_do_not_take_each_others_results(
    tmp_path: Path, client: Client, log: Path
) -> None:
    sweep = LOGGED.with_values(x=[0.1, 0.2], seed=range(4), log=str(log), seconds=0.1)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda name: go(sweep, tmp_path / name, client, block=1), ("a.zarr", "b.zarr")))
    assert all(run.complete for run in runs)
    assert [run.progress.workers_lost for run in runs] == [0, 0]
    assert calls(log) == {(x, seed): 2 for x in (0.1, 0.2) for seed in range(4)}


def test_a_cube_that_is_put_back_between_two_runs_of_one_process_is_written_as_it_is_now(tmp_path: Path) -> None:
    store, kept = tmp_path / "c.zarr", tmp_path / "kept.zarr"
    some = GRID.with_values(width=(1.0, 5.0), seed=(0, 1))
    with open_run(some, store, block={"seed": 1}) as run:
        drive(run, serial)
    shutil.copytree(store, kept)
    for seeds in ((0, 1, 2), (0, 1, 5)):  # the second run has the epoch of the first one
        shutil.rmtree(store)
        shutil.copytree(kept, store)
        with open_run(some.with_values(seed=seeds), store) as run:
            drive(run, serial)
        assert run.complete
        fresh = tmp_path / f"{seeds[-1]}.zarr"
        with open_run(some.with_values(seed=seeds), fresh, block=99) as run:
            drive(run, serial)
        np.testing.assert_array_equal(xr.open_zarr(store)["noise"], xr.open_zarr(fresh)["noise"])
