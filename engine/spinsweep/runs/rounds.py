"""Rounds of replicates: which cells are computed next is found from the values of those before.

A *set* is the replicates of one combination of values of all other axes. Each set has planned looks
(:mod:`spinsweep.analysis.looks`) at its first 10, 12, ... replicates. At a look, the set stops if all conditions are
met, else it goes on to the first look at which its present spread would meet them, and to at most twice the
replicates. So the replicates that a set gets follow from the values of its own first replicates alone, whoever
computed them, when, and in which order. A cell that failed, or is NaN, has no value; its set goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.analysis.looks import LEVEL, Floats, Ints, Looks, half_width, moments
from spinsweep.axis import closest, key
from spinsweep.cube import Cube, DamagedChunk
from spinsweep.errors import CubeError, SpecError
from spinsweep.ledger import State
from spinsweep.long_values import LongValues
from spinsweep.printable import brief
from spinsweep.spec import Sweep
from spinsweep.until import Condition, Until

MOST_GROWTH = 2.0
"""Replicates of a set after a round over those before, at most: what is known of a spread is little at first."""
NUMBERS = "biuf"

Mask = npt.NDArray[np.bool_]


@dataclass
class Measure:
    """A condition, and the values that it is about."""

    condition: Condition
    dtype: np.dtype[Any]
    inner: tuple[int | slice, ...]
    """Where it holds along each inner dim."""
    values: Floats
    """(sets, replicates, elements), NaN where there is none."""
    half: Floats
    """(sets,) half width at the last look, of the element that is the farthest from its limit."""
    limit: Floats
    """(sets,) below which that must be."""
    mean: Floats
    """(sets,) of that element."""
    spread: Floats
    """(sets,) standard deviation of that element."""
    is_share: Mask
    """(sets,) whether the interval is Wilson's."""

    def look(self, sets: Ints, replicates: int, level: float) -> _Seen:
        """The intervals of some sets."""
        values = self.values[sets, :replicates].swapaxes(1, 2)
        whole = ((values == 0) | (values == 1) | np.isnan(values)).all((1, 2))
        share = np.full(len(sets), self.dtype.kind == "b") | (whole if self.dtype.kind in "iu" else False)
        mean, spread, count = moments(values, is_share=False)
        seen = _Seen(mean, spread, count, share, self.condition)
        half, limit = seen.half_width(1.0, level), seen.limit
        with np.errstate(over="ignore", invalid="ignore"):
            far = np.argmax(np.nan_to_num(half / np.maximum(limit, 1e-300), nan=np.inf), axis=1)
        for known, new in ((self.half, half), (self.limit, limit), (self.mean, mean), (self.spread, spread)):
            known[sets] = new[np.arange(len(sets)), far]
        self.is_share[sets] = share
        return seen


@dataclass(frozen=True)
class _Seen:
    """What is known at a look, (sets, elements) each."""

    mean: Floats
    spread: Floats
    count: Ints
    share: Mask
    """(sets,)"""
    condition: Condition

    @property
    def limit(self) -> Floats:
        below = self.condition.below
        return below * np.abs(self.mean) if self.condition.is_relative else np.full(self.mean.shape, below)

    def half_width(self, growth: float, level: float) -> Floats:
        """At so many times the replicates, with the same mean and spread."""
        count = np.round(self.count * growth).astype(np.int64)
        half = half_width(self.mean, self.spread, count, level, is_share=False)
        if self.share.any():
            part = self.mean[self.share], self.spread[self.share], count[self.share]
            half[self.share] = half_width(*part, level, is_share=True)
        return half

    def met(self, growth: float, level: float) -> Mask:
        """(sets,) whether the condition would hold then."""
        return np.asarray((self.half_width(growth, level) < self.limit).all(1))


@dataclass
class Rounds:
    """The rounds of one run."""

    until: Until
    sweep: Sweep
    """With as many replicates as the largest set may get."""
    first: Sweep
    """With those of the first round."""
    axis: str
    """Of the replicates."""
    looks: Looks
    measures: list[Measure]
    used: Ints
    """(sets,) replicates that each set needs so far."""
    visits: Ints
    """(sets,) looks at each set, with the one that is to come."""
    is_met: Mask
    """(sets,) whether it has stopped because its conditions are met."""
    is_open: Mask
    """(sets,) whether it goes on."""
    is_set: Mask
    """(sets,) False where the sweep wants no cell."""
    failed: int = 0
    """Failed cells among those that sets need so far."""
    blank: int = 0
    """Done cells among them that are NaN in an output of a condition."""
    _known: Mask = field(default_factory=lambda: np.zeros((0, 0), bool))
    """(sets, replicates) whose values were read."""

    @classmethod
    def of(cls, sweep: Sweep, until: Until) -> Rounds:
        """The rounds of a sweep, whose values of the axis are the first round.

        Raises
        ------
        SpecError
            A condition names what the sweep lacks, or the axis cannot be continued.
        """
        if sweep.measured:
            raise SpecError(f"until: {sweep.name!r} is measured, and what a bench is to do is known before it begins")
        axis = until.axis_of(sweep.every_axis)
        values, first = until.values(axis)
        start = sweep.with_values(None, **{axis.name: values[:first]})
        whole = sweep.with_values(None, **{axis.name: values})
        shape = cls._by_sets(np.empty(whole.shape, bool), whole, axis.name).shape
        wanted = cls._by_sets(_wanted(whole), whole, axis.name)
        is_set: Mask = np.asarray(wanted.any(1))
        measures = [_measure(whole, condition, shape) for condition in until.conditions]
        count = np.full(len(is_set), first)
        return cls(
            until, whole, start, axis.name, Looks.plan(first, until.most), measures, count, np.ones_like(count),
            np.zeros_like(is_set), is_set.copy(), is_set, _known=np.zeros(shape, bool),
        )  # fmt: skip

    @staticmethod
    def _by_sets(cells: npt.NDArray[Any], sweep: Sweep, axis: str) -> npt.NDArray[Any]:
        """(*shape, ...) of the sweep as (sets, replicates, ...)."""
        place, axes = sweep.axis_names.index(axis), len(sweep.axes)
        moved = np.moveaxis(cells, place, axes - 1)
        return moved.reshape(-1, moved.shape[axes - 1], *moved.shape[axes:])

    def choose(self, cube: Cube | None, state: npt.NDArray[np.uint8] | None, missing: Mask | None) -> Mask:
        """The cells that sets need, as far as the values of ``cube`` tell.

        Parameters
        ----------
        cube : may lack some of the values of the axes; None: there is none
        state : of each cell, in the cube's shape
        missing : the cells to compute before they count, likewise

        Returns
        -------
        (*shape) of ``sweep``
        """
        sets, replicates = self._known.shape
        wanted = self._by_sets(_wanted(self.sweep), self.sweep, self.axis)
        absent, failed = np.ones((sets, replicates), bool), np.zeros((sets, replicates), bool)
        if cube is not None and state is not None and missing is not None:
            absent = self._from_cube(cube, missing, fill=True)
            failed = self._from_cube(cube, state == State.FAILED, fill=False)
            self._read(cube, state, wanted)
        absent &= wanted
        counts, levels = self.looks.counts, self.looks.levels
        place = np.zeros(sets, np.int64)
        self.visits[:], self.is_met[:], self.is_open[:] = 1, False, self.is_set
        for look, count in enumerate(counts):
            here = self.is_open & (place == look) & ~absent[:, :count].any(1)
            if not here.any():
                continue
            indices = np.flatnonzero(here)
            seen = [m.look(indices, count, levels[look]) for m in self.measures]
            met = np.logical_and.reduce([s.met(1.0, levels[look]) for s in seen])
            self.is_met[indices] = met
            self.is_open[indices] = ~met & (look < len(counts) - 1)
            if look == len(counts) - 1:
                continue
            following = np.full(len(indices), -1)
            for later in range(look + 1, len(counts)):
                growth = counts[later] / count
                if growth > MOST_GROWTH and later > look + 1:
                    break
                enough = np.logical_and.reduce([s.met(growth, levels[later]) for s in seen])
                following = np.where((following < 0) & enough, later, following)
                farthest = later
            place[indices] = np.where(met, look, np.where(following < 0, farthest, following))
            self.visits[indices] += ~met
        self.used[:] = np.where(self.is_set, np.array(counts)[place], 0)
        chosen = np.arange(replicates) < self.used[:, None]
        self.failed = int((failed & chosen & wanted).sum())
        nan = np.logical_or.reduce([np.isnan(measure.values).any(2) for measure in self.measures])
        self.blank = int((nan & self._known & chosen).sum())
        return self._as_cells(chosen & wanted)

    def absent(self, cube: Cube, missing: Mask) -> Mask:
        """The cells in the shape of ``sweep``, of those in a cube's shape, that are missing or that it lacks."""
        return self._as_cells(self._from_cube(cube, missing, fill=True))

    def _as_cells(self, chosen: Mask) -> Mask:
        """(sets, replicates) in the sweep's shape."""
        place = self.sweep.axis_names.index(self.axis)
        others = [n for i, n in enumerate(self.sweep.shape) if i != place]
        return np.moveaxis(chosen.reshape(*others, -1), -1, place)

    def in_cube(self, cube: Cube, chosen: Mask) -> Mask:
        """Cells of the sweep in the shape of a cube that has all of them."""
        cells = np.zeros(cube.shape, bool)
        cells[np.ix_(*self._places(cube))] = chosen
        return cells

    def _places(self, cube: Cube) -> list[npt.NDArray[np.int64]]:
        """Of the sweep's values along each axis, where the cube has them; -1: it has not."""
        places = []
        for axis, values in zip(self.sweep.axes, cube.axes.values(), strict=True):
            index = {key(value): place for place, value in enumerate(values)}
            places.append(np.array([index.get(key(value), -1) for value in axis.values]))
        return places

    def _from_cube(self, cube: Cube, cells: Mask, *, fill: bool) -> Mask:
        """(sets, replicates) of an array in the cube's shape; ``fill`` where the cube has no such cell."""
        places = self._places(cube)
        taken = cells[np.ix_(*places)]
        for axis, along in enumerate(places):
            taken[(slice(None),) * axis + (along < 0,)] = fill
        return self._by_sets(taken, self.sweep, self.axis)

    def _read(self, cube: Cube, state: npt.NDArray[np.uint8], wanted: Mask) -> None:
        """Read the values of the cells that are done by now."""
        done = self._from_cube(cube, state == State.DONE, fill=False) & wanted
        new = self._as_cells(done & ~self._known)
        if not new.any():
            return
        places = self._places(cube)
        cells = np.zeros(cube.shape, bool)
        cells[np.ix_(*(along[along >= 0] for along in places))] = new[np.ix_(*(along >= 0 for along in places))]
        for measure in self.measures:
            array = cube.array(measure.condition.output)
            elements = measure.values.shape[2]
            values = np.full((*cube.shape, elements), np.nan)
            for index in cube.grid.holding(cells):
                try:
                    block = array.read_block(index)
                except DamagedChunk as error:
                    remedy = f"`spinsweep verify {cube.storage}` says what is damaged"
                    raise CubeError(f"{error}; {remedy}") from None
                region = cube.grid.block(index).region
                axes = len(cube.shape)
                selected = block[(slice(None),) * axes + measure.inner].astype(np.float64)
                values[region] = selected.reshape(*selected.shape[:axes], elements)
            values[~cells] = np.nan
            taken = self._by_sets(values[np.ix_(*places)], self.sweep, self.axis)
            measure.values[done & ~self._known] = taken[done & ~self._known]
        self._known |= done

    @property
    def sets(self) -> int:
        """How many there are."""
        return int(self.is_set.sum())

    @property
    def number(self) -> int:
        """Of the present round, from 1 on."""
        return int(self.visits[self.is_set].max(initial=1))

    def words(self) -> str:
        """How far the sets are, in a line."""
        here = int(self.is_open.sum())
        text = f"round {self.number}: {here} of {self.sets} sets open"
        widest = [
            f"{measure.condition.output} {np.nanmax(half):.3g}"
            for measure in self.measures
            if np.isfinite(half := measure.half[self.is_open]).any()
        ]
        return text + (f", widest half width {', '.join(widest)}" if widest else "")

    def to_json(self) -> str:
        """For the cube's attribute."""
        used = self.used[self.is_set]
        return json.dumps(
            {
                "conditions": str(self.until),
                "level": LEVEL,
                "axis": self.axis,
                "first": self.looks.counts[0],
                "max": self.until.most,
                "round": self.number,
                "sets": self.sets,
                "met": int(self.is_met.sum()),
                "open": int(self.is_open.sum()),
                "replicates": [int(used.min()), float(np.median(used)), int(used.max())],
            }
        )


def _wanted(sweep: Sweep) -> Mask:
    mask = sweep.wanted_mask
    return np.ones(sweep.shape, bool) if mask is None else mask


def _measure(sweep: Sweep, condition: Condition, shape: tuple[int, ...]) -> Measure:
    """What a condition is about; ``SpecError`` if the sweep has no such thing."""
    known = {output.name: output for output in sweep.outputs}
    where = f"until {str(condition)!r}"
    if condition.output not in known:
        meant = closest(condition.output, known)
        raise SpecError(f"{where}: there is no output {condition.output!r}{meant}; there are {', '.join(known)}")
    output = known[condition.output]
    if output.numpy_dtype.kind not in NUMBERS:
        raise SpecError(f"{where}: {output.name} holds {output.dtype}, which has no mean with an interval")
    selection = dict(condition.selection)
    if unknown := [name for name in selection if name not in output.dims]:
        dims = f"its inner dims are {', '.join(output.dims)}" if output.dims else "it has no inner dim"
        raise SpecError(f"{where}: {output.name} has no inner dim {unknown[0]!r}; {dims}")
    inner = tuple(
        _place(where, dim, sweep.dim_values(dim), selection[dim]) if dim in selection else slice(None)
        for dim in output.dims
    )
    lengths = zip(sweep.output_shape(output), inner, strict=True)
    elements = int(np.prod([n for n, i in lengths if isinstance(i, slice)], initial=1))
    half, limit, mean, spread = np.full((4, shape[0]), np.nan)
    values = np.full((*shape, elements), np.nan)
    return Measure(condition, output.numpy_dtype, inner, values, half, limit, mean, spread, np.zeros(shape[0], bool))


def _place(where: str, dim: str, values: Any, text: str) -> int:
    """Where a value is along an inner dim; a whole number below zero that is none counts from the end."""
    listed = values.array.tolist() if isinstance(values, LongValues) else list(values)
    for place, value in enumerate(listed):
        if str(key(value)) == text or _number(text) == value:
            return place
    try:
        if -len(listed) <= int(text) < 0:
            return len(listed) + int(text)
    except ValueError:
        pass
    raise SpecError(f"{where}: {dim} has no value {brief(text)}; its values are {listed[0]} to {listed[-1]}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
