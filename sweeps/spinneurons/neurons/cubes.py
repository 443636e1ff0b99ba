"""What a cube says of its neurons: family and law of its devices, and one curve through any counts of it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinneurons.analysis.cubes import parameters
from spinneurons.neurons import card as cards
from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.family import Law, NeuronFamily
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.registry import family_of

_CURVE = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "deviance", "dof")


def family(cube: xr.Dataset) -> NeuronFamily:
    """The family of the devices in the cube; a log, which has no card, is of the default one."""
    return family_of(parameters(cube).get("card") or cards.default())


def law(cube: xr.Dataset) -> Law:
    """Switching curve of the fits in the cube."""
    return family(cube).law(parameters(cube).get("link", "standard"))


def standard_error(cube: xr.Dataset, name: str) -> xr.DataArray:
    """Standard error of ``i_bias``, ``i0`` or ``window`` from the fit of each device, in the unit of the quantity.

    A window is a fixed number of i0, and so is its error.
    """
    if name != "window":
        return cube[f"{name}_stderr"]
    return (cube["i0_stderr"] * cube["window"] / cube["i0"]).assign_attrs(cube["window"].attrs)


def fit_switching(
    switched: xr.DataArray, trials: xr.DataArray, i_write: xr.DataArray, law: Law = LOGISTIC
) -> xr.Dataset:
    """Switching curve along ``current`` by binomial maximum likelihood.

    Parameters
    ----------
    switched, trials : (..., current) counts; sum over cycles, and over whatever else is to share one curve
    i_write : (..., current), in the unit of its ``units``, A without
    law : of the curve

    Returns
    -------
    Dataset over the remaining dims: ``i_bias``, ``i0`` and their ``_stderr`` (in the unit of ``i_write``),
    ``deviance`` and ``dof``; NaN where the counts support no fit, for a reason that ``checked_fit`` gives

    Source: sigmoid fits of Fig. 2(c-k).
    """
    curves = xr.apply_ufunc(
        lambda k, n, current: tuple(np.float64(getattr(checked_fit(k, n, current, law), name)) for name in _CURVE),
        switched.compute(),
        trials.compute(),
        i_write.compute(),
        input_core_dims=[["current"]] * 3,
        output_core_dims=[[]] * len(_CURVE),
        vectorize=True,
        keep_attrs=False,
    )
    unit = {"units": i_write.attrs.get("units", "A")}
    named = zip(_CURVE, curves, (unit, unit, unit, unit, {}, {}), strict=True)
    return xr.Dataset({name: values.assign_attrs(attrs) for name, values, attrs in named})
