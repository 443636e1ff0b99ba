"""Cubes as their readers take them: an xarray Dataset in which cells that are not done are blank.

    ds = spinsweep.open_cube("results/walk.zarr")
    ds.distance.mean("seed")        # cells that are not done are NaN, which means leave out
    ds.sweep.parameters["steps"]    # see CubeView
    ds.sweep.failures()

``ds.sweep`` is there in every Dataset of xarray once this module is imported, which :func:`open_cube` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from spinsweep.analysis.cells import blanked, states
from spinsweep.analysis.design import replicates
from spinsweep.axis import plain
from spinsweep.cube import ARCHIVE, Cube, zip_store
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.ledger import Counts, Failure, State

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spinsweep.analysis.tables import PrintedTable


def open_cube(store: str | Path, *, zeros: bool = False, sort: bool = False) -> xr.Dataset:
    """Open a cube, lazily, with the cells that are not done blank; also while a run fills it.

    Parameters
    ----------
    store : a folder, a URL such as ``s3://bucket/walk.zarr``, or an archive that ``spinsweep export`` made
    zeros : see :meth:`CubeView.finished`
    sort : see :meth:`CubeView.in_order`

    Returns
    -------
    Dataset with the sweep's axes as coordinates, its outputs, and the ledger (``cell_...``); each has its ``units``

    Raises
    ------
    CubeError
        There is no cube, it is damaged, or has another format.
    """
    opened = _archive(store) if is_archive(store) else Cube(store).dataset()
    return CubeView(CubeView(opened).in_order() if sort else opened).finished(zeros=zeros)


def is_archive(store: str | Path) -> bool:
    """Whether an archive that ``spinsweep export`` made is there; in a zip file nothing else is looked for."""
    if "://" in str(store):
        return False
    path = Path(store)
    if path.suffix == ".zip":
        return path.is_file()
    try:
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(attributes, dict) and ARCHIVE in attributes


@xr.register_dataset_accessor("sweep")
class CubeView:
    """What a cube's Dataset says beside its numbers: ``dataset.sweep``, or ``CubeView(dataset)``.

    It takes a selection of a cube as well, and a recording that has no ledger: all its cells are done.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the sweep, by name; {} where there are none."""
        return dict(json.loads(self._dataset.attrs.get("parameters", "{}")))

    @property
    def units(self) -> dict[str, str]:
        """Unit of each variable and coordinate that has one, by name."""
        attrs = {str(name): variable.attrs for name, variable in self._dataset.variables.items()}
        return {name: str(values["units"]) for name, values in attrs.items() if "units" in values}

    @property
    def states(self) -> xr.DataArray:
        """State of each cell, a :class:`~spinsweep.State`, (*axes) uint8."""
        return states(self._dataset)

    @property
    def done(self) -> xr.DataArray:
        """Whether each cell is done, (*axes) bool."""
        return self.states == State.DONE

    @property
    def counts(self) -> Counts:
        """Number of cells by state."""
        return Counts.of(self.states.values)

    def finished(self, *, zeros: bool = False) -> xr.Dataset:
        """The Dataset with the cells that are not done blank.

        Parameters
        ----------
        zeros : leave booleans and integers in their own types, False and 0 where cells are not done: for code that
            counts or selects by them. Means over them then take such cells for zeros

        Returns
        -------
        Dataset; variables over all axes of the cells are NaN, or "" for texts, where a cell is not done. Booleans and
        integers become float64 if there is any such cell. Other variables and the ledger (``cell_...``) are as they
        were
        """
        return blanked(self._dataset, zeros=zeros)

    def plot(self, output: str, over: Sequence[str] | str | None = None) -> Figure:
        """Draw one output: lines against one axis of numbers, a heat map against two, points for names.

        Parameters
        ----------
        output : name of a variable over the axes of the cells
        over : axes that are replicates, whose means are drawn with their 95 % intervals; None: those named seed,
            device, repeat, replicate, trial, chip, cycle or sample

        Raises
        ------
        SpecError
            There is no such output or axis.
        NotDrawn
            The output holds texts, one value, or no cell that is done.
        """
        from spinsweep.analysis.figures import OutputFigure

        return OutputFigure(output, None if over is None else replicates(self._dataset, over))(self._dataset)

    def table(
        self, output: str, over: Sequence[str] | str | None = None, columns: str | None = None, level: float = 0.95
    ) -> PrintedTable:
        """Means and half widths as a table with ``to_markdown``, ``to_latex`` and ``to_csv``.

        See :func:`spinsweep.analysis.tables.table`.
        """
        from spinsweep.analysis.tables import table

        return table(self._dataset, output, over, columns, level)

    def sensitivity(self, output: str, over: Sequence[str] | str | None = None, level: float = 0.95) -> xr.Dataset:
        """Share of an output's variance that each axis explains: main effects and total Sobol indices.

        See :func:`spinsweep.analysis.sensitivity.sensitivity`.
        """
        from spinsweep.analysis.sensitivity import sensitivity

        return sensitivity(self._dataset, output, over, level)

    def crossing(
        self,
        output: str,
        threshold: float,
        along: str,
        over: Sequence[str] | str | None = None,
        level: float = 0.95,
    ) -> xr.Dataset:
        """Where the mean of an output crosses a threshold along an axis, with an interval.

        See :func:`spinsweep.analysis.crossings.crossing`.
        """
        from spinsweep.analysis.crossings import crossing

        return crossing(self._dataset, output, threshold, along, over, level)

    def in_order(self) -> xr.Dataset:
        """The Dataset with the values along each axis in order: numbers upwards, names alphabetically.

        A cube appends the values that it gets later, so that theirs is the order in which they were asked for. Inner
        dims stay as the sweep declares them.
        """
        dims = self.states.dims or tuple(self._dataset.dims)
        orders = {d: np.argsort(self._dataset[d].values, kind="stable") for d in dims if d in self._dataset.coords}
        moved = {d: order for d, order in orders.items() if (np.diff(order) < 0).any()}
        return self._dataset.isel(moved) if moved else self._dataset

    def failures(self) -> list[Failure]:
        """Coordinates, attempt and error of each failed cell.

        Raises
        ------
        CubeError
            The Dataset was computed, and does not say which cube it came from.
        """
        states = self.states.values
        incomplete = (states == State.INCOMPLETE).any() and (states == State.INCOMPLETE) & (
            self._dataset["cell_error"].values != 0
        )
        failed = np.argwhere((states == State.FAILED) | incomplete)
        if not len(failed):
            return []
        source = self._dataset.encoding.get("source")
        if source is None:
            raise CubeError("this Dataset does not say which cube it came from; take one that open_cube gave")
        error = _archived_error(source) if is_archive(source) else Cube(source).error
        dims = self.states.dims
        cells = (self._dataset.isel(dict(zip(dims, index, strict=True))) for index in failed)
        return [
            Failure(
                {str(d): plain(cell[d].values) for d in dims},
                int(cell["cell_attempt"]),
                error(int(cell["cell_error"])),
            )
            for cell in cells
        ]


def _archive(path: str | Path, group: str | None = None) -> xr.Dataset:
    """An archive, or a group in it, as xarray opens it."""
    store = zip_store(path) if str(path).endswith(".zip") else path
    dataset: xr.Dataset = xr.open_zarr(store, group=group, consolidated=group is None)
    dataset.encoding["source"] = str(path)
    return dataset


def _archived_error(archive: str) -> Callable[[int], CellError]:
    """What finds the error that a value of ``cell_error`` names."""

    def error(reference: int) -> CellError:
        attributes = _archive(archive, f"errors/{reference:016x}").attrs
        return CellError(**{name: attributes[name] for name in ("type", "message", "traceback")})

    return error
