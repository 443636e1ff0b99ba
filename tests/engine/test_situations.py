"""Situations of people who sweep for a living: what they did, and what they are told or get."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spinsweep
from spinsweep import Axis, Cell, Output, Parameter, SpecError, Sweep, cell
from spinsweep.errors import CubeError
from spinsweep.evaluate import evaluate

PAGE = Path(__file__).parents[2] / "sweeps/SITUATIONS.md"
X = Axis("x", (0.0, 1.0))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Callable_:
    """An object that can be called, and is no function."""

    def __call__(self, x: float) -> float:
        return x

    def method(self, x: float) -> float:
        return x


@cell
def identity(x: float) -> float:
    return x


@cell
def with_stream(x: float, rng: Any) -> float:
    return float(rng.normal())


@cell
def with_cell(x: float, cell: Cell) -> float:
    return float(cell["x"])


def a_sweep(function: Any = identity, axes: tuple[Axis, ...] = (X,), *outputs: Any, **more: Any) -> Sweep:
    return Sweep("s", "S", axes, outputs or (Output("y"),), function, **more)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((Path("a"), Path("b")), "PosixPath('a') is not a number, bool, text or date.*; give str"),
        ((Colour.RED, Colour.BLUE), "<Colour.RED: 1> is not a number.*; give its name or value"),
        (((1, 2), (3, 4)), "(1, 2) is not a number.*; give an axis for each of its parts"),
        (np.zeros((2, 2)), "array([0., 0.]) is not a number.*; give an axis for each of its parts"),
        ((1j, 2), "1j is not a number.*; give its real and imaginary parts"),
        ((None, 2), "None is not a number.*; give a value that stands for none"),
        (("a", None), "None is not a number.*; give a value that stands for none"),
        ((b"a", b"b"), "b'a' is not a number.*; give value.decode()"),
        (({}, {}), "{} is not a number.*; give a text or number that stands for it"),
        ((min, max), "<built-in function min> is not a number.*; give a text or number that stands for it"),
    ],
)
def test_values_of_a_kind_that_no_axis_takes_are_told_what_to_give_instead(values: Any, says: str) -> None:
    with pytest.raises(SpecError) as told:
        Axis("p", values)
    first, then = says.split(".*")
    assert f"axis 'p': {first}" in str(told.value)
    assert then in str(told.value)
    assert "any numbers" not in str(told.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: a_sweep(identity, (X,), Output("x")), "output 'x' is called like the axis"),
        (lambda: a_sweep(identity, (X,), Output("y"), Output("y")), "output 'y' is there twice"),
        (lambda: a_sweep(identity, (X, X)), "axis 'x' is there twice"),
        (lambda: a_sweep(parameters=(Parameter("x", 1.0),)), "parameter 'x' is called like the axis"),
        (lambda: a_sweep(identity, (X,), Output("runs")), "output 'runs' has a name that every cube uses itself"),
        (lambda: a_sweep(axes=(X, Axis("errors", (0, 1)))), "axis 'errors' has a name that every cube uses itself"),
        (
            lambda: a_sweep(with_stream, (X, Axis("rng", (0, 1)))),
            "'rng' gets the cell's random stream; give the axis",
        ),
        (lambda: a_sweep(with_cell, (X, Axis("cell", (0, 1)))), "'cell' gets the Cell itself; give the axis"),
        (lambda: a_sweep(with_stream, parameters=(Parameter("rng", 1),)), "random stream; give the parameter 'rng'"),
        (lambda: Sweep.from_function(with_stream, x=[1, 2], rng=[1, 2]), "give the axis 'rng' another name"),
    ],
)
def test_names_that_clash_are_told_with_both_things_that_have_them(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(SpecError) as told:
        make()
    assert says in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (Callable_(), "is of the class Callable_; write a def that calls it"),
        (Callable_().method, "method is a bound method; write a def that makes the object and calls it"),
        (np.sin, "is of the class ufunc; write a def that calls it"),
        (abs, "is of the class builtin_function_or_method; write a def that calls it"),
        (float, "is of the class type; write a def that calls it"),
    ],
)
def test_what_is_no_plain_function_is_told_so_in_the_words_of_what_was_written(function: Any, says: str) -> None:
    with pytest.raises(SpecError) as told:
        Sweep.from_function(function, x=[1, 2])
    assert str(told.value).startswith("from_function takes a plain function, and ")
    assert says in str(told.value)
    assert "@" not in str(told.value)


@pytest.mark.parametrize(
    ("value", "dtype", "comes_to"),
    [
        (2**70, "int64", "has the number 1180591620717411303424, which is too large for int64; declare float64"),
        (-(2**70), "uint8", "which is too large for uint8"),
        (2**63, "int64", "has values 9223372036854775808 to 9223372036854775808, declared is int64"),
        (10**400, "float64", "which is too large for float64; give its logarithm"),
        (2**70, "float64", 2.0**70),
        (2**63, "uint64", 2**63),
        (np.float16(0.5), "float16", 0.5),
        (1j, "complex128", 1j),
        (True, "bool", True),
        ("μm", "str", "μm"),
    ],
)
def test_a_number_is_kept_exactly_or_its_cell_is_told_that_it_is_too_large(
    value: Any, dtype: str, comes_to: Any
) -> None:
    @cell
    def gives(x: float) -> Any:
        return value

    got = evaluate(a_sweep(gives, (X,), Output("y", dtype=dtype)), {"x": (0.0,)})
    if isinstance(comes_to, str) and got.errors:
        assert comes_to in got.errors[0,].message
    else:
        assert not got.errors
        assert got.values["y"][0] == comes_to


def test_a_whole_number_of_any_size_is_inferred_as_a_float() -> None:
    def large(n: int) -> int:
        return 2**n

    sweep = Sweep.from_function(large, n=[70, 3])
    assert [output.dtype for output in sweep.outputs] == ["float64"]


def _generator() -> Iterator[int]:
    yield 1


def _throws() -> None:
    paused = _generator()
    next(paused)
    paused.throw(KeyboardInterrupt("own"))  # type: ignore[attr-defined]


def _hands_on() -> None:
    elsewhere: Future[None] = Future()
    elsewhere.set_exception(KeyboardInterrupt("of another thread"))
    elsewhere.result()


def _raises() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupts", [_throws, _hands_on, _raises])
@pytest.mark.parametrize("executor", [None, "serial"])
def test_an_interrupt_that_a_cell_makes_itself_fails_the_cell_in_this_process_too(
    interrupts: Callable[[], None], executor: str | None, tmp_path: Path
) -> None:
    @cell
    def some(x: float) -> float:
        if x:
            interrupts()
        return x

    how: Any = {"executor": executor} if executor else {}
    result = spinsweep.run(a_sweep(some), tmp_path / "c.zarr", on_failure="keep", progress=False, **how)
    assert (result.counts.done, result.counts.failed) == (1, 1)
    assert result.failures[0].error.type == "KeyboardInterrupt"


def test_a_small_result_shows_its_numbers_and_keeps_them_when_the_cube_has_moved(tmp_path: Path) -> None:
    result = spinsweep.run(a_sweep(), tmp_path / "a.zarr", progress=False)
    ds = result.dataset
    assert all(variable.chunks is None for variable in ds.variables.values())
    assert "dask" not in repr(ds.y)
    (tmp_path / "a.zarr").rename(tmp_path / "b.zarr")
    assert ds.y.values.tolist() == [0.0, 1.0]
    with pytest.raises(CubeError, match="is not a cube"):
        _ = result.dataset
    assert spinsweep.run(a_sweep(), tmp_path / "b.zarr", progress=False).counts.done == 2


@pytest.mark.parametrize(("limit", "least"), [("FEW_CHUNKS", 20), ("SMALL_BYTES", 100)])
def test_a_result_of_many_chunks_or_bytes_is_lazy(
    limit: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = a_sweep(identity, (Axis("x", range(20)),))
    monkeypatch.setattr(f"spinsweep.cube.cube.{limit}", least)
    ds = spinsweep.run(sweep, tmp_path / "a.zarr", block=1, progress=False).dataset
    assert ds.y.chunks is not None
    assert ds.y.sum().values == 19 * 20 / 2


def test_a_damaged_chunk_of_a_small_result_is_one_line(tmp_path: Path) -> None:
    result = spinsweep.run(a_sweep(), tmp_path / "a.zarr", block=2, progress=False)
    (tmp_path / "a.zarr/y/c/0").write_bytes(b"damaged")
    with pytest.raises(CubeError, match=r"`spinsweep verify .*` names the damage"):
        _ = result.dataset


@pytest.mark.parametrize("name", ["with a blank", "\N{GREEK SMALL LETTER MU}-\N{SNOWMAN}", "a#b?c%20d", "~x", "[0]*"])
def test_a_store_may_be_called_anything_and_stays_where_it_was_when_the_folder_changes(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with chdir(tmp_path):
        result = spinsweep.run(a_sweep(), f"{name}/{name}.zarr", progress=False)
        with chdir("elsewhere"):
            assert result.dataset.y.values.tolist() == [0.0, 1.0]
        opened = spinsweep.open_cube(f"{name}/{name}.zarr")
    assert opened.y.values.tolist() == [0.0, 1.0]
    assert (tmp_path / name / f"{name}.zarr" / "zarr.json").is_file()


def test_a_link_to_a_cube_is_the_cube(tmp_path: Path) -> None:
    spinsweep.run(a_sweep(), tmp_path / "a.zarr", progress=False)
    (tmp_path / "link.zarr").symlink_to("a.zarr")
    grown = a_sweep(identity, (Axis("x", (0.0, 1.0, 2.0)),))
    assert spinsweep.run(grown, tmp_path / "link.zarr", progress=False).counts.done == 3
    assert (tmp_path / "link.zarr").is_symlink()
    assert spinsweep.open_cube(tmp_path / "a.zarr").sizes == {"x": 3}


def test_a_function_that_was_defined_again_says_so_and_computes_nothing_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(factor: int) -> Sweep:
        def scaled(x: float) -> float:
            return factor * x

        return a_sweep(cell(scaled))

    spinsweep.run(made(1), tmp_path / "a.zarr")
    capsys.readouterr()
    assert spinsweep.run(made(2), tmp_path / "a.zarr").dataset.y.values.tolist() == [0.0, 1.0]
    assert "were computed by other code" in capsys.readouterr().err
    again = spinsweep.run(made(2), tmp_path / "a.zarr", mark_stale=True, progress=False)
    assert again.dataset.y.values.tolist() == [0.0, 2.0]


def test_a_function_may_close_over_a_large_array_on_workers(tmp_path: Path) -> None:
    table = np.arange(1_000_000.0)

    @cell
    def looked_up(x: float) -> float:
        return float(table[int(x)])

    result = spinsweep.run(a_sweep(looked_up), tmp_path / "a.zarr", workers=1, executor="processes", progress=False)
    assert result.dataset.y.values.tolist() == [0.0, 1.0]


def test_tensors_of_torch_and_scalars_of_xarray_are_numbers() -> None:
    torch = pytest.importorskip("torch")
    for value in (torch.tensor(0.5), xr.DataArray(0.5), np.array(0.5), np.float32(0.5)):

        @cell
        def gives(x: float, value: Any = value) -> Any:
            return value

        got = evaluate(a_sweep(gives), {"x": (0.0,)})
        assert not got.errors, got.errors
        assert got.values["y"].tolist() == [0.5]


def test_a_result_is_used_by_pandas_and_xarray_as_any_other(tmp_path: Path) -> None:
    ds = spinsweep.run(a_sweep(), tmp_path / "a.zarr", progress=False).dataset
    assert ds.y.to_series().to_dict() == {0.0: 0.0, 1.0: 1.0}
    assert ds.to_dataframe()["y"].mean() == 0.5
    assert (ds.y + 1).sel(x=1.0).item() == 2.0
    ds.drop_attrs().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "a.nc", engine="h5netcdf").y.equals(ds.y)


def test_each_situation_of_the_page_has_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [row for row in rows if not row.startswith(("| situation", "|---"))]
    named = [re.fullmatch(r"\| .+ \| .+ \| `(test_\w+\.py)::(test_\w+)` \|", row) for row in rows]
    assert len(rows) >= 60
    for row, name in zip(rows, named, strict=True):
        assert name, f"no test: {row}"
        assert f"\ndef {name[2]}(" in (Path(__file__).parent / name[1]).read_text(), row
