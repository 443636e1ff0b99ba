"""The frame of the figures: style, size, letters, the mark of where data come from, and captions.

``figure`` and ``canvas`` make the builder of a figure from what draws it.  The builder blanks the cells that are not
done, says so in place of a figure without any, and writes the caption from the docstrings of what it draws.  Figures
are made with matplotlib's object interface and the Agg canvas; nothing here touches pyplot.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from textwrap import shorten, wrap
from typing import Any

import matplotlib
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from spinneurons.analysis.cubes import by_width, mask_unfinished
from spinneurons.neurons.origin import origin_of
from spinneurons.style.look import panel_width, width_text
from spinsweep.analysis.look import COLUMN, GREY, MM, PAGE, RC
from spinsweep.figure_options import FigureOptions

DEFAULTS = FigureOptions()
_HEIGHT = 65 * MM
_MARK = 3 * MM
"""Height of the strip below a figure that says where its data come from."""
_MARK_SIZE = 5.5

Draw = Callable[[xr.Dataset, Figure], object]
Panel = Callable[[xr.Dataset, Axes], object]


def nothing_done(cube: xr.Dataset) -> str:
    """Why a cube over widths cannot be drawn; "" if a cell is done."""
    return "" if cube.sizes["width"] else "no cell is done yet"


def no_remarks(cube: xr.Dataset) -> list[str]:
    """Nothing but the docstring to be said of a figure."""
    return []


class JournalFigure(Figure):
    """A figure whose width may be fixed by the user."""

    columns: int | None = None
    """Of a journal; None: as wide as its panels need."""


@dataclass(frozen=True)
class Builder:
    """Makes a figure from a cube, and its caption: see :func:`canvas`."""

    draw: Draw
    width: float
    height: float
    empty: Callable[[xr.Dataset], str]
    zeros: bool
    described: tuple[Callable[..., Any], ...]
    """Functions whose docstrings say what is shown: one for each lettered part."""
    remarks: Callable[[xr.Dataset], Iterable[str]]

    def __call__(self, cube: xr.Dataset, options: FigureOptions = DEFAULTS) -> Figure:
        """The figure of a cube as it is stored."""
        cube = self._finished(cube)
        with matplotlib.rc_context({**RC, **options.font_settings}):  # whatever the caller's settings are
            width = {None: self.width, 1: COLUMN, 2: PAGE}[options.columns]
            figure = JournalFigure(figsize=(width, self.height), layout="constrained")
            figure.columns = options.columns
            FigureCanvasAgg(figure)  # no window
            if reason := self.empty(cube):
                note(figure.subplots(), reason)
            else:
                self.draw(cube, figure)
            _finish(figure, options, origin_of(cube).mark)
        return figure

    def caption(self, cube: xr.Dataset, options: FigureOptions = DEFAULTS) -> str:
        """What the figure shows, what bars and lines are, what is left out, and what the data rest on: Markdown."""
        cube = self._finished(cube)
        texts = [_described(_function(f)) for f in self.described]
        if len(texts) > 1:
            texts = [" ".join(filter(None, (options.letter(i), text))) for i, text in enumerate(texts)]
        said = [f"Not drawn: {reason}."] if (reason := self.empty(cube)) else list(self.remarks(cube))
        paragraphs = [" ".join(texts), *said, *_numbers_and_names(cube), origin_of(cube).sentence]
        return "\n\n".join(filter(None, paragraphs))

    @property
    def __name__(self) -> str:
        """Of the function that draws, or of the first panel."""
        return _function(self.described[0]).__name__

    def _finished(self, cube: xr.Dataset) -> xr.Dataset:
        return by_width(mask_unfinished(cube, zeros=self.zeros)).compute()


def _function(described: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, of one with some arguments given."""
    return described.func if isinstance(described, partial) else described


def canvas(
    draw: Draw,
    width: float = COLUMN,
    height: float = _HEIGHT,
    empty: Callable[[xr.Dataset], str] = nothing_done,
    *,
    zeros: bool = False,
    remarks: Callable[[xr.Dataset], Iterable[str]] = no_remarks,
) -> Builder:
    """The builder of a figure that ``draw`` fills.

    Parameters
    ----------
    draw : is given the cube in memory, blank where cells are not done, and the figure; its docstring is the caption
    width, height : inches; legends and further rows of panels add to the height
    empty : why such a cube cannot be drawn, which the figure then says; "" if it can
    zeros : see :func:`spinneurons.analysis.cubes.mask_unfinished`
    remarks : what more the caption says of such a cube, a paragraph each
    """
    return Builder(draw, width, height, empty, zeros, (draw,), remarks)


def figure(
    *drawn: Panel,
    width: float = COLUMN,
    height: float = _HEIGHT,
    empty: Callable[[xr.Dataset], str] = nothing_done,
    zeros: bool = False,
    ratios: tuple[float, ...] | None = None,
    remarks: Callable[[xr.Dataset], Iterable[str]] = no_remarks,
) -> Builder:
    """The builder of a figure of panels next to each other, whose widths are as ``ratios``; else see ``canvas``.

    In a figure of one column, they are below each other.
    """

    def draw(cube: xr.Dataset, figure: Figure) -> None:
        narrowest = 0.9 * width / len(drawn)
        for panel, ax in zip(drawn, panels(figure, len(drawn), narrowest=narrowest, ratios=ratios), strict=True):
            panel(cube, ax)

    return Builder(draw, width, height, empty, zeros, drawn, remarks)


NARROWEST = 42 * MM
"""Width of a panel with text of this size."""


def panels(
    figure: Figure, count: int, *, narrowest: float = NARROWEST, ratios: tuple[float, ...] | None = None, **share: Any
) -> list[Axes]:
    """Panels next to each other, in as many rows as the width of the figure asks for; its height is that of a row.

    Parameters
    ----------
    narrowest : width of a panel, inches
    ratios : of the widths, where all are in one row
    share : ``sharex`` and ``sharey`` of the panels
    """
    width, height = figure.get_size_inches()
    columns = max(1, min(count, int(width / narrowest)))
    rows = -(-count // columns)
    figure.set_figheight(rows * height)
    wide = ratios if columns == count else None
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=wide, **share).ravel().tolist()
    for ax in axes[count:]:
        ax.remove()
    return list(axes[:count])


def note(ax: Axes, text: str) -> Axes:
    """An empty axes that says why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color=GREY)
    return ax


def panels_in(figure: Figure) -> list[Axes]:
    """The axes of a figure but colour bars."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def _finish(figure: JournalFigure, options: FigureOptions, mark: str) -> None:
    """Letters, titles that fit, room for legends and titles, and the mark."""
    axes = panels_in(figure)
    for index, ax in enumerate(axes):
        letter, title = options.letter(index) if len(axes) > 1 else "", ax.get_title()
        where = "left" if letter or ax.get_title(loc="left") else "center"
        spec = ax.get_subplotspec()
        names = 14 * MM / (spec.get_gridspec().ncols if spec else 1)  # of the y axes, at the left
        room = panel_width(ax) - (names + 4 * MM if ax.axison else 4 * MM)
        if where == "left":
            title = "  ".join(filter(None, (letter, ax.get_title(loc="left") or title)))
            ax.set_title("", loc="center")
        _fit(ax.set_title(title, loc=where), room)  # type: ignore[arg-type]
        for text in () if ax.axison else ax.texts:
            _fit(text, room)
    figure.set_figheight(figure.get_figheight() + _added_height(figure, axes) + _MARK)
    strip = _MARK / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, strip, 1, 1 - strip))
    look: dict[str, Any] = {"ha": "right", "va": "bottom", "size": _MARK_SIZE, "color": GREY}
    room = int(figure.get_figwidth() * 72 / (0.6 * _MARK_SIZE))
    figure.text(1 - 1 * MM / figure.get_figwidth(), 0.7 * MM / figure.get_figheight(), shorten(mark, room), **look)


def _fit(text: Text, width: float) -> None:
    """Break lines that are longer than ``width`` (inches) between words; formulas stay whole."""
    written = text.get_text()
    if not written:
        return
    longest = max(map(len, written.splitlines()))
    figure = text.get_figure(root=True)
    size = text.get_window_extent().width / figure.dpi if figure else 0.0
    if size <= width:
        return
    whole = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\0"), written)
    lines = [part for line in whole.splitlines() for part in wrap(line, max(8, int(longest * width / size)))]
    text.set_text("\n".join(lines).replace("\0", " "))


def _added_height(figure: Figure, axes: list[Axes]) -> float:
    """What legends and titles of more than one line take, inches."""
    by_row: dict[int, float] = {}
    for ax in axes:
        spec, legend = ax.get_subplotspec(), ax.get_legend()
        below = legend.get_window_extent().height / figure.dpi + 1 * MM if legend else 0.0
        lines = max(ax.get_title(loc=loc).count("\n") for loc in ("left", "center"))
        row = spec.rowspan.start if spec else 0
        by_row[row] = max(by_row.get(row, 0.0), below + lines * 1.25 * RC["axes.titlesize"] / 72)
    above = sum(legend.get_window_extent().height / figure.dpi + 1 * MM for legend in figure.legends)
    return sum(by_row.values()) + float(above)


def _described(function: Callable[..., Any]) -> str:
    """The docstring of a function as text, without its parameters."""
    documented = inspect.getdoc(inspect.unwrap(function)) or ""
    return " ".join(documented.partition("\nParameters\n")[0].replace("``", "").split())


def _numbers_and_names(cube: xr.Dataset) -> Iterable[str]:
    """How many cycles there are, and the names of devices that figures number."""
    if "valid" in cube and "cycle" in cube.dims:
        yield f"Valid cycles: {int(cube['valid'].sum()):,}."
    if cube.sizes.get("device", 0) > 1 and (names := numbered_names(cube)):
        yield "Devices by number: " + "; ".join(f"{width}: {devices}" for width, devices in names.items()) + "."


def numbered_names(cube: xr.Dataset) -> dict[str, str]:
    """Number and name of the devices of each width, where widths have devices of different names."""
    if "name" not in cube.coords or not {"width", "device"} <= set(cube["name"].dims):
        return {}
    labels = [str(label) for label in cube["device"].values.tolist()]
    names = cube["name"].transpose("width", "device").values.tolist()
    if all(name in (label, "") for row in names for name, label in zip(row, labels, strict=True)):
        return {}
    return {
        width_text(width): ", ".join(f"{label} is {name}" for label, name in zip(labels, row, strict=True) if name)
        for width, row in zip(cube["width"].values.tolist(), names, strict=True)
    }
