"""A cube as a table: one row for each cell, or for each value of an inner dim of each cell, in pieces of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinsweep.analysis.cells import holding
from spinsweep.errors import SpecError
from spinsweep.exports.pieces import boxes
from spinsweep.ledger import State
from spinsweep.spec import LEDGER

ROWS = 200_000
"""In memory at a time."""
STATE_WORDS = np.array([state.name.lower() for state in State], dtype=object)


@dataclass(frozen=True)
class TableColumn:
    """One column of the table."""

    name: str
    dtype: np.dtype[Any]
    """Of its values; ``object`` for texts."""
    unit: str = ""
    long_name: str = ""


@dataclass(frozen=True)
class ColumnValues:
    """Some rows of a column."""

    values: npt.NDArray[Any]
    """(rows,) of the column's dtype; what is blank holds anything."""
    blank: npt.NDArray[np.bool_] | None
    """(rows,) which are blank; None: none is."""


class CubeTable:
    """What is in a cube's Dataset as rows in row-major order of its dims.

    Parameters
    ----------
    dataset : a cube as it is stored
    outputs : names of those to take; none: all

    Raises
    ------
    SpecError
        An output is unknown, or no output has all the inner dims of the others.
    """

    def __init__(self, dataset: xr.Dataset, outputs: Sequence[str] = ()) -> None:
        axes = tuple(map(str, dataset["cell_state"].dims))
        known = [str(n) for n, a in dataset.data_vars.items() if set(axes) <= set(a.dims) and n not in LEDGER]
        if unknown := [name for name in outputs if name not in known]:
            raise SpecError(f"there is no output {unknown[0]!r}; the cube has {', '.join(known)}")
        self.outputs = tuple(outputs) or tuple(known)
        """Names of the outputs that it holds."""
        widest = max((dataset[name] for name in self.outputs), key=lambda array: array.ndim)
        for name in self.outputs:
            if not set(dataset[name].dims) <= set(widest.dims):
                raise SpecError(
                    f"one table cannot hold {widest.name} over {_listed(widest)} and {name} over "
                    f"{_listed(dataset[name])}; choose what goes into it with --outputs, such as --outputs {name}"
                )
        self.dims = axes + tuple(str(d) for d in widest.dims if d not in axes)
        """The rows' coordinates, the last one fastest."""
        coordinates = [
            str(n) for n, c in dataset.coords.items() if n not in self.dims and set(c.dims) <= set(self.dims)
        ]
        kept = [*(d for d in self.dims if d in dataset.coords), *coordinates, *self.outputs, "cell_state"]
        self._dataset = dataset[kept]
        self.left_out = tuple(str(n) for n in dataset.variables if n not in kept and n not in LEDGER)
        """Names of variables that it does not hold."""
        self.lengths = tuple(dataset.sizes[d] for d in self.dims)
        """Values along each dim."""
        self.rows = math.prod(self.lengths)
        """Number of rows."""
        self.columns = tuple(
            column for name in (*self.dims, *coordinates, *self.outputs) for column in self._of(name)
        )
        """Coordinates, outputs, and the state of the cell in a word; a complex output has two columns."""
        self.columns += (TableColumn("cell_state", np.dtype(object), long_name="state of the cell"),)

    def _of(self, name: str) -> Iterator[TableColumn]:
        array = self._dataset[name]
        labels = (str(array.attrs.get("units", "")), str(array.attrs.get("long_name", "")))
        if array.dtype.kind == "c":
            part = np.dtype(f"f{array.dtype.itemsize // 2}")
            yield TableColumn(f"{name}_real", part, *labels)
            yield TableColumn(f"{name}_imag", part, *labels)
        else:
            yield TableColumn(name, np.dtype(object) if array.dtype.kind in "OUST" else array.dtype, *labels)

    def pieces(self, rows: int = ROWS) -> Iterator[dict[str, ColumnValues]]:
        """The columns of some rows at a time, by name."""
        for box in boxes(self.lengths, rows):
            part = self._dataset.isel(dict(zip(self.dims, box, strict=True))).load()
            shape = tuple(s.stop - s.start for s in box)
            states = self._spread(part["cell_state"], shape)
            table: dict[str, ColumnValues] = {}
            for name in part.variables:
                if name == "cell_state":
                    continue
                values = self._spread(part[name], shape)
                blank = ~self._spread(holding(part, str(name)), shape) if name in self.outputs else None
                hidden = blank if blank is not None and blank.any() else None
                if values.dtype.kind == "c":
                    table |= {
                        f"{name}_real": ColumnValues(values.real, hidden),
                        f"{name}_imag": ColumnValues(values.imag, hidden),
                    }
                else:
                    texts = values.dtype.kind in "OUST"
                    table[str(name)] = ColumnValues(values.astype(object) if texts else values, hidden)
            for dim, cut in zip(self.dims, box, strict=True):
                if dim not in table:  # an inner dim without a coordinate
                    index = xr.DataArray(np.arange(cut.start, cut.stop), dims=dim)
                    table[dim] = ColumnValues(self._spread(index, shape), None)
            table["cell_state"] = ColumnValues(STATE_WORDS[np.minimum(states, len(STATE_WORDS) - 1)], None)
            yield {column.name: table[column.name] for column in self.columns}

    def _spread(self, array: xr.DataArray, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The array's value in each row of a box."""
        have = [d for d in self.dims if d in array.dims]
        lengths = [n if d in have else 1 for d, n in zip(self.dims, shape, strict=True)]
        values = array.transpose(*have).values.reshape(lengths)
        return np.broadcast_to(values, shape).reshape(-1)


def _listed(array: xr.DataArray) -> str:
    return ", ".join(map(str, array.dims))
