"""An output's mean against an axis, with the band of its interval, drawn with characters; one drawing a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from rich.text import Text

from spinsweep.analysis.cells import outputs
from spinsweep.analysis.design import replicates
from spinsweep.analysis.estimates import estimate, numbers
from spinsweep.cli.plot import draw
from spinsweep.errors import SpecError
from spinsweep.messages import MAX_POINTS, Series
from spinsweep.printable import one_line

MAX_LINES = 4


def curves(
    dataset: xr.Dataset,
    output: str | None,
    x: str | None,
    lines: str | None,
    over: Sequence[str] | None,
    room: tuple[int, int],
    most: int | None = None,
    *,
    unicode: bool = True,
) -> Iterator[Text]:
    """The curves over the cells that are done, a drawing for each value of ``lines``.

    Parameters
    ----------
    output, x, lines, over : as the options of ``spinsweep watch``; None: by default
    room : width and height of a drawing, characters
    most : values of an output above which it is not read

    Raises
    ------
    SpecError
        There is no such output or axis.
    """
    numeric = [name for name in outputs(dataset) if dataset[name].dtype.kind in "biuf"]
    if not numeric or (output is not None and output not in numeric):
        raise SpecError(f"--output {output}: the outputs that are numbers are {', '.join(numeric) or 'none'}")
    output = output or numeric[0]
    dims = [str(d) for d in dataset[output].dims]
    for option, name in (("--x", x), ("--lines", lines), *(("--over", name) for name in over or ())):
        if name is not None and name not in dims:
            raise SpecError(f"{option} {name}: {output} has the axes {', '.join(dims)}")
    if most is not None and dataset[output].size > most:
        yield Text(f"{output} has {dataset[output].size} values; --output {output} draws it all the same")
        return
    values = numbers(dataset, output).compute()
    averaged = [d for d in replicates(values, over) if d not in (x, lines)]
    free = [d for d in dims if d not in averaged and d != lines]
    x = x or max(free or dims, key=lambda d: values.sizes[d])
    averaged = [d for d in averaged if d != x]
    others = [d for d in free if d != x]
    means = estimate(values.mean(others, keep_attrs=True) if others else values, averaged)
    said = f"mean over {', '.join([*averaged, *others])}" if averaged or others else "values"
    for number in range(min(MAX_LINES, values.sizes[lines]) if lines else 1):
        line = means.isel({lines: number}) if lines else means
        name = f", {lines}={line[lines].item() if lines in line.coords else number}" if lines else ""
        yield Text(one_line(f"{output} ({said}{name})"), style="bold")
        drawn = draw(list(_series(line, dataset, output, x)), *room, unicode=unicode)
        yield drawn if drawn.plain else Text("no values yet")
    if lines and values.sizes[lines] > MAX_LINES:
        yield Text(f"and {values.sizes[lines] - MAX_LINES} more values of {lines}")


def _series(line: xr.Dataset, dataset: xr.Dataset, output: str, x: str) -> Iterator[Series]:
    """The mean as points, and the ends of its interval as lines; an axis of words has its positions."""
    along = np.arange(line.sizes[x], dtype=np.float64)
    if x in dataset.coords and dataset[x].dtype.kind in "iuf":
        along = dataset[x].values.astype(np.float64)
    thin = np.unique(np.linspace(0, along.size - 1, min(along.size, MAX_POINTS)).astype(int))
    for name in ("mean", "low", "high"):
        y = line[name].values
        shown = [i for i in thin[np.argsort(along[thin])] if np.isfinite(y[i]) and np.isfinite(along[i])]
        unit = str(dataset[output].attrs.get("units", ""))
        x_unit = str(dataset[x].attrs.get("units", "")) if x in dataset.coords else ""
        yield Series(
            name,
            tuple(along[shown].tolist()),
            tuple(y[shown].tolist()),
            x_label=x,
            x_unit="" if x_unit == "1" else x_unit,
            y_label=output,
            y_unit="" if unit == "1" else unit,
            line=name != "mean",
        )
