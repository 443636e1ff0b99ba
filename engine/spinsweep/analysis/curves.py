"""The curves of a view: the mean of an output against an axis, with the interval of the mean over the replicates.

:class:`CurveSums` adds up blocks, in any order, each once; it holds as much for a large cube as for a small one.
:func:`curves` takes the cells of a Dataset at once.  Intervals are those of :mod:`spinsweep.analysis.estimates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinsweep.analysis.cells import holding, outputs, states, type_of_cells
from spinsweep.analysis.curve_data import LEVEL, Curves, DrawnCurve, Floats, Quantity
from spinsweep.analysis.design import spacing, text_of
from spinsweep.analysis.estimates import estimate
from spinsweep.axis import closest
from spinsweep.errors import SpecError
from spinsweep.views import DRAWN, LAST, MAX_LINES, Dimensions, View

MAX_POINTS = 200
"""Of a curve; more values of x are averaged, neighbours with each other."""
MAX_GROUPS = 1000
"""Of replicates; more are averaged, neighbours with each other, and the interval is that over their means."""


def dimensions_of(dataset: xr.Dataset) -> Dimensions:
    """What the views of a cube can name."""
    axes = [str(d) for d in states(dataset).dims]
    known = {n: dataset[n] for n in outputs(dataset) if type_of_cells(dataset[n]).kind in DRAWN}
    inner = {n: tuple(str(d) for d in a.dims if d not in axes) for n, a in known.items()}
    names = [*axes, *dict.fromkeys(d for dims in inner.values() for d in dims)]
    lengths = {n: int(dataset.sizes[n]) for n in names}
    numeric = frozenset(n for n in names if n not in dataset.coords or dataset[n].dtype.kind in "iufmM")
    return Dimensions({n: lengths[n] for n in axes}, {n: lengths[n] for n in names if n not in axes}, inner, numeric)


def curves(dataset: xr.Dataset, view: View, most_lines: int = MAX_LINES) -> Curves:
    """The curves of a view over the cells that are done.

    Parameters
    ----------
    dataset : a cube, or a selection from one
    view : what it leaves out is chosen
    most_lines : curves, at most

    Raises
    ------
    SpecError
        There is no such output of numbers.
    """
    sums = CurveSums(dataset, view, most_lines)
    arrays = [dataset[name].transpose(*sums.axes, ...) for name in sums.reads]
    done = holding(dataset, sums.view.output).compute()
    done = done.broadcast_like(arrays[0].isel({d: 0 for d in arrays[0].dims if d not in sums.axes}, drop=True))
    values = [array.transpose(*sums.axes, *sums.inner(str(array.name))).values for array in arrays]
    sums.add([0] * len(sums.axes), done.transpose(*sums.axes).values, *values)
    return sums.curves()


class CurveSums:
    """Sums of the cells that are done, by line, x and replicate.

    Parameters
    ----------
    dataset : names, sizes and coordinates of the cube; its outputs are not read
    view : what it leaves out is chosen
    most_lines : curves, at most
    """

    def __init__(self, dataset: xr.Dataset, view: View, most_lines: int = MAX_LINES) -> None:
        known = dimensions_of(dataset)
        settled = known.settled(view)
        if settled is None:
            raise SpecError(
                f"there is no output of numbers {view.output!r}{closest(view.output, known.outputs)}; there are "
                f"{', '.join(known.outputs) or 'none'}"
            )
        self.view = settled
        self.axes = tuple(known.axes)
        self._known, self._dataset = known, dataset
        self._names = known.of_output(settled.output)
        self.x_is_output = settled.x in known.outputs
        along = known.along(settled)
        assert along is not None
        self._along = along
        repeated = sorted(settled.over, key=[*self._names].index)
        self.over = next((name for name in repeated if self._names[name] > 1), "")
        used = (settled.lines, along, self.over)
        rest = [name for name in self._names if name not in used and self._names[name] > 1]
        lasts = [d for d in rest if settled.inner == LAST and d in known.dims and d not in settled.over]
        self.last, self.averaged = tuple(lasts), tuple(name for name in rest if name not in lasts)
        number = self._names[settled.lines] if settled.lines else 1
        shown = np.unique(np.linspace(0, number - 1, min(number, most_lines)).round().astype(np.int64))
        self._shown = shown
        self._line_of = np.full(number, -1)
        self._line_of[shown] = np.arange(shown.size)
        self._point_of = _groups(self._names[along], MAX_POINTS)
        if not self.x_is_output and (values := self._values(along)).dtype.kind in "iuf":
            self._point_of = self._point_of[np.argsort(np.argsort(values, kind="stable"))]  # neighbours by value
        self._group_of = _groups(self._names.get(self.over, 1), MAX_GROUPS)
        points, groups = self._point_of.max() + 1, self._group_of.max() + 1
        self._total, self._number = np.zeros((2, shown.size, points, groups))
        self._x_total, self._x_number = np.zeros((2, shown.size, points))
        self._are_shares = type_of_cells(dataset[settled.output]).kind in "biu"

    @property
    def reads(self) -> tuple[str, ...]:
        """The outputs that it takes, the one that is drawn first."""
        return (self.view.output, *([str(self.view.x)] if self.x_is_output else []))

    def inner(self, output: str) -> tuple[str, ...]:
        """Inner dims of an output, in the order in which :meth:`add` takes them."""
        return self._known.outputs[output]

    def add(self, start: Sequence[int], done: npt.NDArray[np.bool_], *values: npt.NDArray[Any]) -> None:
        """Add the cells of a box that was not added before.

        Parameters
        ----------
        start : of the box, index along each axis
        done : (*box) which cells have their numbers
        values : (*box, *inner dims) of each of ``reads``
        """
        numbers = self._numbers(values[0], self.view.output, done)
        lines = self._line_of[self._span(self.view.lines, start, done.shape)]
        points = self._point_of[self._span(self._along, start, done.shape)]
        groups = self._group_of[self._span(self.over, start, done.shape)]
        taken = np.flatnonzero(lines >= 0)
        if not taken.size:
            return
        numbers, lines = self._ordered(numbers, self.view.output)[taken], lines[taken]
        known = ~np.isnan(numbers)
        numbers = np.where(known, numbers, 0.0)
        self._are_shares = self._are_shares and bool(np.isin(numbers, (0.0, 1.0)).all())
        np.add.at(self._total, np.ix_(lines, points, groups), numbers.sum(-1))
        np.add.at(self._number, np.ix_(lines, points, groups), known.sum(-1))
        if self.x_is_output:
            along = self._ordered(self._numbers(values[1], str(self.view.x), done), str(self.view.x))[taken]
            known = ~np.isnan(along)
            np.add.at(self._x_total, np.ix_(lines, points), np.where(known, along, 0.0).sum((-2, -1)))
            np.add.at(self._x_number, np.ix_(lines, points), known.sum((-2, -1)))

    def _numbers(self, values: npt.NDArray[Any], output: str, done: npt.NDArray[np.bool_]) -> Floats:
        lasts = tuple(slice(-1, None) if d in self.last else slice(None) for d in self.inner(output))
        numbers = values[(..., *lasts)].astype(np.float64)
        numbers[~done] = np.nan
        return numbers

    def _ordered(self, numbers: Floats, output: str) -> Floats:
        """(lines, x, replicates, rest)."""
        names = [*self.axes, *self.inner(output)]
        first = [name for name in (self.view.lines, self._along, self.over) if name]
        lengths = [
            numbers.shape[names.index(n)] if n in names else 1 for n in (self.view.lines, self._along, self.over)
        ]
        order = [names.index(n) for n in first if n in names]
        rest = [i for i in range(len(names)) if i not in order]
        return numbers.transpose(*order, *rest).reshape(*lengths, -1)

    def _span(self, name: str | None, start: Sequence[int], shape: tuple[int, ...]) -> slice:
        """Where a box lies along an axis; all of an inner dim."""
        if name not in self.axes:
            return slice(None)
        axis = self.axes.index(str(name))
        return slice(start[axis], start[axis] + shape[axis])

    def curves(self) -> Curves:
        """The curves of what was added so far."""
        number = self._number
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._total / number
            known_x = self._x_total / self._x_number
        is_share = self._are_shares and not self.averaged and self._group_of.size == self._group_of.max() + 1
        array = xr.DataArray(means, dims=("line", "x", "over"), attrs={"is_share": is_share})
        over = ["over"] if self.over else []
        estimates = estimate(array if over else array.isel(over=0), over, LEVEL)
        x, along = self._x()
        each = self._quantity(self.view.lines) if self.view.lines else None
        y, is_boolean = self._quantity(self.view.output), type_of_cells(self._dataset[self.view.output]).kind == "b"
        counts = number.sum(-1).astype(np.int64)
        lines = []
        for line, i in enumerate(self._shown.tolist()):
            places = known_x[line] if self.x_is_output else along
            order = np.argsort(places, kind="stable")
            label = text_of(self._values(str(self.view.lines))[i]) if each else ""
            mean, low, high = (estimates[name].values[line][order] for name in ("mean", "low", "high"))
            lines.append(DrawnCurve(label, places[order], mean, low, high, counts[line][order]))
        groups = {self._along: self._point_of, self.over: self._group_of}
        return Curves(
            view=self.view,
            lines=tuple(lines),
            more=self._line_of.size - len(lines),
            x=x,
            y=replace(y, label=f"share of {y.label}") if is_boolean else y,
            each=each,
            scale=spacing(along) if not (self.x_is_output or x.words) else "linear",
            ordered=self.view.lines in self._known.numeric,
            over=self.over,
            averaged=self.averaged,
            last=self.last,
            method="Wilson's" if is_share else "Student's t",
            is_share=is_boolean,
            grouped=tuple(name for name, index in groups.items() if index.max() + 1 < index.size),
        )

    def _x(self) -> tuple[Quantity, Floats]:
        """What lies along the axis of the drawing, and (n,) where its points are."""
        quantity, points = self._quantity(str(self.view.x)), self._point_of
        along = np.arange(points.size, dtype=np.float64)
        if self.x_is_output:
            return quantity, along
        values = self._values(self._along)
        if values.dtype.kind not in "iuf":
            first = np.flatnonzero(np.diff(points, prepend=-1))
            words = tuple(text_of(value) for value in values[first])
            return Quantity(quantity.name, quantity.label, quantity.unit, words), np.arange(first.size, dtype=float)
        sums = np.bincount(points, values.astype(np.float64))
        return quantity, sums / np.bincount(points)

    def _values(self, name: str) -> npt.NDArray[Any]:
        return np.asarray(self._dataset[name].values)

    def _quantity(self, name: str) -> Quantity:
        attrs = self._dataset[name].attrs if name in self._dataset.variables else {}
        return Quantity(name, str(attrs.get("long_name") or name), str(attrs.get("units", "1")))


def _groups(length: int, most: int) -> npt.NDArray[np.int64]:
    """(length,) which group each of a row belongs to: 0, 1, ..., at most ``most`` of them, all of about one size."""
    return np.arange(length) * min(length, most) // length
