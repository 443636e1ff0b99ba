"""One figure for each output of any cube, chosen by the axes that the output has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from spinsweep.analysis.cells import outputs, states
from spinsweep.analysis.design import Design, FigureLayout, panels, text_of
from spinsweep.analysis.estimates import estimate, numbers
from spinsweep.errors import NotDrawn, SpecError
from spinsweep.figure_options import FigureOptions
from spinsweep.ledger import Counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spinsweep.analysis.drawing import OutputPanels

DEFAULTS = FigureOptions()


@dataclass(frozen=True)
class OutputFigure:
    """Makes the figure of one output, and its caption.

    Numbers against one axis of numbers are lines, against two a heat map, and against names points.  Replicates (axes
    named seed, device, repeat, ... or those of ``over``) are means with their intervals: Student's t, or Wilson's for
    an output of booleans.  Further axes are colours and then panels.
    """

    output: str
    over: tuple[str, ...] | None = None
    """Axes that are replicates; None: by their names."""

    @property
    def __name__(self) -> str:
        return self.output

    def __call__(self, dataset: xr.Dataset, options: FigureOptions = DEFAULTS) -> Figure:
        """The figure.

        Parameters
        ----------
        dataset : a cube as it is stored, or with blank cells

        Raises
        ------
        NotDrawn
            The output holds texts, one value, or no cell that is done.
        SpecError
            There is no such output or axis.
        """
        from matplotlib import rc_context

        from spinsweep.analysis.look import RC

        shown = self._shown(dataset)
        with rc_context({**RC, **options.font_settings}):
            return _drawn(shown, options, self._note(dataset, shown))

    def caption(self, dataset: xr.Dataset, options: FigureOptions = DEFAULTS) -> str:
        """What the figure shows, what lines, bands and marks are, and what is left out: Markdown."""
        return " ".join(_sentences(self._shown(dataset)))

    def _shown(self, dataset: xr.Dataset) -> OutputPanels:
        from spinsweep.analysis.drawing import OutputPanels, extremes
        from spinsweep.analysis.scales import AxisLabel

        try:
            values = numbers(dataset, self.output)
        except SpecError as error:
            if self.output in outputs(dataset):
                raise NotDrawn(str(error)) from None
            raise
        over = self.over if self.over is None else tuple(n for n in self.over if n in values.dims)
        design = Design.of(values, over)
        values = values.isel({d: 0 for d in values.dims if values.sizes[d] == 1})
        if not bool(values.notnull().any()):
            raise NotDrawn("no cell is done yet" if "cell_state" in dataset else "it holds no number")
        layout = FigureLayout.of(values, design)
        estimates = estimate(values, design.replicates)
        drawn = [estimates["mean"]]
        if layout.kind != "map":
            drawn += [estimates["low"], estimates["high"]]
        if layout.kind in ("points", "replicates") and not values.attrs["is_share"]:
            drawn.append(values)
        limits = extremes(*drawn)
        inner = extremes(estimates["mean"])
        name = str(values.attrs.get("long_name") or values.name)
        if values.attrs["is_share"]:
            name = f"Share of {name}"
        elif values.attrs["is_magnitude"]:
            name = f"|{name}|"
        over_zero = inner[0] < -0.1 * inner[1] < 0
        return OutputPanels(values, estimates, design, layout, AxisLabel.of(values, limits, name), limits, over_zero)

    def _note(self, dataset: xr.Dataset, shown: OutputPanels) -> str:
        """What of the cube is not in the figure, in short."""
        counts = Counts.of(states(dataset).values)
        parts = []
        if counts.done < counts.total:
            others = [f"{n} {name}" for name, n in counts.as_dict().items() if n and name != "done"]
            parts.append(f"{counts.done} of {counts.total} cells done ({', '.join(others)})")
        drawn, every = panels(shown.values, shown.layout.panels)
        if len(drawn) < every:
            parts.append(f"{len(drawn)} of {every} panels shown")
        return "; ".join(parts)


def of_outputs(dataset: xr.Dataset, over: Sequence[str] | str | None = None) -> dict[str, OutputFigure]:
    """The makers of figures of all outputs of a cube, by the output's name.

    Raises
    ------
    SpecError
        ``over`` names no dim of the cube.
    """
    from spinsweep.analysis.design import replicates

    named = None if over is None else replicates(dataset, over)
    return {name: OutputFigure(name, named) for name in outputs(dataset)}


def figures(
    dataset: xr.Dataset, over: Sequence[str] | str | None = None, options: FigureOptions = DEFAULTS
) -> dict[str, Figure]:
    """Draw each output of a cube.

    Parameters
    ----------
    dataset : a cube, or a selection from one, as ``open_cube`` gives it
    over : axes that are replicates; None: those named seed, device, repeat, replicate, trial, chip, cycle or sample

    Returns
    -------
    Matplotlib's figures by the output's name.  An output that cannot be drawn is left out, with a warning

    Raises
    ------
    SpecError
        ``over`` names no dim of the cube.
    """
    drawn = {}
    for name, make in of_outputs(dataset, over).items():
        try:
            drawn[name] = make(dataset, options)
        except NotDrawn as reason:
            warnings.warn(f"output {name!r} is not drawn: {reason}", stacklevel=2)
    return drawn


def _drawn(shown: OutputPanels, options: FigureOptions, note: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from spinsweep.analysis import drawing
    from spinsweep.analysis.look import COLUMN, GREY, MM, PAGE
    from spinsweep.analysis.scales import title_of, value_text

    layout, values = shown.layout, shown.values
    shown_panels, _ = panels(values, layout.panels)
    count = len(shown_panels)
    width = {None: COLUMN if count == 1 else PAGE, 1: COLUMN, 2: PAGE}[options.columns]
    columns = min(count, max(1, int(width / (56 * MM))), 2 if count in (2, 4) else 3)
    rows = -(-count // columns)
    each = width / columns
    height = min((0.82 if layout.kind == "map" else 0.72) * each, 58 * MM)
    if layout.kind == "points":
        height = (11 + (4 + 1.6 * len(shown.series)) * values.sizes[layout.x]) * MM
    strip = 3 * MM if note else 0.0
    legend_rows = -(-len(shown.series) // 4) if layout.colour else 0
    total = rows * (height + 4 * MM * (count > 1)) + strip + legend_rows * 5 * MM
    figure = Figure(figsize=(width, total), layout="constrained")
    FigureCanvasAgg(figure)  # no window
    figure.set_layout_engine("constrained", rect=(0, strip / total, 1, 1 - strip / total))
    axes = figure.subplots(rows, columns, squeeze=False, sharex="col", sharey=True)
    kinds = {"lines": drawing.lines, "map": drawing.heat_map, "points": drawing.points}
    draw = kinds.get(layout.kind, drawing.replicates)
    mesh: Any = None
    for place, (ax, panel) in enumerate(zip(axes.ravel(), shown_panels, strict=False)):
        mesh = draw(ax, shown, dict(panel))
        if count > 1:
            title = ", ".join(value_text(values, str(d), i) for d, i in panel.items())
            ax.set_title("  ".join(filter(None, (options.letter(place), title))), loc="left")
        last_row, first_column = place + columns >= count, place % columns == 0
        if not last_row:
            ax.set_xlabel("")
        else:
            ax.tick_params(labelbottom=True)
        if not first_column:
            ax.set_ylabel("")
        if layout.kind == "points":
            ax.set_xlabel(_broken(shown.quantity.label, 0.6 * each) if last_row else "")
        elif layout.kind != "map" and first_column:
            ax.set_ylabel(_broken(shown.quantity.label, height))
    for ax in axes.ravel()[count:]:
        ax.remove()
    if layout.kind == "map":
        bar = figure.colorbar(mesh, ax=axes.ravel()[:count].tolist(), aspect=28, pad=0.02)
        bar.set_label(_broken(shown.quantity.label, rows * height))
    if layout.colour:
        handles, labels = axes.flat[0].get_legend_handles_labels()
        title = title_of(values, layout.colour)
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), title=title)
    if note:
        figure.text(1 - 1 * MM / width, 0.8 * MM / total, note, ha="right", va="bottom", size=5.5, color=GREY)
    return figure


def _broken(label: str, room: float) -> str:
    """The label in lines of about ``room`` inches."""
    return fill(label, max(12, int(room * 72 / 4.2)), break_long_words=False)


def _sentences(shown: OutputPanels) -> Iterator[str]:
    values, layout, design = shown.values, shown.layout, shown.design
    name, variable = str(values.attrs.get("long_name") or values.name), str(values.name)
    what = f"Share of {name}" if values.attrs["is_share"] else f"{name[:1].upper()}{name[1:]}"
    if values.attrs["is_magnitude"]:
        what = f"Magnitude of {name}"
    against = {
        "lines": f"against {layout.x}",
        "map": f"against {layout.x} and {layout.y}, as a colour",
        "points": f"for each {layout.x}",
        "replicates": f"of each {layout.x}",
    }[layout.kind]
    each = [f"one colour for each {layout.colour}"] if layout.colour else []
    if layout.panels:
        each.append(f"one panel for each {' and '.join(layout.panels)}")
    yield f"{what} (`{variable}`) {against}" + (f", with {', '.join(each)}" if each else "") + "."
    if design.replicates:
        yield from _intervals(shown)
    if fixed := [f"{d} = {text_of(c.values)}" for d, c in values.coords.items() if c.ndim == 0]:
        yield f"Everywhere {', '.join(fixed)}."
    yield from _left_out(shown)


def _intervals(shown: OutputPanels) -> Iterator[str]:
    values, design = shown.values, shown.design
    first, *others = design.replicates
    sizes = " × ".join(f"{d} ({values.sizes[d]})" for d in design.replicates)
    method = "Wilson's" if values.attrs["is_share"] and not others else "Student's t"
    averaged = f" of the means over {', '.join(others)}, over {first} alone" if others else ""
    marks = {"lines": "bands", "points": "bars", "replicates": "the band"}.get(shown.layout.kind)
    if marks:
        yield f"Shown are means over {sizes}, and as {marks} their 95 % intervals ({method}{averaged})."
        return
    half = (shown.estimates["high"] - shown.estimates["low"]).values / 2
    half = half[np.isfinite(half)]
    unit = str(values.attrs.get("units", "1"))
    yield f"Shown are means over {sizes}." + (
        f" Half of the width of their 95 % intervals ({method}{averaged}) is {np.median(half):.2g}"
        f"{'' if unit == '1' else f' {unit}'} in the median and {half.max():.2g} at most."
        if half.size
        else ""
    )


def _left_out(shown: OutputPanels) -> Iterator[str]:
    missing, count = shown.estimates["missing"].values, shown.estimates["count"].values
    nothing, partly = int((count == 0).sum()), int(((missing > 0) & (count > 0)).sum())
    marks = {
        "lines": ("crosses at the bottom", "hollow"),
        "points": ("crosses at the left", "hollow"),
        "map": ("hatched", "marked by a dot"),
        "replicates": ("crosses at the bottom", "hollow"),
    }[shown.layout.kind]
    if nothing:
        yield f"{nothing} of {count.size} means have no number and are {marks[0]}."
    if partly and shown.layout.kind != "replicates":
        yield f"{partly} of {count.size} means lack some replicates and are {marks[1]}."
    drawn, every = panels(shown.values, shown.layout.panels)
    if len(drawn) < every:
        yield f"{len(drawn)} of {every} panels are shown, evenly spaced; select values to see others."
