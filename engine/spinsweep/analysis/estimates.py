"""The mean of an output over its replicates, with the interval that suits the output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from spinsweep.analysis.cells import blanked, outputs, states, type_of_cells
from spinsweep.analysis.design import is_share
from spinsweep.analysis.intervals import mean_interval, wilson
from spinsweep.axis import closest
from spinsweep.errors import CubeError, SpecError
from spinsweep.ledger import State
from spinsweep.printable import said

DRAWN = "biufc"
WANTED = "cell_wanted"


def numbers(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """One output as numbers in memory, NaN where a cell is not done; a complex number is its magnitude.

    ``attrs["is_share"]`` says whether it says yes or no. Where the sweep wants only some cells, the coordinate
    ``cell_wanted`` says which.

    Raises
    ------
    SpecError
        There is no such output, or it holds no numbers.
    CubeError
        A chunk of it is damaged.
    """
    known = outputs(dataset)
    if name not in known:
        raise SpecError(f"there is no output {name!r}{closest(name, known)}; there are {', '.join(known) or 'none'}")
    stored = dataset[[n for n in (name, "cell_state") if n in dataset]]
    try:
        array = blanked(stored)[name].load()
    except (MemoryError, OSError):
        raise
    except Exception as error:  # what damage makes of zarr, its codecs and xarray is of any type
        raise CubeError(
            f"output {name!r} cannot be read: {said(error)}; `spinsweep verify` says what is damaged"
        ) from error
    cells = type_of_cells(dataset[name])
    if cells.kind not in DRAWN:
        raise SpecError(f"output {name!r} holds {'texts' if cells.kind in 'OUST' else cells.name}, not numbers")
    values = abs(array) if array.dtype.kind == "c" else array.astype(np.float64)
    unwanted = (states(dataset) == State.UNWANTED).compute()
    if unwanted.any():
        values = values.assign_coords({WANTED: ~unwanted})
    return values.assign_attrs(array.attrs, is_share=is_share(values, cells), is_magnitude=cells.kind == "c")


def estimate(values: xr.DataArray, over: Sequence[str], level: float = 0.95) -> xr.Dataset:
    """Mean over the replicates with its interval: Wilson's of a share, Student's t otherwise.

    Replicates of several dims are averaged over all but the first one, and the interval is Student's t over that:
    only its values need to be independent of each other.

    Parameters
    ----------
    values : of :func:`numbers`, (..., *over)
    over : may be empty; there is no interval then

    Returns
    -------
    Dataset over the remaining dims: ``mean``; ``low`` and ``high``, NaN where fewer than two values are; ``count`` of
    the values, and ``missing``, those that are NaN in cells that are wanted
    """
    wanted = values.coords.get(WANTED)
    values = values.drop_vars(WANTED, errors="ignore")
    ordered = [str(d) for d in values.dims if d in over]
    first, inner = ordered[:1], ordered[1:]
    count = values.notnull().sum(list(over))
    size: xr.DataArray | int = int(np.prod([values.sizes[d] for d in over]))
    if wanted is not None:  # a mean of as many replicates as were asked for lacks none
        size = wanted.drop_attrs().broadcast_like(values).sum(list(over))
    averaged = values.mean(inner) if inner else values
    if not first:
        nothing = xr.full_like(values, np.nan)
        parts = values, nothing, nothing
    elif values.attrs.get("is_share") and not inner:
        successes = values.sum(first[0])
        share, low, high = wilson(successes.values, count.values, level)
        parts = successes.copy(data=share), successes.copy(data=low), successes.copy(data=high)
    else:
        interval = mean_interval(averaged, first[0], level)
        parts = interval.mean, interval.low, interval.high
    named = {name: part.drop_attrs() for name, part in zip(("mean", "low", "high"), parts, strict=True)}
    return xr.Dataset({**named, "count": count.drop_attrs(), "missing": (size - count).drop_attrs()})
