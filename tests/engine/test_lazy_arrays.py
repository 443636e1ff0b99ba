"""A cube's Dataset reads what zarr reads of it, in pieces of many blocks."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Dim, Output, Sweep, cell
from spinsweep.cube import Cube
from spinsweep.cube.lazy_arrays import PIECE_BLOCKS, LazyArray, blocks_of
from spinsweep.errors import CubeError
from spinsweep.runs import open_run

SHAPE = (5, 7)


def zero(a: int, b: int) -> float:
    return 0.0 * a * b


@cell
def values(a: int, b: int) -> dict[str, Any]:
    if a == 4 and b > 2:
        raise ValueError("no good")
    return {"y": np.arange(3) + 10 * b + 100 * a, "n": a * b, "odd": bool((a + b) % 2), "word": f"{a}/{b}"}


SWEEP = Sweep(
    name="values",
    title="Values of each type",
    axes=(Axis("a", tuple(range(SHAPE[0]))), Axis("b", tuple(range(SHAPE[1])))),
    dims=(Dim("k", 3),),
    outputs=(
        Output("y", ("k",)),
        Output("n", dtype="int32"),
        Output("odd", dtype="bool"),
        Output("word", dtype="str"),
    ),
    function=values,
)


@pytest.fixture(scope="module", params=[{"a": 1, "b": 1}, {"a": 2, "b": 3}], ids=["cells", "boxes"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube in which some cells failed and some were never begun."""
    path = tmp_path_factory.mktemp("lazy") / "values.zarr"
    spinsweep.run(SWEEP.with_values(b=range(5)), path, block=request.param, on_failure="keep", progress=False)
    spinsweep.run(SWEEP.with_values(a=[0, 1, 2], b=[6]), path, on_failure="keep", progress=False)
    return path


def test_it_is_the_dataset_that_zarr_gives_with_fewer_and_larger_pieces(store: Path) -> None:
    ours, zarrs = Cube(store).dataset(), xr.open_zarr(store)
    assert {name: array.dtype for name, array in ours.items()} == {name: a.dtype for name, a in zarrs.items()}
    assert ours.y.data.npartitions == 1 < blocks_of(ours.y) == zarrs.y.data.npartitions
    assert ours.encoding["source"] == zarrs.encoding["source"]
    xr.testing.assert_identical(ours.load(), zarrs.load())


@settings(max_examples=60)
@given(data=st.data())
def test_any_selection_reads_what_numpy_selects_of_the_whole(store: Path, data: st.DataObject) -> None:
    dataset = Cube(store).dataset(pieces={"a": data.draw(st.integers(1, 5)), "b": data.draw(st.integers(1, 7))})
    name = data.draw(st.sampled_from(["y", "n", "odd", "cell_state", "cell_duration"]))
    slices = st.builds(slice, st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 3))
    backwards = st.builds(slice, st.none(), st.none(), st.integers(-3, -1))
    along = st.one_of(st.integers(-5, 4), slices, backwards, st.lists(st.integers(-5, 4), max_size=4))
    a, b = data.draw(along), data.draw(along)
    chosen = {dim: value for dim, value in zip(("a", "b"), (a, b), strict=True) if dim in dataset[name].dims}
    whole = Cube(store).array(name).read()
    expected = xr.DataArray(whole, dims=dataset[name].dims).isel(chosen)
    np.testing.assert_array_equal(dataset[name].isel(chosen).values, expected.values)
    unchunked = LazyArray(Cube(store).array(name))
    key = tuple(value if not isinstance(value, list) else slice(None) for value in (a, b))
    lazy = xr.Variable(dataset[name].dims, xr.core.indexing.LazilyIndexedArray(unchunked))
    np.testing.assert_array_equal(lazy[key].values, whole[key])


@pytest.mark.parametrize(("chunk", "piece"), [((1, 1), (20, 50)), ((7, 50), (301, 50)), ((1, 7), (128, 50))])
def test_a_piece_has_whole_blocks_and_no_more_than_are_read_soon(
    chunk: tuple[int, int], piece: tuple[int, int], tmp_path: Path
) -> None:
    many = Sweep.from_function(zero, {"a": range(301), "b": range(50)}, name="many")
    with open_run(many, tmp_path / "m.zarr", block=dict(zip("ab", chunk, strict=True))) as run:
        dataset = run.cube.dataset()
    assert tuple(along[0] for along in dataset.zero.chunks) == piece
    assert piece[0] % chunk[0] == 0
    assert np.prod([-(-p // c) for p, c in zip(piece, chunk, strict=True)]) <= PIECE_BLOCKS


def test_it_travels_to_another_process(store: Path) -> None:
    lazy = pickle.loads(pickle.dumps(Cube(store).dataset()))
    assert lazy.n.sel(a=2, b=3).values == 6


def test_a_cube_that_was_moved_after_it_was_opened_is_an_error_and_not_an_empty_one(
    store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "here.zarr")
    opened = Cube(tmp_path / "here.zarr").dataset()
    (tmp_path / "here.zarr").rename(tmp_path / "there.zarr")
    with pytest.raises(CubeError, match="it was moved or removed after it was opened"):
        opened.y.load()


def test_a_damaged_chunk_is_named_when_it_is_read(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "c.zarr")
    next((tmp_path / "c.zarr" / "y" / "c").glob("0/0/0")).write_bytes(b"nothing of that kind")
    opened = spinsweep.open_cube(tmp_path / "c.zarr")
    with pytest.raises(CubeError, match=r"y/c/0/0/0 is damaged"):
        opened.y.load()
    assert opened.n.sel(a=2, b=3).values == 6
