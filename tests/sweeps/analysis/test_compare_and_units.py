"""Two real cubes side by side, and the units of every installed sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pint
import pytest
import xarray as xr

from engine.find import find, installed
from engine.runners.compute import compute
from sweeps.analysis.compare import compare, parameter_differences
from sweeps.analysis.units import in_unit
from sweeps.characterization.sweep import SWEEP
from sweeps.device import card as cards

SMALL = SWEEP.with_values(width=(2.0, 0.5), device=(0, 1), cycles=20, currents=10, resamples=20)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return compute(SMALL, tmp_path_factory.mktemp("cubes") / "first.zarr").load()


def test_a_cube_equals_itself(cube: xr.Dataset) -> None:
    found = compare(cube, cube)
    assert (found["equal"] == 1).all()
    assert (found["largest_difference"] == 0).all()
    assert (found["cells"] == 4).all()
    assert parameter_differences(cube, cube) == {}


def test_two_root_seeds_share_their_currents_and_nothing_that_was_read(cube: xr.Dataset, tmp_path: Path) -> None:
    other = compute(SMALL.with_values(root_seed=7, device=(1, 2)), tmp_path / "other.zarr")
    found = compare(cube, other)
    assert (found["cells"] == 2).all()  # device 1 of both widths
    assert found.loc["i_write", "equal"] == 1
    assert found.loc["r_write", "equal"] < 0.01
    difference = float(other["i_bias"].sel(device=1, width=2.0) - cube["i_bias"].sel(device=1, width=2.0))
    assert abs(difference) <= found.loc["i_bias", "largest_difference"]
    assert found.loc["i_bias", "units"] == "A"


def test_another_card_shows_in_the_parameters(cube: xr.Dataset, tmp_path: Path) -> None:
    card = cards.with_ratios(cards.default(), 10, 40)
    other = compute(SMALL.with_values(card=card, width=(2.0,), device=(0,)), tmp_path / "other.zarr")
    found = parameter_differences(cube, other)
    assert found["card.i_bias.slope.value"] == (
        cards.value(cards.default(), "i_bias.slope"), cards.value(card, "i_bias.slope")
    )  # fmt: skip
    assert compare(cube, other).loc["i_bias", "largest_difference"] > 1e-5


def test_currents_are_converted_and_say_so(cube: xr.Dataset) -> None:
    found = in_unit(cube["i_bias"], "uA")
    np.testing.assert_allclose(found, 1e6 * cube["i_bias"])
    assert found.attrs["units"] == "uA"
    assert cube["i_bias"].attrs["units"] == "A"


@pytest.mark.parametrize(
    ("array", "unit", "says"),
    [
        (xr.DataArray(1.0), "A", 'the array has no attribute "units"'),
        (xr.DataArray(1.0, attrs={"units": "A"}, name="i"), "V", "i is in 'A', which is not converted to 'V'"),
        (xr.DataArray(1.0, attrs={"units": "A"}, name="i"), "amps_", "'amps_' is not defined"),
    ],
)
def test_a_conversion_that_makes_no_sense_is_one_line(array: xr.DataArray, unit: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        in_unit(array, unit)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", installed())
def test_pint_reads_the_units_of_every_output_and_axis(name: str) -> None:
    sweep, registry = find(name), pint.UnitRegistry()
    registry.define("i0 = [scale_current]")  # read noise is in the device's own scale current
    for described in (*sweep.axes, *sweep.outputs, *sweep.dims, *sweep.coordinates):
        registry.Unit(described.unit)
