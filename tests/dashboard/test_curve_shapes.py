"""What the page draws of curves: places, bands, marks, ticks and the legend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinsweep import View
from spinsweep.analysis.curves import curves
from spinsweep.dashboard.curve_shapes import COLOURS, MARKS, SHADES, Across, Shapes, legend, styles

NAN = float("nan")


def cube(x: list[Any], values: Any, lines: list[Any] | None = None, **attrs: str) -> xr.Dataset:
    """A cube over line, x and seed."""
    values = np.asarray(values, np.float64)
    coords = {"line": lines or list(range(values.shape[0])), "x": ("x", x, attrs)}
    return xr.Dataset({"y": (("line", "x", "seed"), values, {"units": "V"})}, coords)


def shapes(ds: xr.Dataset, lines: str | None = "line") -> Shapes:
    return Shapes.of(curves(ds, View("y", x="x", lines=lines)))


def test_a_band_goes_along_its_line_and_ends_where_an_interval_is_not_known() -> None:
    y = np.array([[[1, 3], [2, 4], [NAN, NAN], [5, NAN], [6, 8]]])
    drawn = shapes(cube([0.0, 1.0, 2.0, 3.0, 4.0], y))
    np.testing.assert_array_equal(drawn.lines["xs"], [[0.0, 1.0, NAN, 3.0, 4.0]])
    np.testing.assert_array_equal(drawn.lines["ys"], [[2.0, 3.0, NAN, 5.0, 7.0]])
    assert [band.tolist() for band in drawn.bands["xs"]] == [[0.0, 1.0, 1.0, 0.0]]
    low, high = drawn.bands["ys"][0][0], drawn.bands["ys"][0][3]
    assert (low + high) / 2 == pytest.approx(2.0)
    assert drawn.bars["x"] == [4.0], "an interval without neighbours is a bar"
    assert drawn.points["x"] == [0.0, 1.0, 3.0, 4.0]
    assert drawn.points["interval"][2] == ""
    assert drawn.points["count"] == ["2", "2", "1", "2"]


def test_numbers_have_the_prefix_of_their_unit() -> None:
    drawn = shapes(cube([1e-3, 2e-3], [[[2e-6, 4e-6], [3e-6, 5e-6]]], units="A"))
    assert (drawn.across.title, drawn.up_title) == ("x (mA)", "y (µV)")
    assert drawn.points["x"] == pytest.approx([1.0, 2.0])
    assert drawn.points["y"] == pytest.approx([3.0, 4.0])


def test_values_that_are_spread_over_decades_have_places_of_their_own_and_zero_too() -> None:
    pulses = [0.0, 28.0, 140.0, 1400.0, 14000.0]
    ds = cube(pulses, np.arange(10.0).reshape(1, 5, 2))
    across = Across.of(curves(ds, View("y", x="x", lines="line")))
    places = across.places(pulses)
    assert across.ticks is not None
    assert list(across.ticks.values()) == ["0", "28", "140", "1400", "14000"]
    assert places.tolist() == pytest.approx(list(across.ticks))
    steps = np.diff(places)
    assert steps.max() < 2 * steps.min(), "no value is lost between others"


def test_words_stand_side_by_side_without_lines_between_them() -> None:
    drawn = shapes(cube(["none", "trained", "<b>"], np.arange(6.0).reshape(1, 3, 2)))
    assert drawn.across.ticks is not None
    assert drawn.across.ticks == {0.0: "none", 1.0: "trained", 2.0: "<b>"}
    assert drawn.lines["xs"] == []
    assert drawn.bars["x"] == [0.0, 1.0, 2.0]


def test_the_very_wide_intervals_of_few_replicates_do_not_flatten_the_curve() -> None:
    drawn = shapes(cube([0.0, 1.0, 2.0], [[[1.0, 1.001], [1.5, 1.501], [2.0, 12.0]]]))
    means = (1.0005, 7.0)
    assert drawn.y_range is not None
    low, high = drawn.y_range
    assert low >= means[0] - 1.3 * (means[1] - means[0])
    assert high <= means[1] + 1.3 * (means[1] - means[0])


def test_the_band_of_a_share_stays_between_0_and_1() -> None:
    shares = np.random.default_rng(0).random((4, 3, 20)) < np.array([0.02, 0.5, 0.98])[:, None]
    ds = xr.Dataset({"switched": (("device", "x", "cycle"), shares)}, {"x": [0.0, 1.0, 2.0]})
    found = curves(ds, View("switched", x="x", over=("device", "cycle")))
    assert found.method == "Student's t"
    assert found.lines[0].low.min() < 0, "as the estimate has it"
    drawn = Shapes.of(found)
    assert (min(drawn.bands["ys"][0]), max(drawn.bands["ys"][0])) == (0.0, 1.0)
    assert drawn.up_title == "share of switched"


def test_nothing_known_has_no_shape_yet_and_its_axis_is_there() -> None:
    drawn = shapes(cube([0.0, 1.0], np.full((2, 2, 3), NAN)))
    assert (drawn.x_range, drawn.y_range) == ((-0.04, 1.04), None), "the axis of x is that of all points to come"
    assert drawn.points["x"] == drawn.bars["x"] == drawn.bands["xs"] == []


def test_lines_differ_in_colour_and_mark_and_numbers_go_from_dark_to_light() -> None:
    values = np.arange(36.0).reshape(9, 2, 2)
    numbers = curves(cube([0.0, 1.0], values, [*range(9)]), View("y", x="x", lines="line"))
    names = curves(cube([0.0, 1.0], values, [*"abcdefghi"]), View("y", x="x", lines="line"))
    assert styles(numbers) == list(zip(SHADES, MARKS, strict=True))
    assert styles(names) == list(zip(COLOURS, MARKS, strict=True))


def test_the_legend_names_each_line_and_how_many_more_there_are() -> None:
    names = ["a", "<i>", *(str(i) for i in range(9))]
    found = curves(cube([0.0, 1.0], np.arange(44.0).reshape(11, 2, 2), names), View("y", x="x", lines="line"))
    text = legend(found)
    assert text.count('class="item"') == 10
    assert "and 2 more values" in text
    assert "&lt;i&gt;" in text or "<i>" not in text
    assert legend(curves(cube([0.0, 1.0], np.ones((1, 2, 2))), View("y", x="x"))) == ""
