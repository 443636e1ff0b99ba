"""Which law the fits of a cube follow."""

import xarray as xr

from spinneurons.neurons.cubes import law
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC


def test_a_cube_without_parameters_has_logistic_fits():
    assert law(xr.Dataset()) == LOGISTIC
    assert law(xr.Dataset(attrs={"parameters": '{"link": "cloglog"}'})) == CLOGLOG
