"""Axis labels, masks and texts of the figures."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons.device import style


@pytest.mark.parametrize(
    ("top", "label", "tick"),
    [
        (1.6e-3, "I (mA)", "1.5"),
        (6.1e-4, "I (µA)", "600"),
        (2.0, "I (A)", "1.5"),
        (4e-8, "I (nA)", "30"),
        (5e3, "I (kA)", "4"),
    ],
)
def test_an_axis_has_the_si_prefix_of_its_limits(top, label, tick):
    ax = Figure().add_subplot()
    ax.set_xlim(0, top)
    style.label_axis(ax.xaxis, "I", "A")
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel() == label
    assert tick in [t.get_text() for t in ax.get_xticklabels()]


def test_a_given_prefix_is_kept_and_minus_is_a_minus():
    ax = Figure().add_subplot()
    ax.set_xlim(-2e-4, 2e-4)
    style.label_axis(ax.xaxis, "I", "A", power=-3)
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel() == "I (mA)"
    assert "−0.1" in [t.get_text() for t in ax.get_xticklabels()]


def test_units_are_written_as_in_print():
    ax = Figure().add_subplot()
    ax.set_ylim(0, 5)
    style.label_axis(ax.yaxis, "R", "ohm")
    assert ax.get_ylabel() == "R (Ω)"
    assert style.width_text(0.3) == "0.3 µm"
    assert (style.current_text(4.012e-4), style.current_text(1.05e-3), style.current_text(0.0)) == (
        "401 µA",
        "1.05 mA",
        "0 A",
    )


def test_colours_and_markers_are_all_different():
    assert (
        len({style.device_look(d)["color"] for d in range(6)})
        == len({style.device_look(d)["marker"] for d in range(6)})
        == 6
    )


def test_cells_that_are_not_done_are_masked_and_empty_widths_leave():
    cube = xr.Dataset(
        {
            "cell_state": (("width", "device"), np.array([[1, 2], [0, 3]], np.uint8)),
            "p": (("width", "device"), np.ones((2, 2))),
            "valid": (("width", "device", "cycle"), np.ones((2, 2, 3), bool)),
            "trials": (("width", "device"), np.ones((2, 2), np.int64)),
        },
        {"width": [5.0, 0.3]},
    )
    found = style.mask_unfinished(cube, zeros=True)
    assert found["width"].values.tolist() == [5.0]
    np.testing.assert_array_equal(found["p"].values, [[1, np.nan]])
    assert found["valid"].values.dtype == bool
    assert found["valid"].values.sum() == 3
    assert found["trials"].values.tolist() == [[1, 0]]
    assert style.mask_unfinished(cube.drop_vars("cell_state")).identical(cube.drop_vars("cell_state"))


def of_cells(state, **sizes):
    """A cube of these cells: a probability, a truth and a count each, a text, and a number of no cell."""
    shape = tuple(sizes.values())
    data = {
        "cell_state": (tuple(sizes), np.array(state, np.uint8).reshape(shape)),
        "cell_attempt": (tuple(sizes), np.ones(shape, np.uint16)),
        "p": (tuple(sizes), np.full(shape, 0.5), {"units": "1"}),
        "switched": ((*tuple(sizes), "cycle"), np.ones((*shape, 2), bool)),
        "trials": (tuple(sizes), np.full(shape, 7)),
        "name": (tuple(sizes), np.full(shape, "a")),
        "label": ("cycle", np.array([3, 4])),
    }
    return xr.Dataset(data, {name: range(size) for name, size in sizes.items()})


@pytest.mark.parametrize("zeros", [True, False])
def test_cells_of_any_axes_are_masked_and_only_widths_leave(zeros):
    found = style.mask_unfinished(of_cells([1, 0, 2, 1, 0, 0], seed=3, mode=2), zeros)
    assert dict(found.sizes) == {"seed": 3, "mode": 2, "cycle": 2}
    np.testing.assert_array_equal(found["p"].values, [[0.5, np.nan], [np.nan, 0.5], [np.nan, np.nan]])
    assert found["p"].attrs["units"] == "1"
    alone = style.mask_unfinished(of_cells([1, 0, 1], width=3).isel(width=1), zeros)
    assert np.isnan(float(alone["p"]))


def test_truths_and_counts_of_cells_that_are_not_done_are_nan_and_count_in_no_mean():
    found = style.mask_unfinished(of_cells([1, 3, 1, 0], width=2, device=2))
    np.testing.assert_array_equal(found["switched"].mean("cycle"), [[1, np.nan], [1, np.nan]])
    np.testing.assert_array_equal(found["trials"], [[7, np.nan], [7, np.nan]])
    assert found["trials"].dtype == found["switched"].dtype == np.float64
    assert found["name"].values.tolist() == [["a", ""], ["a", ""]]


def test_the_ledger_and_what_belongs_to_no_cell_are_left_alone():
    cube = of_cells([1, 3, 1, 0], width=2, device=2)
    for name in ("cell_state", "cell_attempt", "label"):
        xr.testing.assert_identical(style.mask_unfinished(cube)[name], cube[name])
    assert style.mask_unfinished(style.mask_unfinished(cube)).identical(style.mask_unfinished(cube))


def test_types_stay_where_all_cells_that_are_left_are_done():
    found = style.mask_unfinished(of_cells([1, 1, 0, 2], width=2, device=2))
    assert found["switched"].dtype == bool
    assert found["trials"].dtype.kind == "i"


def test_a_styled_builder_leaves_the_caller_s_settings_alone():
    before = dict(matplotlib.rcParams)
    figure = style.styled(lambda cube: style.new_figure())(xr.Dataset())
    assert dict(matplotlib.rcParams) == before
    assert figure.get_size_inches()[0] == pytest.approx(85 / 25.4)


def test_a_cube_without_parameters_has_logistic_fits():
    assert style.link_of(xr.Dataset()) == "logistic"
    assert style.link_of(xr.Dataset(attrs={"parameters": '{"link": "cloglog"}'})) == "cloglog"
