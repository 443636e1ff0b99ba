"""Sweeps that do not fill their grid: what is not wanted is never computed, not missing, and changes nothing else."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Cells, Output, SpecError, State, Sweep, per_cell, zipped
from spinsweep.cli import main
from spinsweep.cube import Cube, examine, execute, repair
from spinsweep.ledger import Counts
from spinsweep.runs import open_run
from spinsweep.runs.sampling import sample

AXES = (Axis("a", (0, 1, 2, 3)), Axis("b", (0, 1, 2)))


def ordered(cell: Mapping[str, Any]) -> bool:
    return bool(cell["a"] < cell["b"])


@per_cell
def drawn(cell: Cell) -> dict[str, Any]:
    if "GRID_IS_FULL" not in os.environ and not ordered(cell):  # type: ignore[arg-type]
        raise AssertionError("a cell that nobody wants")
    return {"y": cell.rng().random(), "label": f"{cell['a']}{cell['b']}"}


OUTPUTS = (Output("y"), Output("label", dtype="str"))
UPPER = Sweep("upper", "A triangle", AXES, OUTPUTS, drawn, wanted=ordered)


def blockwise(cells: Cells) -> dict[str, Any]:
    return {"y": np.array([cell.rng().random() for cell in cells]).reshape(cells.shape)}


BLOCKWISE = Sweep("blockwise", "Any cells", AXES, (Output("y"),), blockwise)


def states(store: Path) -> Any:
    return xr.open_zarr(store).cell_state.values


@pytest.mark.parametrize("block", [None, 1, 5, {"a": 4}])
def test_cells_that_are_not_wanted_are_blank_and_not_missing(tmp_path: Path, block: Any) -> None:
    result = spinsweep.run(UPPER, tmp_path / "c.zarr", block=block)

    assert result.complete
    assert result.counts == Counts(done=3, unwanted=9)
    assert result.counts.total == 3
    wanted = np.array([[ordered({"a": a, "b": b}) for b in range(3)] for a in range(4)])
    assert (states(tmp_path / "c.zarr") == np.where(wanted, State.DONE, State.UNWANTED)).all()
    ds = spinsweep.open_cube(tmp_path / "c.zarr")
    assert (np.isfinite(ds.y.values) == wanted).all()
    assert (ds.label.values[~wanted] == "").all()
    assert list(examine(tmp_path / "c.zarr")) == []


def test_flags_of_the_states_name_unwanted(tmp_path: Path) -> None:
    spinsweep.run(UPPER, tmp_path / "c.zarr")
    attrs = xr.open_zarr(tmp_path / "c.zarr").cell_state.attrs

    flags = dict(zip(attrs["flag_meanings"].split(), attrs["flag_values"], strict=True))
    assert flags == {"absent": 0, "done": 1, "failed": 2, "stale": 3, "unwanted": 4}


def test_numbers_and_definition_are_those_of_the_full_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spinsweep.run(UPPER, tmp_path / "part.zarr")
    monkeypatch.setenv("GRID_IS_FULL", "yes")
    full = Sweep("upper", "All", AXES, OUTPUTS, drawn)
    spinsweep.run(full, tmp_path / "full.zarr")

    assert full.digest == UPPER.digest
    part, whole = (spinsweep.open_cube(tmp_path / f"{name}.zarr") for name in ("part", "full"))
    done = part.sweep.done
    assert (part.y.values[done] == whole.y.values[done]).all()
    grown = spinsweep.run(full, tmp_path / "part.zarr")  # the rest is wanted now
    assert grown.counts == Counts(done=12)
    xr.testing.assert_identical(
        spinsweep.open_cube(tmp_path / "part.zarr").y.load(), spinsweep.open_cube(tmp_path / "full.zarr").y.load()
    )


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.sampled_from(list(itertools.product(range(4), range(3)))), unique=True, min_size=1),
    st.lists(st.sampled_from(list(itertools.product(range(4), range(3)))), unique=True, min_size=1),
    st.integers(1, 12),
)
def test_any_cells_and_then_any_others(
    tmp_path_factory: pytest.TempPathFactory, first: list[tuple[int, int]], then: list[tuple[int, int]], block: int
) -> None:
    import dataclasses

    store = tmp_path_factory.mktemp("any") / "c.zarr"
    listed = dataclasses.replace(BLOCKWISE, wanted=[{"a": a, "b": b} for a, b in first])
    told = dataclasses.replace(BLOCKWISE, wanted=lambda cell: (cell["a"], cell["b"]) in then)
    one = spinsweep.run(listed, store, block=block)
    two = spinsweep.run(told, store)

    assert one.counts == Counts(done=len(first), unwanted=12 - len(first))
    done = set(first) | set(then)
    assert two.counts == Counts(done=len(done), unwanted=12 - len(done))
    assert two.complete
    assert {tuple(cell) for cell in np.argwhere(states(store) == State.DONE).tolist()} == done
    assert list(examine(store)) == []


def test_a_run_that_stops_goes_on_and_grows(tmp_path: Path) -> None:
    with open_run(UPPER, tmp_path / "c.zarr", block=1) as run:
        assert (run.progress.cells, run.progress.blocks) == (3, 3)
        run.note(execute(run.job, next(run.tasks())))
    assert Cube(tmp_path / "c.zarr").counts() == Counts(absent=2, done=1, unwanted=9)

    grown = spinsweep.run(UPPER.with_values(a=[0, 1, 7], b=[0, 1, 2, 5]), tmp_path / "c.zarr")
    assert grown.complete
    assert grown.counts == Counts(done=5, unwanted=7)
    assert Cube(tmp_path / "c.zarr").counts() == Counts(done=5, absent=2, unwanted=13)  # a of 2 and 3 at b of 5


def test_what_failed_and_is_not_wanted_any_more_is_not_computed_again(tmp_path: Path) -> None:
    import dataclasses

    full = dataclasses.replace(UPPER, wanted=None)
    assert spinsweep.run(full, tmp_path / "c.zarr", on_failure="keep").counts == Counts(done=3, failed=9)

    assert spinsweep.run(UPPER, tmp_path / "c.zarr", retry_failed=True, on_failure="keep").counts == Counts(
        done=3, unwanted=9
    )
    assert Cube(tmp_path / "c.zarr").ledger("cell_attempt").max() == 1


def test_what_becomes_stale_and_is_not_wanted_is_not_computed(tmp_path: Path) -> None:
    import dataclasses

    spinsweep.run(BLOCKWISE, tmp_path / "c.zarr")
    newer = dataclasses.replace(BLOCKWISE, version="2", wanted=[{"b": 1}])
    counts = spinsweep.run(newer, tmp_path / "c.zarr", mark_stale=True).counts

    assert counts == Counts(done=4, unwanted=8)


def test_damaged_states_come_back_as_they_were(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    spinsweep.run(UPPER, store)
    before = states(store)
    chunk = next(file for file in (store / "cell_state" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    repair(store)

    assert spinsweep.run(UPPER, store).complete
    assert (states(store) == before).all()


def test_zipped_axes_and_conditional_ones_are_lists_of_wanted_cells(tmp_path: Path) -> None:
    import dataclasses

    pairs = dataclasses.replace(BLOCKWISE, wanted=zipped(a=(0, 1, 3), b=np.array([2, 1, 0])))
    assert np.argwhere(pairs.wanted_mask).tolist() == [[0, 2], [1, 1], [3, 0]]
    depth = Axis("depth", (1, 2, 3), neutral=1)
    axes = (Axis("model", ("flat", "deep")), depth)
    wanted = [{"model": "flat", "depth": 1}, {"model": "deep"}]
    models = Sweep("models", "", axes, (Output("y"),), per_cell(lambda cell: {"y": cell["depth"]}), wanted=wanted)
    assert spinsweep.run(models, tmp_path / "c.zarr").counts == Counts(done=4, unwanted=2)
    assert models.with_values(depth=2).cells == 1
    assert models.with_values(depth=1).cells == 2  # no dimension of the cube


def test_a_sample_of_the_time_computes_only_wanted_cells() -> None:
    timed = sample(UPPER)

    assert timed.error == ""
    assert timed.cell_seconds > 0


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (3, "sweep 's': wanted must be a function of a cell, or a list of mappings, not 3"),
        ({"a": 1}, "wanted must be a function of a cell, or a list of mappings"),
        ([], "sweep 's': wanted names no cell; leave it out"),
        ([{"a": 1}, 3], r"sweep 's': wanted\[1\] must be a mapping of axes to values, not 3"),
        ([{"aa": 1}], r"wanted\[0\] names 'aa', which is no axis \(did you mean 'a'\?\)"),
        ([{"a": "x"}], r"wanted\[0\]: 'x' is not a number"),
        ([{"a": 9}], "its field wanted wants none of the cells of 4 a × 3 b"),
        (lambda cell: False, "its field wanted wants none of the cells of 4 a × 3 b"),
        (lambda cell: cell["c"], "wanted raised KeyError: 'c' at a=0 b=0"),
        (lambda cell: cell["a"], "wanted returned 0 at a=0 b=0; it returns true or false"),
    ],
)
def test_what_says_nothing_of_cells_is_one_line_before_anything_is_written(
    tmp_path: Path, wanted: Any, says: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        spinsweep.run(Sweep("s", "", AXES, (Output("y"),), blockwise, wanted=wanted), tmp_path / "c.zarr", block=1)

    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_zipped_axes_of_other_lengths_are_refused() -> None:
    with pytest.raises(SpecError, match="zipped axes need equally many values, not 2 of a, 3 of b"):
        zipped(a=(1, 2), b=(1, 2, 3))


@pytest.mark.slow
def test_the_commands_count_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{__file__}:UPPER"
    main(["plan", name, "--json"])
    planned = json.loads(capfd.readouterr().out)
    assert (planned["cells"], planned["cells_to_compute"]) == (3, 3)

    assert main(["run", name, "--executor", "processes", "--workers", "2"]) == 0
    out, err = capfd.readouterr()
    assert "3 cells to compute" in err
    assert "9 are not wanted" in err
    assert "3 of 3 done" in out
    assert main(["status", "results/upper.zarr"]) == 0
    assert "3 of 3 done, 9 unwanted" in capfd.readouterr().out
    assert main(["verify", "results/upper.zarr"]) == 0
    main(["plan", name, "--set", "b+=9"])
    out = capfd.readouterr().out
    assert "7 are wanted of 4 a × 4 b" in out
    assert "to compute  4" in out
