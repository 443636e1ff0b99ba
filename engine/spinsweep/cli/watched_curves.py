"""The curves of a view, drawn with characters: the mean with the band of its interval; one drawing a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import xarray as xr
from rich.text import Text

from spinsweep.analysis.curve_data import Curves, DrawnCurve
from spinsweep.analysis.curves import curves, dimensions_of
from spinsweep.cli.plot import draw
from spinsweep.errors import SpecError
from spinsweep.messages import Series
from spinsweep.printable import one_line
from spinsweep.views import Dimensions, View

MAX_LINES = 4


def drawn_view(
    dataset: xr.Dataset,
    declared: Sequence[View],
    output: str | None,
    x: str | None,
    lines: str | None,
    over: Sequence[str] | None,
) -> View:
    """What ``watch`` draws: what its options name, and else what the sweep's author declared.

    Raises
    ------
    SpecError
        There is no such output or axis.
    """
    known = dimensions_of(dataset)
    if not known.outputs or (output is not None and output not in known.outputs):
        raise SpecError(f"--output {output}: the outputs that are numbers are {', '.join(known.outputs) or 'none'}")
    views = known.every(declared)
    view = next(v for v in views if output in (None, v.output))
    names = known.of_output(view.output)
    for option, name in (("--x", x), ("--lines", lines), *(("--over", name) for name in over or ())):
        if name is not None and name not in names:
            raise SpecError(f"{option} {name}: {view.output} has the axes {', '.join(names)}")
    return _with_options(known, view, x, lines, over)


def _with_options(
    known: Dimensions, view: View, x: str | None, lines: str | None, over: Sequence[str] | None
) -> View:
    """A view in which an option takes the place of what the view would have had."""
    chosen = [name for name in (x, lines, *(over or ())) if name]
    if not chosen:
        return view
    if lines is None and view.lines not in chosen and view.lines != known.along(replace(view, x=x or view.x)):
        lines = view.lines
    if x is None and known.along(view) not in chosen:
        x = view.x
    kept = tuple(name for name in view.over if name not in (x, lines))
    return View(view.output, x, lines, kept if over is None else tuple(over), view.inner)


def pictures(
    dataset: xr.Dataset, view: View, room: tuple[int, int], most: int | None = None, *, unicode: bool = True
) -> Iterator[Text]:
    """The curves over the cells that are done, a drawing for each.

    Parameters
    ----------
    room : width and height of a drawing, characters
    most : values of an output above which it is not read
    """
    size = dataset[view.output].size
    if most is not None and size > most:
        yield Text(f"{view.output} has {size} values; --output {view.output} draws it all the same")
        return
    drawn = curves(dataset, view, MAX_LINES)
    means = [*([drawn.over] if drawn.over else []), *drawn.averaged]
    said = f"mean over {', '.join(means)}" if means else "values"
    said += f", at the last {' and '.join(drawn.last)}" if drawn.last else ""
    for line in drawn.lines:
        name = f", {drawn.each.name}={line.label}" if drawn.each else ""
        yield Text(one_line(f"{view.output} ({said}{name})"), style="bold")
        picture = draw(list(_series(line, drawn)), *room, unicode=unicode)
        yield picture if picture.plain else Text("no values yet")
    if drawn.each and drawn.more:
        yield Text(f"and {drawn.more} more values of {drawn.each.name}")


def _series(line: DrawnCurve, of: Curves) -> Iterator[Series]:
    """The mean as points, and the ends of its interval as lines."""
    units = [("" if q.unit == "1" else q.unit) for q in (of.x, of.y)]
    for name, y in (("mean", line.mean), ("low", line.low), ("high", line.high)):
        yield Series.of(
            name,
            line.x,
            y,
            x_label=of.x.name,
            x_unit=units[0],
            y_label=of.y.name,
            y_unit=units[1],
            line=name != "mean",
        )
