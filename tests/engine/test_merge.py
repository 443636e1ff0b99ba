"""Two cubes of one sweep become one: every cell comes along with its ledger, and nothing is chosen in silence."""

from __future__ import annotations

import dataclasses
import json
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
from spinsweep import Axis, Cell, Coordinate, CubeError, Dim, Output, Parameter, State, Sweep, per_cell
from spinsweep.cli import main
from spinsweep.cube import Cube, examine
from spinsweep.cube.merging import merge
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.runs import open_run


@per_cell
def noisy(cell: Cell) -> dict[str, Any]:
    if cell["seed"] == cell.params["bad"]:
        raise ValueError(f"no good at {cell['x']}")
    hole = float("nan") if cell["x"] == 2.0 else cell["x"]
    return {"y": hole + cell.rng().random(), "trace": cell.rng("t").normal(size=3), "n": cell["seed"]}


NOISY = Sweep(
    name="noisy",
    title="Noise",
    axes=(Axis("x", (1.0, 2.0, 3.0), "V"), Axis("seed", (0, 1, 2, 3))),
    dims=(Dim("t", 3),),
    outputs=(Output("y", unit="A"), Output("trace", ("t",), "float32"), Output("n", dtype="uint8")),
    parameters=(Parameter("bad", 3),),
    coordinates=(Coordinate("double", "x", lambda x, _: 2 * x),),
    function=noisy,
)
BLANKED = ("cell_duration", "cell_code")
"""Of the ledger: what differs between runs of the same cells."""


def compute(sweep: Sweep, path: Path, block: int = 2, **options: Any) -> Path:
    with open_run(sweep, path, block=block, **options) as run:
        drive(run, serial)
    return path


def whole(path: Path) -> xr.Dataset:
    """A cube in the order of its coordinates; nothing in it is damaged."""
    assert list(examine(path)) == []
    return spinsweep.CubeView(xr.open_zarr(path).drop_vars(BLANKED)).in_order().load()


def test_two_halves_are_the_cube_that_one_machine_computes(tmp_path: Path) -> None:
    first = compute(NOISY.with_values(seed=(0, 3)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(2, 1), x=(3.0, 1.0, 2.0)), tmp_path / "second.zarr", block=1)
    merged = merge([first, second], tmp_path / "both.zarr")
    alone = compute(NOISY, tmp_path / "alone.zarr", block=3)

    xr.testing.assert_equal(whole(tmp_path / "both.zarr"), whole(alone))
    assert merged.taken == (3, 6)
    assert (merged.counts.done, merged.counts.failed) == (9, 3)
    assert Cube(tmp_path / "both.zarr").attributes.digest == Cube(alone).attributes.digest
    assert xr.open_zarr(tmp_path / "both.zarr").double.values.tolist() == [2.0, 4.0, 6.0]


def test_errors_runs_codes_and_attributes_come_along(tmp_path: Path) -> None:
    first = compute(NOISY.with_values(seed=(0, 3)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(1,)), tmp_path / "second.zarr")
    zarr.open_group(second, mode="r+").attrs["remark"] = "measured in winter"
    merge([first, second], tmp_path / "both.zarr")

    both, parts = Cube(tmp_path / "both.zarr"), [Cube(first), Cube(second)]
    assert list(both.failures()) == list(parts[0].failures())
    assert "ValueError: no good at 1.0" in next(both.failures()).error.traceback
    assert both.runs() == sorted([r for part in parts for r in part.runs()], key=lambda r: r.start)
    numbers = np.unique(both.ledger("cell_code"))
    assert all(both.code(int(n)) == parts[0].code(int(n)) is not None for n in numbers)
    assert both.attributes.others["remark"] == "measured in winter"
    assert both.attributes.others["history"].endswith("merged from first.zarr, second.zarr")
    assert both.attributes.cube_id not in {part.attributes.cube_id for part in parts}


def test_a_merged_cube_goes_on_and_computes_only_what_neither_had(tmp_path: Path) -> None:
    first = compute(NOISY.with_values(seed=(0,), x=(1.0, 2.0)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(1,), x=(2.0, 3.0)), tmp_path / "second.zarr")
    both = tmp_path / "both.zarr"
    assert merge([first, second], both).counts.absent == 2

    with open_run(NOISY, both) as run:
        drive(run, serial)
        assert run.progress.cells_ended == 12 - 4
    xr.testing.assert_equal(whole(both), whole(compute(NOISY, tmp_path / "alone.zarr")))


def test_cells_that_both_have_pass_where_they_are_equal_and_a_done_one_beats_a_failed_one(tmp_path: Path) -> None:
    first = compute(NOISY, tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(2, 3), x=(2.0, 3.0, 4.0)), tmp_path / "second.zarr", block=1)
    merged = merge([first, second], tmp_path / "both.zarr")

    assert merged.taken == (9, 1)
    both = whole(tmp_path / "both.zarr")
    assert int((both.cell_state == State.FAILED).sum()) == 4
    assert int(both.cell_attempt.max()) == 1


def test_a_cell_that_one_cube_wants_and_another_does_not_is_still_to_be_computed(tmp_path: Path) -> None:
    lower = dataclasses.replace(NOISY, wanted=[{"x": 1.0}])
    upper = dataclasses.replace(NOISY.with_values(seed=(0, 1)), wanted=[{"x": 2.0}, {"x": 3.0, "seed": 1}])
    first, second = compute(lower, tmp_path / "first.zarr"), compute(upper, tmp_path / "second.zarr")
    third = tmp_path / "third.zarr"
    with open_run(NOISY.with_values(x=(3.0,), seed=(0,)), third, block=1):
        pass  # wanted, and never computed
    merged = merge([first, second], tmp_path / "both.zarr")
    assert (merged.counts.done, merged.counts.failed, merged.counts.unwanted, merged.counts.absent) == (6, 1, 5, 0)
    for order in ([first, second, third], [third, second, first]):
        wanted = merge(order, tmp_path / f"{order[0].name}.all")
        assert (wanted.counts.unwanted, wanted.counts.absent, wanted.counts.total) == (4, 1, 8)
        states = xr.open_zarr(tmp_path / f"{order[0].name}.all").cell_state.load()
        assert int(states.sel(x=3.0, seed=0)) == State.ABSENT
        assert int(states.sel(x=3.0, seed=2)) == State.UNWANTED
        assert "unwanted" in states.attrs["flag_meanings"]


def test_unequal_cells_are_refused_counted_and_named(tmp_path: Path) -> None:
    first = compute(NOISY, tmp_path / "first.zarr")
    second = compute(dataclasses.replace(NOISY, function=louder), tmp_path / "second.zarr", block=3)
    message = r"hold different numbers in 6 cells, the first of them x=1 seed=0: y is 1\.\d+ and 2\.\d+"

    with pytest.raises(CubeError, match=message):
        merge([first, second], tmp_path / "both.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.zarr", "second.zarr"]


@per_cell
def louder(cell: Cell) -> dict[str, Any]:
    values = noisy(cell)
    return values | {"y": values["y"] + 1}


def test_what_cannot_be_merged_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = compute(NOISY, tmp_path / "first.zarr")
    others = {
        "parameters.bad is 3 and 2": compute(NOISY.with_values(bad=2), tmp_path / "bad.zarr"),
        "root_seed is 0 and 5": compute(NOISY.with_values(root_seed=5), tmp_path / "seed.zarr"),
        "knows its cells by this cube alone": compute(NOISY, tmp_path / "bench.zarr", attrs={"measured_on": "b"}),
        "import both logs": compute(NOISY, tmp_path / "log.zarr", attrs={"imported_from": "lab.csv"}),
        "differ in the attribute network": compute(NOISY, tmp_path / "net.zarr", attrs={"network": "b"}),
        "is not a cube": tmp_path / "none.zarr",
    }
    zarr.open_group(first, mode="r+").attrs["network"] = "a"
    there = sorted(tmp_path.rglob("*"))
    for message, other in others.items():
        assert main(["merge", str(first), str(other), "--into", str(tmp_path / "both.zarr")]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert main(["merge", str(first), "--into", str(tmp_path / "both.zarr")]) == 2
    assert main(["merge", str(first), str(first), "--into", str(first)]) == 2
    assert "is a cube already" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == there


def test_a_damaged_cube_is_refused(tmp_path: Path) -> None:
    first = compute(NOISY.with_values(seed=(0,)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(1,)), tmp_path / "second.zarr")
    (second / "y/c/0/0").unlink()

    with pytest.raises(CubeError, match=r"second\.zarr is damaged: the numbers of the block 0\.0"):
        merge([first, second], tmp_path / "both.zarr")


def test_the_command_says_where_cells_came_from_and_what_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = compute(NOISY.with_values(seed=(0, 3)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(1,)), tmp_path / "second.zarr")
    zarr.open_group(second, mode="r+").create_array("mine", data=np.arange(3.0))

    assert main(["merge", str(first), str(second), "--into", str(tmp_path / "both.zarr")]) == 0
    said = capsys.readouterr().out
    assert "6 of 9 cells done, 3 failed; 3 from" in said
    assert "what others put into it is not merged: mine" in said


KILLED = """
import os, signal, sys
from spinsweep.cube import copying, merging
write, left = copying.CellTarget.write, [int(sys.argv[4])]
def counted(self, index, values):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, index, values)
copying.CellTarget.write = counted
merging.merge(sys.argv[1:3], sys.argv[3])
"""


def test_a_merge_that_is_killed_leaves_no_cube_and_the_next_one_succeeds(tmp_path: Path) -> None:
    first = compute(NOISY.with_values(seed=(0, 3)), tmp_path / "first.zarr")
    second = compute(NOISY.with_values(seed=(1, 2)), tmp_path / "second.zarr")
    both = tmp_path / "both.zarr"
    command = [sys.executable, "-c", KILLED, str(first), str(second), str(both), "3"]

    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    assert not both.exists()
    assert merge([first, second], both).counts.done == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["both.zarr", "first.zarr", "second.zarr"]


SEEDS = st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True)
XS = st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=3, unique=True)
PART = st.fixed_dictionaries({"x": XS, "seed": SEEDS})


@settings(max_examples=5, deadline=None)
@given(parts=st.lists(PART, min_size=2, max_size=3), blocks=st.lists(st.integers(1, 6), min_size=3, max_size=3))
def test_whatever_the_parts_and_their_blocks_each_cell_has_the_number_of_its_coordinates(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Mapping[str, Any]], blocks: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    stores = [
        compute(NOISY.with_values(**part), folder / f"{i}.zarr", block=block)
        for i, (part, block) in enumerate(zip(parts, blocks, strict=False))
    ]
    merge(stores, folder / "all.zarr")
    together = whole(folder / "all.zarr")
    wanted = {(x, s) for part in parts for x in part["x"] for s in part["seed"]}
    for x in together.x.values.tolist():
        for seed in together.seed.values.tolist():
            state = int(together.cell_state.sel(x=x, seed=seed))
            expected = State.ABSENT if (x, seed) not in wanted else State.FAILED if seed == 3 else State.DONE
            assert state == expected
            if state == State.DONE:
                cell = Cell(NOISY, {"x": x, "seed": seed})
                values = noisy(cell)
                np.testing.assert_array_equal(together.y.sel(x=x, seed=seed), values["y"])
                np.testing.assert_array_equal(together.trace.sel(x=x, seed=seed), np.float32(values["trace"]))
    definition = json.loads(xr.open_zarr(folder / "all.zarr").attrs["sweep_definition"])
    assert definition == NOISY.identity()
