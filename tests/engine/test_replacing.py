"""A larger cube takes the place of another in one step; single cells are marked to be computed again."""

from __future__ import annotations

import ctypes
import dataclasses
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinsweep.cube import execute, open_storage
from spinsweep.disk import exchange
from spinsweep.errors import CubeError
from spinsweep.identity import identify
from spinsweep.outputs import Dim, Output
from spinsweep.runs import open_run
from spinsweep.spec import Axis, Sweep, per_cell


@per_cell
def line(cell: Any) -> dict[str, Any]:
    """x times 0, 1, ..."""
    return {"y": cell["x"] * np.arange(3.0)}


SHORT = Sweep("line", "A line", (Axis("x", (1.0, 2.0)),), (Output("y", ("n",)),), line, dims=(Dim("n", 3),))


@per_cell
def longer(cell: Any) -> dict[str, Any]:
    """The same, longer."""
    return {"y": cell["x"] * np.arange(5.0)}


LONG = dataclasses.replace(SHORT, dims=(Dim("n", 5),), function=longer)


def compute(sweep: Sweep, store: str | Path, mark_stale: Any = False) -> int:
    """Compute what is missing; the number of cells."""
    with open_run(sweep, store, block=1, mark_stale=mark_stale) as run:
        run.begin()
        for task in run.tasks():
            run.note(execute(run.job, task))
        return run.progress.cells_ended


def test_a_cube_with_longer_arrays_takes_the_place_of_another(tmp_path: Path) -> None:
    store = tmp_path / "line.zarr"
    compute(SHORT, store)
    with open_storage(store).replacing() as storage:
        compute(LONG, str(storage))
        assert xr.open_zarr(store).sizes["n"] == 3  # until the end
    ds = xr.open_zarr(store).load()
    np.testing.assert_array_equal(ds.y.sel(x=2.0), [0, 2, 4, 6, 8])
    assert [p.name for p in tmp_path.iterdir()] == ["line.zarr"]
    assert compute(LONG, store) == 0


def test_a_cube_that_is_not_finished_takes_no_place(tmp_path: Path) -> None:
    store = tmp_path / "line.zarr"
    compute(SHORT, store)
    before = xr.open_zarr(store).load()
    with suppress(KeyboardInterrupt), open_storage(store).replacing() as storage:
        compute(LONG, str(storage))
        raise KeyboardInterrupt
    assert xr.open_zarr(store).load().identical(before)
    assert [p.name for p in tmp_path.iterdir()] == ["line.zarr"]


def test_a_link_to_a_cube_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    store, link = tmp_path / "disk" / "line.zarr", tmp_path / "link.zarr"
    compute(SHORT, store)
    link.symlink_to(store)
    with open_storage(link).replacing() as storage:
        compute(LONG, str(storage))
    assert link.is_symlink()
    assert xr.open_zarr(link).sizes["n"] == 5
    assert [p.name for p in store.parent.iterdir()] == ["line.zarr"]


def test_a_cube_on_object_storage_is_not_exchanged() -> None:
    with pytest.raises(CubeError, match="s3://bucket/x: its arrays must become larger, which only a cube in a"):
        open_storage("s3://bucket/x").replacing()


@pytest.mark.parametrize("kernel", ["exchanges", "cannot"])
def test_two_folders_change_their_names(kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernel == "cannot":
        monkeypatch.setattr(ctypes, "CDLL", lambda *args, **options: SimpleNamespace())
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    exchange(str(tmp_path / "new"), str(tmp_path / "old"))
    assert (tmp_path / "old" / "file").read_text() == "new"
    assert (tmp_path / "new" / "file").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(OSError, match="No such file"):
        exchange(str(tmp_path / "none"), str(tmp_path / "old"))
    assert (tmp_path / "old" / "file").read_text() == "new"


def test_chosen_cells_are_computed_again_and_no_others(tmp_path: Path) -> None:
    store = tmp_path / "line.zarr"
    compute(SHORT, store)
    assert compute(SHORT, store, mark_stale=np.array([False, True])) == 1
    assert xr.open_zarr(store).cell_attempt.values.tolist() == [1, 2]
    grown = SHORT.with_values(x=[1.0, 2.0, 3.0])
    assert compute(grown, store, mark_stale=np.array([True, False])) == 2
    assert xr.open_zarr(store).cell_attempt.values.tolist() == [2, 2, 1]


@dataclasses.dataclass(frozen=True)
class Reader:
    """A function of what was recorded."""

    recorded: tuple[float, ...]
    factor: float
    per_cell = True
    data_attributes = ("recorded",)

    def __call__(self, cell: Any) -> dict[str, Any]:
        return {"y": self.factor * np.asarray(self.recorded)}


def test_data_whose_digest_cells_keep_are_no_code() -> None:
    first, second, third = (identify(Reader(*a)) for a in (((1.0,), 2.0), ((3.0,), 2.0), ((1.0,), 4.0)))
    assert first == second
    assert first != third
