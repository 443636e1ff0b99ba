"""Other units for cubes: the ``units`` of every variable are texts that pint reads."""

from __future__ import annotations

from typing import Any

import pint
import xarray as xr

_REGISTRY: pint.UnitRegistry[float] = pint.UnitRegistry()


def in_unit(values: xr.DataArray, unit: str) -> xr.DataArray:
    """The values in another unit of the same quantity, such as currents in "uA".

    Parameters
    ----------
    values : any shape, computed or lazy; ``units`` among its attributes says the unit it is in
    unit : any text that pint understands

    Returns
    -------
    float64 array with ``units`` set to ``unit``; lazy if ``values`` are

    Raises
    ------
    ValueError
        It has no ``units``, pint does not know one of the two, or they are not units of one quantity.
    """
    name = str(values.name or "the array")
    if "units" not in values.attrs:
        raise ValueError(f'{name} has no attribute "units"; set it, or take it from a cube')
    have, want = _unit(values.attrs["units"], name), _unit(unit, name)
    if not have.is_compatible_with(want):
        raise ValueError(f"{name} is in {values.attrs['units']!r}, which cannot be converted to {unit!r}")
    converted: xr.DataArray = xr.apply_ufunc(
        _converted,
        values,
        kwargs={"have": str(have), "want": str(want)},
        dask="parallelized",
        output_dtypes=[float],
        keep_attrs=True,
    )
    return converted.assign_attrs(units=unit)


def _converted(numbers: Any, have: str, want: str) -> Any:
    """Numbers of one unit in another; a plain function of texts, since workers of a lazy array unpickle it."""
    return _REGISTRY.Quantity(numbers.astype(float), have).to(want).magnitude


def _unit(text: Any, name: str) -> pint.Unit:
    """The unit that a text says; ``name`` is that of the array it is for."""
    try:
        return _REGISTRY.Unit(text)
    except pint.UndefinedUnitError as error:
        raise ValueError(f"{name}: {error}; write a unit such as 'uA', 'mA' or 'A/um'") from None
    except Exception:  # pint's parser raises whatever its tokens lead to, among others AssertionError
        raise ValueError(f"{name}: {text!r} is not a unit; write one such as 'uA', 'mA' or 'A/um'") from None
