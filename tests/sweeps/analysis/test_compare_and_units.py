"""Two real cubes side by side, and the units of every installed sweep."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pint
import pytest
import xarray as xr

import spinsweep
from spinneurons.analysis.compare import compare, parameter_differences
from spinneurons.analysis.units import in_unit
from spinneurons.characterization.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.discovery import find
from spinsweep.plugins import installed

SMALL = SWEEP.with_values(width=(2.0, 0.5), device=(0, 1), cycles=20, currents=10, resamples=20)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return spinsweep.run(SMALL, tmp_path_factory.mktemp("cubes") / "first.zarr").dataset.load()


def test_a_cube_equals_itself(cube: xr.Dataset) -> None:
    found = compare(cube, cube)
    assert (found["equal"] == 1).all()
    assert (found["largest_difference"] == 0).all()
    assert (found["cells"] == 4).all()
    assert parameter_differences(cube, cube) == {}


def test_two_root_seeds_share_their_currents_and_nothing_that_was_read(cube: xr.Dataset, tmp_path: Path) -> None:
    other = spinsweep.run(SMALL.with_values(root_seed=7, device=(1, 2)), tmp_path / "other.zarr").dataset
    found = compare(cube, other)
    assert (found["cells"] == 2).all()  # device 1 of both widths
    assert found.loc["i_write", "equal"] == 1
    assert found.loc["r_write", "equal"] < 0.01
    difference = float(other["i_bias"].sel(device=1, width=2.0) - cube["i_bias"].sel(device=1, width=2.0))
    assert abs(difference) <= found.loc["i_bias", "largest_difference"]
    assert found.loc["i_bias", "units"] == "A"


def test_another_card_shows_in_the_parameters(cube: xr.Dataset, tmp_path: Path) -> None:
    card = HallBar(cards.default()).with_ratios(10, 40)
    other = spinsweep.run(SMALL.with_values(card=card, width=(2.0,), device=(0,)), tmp_path / "other.zarr").dataset
    found = parameter_differences(cube, other)
    assert found["card.i_bias.slope.value"] == (
        cards.value(cards.default(), "i_bias.slope"), cards.value(card, "i_bias.slope")
    )  # fmt: skip
    assert compare(cube, other).loc["i_bias", "largest_difference"] > 1e-5


COMPARED = ["equal", "mean_difference", "rms_difference", "largest_difference"]


def test_other_currents_at_the_same_indices_are_not_compared_and_said(cube: xr.Dataset) -> None:
    found = compare(cube, cube.assign(i_write=1.5 * cube["i_write"]))
    for name in ("switched", "valid", "r_reset", "r_write"):
        assert found.loc[name, "note"] == "not compared: i_write differs along current"
        assert found.loc[name, COMPARED].isna().all()
    assert found.loc["i_write", "largest_difference"] == pytest.approx(0.5 * float(cube["i_write"].max()))
    assert found.loc["i_bias", "equal"] == 1
    assert (found.loc[["i_write", "i_bias"], "note"] == "").all()


def test_currents_that_differ_by_rounding_or_where_a_cell_is_not_done_are_the_same(cube: xr.Dataset) -> None:
    rounded = cube.assign(i_write=cube["i_write"] * (1 + 1e-9))
    assert compare(cube, rounded).loc["switched", "equal"] == 1
    state = cube["cell_state"].where(cube["device"] == 0, 2)
    elsewhere = cube.assign(cell_state=state, i_write=cube["i_write"].where(cube["device"] == 0, 1.0))
    assert compare(cube, elsewhere).loc["switched", ["equal", "cells"]].tolist() == [1, 2]


def test_a_model_of_more_currents_than_the_log_is_not_compared_index_by_index(
    cube: xr.Dataset, tmp_path: Path
) -> None:
    fewer = spinsweep.run(SMALL.with_values(currents=7), tmp_path / "fewer.zarr").dataset
    found = compare(cube, fewer)
    assert found.loc["switched", "note"] == "not compared: i_write differs along current"
    assert found.loc["i_write", "note"] == "10 and 7 along current, 7 in both"


def test_cubes_of_fewer_cycles_are_compared_at_the_common_ones_and_said(cube: xr.Dataset) -> None:
    found = compare(cube, cube.isel(cycle=slice(5)))
    assert found.loc["switched", "note"] == "20 and 5 along cycle, 5 in both"
    assert found.loc["switched", "equal"] == 1
    bare = cube.drop_vars("cycle")
    found = compare(bare, bare.isel(cycle=slice(5)))
    assert found.loc["switched", "note"] == "not compared: 20 and 5 along cycle, without coordinates"
    assert found.loc["i_write", "equal"] == 1


def test_a_setting_of_one_s_own_is_named_by_the_caller() -> None:
    one = xr.Dataset({"dose": ("step", [1.0, 2.0]), "yield": ("step", [0.1, 0.2]), "total": ((), 3.0)})
    other = one.assign(dose=2 * one["dose"])
    assert compare(one, other).loc["yield", "equal"] == 1
    found = compare(one, other, settings=["dose"])
    assert found.loc["yield", "note"] == "not compared: dose differs along step"
    assert found.loc["total", "equal"] == 1


@pytest.mark.parametrize("alter", ["variable", "coordinate"])
def test_other_units_are_refused_by_name(cube: xr.Dataset, alter: str) -> None:
    if alter == "variable":
        other, says = (
            cube.assign(i_bias=in_unit(cube["i_bias"], "uA")),
            "i_bias has units 'A' in the first .* and 'uA' in",
        )
    else:
        width = (1000 * cube["width"]).assign_attrs(units="nm")
        other, says = cube.assign_coords(width=width), "width has units 'um' in the first cube and 'nm' in the second"
    with pytest.raises(ValueError, match=says) as error:
        compare(cube, other)
    assert "\n" not in str(error.value)


def test_two_widths_are_not_compared_as_one(cube: xr.Dataset) -> None:
    wide, narrow = cube.sel(width=2.0), cube.sel(width=0.5)
    with pytest.raises(ValueError, match=r"^width is 2.0 in the first cube and 0.5 in the second; select the same"):
        compare(wide, narrow)
    assert compare(wide.drop_vars("width"), narrow.drop_vars("width")).loc["i_bias", "equal"] == 0
    assert (compare(wide, wide)["cells"] == 2).all()


def test_one_width_and_several_are_not_compared(cube: xr.Dataset) -> None:
    for pair in ((cube.sel(width=2.0), cube), (cube, cube.sel(width=2.0))):
        with pytest.raises(
            ValueError, match=r"^width has one value in one cube and an axis in the other; select the"
        ):
            compare(*pair)
    with pytest.raises(
        ValueError, match=r"^the cell axes are device in the first cube and width, device in the second$"
    ):
        compare(cube.isel(width=0, drop=True), cube)


def test_cubes_with_no_variable_in_common_are_refused(cube: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=r"^no variable is in both: i_bias in the first, i0 in the second$"):
        compare(cube[["i_bias"]], cube[["i0"]])


def test_cubes_with_no_cell_in_common_have_compared_none(cube: xr.Dataset) -> None:
    found = compare(cube.isel(width=[0]), cube.isel(width=[1]))
    assert (found["cells"] == 0).all()
    assert found[COMPARED].isna().all(axis=None)


def test_the_order_of_dims_and_of_labels_does_not_matter(cube: xr.Dataset) -> None:
    turned = cube.transpose("cycle", "device", "current", "width").sortby("width")
    assert compare(cube, turned).equals(compare(cube, cube))
    other = cube.assign(i_bias=(cube["i_bias"] + 1e-6 * cube["width"]).assign_attrs(units="A"))
    turned = other.transpose("cycle", "device", "current", "width").sortby("width")
    assert compare(cube, turned).equals(compare(cube, other))


def test_variables_over_other_dims_are_named_and_not_compared(cube: xr.Dataset) -> None:
    found = compare(cube, cube.assign(i_write=cube["i_write"].isel(current=0, drop=True)))
    assert found.loc["i_write", "note"] == "not compared: over width, device, current here, width, device there"
    assert found.loc["switched", "equal"] == 1


def test_variables_over_some_of_the_cell_axes_are_compared_where_any_cell_is_done(cube: xr.Dataset) -> None:
    state = cube["cell_state"].where(cube["width"] == 2.0, 2)
    one = cube.assign(cell_state=state, r=("width", [1.0, 2.0]))
    found = compare(one, one.assign(r=("width", [1.0, 5.0])))
    assert found.loc["r", ["equal", "largest_difference"]].tolist() == [1, 0]


def test_arrays_without_a_ledger_have_no_count_of_cells(cube: xr.Dataset) -> None:
    found = compare(cube.drop_vars("cell_state"), cube.drop_vars("cell_state"))
    assert found["cells"].isna().all()
    assert (found["equal"] == 1).all()
    assert (compare(cube, cube.drop_vars("cell_state"))["cells"] == 4).all()


def test_currents_are_converted_and_say_so(cube: xr.Dataset) -> None:
    found = in_unit(cube["i_bias"], "uA")
    np.testing.assert_allclose(found, 1e6 * cube["i_bias"])
    assert found.attrs["units"] == "uA"
    assert cube["i_bias"].attrs["units"] == "A"


@pytest.mark.parametrize(
    ("array", "unit", "says"),
    [
        (xr.DataArray(1.0), "A", 'the array has no attribute "units"'),
        (xr.DataArray(1.0, attrs={"units": "A"}, name="i"), "V", "i is in 'A', which cannot be converted to 'V'"),
        (xr.DataArray(1.0, attrs={"units": "A"}, name="i"), "amps_", "'amps_' is not defined"),
        (
            xr.DataArray(1.0, attrs={"units": "A"}, name="i"),
            "u A/",
            "^i: 'u A/' is not a unit; write one such as 'uA'",
        ),
        (
            xr.DataArray(1.0, attrs={"units": "A"}, name="i"),
            "2 uA",
            "^i: '2 uA' is not a unit; write one such as 'uA'",
        ),
        (
            xr.DataArray(1.0, attrs={"units": "(A"}, name="i"),
            "uA",
            r"^i: '\(A' is not a unit; write one such as 'uA'",
        ),
    ],
)
def test_a_conversion_that_makes_no_sense_is_one_line(array: xr.DataArray, unit: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        in_unit(array, unit)
    assert "\n" not in str(error.value)


def test_lazy_currents_stay_lazy(cube: xr.Dataset) -> None:
    lazy = in_unit(cube["i_bias"].chunk(device=1), "uA")
    assert lazy.chunks == ((2,), (1, 1))
    travelled = pickle.loads(pickle.dumps(lazy))  # as to a worker
    xr.testing.assert_identical(travelled.compute(), in_unit(cube["i_bias"], "uA"))


@pytest.mark.parametrize("name", installed())
def test_pint_reads_the_units_of_every_output_and_axis(name: str) -> None:
    sweep, registry = find(name), pint.UnitRegistry()
    registry.define("i0 = [scale_current]")  # read noise is in the device's own scale current
    for described in (*sweep.axes, *sweep.outputs, *sweep.dims, *sweep.coordinates):
        registry.Unit(described.unit)
