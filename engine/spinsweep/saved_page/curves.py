"""The curves of a cube's page: figures of its outputs as images that need no font and no file."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from spinsweep.analysis.cells import outputs
from spinsweep.analysis.curves import curves, dimensions_of
from spinsweep.analysis.figures import OutputFigure
from spinsweep.analysis.view_figure import view_figure
from spinsweep.cube.lazy_arrays import blocks_of
from spinsweep.errors import NotDrawn
from spinsweep.figure_files import content, settings
from spinsweep.figure_options import FigureOptions
from spinsweep.printable import said
from spinsweep.saved_page.effort import ASKED, Effort
from spinsweep.views import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_FIGURES = 8
"""On a page."""
MAX_SVG_BYTES = 150_000
"""Of a figure; a larger one has its pixels on the page."""
DPI = 220
"""Of these, so that a print is sharp."""
OPTIONS = FigureOptions()


@dataclass(frozen=True)
class PageFigure:
    """A figure, or why there is none."""

    name: str
    """Of the output."""
    source: str = ""
    """The figure as a data URL; empty: there is none."""
    caption: str = ""
    """Markdown; where there is no figure, the reason."""
    is_wide: bool = False
    """Whether it has several panels."""


def pictures(dataset: xr.Dataset, views: Sequence[View] = (), effort: Effort = ASKED) -> Iterator[PageFigure]:
    """The figures of a cube, one after the other: each takes about half a second.

    Parameters
    ----------
    dataset : a cube as it is stored
    views : what its author declared; the other outputs have the figure that `spinsweep figures` draws of any cube
    effort : that they may take
    """
    known = dimensions_of(dataset)
    declared = [view for view in map(known.settled, views) if view is not None]
    others = [name for name in outputs(dataset) if name not in {view.output for view in declared}]
    drawn: list[View | str] = [*declared, *others]
    until = time.monotonic() + effort.seconds
    for one in drawn[:MAX_FIGURES]:
        name = _output(one)
        chunks = blocks_of(dataset[name])
        if dataset[name].size > effort.values:
            yield PageFigure(name, caption=f"it holds {dataset[name].size:,} values, too many for this page")
        elif chunks > effort.chunks:
            yield PageFigure(name, caption=f"it lies in {chunks:,} chunks, too many to be read at the end of a run")
        elif time.monotonic() > until:
            yield PageFigure(
                name, caption="the figures before it took all the time that there is at the end of a run"
            )
        else:
            yield _drawn(name, dataset, one if isinstance(one, View) else None)
    if rest := list(map(_output, drawn[MAX_FIGURES:])):
        yield PageFigure(", ".join(rest), caption=f"{len(rest)} more outputs have no figure on this page")


def _output(drawn: View | str) -> str:
    return drawn.output if isinstance(drawn, View) else drawn


def _drawn(name: str, dataset: xr.Dataset, view: View | None) -> PageFigure:
    try:
        with settings(OPTIONS), _outlines():
            if view is not None:
                lines = curves(dataset, view)
                figure, caption = view_figure(lines), lines.caption()
                if lines.each is not None and lines.more:
                    caption += f"; {lines.more:,} more of {lines.each.name} not drawn"
            else:
                build = OutputFigure(name)
                figure, caption = build(dataset, OPTIONS), build.caption(dataset)
            return PageFigure(name, _source(figure), caption, len(figure.axes) > 2)  # a map's scale is one of them
    except NotDrawn as reason:
        return PageFigure(name, caption=str(reason))
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # damage, which any library meets in its own way, or a text that cannot be set
        return PageFigure(name, caption=f"it cannot be drawn: {said(error)}")


def _source(figure: Figure) -> str:
    """The figure as a data URL: lines as they are, and as pixels what has very many of them."""
    image, kind = content(figure, "svg"), "svg+xml"
    if len(image) > MAX_SVG_BYTES:
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=DPI)
        image, kind = pixels.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _outlines() -> AbstractContextManager[None]:
    """Letters as outlines: an image has no fonts but those of its reader's machine."""
    import matplotlib

    return matplotlib.rc_context({"svg.fonttype": "path"})
