"""The curves of a cube's page: figures of its outputs as images that need no font and no file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import xarray as xr

from spinsweep.analysis.cells import outputs
from spinsweep.analysis.figures import OutputFigure
from spinsweep.errors import NotDrawn, SpinsweepError
from spinsweep.figure_files import content, settings
from spinsweep.figure_options import FigureOptions
from spinsweep.printable import said

MAX_FIGURES = 8
"""On a page."""
MAX_VALUES = 2_000_000
"""Of an output that is read for its figure."""


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


def pictures(dataset: xr.Dataset) -> Iterator[PageFigure]:
    """The figures of a cube, one after the other: each takes about half a second.

    Parameters
    ----------
    dataset : a cube as it is stored
    """
    names = outputs(dataset)
    for place, name in enumerate(names):
        if place == MAX_FIGURES:
            rest = names[MAX_FIGURES:]
            yield PageFigure(", ".join(rest), caption=f"{len(rest)} more outputs have no figure on this page")
            return
        size = dataset[name].size
        if size > MAX_VALUES:
            yield PageFigure(name, caption=f"it holds {size:,} values, too many for this page")
            continue
        yield _drawn(name, dataset)


def _drawn(name: str, dataset: xr.Dataset) -> PageFigure:
    build, options = OutputFigure(name), FigureOptions()
    try:
        with settings(options), _outlines():
            figure = build(dataset, options)
            svg, is_wide = content(figure, "svg"), len(figure.axes) > 2  # a map's scale is one of them
        source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
        return PageFigure(name, source, build.caption(dataset), is_wide)
    except NotDrawn as reason:
        return PageFigure(name, caption=str(reason))
    except (SpinsweepError, OSError, ValueError) as error:  # damage, or a text that matplotlib cannot set
        return PageFigure(name, caption=f"it cannot be drawn: {said(error)}")


def _outlines() -> AbstractContextManager[None]:
    """Letters as outlines: an image has no fonts but those of its reader's machine."""
    import matplotlib

    return matplotlib.rc_context({"svg.fonttype": "path"})
