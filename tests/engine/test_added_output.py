"""An output that a sweep got later: it is computed for the cells that are there, and what they hold stays."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, CubeError, CubeView, Dim, Output, State, Sweep, per_cell
from spinsweep.cli import main
from spinsweep.cube import Cube, examine, repair
from spinsweep.cube.merging import merge
from spinsweep.cube.rewriting import rewrite
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.runs import open_run
from spinsweep.runs.migration import plan_migration

LEDGER = ("cell_attempt", "cell_duration", "cell_error")


@per_cell
def old_function(cell: Cell) -> dict[str, Any]:
    if cell["seed"] == 3:
        raise ValueError("no seed of that number")
    draws = cell.rng().normal(size=3)
    return {"y": cell["w"] * draws[0], "trace": draws}


@per_cell
def new_function(cell: Cell) -> dict[str, Any]:
    numbers = old_function(cell)
    ranks = np.argsort(numbers["trace"])
    return {**numbers, "rank": ranks, "largest": ranks[-1], "label": f"seed {cell['seed']}"}


@per_cell
def other_function(cell: Cell) -> dict[str, Any]:
    numbers = new_function(cell)
    return {**numbers, "y": numbers["y"] + (cell["w"] == 2.0)}


OLD = Sweep(
    name="bars",
    title="Bars",
    axes=(Axis("w", (1.0, 2.0, 4.0), "m"), Axis("seed", (0, 1, 2, 3))),
    dims=(Dim("t", 3),),
    outputs=(Output("y", unit="A"), Output("trace", ("t",), "float32")),
    function=old_function,
)
NEW = dataclasses.replace(
    OLD,
    dims=(*OLD.dims, Dim("place", 3)),
    outputs=(
        *OLD.outputs,
        Output("rank", ("place",), "int64"),
        Output("largest", dtype="int8"),
        Output("label", dtype="str"),
    ),
    function=new_function,
)
OTHER = dataclasses.replace(NEW, function=other_function)
OUTPUTS = tuple(output.name for output in NEW.outputs)
ADDED = ("rank", "largest", "label")


def compute(sweep: Sweep, path: Path, block: int | Mapping[str, int] = 2, **options: Any) -> Path:
    with open_run(sweep, path, block=block, **options) as run:
        drive(run, serial)
    return path


def migrated(path: Path, sweep: Sweep = NEW) -> Path:
    cube = Cube(path)
    rewrite(cube, plan_migration(cube, sweep))
    assert list(examine(path)) == []
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compute(OLD, tmp_path_factory.mktemp("cubes") / "bars.zarr")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return xr.open_zarr(compute(NEW, tmp_path_factory.mktemp("cubes") / "fresh.zarr", block=5)).load()


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bars.zarr"))


def chunks(path: Path, name: str) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted((path / name / "c").rglob("*")) if p.is_file()}


def test_a_new_output_is_computed_and_the_others_stay_byte_for_byte(old: Path, fresh: xr.Dataset) -> None:
    before = {name: chunks(old, name) for name in ("y", "trace", *LEDGER)}
    migrated(old)
    assert {name: chunks(old, name) for name in before} == before
    assert str(Cube(old).counts().as_dict()) == "{'absent': 0, 'done': 0, 'failed': 3, 'stale': 0, 'incomplete': 9}"

    with open_run(NEW, old) as run:
        assert run.work == "9 cells to compute in 6 blocks, 3 failed (--retry-failed computes them again)"
        assert run.notes[0] == (
            "9 cells lack the output rank, largest, label: it is added, and what else comes out is compared"
        )
        drive(run, serial)
    assert {name: chunks(old, name) for name in before} == before
    after = xr.open_zarr(old).load()
    for name in (*OUTPUTS, "cell_state", "cell_attempt"):
        np.testing.assert_array_equal(after[name], fresh[name])
    assert list(examine(old)) == []
    assert len(np.unique(after.cell_code.values[after.cell_state == State.DONE])) == 1
    with open_run(NEW, old) as run:
        assert run.work.startswith("nothing to compute, 9 are there")
        assert not any("other code" in note for note in run.notes if not note.startswith("3 cells"))


def test_until_it_is_computed_readers_find_the_new_output_blank_and_the_others_there(old: Path) -> None:
    before = spinsweep.open_cube(old).load()
    migrated(old)
    after = spinsweep.open_cube(old).load()

    for name in ("y", "trace"):
        np.testing.assert_array_equal(after[name], before[name])
    assert np.isnan(after["largest"]).all()
    assert (after["label"] == "").all()
    assert CubeView(after).counts.incomplete == 9
    assert not CubeView(after).done.any()
    plain = zarr.open_group(old, mode="r")["cell_state"].attrs.asdict()
    assert dict(zip(plain["flag_meanings"].split(), plain["flag_values"], strict=True))["incomplete"] == 5
    compute(NEW.with_values(seed=(0, 1)), old)
    part = spinsweep.open_cube(old).load()
    assert np.isfinite(part["largest"].sel(seed=[0, 1])).all()
    assert np.isnan(part["largest"].sel(seed=[2, 3])).all()
    np.testing.assert_array_equal(part.y, before.y)


def test_cells_that_come_out_otherwise_are_counted_and_keep_what_they_hold(old: Path) -> None:
    before = xr.open_zarr(old).load()
    migrated(old, OTHER)
    for _ in range(2):  # the second run finds the same
        with open_run(OTHER, old) as run:
            drive(run, serial)
        assert run.outcome == "failed cells"
        assert (run.ended.done, run.ended.incomplete, run.ended.failed) == (6, 3, 3) if run.ended else False
        assert run.progress.cells_failed == 3
        after = xr.open_zarr(old).load()
        np.testing.assert_array_equal(after.y, before.y)
        np.testing.assert_array_equal(after.cell_attempt, before.cell_attempt)
        assert list(examine(old)) == []
    others = [f for f in Cube(old).failures() if f.error.type == "spinsweep.OtherNumbers"]
    assert {f.coords["w"] for f in others} == {2.0}
    assert len(others) == 3
    assert "y came out other than the cube holds" in others[0].error.message
    held = float(before.y.sel(w=2.0, seed=0))
    assert f"{held + 1!r} here, {held!r} in the cube" in others[0].error.traceback
    assert len(CubeView(xr.open_zarr(old)).failures()) == 6
    with pytest.raises(CubeError, match="3 cells are incomplete since the output rank, largest, label came"):
        plan_migration(Cube(old), NEW)
    with pytest.raises(CubeError, match="3 cells lack the output rank"):
        merge([old, old], old.parent / "both.zarr")

    compute(OTHER, old, mark_stale=True)
    np.testing.assert_array_equal(xr.open_zarr(old).y.sel(w=2.0, seed=0), held + 1)
    assert Cube(old).counts().incomplete == 0


def test_a_difference_within_the_tolerance_of_the_output_is_none(old: Path) -> None:
    @per_cell
    def rounded_otherwise(cell: Cell) -> dict[str, Any]:
        numbers = new_function(cell)
        return {**numbers, "y": np.nextafter(numbers["y"], np.inf)}

    y, *others = NEW.outputs
    tolerant = dataclasses.replace(y, tolerance=1e-12)
    sweep = dataclasses.replace(NEW, outputs=(tolerant, *others), function=rounded_otherwise)
    before = xr.open_zarr(old).y.load()
    compute(sweep, migrated(old, sweep))
    assert Cube(old).counts().done == 9
    np.testing.assert_array_equal(xr.open_zarr(old).y, before)


def test_a_damaged_block_loses_its_cells_and_is_computed_whole(old: Path, fresh: xr.Dataset) -> None:
    migrated(old)
    damaged = old / "y/c/1/0"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert repair(old).lost.cells == 2
    assert Cube(old).counts().incomplete == 7
    (old / "trace/c/0/0/0").unlink()
    with open_run(NEW, old) as run:
        assert any("2 cells in 1 blocks were done, and are damaged or missing" in note for note in run.notes)
        drive(run, serial)
    after = xr.open_zarr(old).load()
    for name in OUTPUTS:
        np.testing.assert_array_equal(after[name], fresh[name])
    assert list(examine(old)) == []


def test_a_name_that_another_program_uses_in_the_cube_is_refused(old: Path) -> None:
    zarr.open_group(old, mode="r+").create_array("rank", data=np.arange(3.0), dimension_names=["row"])
    with pytest.raises(CubeError, match="it has 'rank' of another program; move that out first"):
        plan_migration(Cube(old), NEW)


KILLED = """
import os, shutil, signal, sys
sys.path.insert(0, sys.argv[2])
from spinsweep.cube import local
from tests.engine.test_added_output import NEW, compute
store, every = sys.argv[1], int(sys.argv[3])
write = local.write_whole
at = 1
while True:
    copy = f"{store}.{at}"
    shutil.copytree(store, copy)
    child = os.fork()
    if not child:
        left = [at]
        def counted(name, *arguments, **options):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(name, *arguments, **options)
        local.write_whole = counted
        compute(NEW, copy)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(at, ended, flush=True)
    if ended != -signal.SIGKILL:
        sys.exit(ended)
    at += every
"""


def kill_everywhere(store: Path, every: int) -> list[Path]:
    """Copies of the cube in which a run was killed before its first write, the one ``every`` later, and so on."""
    command = [sys.executable, "-c", KILLED, str(store), str(Path(__file__).parents[2]), str(every)]
    done = subprocess.run(command, check=False, timeout=300, capture_output=True, text=True)
    *killed, last = (line.split() for line in done.stdout.splitlines())
    assert last[1] == "0", done.stderr
    assert {status for _, status in killed} == {str(-signal.SIGKILL)}
    return [Path(f"{store}.{at}") for at, _ in killed]


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_loses_no_number_and_the_next_run_completes_the_cells(
    made: Path, tmp_path: Path, every: int, fresh: xr.Dataset
) -> None:
    store = migrated(Path(shutil.copytree(made, tmp_path / "bars.zarr")))
    before = xr.open_zarr(store).load()
    partly = 0
    copies = kill_everywhere(store, every)
    for copy in copies:
        assert [d for d in examine(copy) if d.block_index is not None] == []
        counts = Cube(copy).counts()
        assert counts.done + counts.incomplete == 9
        partly += 0 < counts.done < 9
        compute(NEW, copy)
        after = xr.open_zarr(copy).load()
        for name in ("y", "trace", *LEDGER):
            np.testing.assert_array_equal(after[name], before[name])
        for name in (*ADDED, "cell_state"):
            np.testing.assert_array_equal(after[name], fresh[name])
    assert partly > len(copies) // 3  # it was killed in the middle, too


SCRIPT = """
from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def bars(cell):
    y = cell["w"] + cell.rng().random()
    return {"y": y, "square": y * y} if SQUARE else {"y": y}

SQUARE = False
outputs = (Output("y"), Output("square")) if SQUARE else (Output("y"),)
BARS = Sweep("bars", "Bars", (Axis("w", (1.0, 2.0)),), outputs, bars)
"""


@pytest.mark.slow
def test_the_command_line_says_what_is_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, store = tmp_path / "bars.py", str(tmp_path / "bars.zarr")
    script.write_text(SCRIPT)
    assert main(["run", f"{script}:BARS", "--store", store, "--workers", "0"]) == 0
    old = xr.open_zarr(store).y.values
    later = tmp_path / "later.py"
    later.write_text(SCRIPT.replace("SQUARE = False", "SQUARE = True"))
    capsys.readouterr()
    assert main(["migrate", store, "--sweep", f"{later}:BARS", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "output square is added; the next run computes the 2 done cells again, and compares with what they hold, "
        "which stays"
    )
    assert main(["status", store]) == 1
    assert "0 of 2 done, 2 incomplete" in capsys.readouterr().out
    assert main(["run", f"{later}:BARS", "--store", store, "--workers", "2"]) == 0
    np.testing.assert_array_equal(xr.open_zarr(store).y, old)
    np.testing.assert_array_equal(xr.open_zarr(store).square, old * old)
    assert main(["verify", store]) == 0
    assert main(["migrate", store, "--sweep", f"{later}:BARS"]) == 0


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_in_whatever_parts_it_is_computed_the_cube_ends_as_if_it_had_been_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("any") / "bars.zarr"
    blocks = data.draw(st.fixed_dictionaries({"w": st.integers(1, 3), "seed": st.integers(1, 4)}))
    some = st.lists(st.sampled_from((1.0, 2.0, 4.0)), min_size=1, unique=True)
    compute(OLD.with_values(w=tuple(data.draw(some))), path, block=blocks)
    held = xr.open_zarr(migrated(path)).load()
    for _ in range(data.draw(st.integers(0, 2))):
        seeds = tuple(data.draw(st.lists(st.sampled_from((0, 1, 2, 5)), min_size=1, unique=True)))
        compute(NEW.with_values(w=tuple(data.draw(some)), seed=seeds), path)
        assert list(examine(path)) == []
    compute(NEW, path)
    assert list(examine(path)) == []
    whole = xr.open_zarr(compute(NEW, path.with_name("whole.zarr"))).load()
    ended = xr.open_zarr(path).load().sel(w=whole.w.values, seed=whole.seed.values)
    for name in (*OUTPUTS, "cell_state", "cell_attempt"):
        np.testing.assert_array_equal(ended[name], whole[name])
    np.testing.assert_array_equal(
        xr.open_zarr(path).cell_duration.load().sel(w=held.w.values, seed=held.seed.values), held.cell_duration
    )
