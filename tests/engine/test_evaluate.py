"""One block computed: labelled in, checked out, errors of a cell kept to that cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from examples import GRID

from spinsweep import Axis, Cell, Cells, Dim, Output, Sweep, per_cell
from spinsweep.evaluate import evaluate

COORDS = {"width": (5.0, 0.3), "variation": (0.1,), "seed": (0, 4)}


def small(function: Callable[[Any], Any], dtype: str = "float64") -> Sweep:
    axes = (Axis("a", (0, 1, 2)), Axis("b", (0, 1)))
    return Sweep("small", "", axes, (Output("y", ("k",), dtype),), function, dims=(Dim("k", 2),))


def test_a_box_gives_the_same_numbers_as_its_cells_one_by_one() -> None:
    box = evaluate(GRID, COORDS)

    for index in np.ndindex(2, 1, 2):
        one = evaluate(GRID, {n: (v[i],) for (n, v), i in zip(COORDS.items(), index, strict=True)})
        for name in box.values:
            np.testing.assert_array_equal(box.values[name][index], one.values[name][0, 0, 0])


def test_labelled_results_may_have_their_dims_in_any_order() -> None:
    def function(cells: Cells) -> xr.Dataset:
        a = xr.DataArray(cells.coords["a"], dims="a")
        b = xr.DataArray(cells.coords["b"], dims="b")
        return xr.Dataset({"y": xr.DataArray([1.0, 2.0], dims="k") * (b + 10 * a)})

    result = evaluate(small(function), {"a": (0, 1, 2), "b": (0, 1)})

    assert not result.errors
    assert result.values["y"][2, 1].tolist() == [21.0, 42.0]


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda cells: {}, "did not return output 'y'"),
        (lambda cells: {"y": np.zeros((3, 2, 2)), "z": 0}, "returned 'z', which it does not declare"),
        (lambda cells: {"y": np.zeros((3, 2))}, "output 'y' has shape"),
        (
            lambda cells: {"y": np.zeros((*cells.shape, 2), complex)},
            "output 'y' has dtype complex128, declared is float64; declare complex128, which holds both",
        ),
        (lambda cells: 1.0, "returned float, not a mapping"),
        (lambda cells: {"y": xr.DataArray(np.zeros(2), dims="k")}, "output 'y' has dims"),
    ],
)
def test_a_result_that_does_not_fit_is_an_error_of_every_cell(returned: Callable[[Cells], Any], says: str) -> None:
    result = evaluate(small(returned), {"a": (0, 1), "b": (0,)})

    assert set(result.errors) == {(0, 0), (1, 0)}
    assert all(says in e.message and e.type == "spinsweep.errors.OutputError" for e in result.errors.values())


def test_whole_numbers_that_do_not_fit_the_declared_type_are_refused() -> None:
    fits = evaluate(small(lambda cells: {"y": np.full((*cells.shape, 2), 255)}, "uint8"), {"a": (0,), "b": (0,)})
    wraps = evaluate(small(lambda cells: {"y": np.full((*cells.shape, 2), 256)}, "uint8"), {"a": (0,), "b": (0,)})

    assert not fits.errors
    assert "values 256 to 256, declared is uint8" in wraps.errors[0, 0].message


@pytest.mark.parametrize("one_by_one", [False, True], ids=["block function", "cell function"])
def test_a_failing_cell_does_not_take_the_good_ones_with_it(one_by_one: bool) -> None:
    def block(cells: Cells) -> dict[str, Any]:
        if 1 in cells.coords["a"] and 1 in cells.coords["b"]:
            raise ZeroDivisionError("a=1 b=1")
        return {"y": np.ones((*cells.shape, 2))}

    @per_cell
    def cell(one: Cell) -> dict[str, Any]:
        if (one["a"], one["b"]) == (1, 1):
            raise ZeroDivisionError("a=1 b=1")
        return {"y": [1.0, 1.0]}

    result = evaluate(small(cell if one_by_one else block), {"a": (0, 1, 2), "b": (0, 1)})

    assert list(result.errors) == [(1, 1)]
    error = result.errors[1, 1]
    assert (error.type, error.message) == ("ZeroDivisionError", "a=1 b=1")
    assert "raise ZeroDivisionError" in error.traceback
    good = np.ones((3, 2), bool)
    good[1, 1] = False
    assert (result.values["y"][good] == 1).all()
    assert np.isnan(result.values["y"][1, 1]).all()


def test_a_cell_function_and_a_block_function_see_the_same_streams() -> None:
    @per_cell
    def one(cell: Cell) -> dict[str, Any]:
        return {"y": [cell.rng("n").random(), cell.rng("n", axes=("a",)).random()]}

    def many(cells: Cells) -> dict[str, Any]:
        y = np.empty((*cells.shape, 2))
        for place, cell in zip(np.ndindex(cells.shape), cells, strict=True):
            y[place] = [cell.rng("n").random(), cells.rng("n", a=cell["a"]).random()]
        return {"y": y}

    coords = {"a": (0, 2), "b": (0, 1)}
    a, b = evaluate(small(one), coords), evaluate(small(many), coords)

    np.testing.assert_array_equal(a.values["y"], b.values["y"])
    assert len(np.unique(a.values["y"][..., 0])) == 4
    assert len(np.unique(a.values["y"][..., 1])) == 2


def test_streams_do_not_depend_on_the_other_values_of_an_axis() -> None:
    grown = dataclasses.replace(GRID, axes=tuple(dataclasses.replace(a, values=a.values[::-1]) for a in GRID.axes))

    np.testing.assert_array_equal(evaluate(GRID, COORDS).values["noise"], evaluate(grown, COORDS).values["noise"])


@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e39), ("complex64", 1e39j), ("float16", 70_000)])
def test_a_value_that_is_too_large_for_its_type_is_an_error_of_its_cell(dtype: str, large: complex) -> None:
    def function(cells: Cells) -> dict[str, Any]:
        values = np.ones((*cells.shape, 2), np.asarray(large).dtype)
        values[(cells.coords["a"] == 1)[:, None] & (cells.coords["b"] == 1)] = large
        return {"y": values}

    result = evaluate(small(function, dtype), {"a": (0, 1, 2), "b": (0, 1)})

    assert set(result.errors) == {(1, 1)}
    assert "output 'y' has values that are too large for " + dtype in result.errors[1, 1].message
    assert (result.values["y"][0] == 1).all()


def test_an_infinity_is_a_result() -> None:
    result = evaluate(
        small(lambda cells: {"y": np.full((*cells.shape, 2), np.inf)}, "float32"), {"a": (0,), "b": (0,)}
    )

    assert not result.errors
    assert np.isposinf(result.values["y"]).all()
