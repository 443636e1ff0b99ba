"""Write a cube's page, from the cube alone."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from spinsweep.cube import Cube
from spinsweep.errors import CubeError
from spinsweep.figure_files import drawn_figures
from spinsweep.printable import said
from spinsweep.saved_page.contents import PageContents
from spinsweep.saved_page.curves import PageFigure, pictures
from spinsweep.saved_page.effort import ASKED, Effort
from spinsweep.saved_page.file import page_path, require_ours, write_page
from spinsweep.saved_page.html import page
from spinsweep.saved_page.kept_rates import Rates, kept_rates
from spinsweep.views import View


def save_page(
    cube: Cube,
    output: Path | None = None,
    *,
    views: Sequence[View] = (),
    rates: Rates = (),
    effort: Effort = ASKED,
) -> Path:
    """Write the page of a cube, or renew it; a run may go on meanwhile.

    Parameters
    ----------
    output : the file; None: beside the cube, see :func:`~spinsweep.saved_page.file.page_path`
    views : of outputs, as the author of the sweep declares them
    rates : of the last run, where they are known; else those that an earlier page has of it are kept
    effort : that its figures may take

    Returns
    -------
    The file.

    Raises
    ------
    CubeError
        The cube is gone.
    SpecError
        Something else is where the page would be.
    OSError
        The file cannot be written.
    """
    store = str(cube.storage)
    path = page_path(store) if output is None else output
    require_ours(path, store)  # before the work
    contents = PageContents.of(cube, datetime.datetime.now(datetime.UTC), rates)
    if not rates and path.exists():
        earlier = path.read_text(encoding="utf-8", errors="replace")
        contents = replace(contents, rates=kept_rates(earlier, contents.last_run))
    drawn = _pictures(cube, views, effort) if contents.counts.done else [_nothing_done(contents)]
    text = page(contents, drawn, _figures(store, path), version("spinsweep"))
    write_page(path, store, text)
    return path


def _pictures(cube: Cube, views: Sequence[View], effort: Effort) -> list[PageFigure]:
    try:
        return list(pictures(cube.dataset(), views, effort))
    except CubeError as damage:
        return [PageFigure("all", caption=said(damage))]


def _nothing_done(contents: PageContents) -> PageFigure:
    return PageFigure(", ".join(o.name for o in contents.outputs), caption="no cell is done yet")


def _figures(store: str, page: Path) -> list[str]:
    """The figures that are drawn beside the cube, as paths from the folder of the page."""
    return [Path(os.path.relpath(file, page.parent)).as_posix() for file in drawn_figures(store)]
