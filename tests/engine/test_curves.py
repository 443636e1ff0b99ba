"""Curves of a view: whatever blocks they are added up from, they are the means and intervals of the estimates."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spinsweep import SpecError, View
from spinsweep.analysis import curves as module
from spinsweep.analysis.curve_data import Curves
from spinsweep.analysis.curves import CurveSums, curves
from spinsweep.analysis.estimates import estimate, numbers
from spinsweep.ledger import State

WIDTHS, VARIATIONS = (5.0, 1.0, 0.3), (0.0, 0.1, 0.2, 0.3)
AXES = {"width": WIDTHS, "variation": VARIATIONS, "seed": range(5)}


def cube(share_done: float = 1.0, seed: int = 0) -> xr.Dataset:
    """What a cube holds: blank and NaN cells, an output with inner dims, one of booleans, and currents of a curve."""
    rng = np.random.default_rng(seed)
    shape = tuple(len(v) for v in AXES.values())
    states = np.where(rng.random(shape) < share_done, State.DONE, State.ABSENT).astype(np.uint8)
    states[rng.random(shape) < 0.05 * share_done] = State.FAILED
    loss = rng.normal(size=(*shape, 6)).astype(np.float32)
    loss[rng.random(loss.shape) < 0.05] = np.nan
    data = {
        "loss": ((*AXES, "epoch"), loss, {"units": "J", "long_name": "mean loss"}),
        "good": ((*AXES,), rng.random(shape) < 0.7),
        "switched": ((*AXES, "current", "cycle"), rng.random((*shape, 4, 3)) < 0.5),
        "i_write": ((*AXES, "current"), np.arange(4) + 0.1 * rng.random((*shape, 4)), {"units": "A"}),
        "text": ((*AXES,), np.full(shape, "a")),
        "cell_state": ((*AXES,), states),
    }
    coords = {n: (n, list(v)) for n, v in AXES.items()} | {"epoch": ("epoch", np.arange(1, 7))}
    return xr.Dataset(data, coords)


def assert_are(found: Curves, expected: xr.Dataset, x: str) -> None:
    """The curves are these estimates, (width, x)."""
    expected = expected.sortby(x) if x in expected.coords else expected
    for line, width in zip(found.lines, WIDTHS, strict=True):
        for name in ("mean", "low", "high"):
            there = expected[name].sel(width=width).transpose(x).values
            np.testing.assert_allclose(getattr(line, name), there, rtol=1e-6, atol=1e-9, err_msg=name)


@given(seed=st.integers(0, 999), share=st.sampled_from((0.0, 0.1, 0.6, 1.0)))
@settings(max_examples=10, deadline=None)
def test_means_and_intervals_are_those_of_the_estimates(seed: int, share: float) -> None:
    ds = cube(share, seed)
    over_epochs = curves(ds, View("loss", x="epoch", lines="width", over=("seed",)))
    expected = numbers(ds, "loss").mean("variation", keep_attrs=True).drop_attrs()
    assert_are(over_epochs, estimate(expected, ["seed"]), "epoch")
    good = curves(ds, View("good", x="variation", lines="width"))
    assert_are(good, estimate(numbers(ds, "good"), ["seed"]), "variation")
    assert (over_epochs.method, good.method) == ("Student's t", "Wilson's")
    counted = numbers(ds, "good").notnull().sum("seed")
    assert [line.count.tolist() for line in good.lines] == counted.values.tolist()


@given(
    seed=st.integers(0, 999),
    chunk=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    view=st.sampled_from(
        [
            View("loss"),
            View("loss", x="variation", lines="width", inner="last"),
            View("loss", x="seed", lines="epoch"),
            View("good", x="width", lines="variation"),
            View("switched", x="i_write", lines="width", over=("seed", "cycle")),
            View("switched", x="current", lines="cycle", over=("seed",)),
        ]
    ),
)
@settings(max_examples=25, deadline=None)
def test_blocks_in_any_order_give_what_the_whole_cube_gives(seed: int, chunk: tuple[int, ...], view: View) -> None:
    ds = cube(0.7, seed)
    sums = CurveSums(ds, view)
    grid = [range(0, ds.sizes[n], c) for n, c in zip(AXES, chunk, strict=True)]
    starts = np.random.default_rng(seed).permutation(list(itertools.product(*grid)))
    for start in starts.tolist():
        box = ds.isel({n: slice(b, b + c) for n, b, c in zip(AXES, start, chunk, strict=True)})
        sums.add(start, box.cell_state.values == State.DONE, *(box[name].values for name in sums.reads))
    same(sums.curves(), curves(ds, view))


def same(found: Curves, expected: Curves) -> None:
    assert (found.view, found.x, found.y, found.over, found.method) == (
        expected.view, expected.x, expected.y, expected.over, expected.method
    )  # fmt: skip
    assert len(found.lines) == len(expected.lines)
    for one, other in zip(found.lines, expected.lines, strict=True):
        assert one.label == other.label
        np.testing.assert_array_equal(one.count, other.count)
        for name in ("x", "mean", "low", "high"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)


def test_the_last_value_of_an_inner_dim_is_taken_where_the_view_says_so() -> None:
    ds = cube()
    found = curves(ds, View("loss", x="variation", lines="width", inner="last"))
    assert_are(found, estimate(numbers(ds, "loss").isel(epoch=-1), ["seed"]), "variation")
    assert (
        found.caption()
        == "Mean over seed, at the last epoch; bands: 95 % interval of the mean over seed (Student's t)"
    )


def test_points_lie_at_the_mean_of_the_output_along_the_axis() -> None:
    ds = cube(0.8)
    found = curves(ds, View("switched", x="i_write", lines="width"))
    along = numbers(ds, "i_write").mean(["variation", "seed"])
    np.testing.assert_allclose([line.x for line in found.lines], along.values)
    assert (found.x.name, found.x.unit) == ("i_write", "A")
    shares = numbers(ds, "switched").mean(["variation", "cycle"])
    assert_are(found, estimate(shares.assign_attrs(is_share=False), ["seed"]), "current")


def test_one_device_has_the_interval_over_its_cycles() -> None:
    ds = cube().isel(seed=[2], variation=[0])
    found = curves(ds, View("switched", x="current", lines="width", over=("seed", "cycle")))
    assert (found.over, found.method) == ("cycle", "Wilson's")
    assert_are(found, estimate(numbers(ds, "switched").isel(seed=0, variation=0), ["cycle"]), "current")


def test_lines_beyond_the_most_are_counted_and_those_that_are_drawn_are_spread_along_the_axis() -> None:
    found = curves(cube(), View("good", x="width", lines="seed"), most_lines=3)
    assert ([line.label for line in found.lines], found.more) == (["0", "2", "4"], 2)


def test_an_axis_of_words_has_positions_and_its_words() -> None:
    ds = cube().assign_coords(variation=["none", "some", "much", "all"])
    found = curves(ds, View("good", x="variation", lines="width"))
    assert found.x.words == ("none", "some", "much", "all")
    assert found.lines[0].x.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not curves(ds, View("good", x="width", lines="variation")).ordered


def test_values_that_were_appended_out_of_order_are_drawn_and_averaged_with_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 2)
    ds = xr.Dataset({"y": ("x", [1.0, 2.0, 30.0, 40.0])}, {"x": [3.0, 1.0, 4.0, 2.0]})
    found = curves(ds, View("y", x="x"))
    assert (found.lines[0].x.tolist(), found.lines[0].mean.tolist()) == ([1.5, 3.5], [21.0, 15.5])


def test_a_large_cube_takes_no_more_room_than_its_points_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 10)
    monkeypatch.setattr(module, "MAX_GROUPS", 7)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 42)) + np.arange(30)[:, None]
    ds = xr.Dataset({"y": (("x", "seed"), values)}, {"x": np.arange(30.0), "seed": range(42)})
    found = curves(ds, View("y", x="x"))
    assert found.lines[0].x.tolist() == (1 + 3 * np.arange(10)).tolist()
    np.testing.assert_allclose(found.lines[0].mean[0], values[:3].mean())
    assert found.lines[0].count[0] == 126
    groups = xr.DataArray([values[:3, i : i + 6].mean() for i in range(0, 42, 6)], dims="g")
    np.testing.assert_allclose(found.lines[0].low[0], float(estimate(groups, ["g"])["low"]))
    assert found.caption().endswith("neighbours along x and seed are averaged")


@pytest.mark.parametrize("output", ["text", "nothing", "cell_state"])
def test_what_is_no_output_of_numbers_is_named(output: str) -> None:
    with pytest.raises(SpecError, match=f"there is no output of numbers '{output}'"):
        curves(cube(), View(output))


def test_a_cube_of_which_nothing_is_done_has_curves_without_points() -> None:
    found: Any = curves(cube(0.0), View("loss", x="variation", lines="width"))
    assert all(np.isnan(line.mean).all() and line.count.sum() == 0 for line in found.lines)
