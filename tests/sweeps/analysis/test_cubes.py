"""Cells that are not done are blanked, and devices picked by their labels."""

import numpy as np
import pytest
import xarray as xr

from spinneurons.analysis.cubes import first_device, mask_unfinished


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
    found = mask_unfinished(cube, zeros=True)
    assert found["width"].values.tolist() == [5.0]
    np.testing.assert_array_equal(found["p"].values, [[1, np.nan]])
    assert found["valid"].values.dtype == bool
    assert found["valid"].values.sum() == 3
    assert found["trials"].values.tolist() == [[1, 0]]
    assert mask_unfinished(cube.drop_vars("cell_state")).identical(cube.drop_vars("cell_state"))


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
    found = mask_unfinished(of_cells([1, 0, 2, 1, 0, 0], seed=3, mode=2), zeros=zeros)
    assert dict(found.sizes) == {"seed": 3, "mode": 2, "cycle": 2}
    np.testing.assert_array_equal(found["p"].values, [[0.5, np.nan], [np.nan, 0.5], [np.nan, np.nan]])
    assert found["p"].attrs["units"] == "1"
    alone = mask_unfinished(of_cells([1, 0, 1], width=3).isel(width=1), zeros=zeros)
    assert np.isnan(float(alone["p"]))


def test_truths_and_counts_of_cells_that_are_not_done_are_nan_and_count_in_no_mean():
    found = mask_unfinished(of_cells([1, 3, 1, 0], width=2, device=2))
    np.testing.assert_array_equal(found["switched"].mean("cycle"), [[1, np.nan], [1, np.nan]])
    np.testing.assert_array_equal(found["trials"], [[7, np.nan], [7, np.nan]])
    assert found["trials"].dtype == found["switched"].dtype == np.float64
    assert found["name"].values.tolist() == [["a", ""], ["a", ""]]


def test_the_ledger_and_what_belongs_to_no_cell_are_left_alone():
    cube = of_cells([1, 3, 1, 0], width=2, device=2)
    for name in ("cell_state", "cell_attempt", "label"):
        xr.testing.assert_identical(mask_unfinished(cube)[name], cube[name])
    assert mask_unfinished(mask_unfinished(cube)).identical(mask_unfinished(cube))


def test_types_stay_where_all_cells_that_are_left_are_done():
    found = mask_unfinished(of_cells([1, 1, 0, 2], width=2, device=2))
    assert found["switched"].dtype == bool
    assert found["trials"].dtype.kind == "i"


def test_the_first_good_device_is_found_in_the_order_of_the_widths_or_by_its_labels():
    good = xr.DataArray([[False, True], [True, True]], {"width": [5.0, 0.3], "device": [1, 4]}, ("width", "device"))
    assert first_device(good) == {"width": 5.0, "device": 4}
    assert first_device(good.T.sortby("width")) == {"width": 0.3, "device": 1}
    assert first_device(good, width=0.3, device=4) == {"width": 0.3, "device": 4}
    assert first_device(good, width=5.0, device=1) is None
