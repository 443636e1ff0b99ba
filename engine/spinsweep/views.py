"""How an output is drawn as curves: what the author of a sweep declares, and what is drawn where nobody did.

    Sweep(..., views=(View("accuracy", x="variation", lines="width", over=("seed",)),))

The first view is what the author wants to see first.  Views change no number, and are no part of a sweep's identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spinsweep.axis import REPLICATES, closest
from spinsweep.checking import items
from spinsweep.errors import SpecError
from spinsweep.printable import brief

MAX_LINES = 9
"""Curves in one drawing."""
MEAN, LAST = "mean", "last"
DRAWN = "biuf"
"""Kinds of the types of outputs that have curves."""


@dataclass(frozen=True)
class View:
    """An output as curves, the mean over the replicates with the band of its interval.

    Raises
    ------
    SpecError
        A name is none, or stands for two things.
    """

    output: str
    """One that is a number or a boolean."""
    x: str | None = None
    """An axis, an inner dim of the output, or an output along one inner dim, such as the write currents of a curve,
    whose mean is taken. None: the longest axis that is no replicate, else an inner dim."""
    lines: str | None = None
    """The axis, or inner dim, with a curve for each value; None: one curve."""
    over: tuple[str, ...] = ()
    """Axes and inner dims that are replicates. The interval is over the first of them in the order of the cube, of
    means over the others. Empty: those named ``seed``, ``device``, ``repeat``, ..."""
    inner: str = MEAN
    """``mean`` over the inner dims that are nothing else, or the ``last`` value of each. The mean is taken over
    further axes."""

    def __post_init__(self) -> None:
        over = items("view: over", self.over, str)
        object.__setattr__(self, "over", over)
        for name, value in (("output", self.output), ("x", self.x), ("lines", self.lines)):
            if not (isinstance(value, str) or (value is None and name != "output")):
                raise SpecError(f"view: {name} must be a name, not {brief(value)}")
        if self.inner not in (MEAN, LAST):
            raise SpecError(f"view of {self.output}: inner must be {MEAN!r} or {LAST!r}, not {brief(self.inner)}")
        used = [name for name in (self.x, self.lines, *over) if name is not None]
        if twice := next((name for name in used if used.count(name) > 1), None):
            raise SpecError(f"view of {self.output}: {twice!r} stands for two of x, lines and over; name it once")


@dataclass(frozen=True)
class Dimensions:
    """What the views of a sweep, or of a cube, can name."""

    axes: Mapping[str, int]
    """Length of each axis that is a dimension, in the order of the cube."""
    dims: Mapping[str, int]
    """Length of each inner dim."""
    outputs: Mapping[str, tuple[str, ...]]
    """Inner dims of each output that is a number."""
    numeric: frozenset[str]
    """Axes and inner dims whose values are numbers or dates; others are names."""

    def of_output(self, output: str) -> dict[str, int]:
        """Length of each axis, and of each inner dim of an output."""
        return {**self.axes, **{d: self.dims[d] for d in self.outputs[output]}}

    def along(self, view: View) -> str | None:
        """The axis or inner dim along which the points of a curve lie."""
        if view.x is not None and view.x in self.outputs:
            return self.outputs[view.x][0] if len(self.outputs[view.x]) == 1 else None
        return view.x

    def settled(self, view: View) -> View | None:
        """A view with what it leaves out, and without what there is not; None if its output is not there."""
        if view.output not in self.outputs:
            return None
        names = self.of_output(view.output)
        lines = view.lines if view.lines in names else None
        over = tuple(name for name in view.over if name in names)
        x = view.x if self.along(view) in names and self.along(view) != lines else None
        x = x or self._longest(names, {lines, *over}) or self._longest(names, {lines}) or next(iter(names))
        settled = replace(view, x=x, lines=None if lines == x else lines, over=())
        shown = {self.along(settled), settled.lines}
        over = over or tuple(name for name in names if name in REPLICATES)
        return replace(settled, over=tuple(name for name in over if name not in shown))

    def _longest(self, names: Mapping[str, int], used: set[str | None]) -> str | None:
        """What is best along the axis of a drawing: numbers before names, and axes before inner dims."""
        free = [name for name, length in names.items() if length > 1 and name not in used]
        good = [name for name in free if name not in REPLICATES] or free

        def rank(name: str) -> tuple[bool, bool, int]:
            return name not in self.numeric, name not in self.axes, -names[name]

        return min(good, key=rank, default=None)

    def default(self, output: str) -> View:
        """The view of an output of which none is declared: along its longest axis, a curve for each value of another.

        That other axis has few names rather than numbers.
        """
        names = self.of_output(output)
        x = self._longest(names, set())
        others = [a for a, length in self.axes.items() if length > 1 and a != x and a not in REPLICATES]

        def rank(name: str) -> tuple[bool, int]:
            return name in self.numeric or names[name] > MAX_LINES, -names[name]

        view = self.settled(View(output, x, min(others, key=rank, default=None)))
        assert view is not None
        return view

    def every(self, declared: Sequence[View] = ()) -> tuple[View, ...]:
        """The declared views in their order, then one of each output that has none; all of them settled.

        Such an output is drawn like the first declared one that has all that its view names, or by default.
        """
        views = [view for view in map(self.settled, declared) if view is not None]
        known = {view.output for view in views}
        return (*views, *(self._like(output, views) for output in self.outputs if output not in known))

    def _like(self, output: str, views: Sequence[View]) -> View:
        names = self.of_output(output)
        for view in views:
            named = (self.along(view), *([view.lines] if view.lines else []), *view.over)
            if view.x != output and all(name in names for name in named):
                return replace(view, output=output)
        return self.default(output)


def default_views(dimensions: Dimensions) -> tuple[View, ...]:
    """The views where none is declared, one of each output that is a number, in their order."""
    return dimensions.every()


def checked(
    where: str, views: object, axes: Sequence[str], dims: Mapping[str, Sequence[str]], numbers: Sequence[str]
) -> tuple[View, ...]:
    """The views of a sweep, each of which names what the sweep has.

    Parameters
    ----------
    where : the sweep, in words
    axes : also those at their neutral value
    dims : inner dims of each output
    numbers : outputs that are numbers or booleans

    Raises
    ------
    SpecError
        One line: what a view names that is not there.
    """
    checked_views = items(f"{where}: views", views, View)
    for position, view in enumerate(checked_views):
        for problem in _problems(view, axes, dims, numbers):
            raise SpecError(f"{where}: views[{position}]: {problem}")
    return checked_views


def _problems(
    view: View, axes: Sequence[str], dims: Mapping[str, Sequence[str]], numbers: Sequence[str]
) -> Iterator[str]:
    if view.output not in numbers:
        is_there = "holds no numbers" if view.output in dims else "is no output"
        yield f"{view.output!r} {is_there}{closest(view.output, numbers)}; those of numbers are {_list(numbers)}"
        return
    names = [*axes, *dims[view.output]]
    along = view.x
    if view.x is not None and view.x in dims:
        along = dims[view.x][0] if view.x in numbers and len(dims[view.x]) == 1 else ""
        if along not in names:
            yield f"x={view.x!r} is no output of numbers along one inner dim of {view.output}"
    named = [("x", along), ("lines", view.lines), *(("over", name) for name in view.over)]
    for field, name in named:
        if name is not None and name not in names:
            where = f"no axis or inner dim of {view.output}"
            yield f"{field}={name!r} is {where}{closest(name, names)}; it has {_list(names)}"
    if view.x in dims and along in (view.lines, *view.over):
        yield f"x={view.x!r} is along {along}, which lines or over name as well"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
