"""Other units for cubes: the ``units`` of every variable are texts that pint reads."""

from __future__ import annotations

import pint
import xarray as xr

_REGISTRY: pint.UnitRegistry[float] = pint.UnitRegistry()


def in_unit(values: xr.DataArray, unit: str) -> xr.DataArray:
    """The values in another unit of the same quantity, such as currents in "uA".

    Parameters
    ----------
    values : any shape; ``units`` among its attributes says the unit it is in
    unit : any text that pint understands

    Returns
    -------
    float64 array with ``units`` set to ``unit``

    Raises
    ------
    ValueError
        It has no ``units``, pint does not know one of the two, or they are not units of one quantity.
    """
    name = values.name or "the array"
    if "units" not in values.attrs:
        raise ValueError(f'{name} has no attribute "units"; set it, or take it from a cube')
    have = values.attrs["units"]
    try:
        converted = _REGISTRY.Quantity(values.to_numpy().astype(float), have).to(unit).magnitude
    except pint.DimensionalityError:
        raise ValueError(f"{name} is in {have!r}, which is not converted to {unit!r}") from None
    except pint.UndefinedUnitError as error:
        raise ValueError(f"{name}: {error}; write a unit such as 'uA', 'mA' or 'A/um'") from None
    return values.copy(data=converted).assign_attrs(units=unit)
