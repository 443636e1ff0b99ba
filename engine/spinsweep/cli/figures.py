"""``spinsweep figures``: the pictures of a cube."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from spinsweep.cli.options import NamedSweep, Store, Trust, code_of
from spinsweep.cube import Cube
from spinsweep.discovery import figures as builders
from spinsweep.discovery import find
from spinsweep.errors import NotDrawn, SpecError
from spinsweep.printable import one_line, said, say

AT_ONCE = 2**28
"""Bytes of a cube that is read once for all figures; of a larger one, each figure reads what it shows."""


def figures(
    store: Store,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures.", show_default="STORE-figures, without .zarr")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Draw only this figure. May be repeated.")] = None,
    named_sweep: NamedSweep = None,
    trust: Trust = False,
) -> int:
    """Draw every figure of a cube as PNG and SVG; cells that are not done are left out.

    A figure of something that the cube does not hold, such as a second day, is not drawn, and the reason is said. The
    exit status is 1 if the code of a figure fails; the others are still drawn, and the failed ones are named.

    Example:  spinsweep figures results/characterization.zarr --only fig2_switching
    """
    cube = Cube(store)
    sweep = find(code_of(cube, named_sweep, trust=trust))
    if sweep.name != cube.attributes.sweep:
        raise SpecError(f"{cube.storage} was made by the sweep {cube.attributes.sweep}, not by {sweep.name}")
    known = builders(sweep)
    if not known:
        raise SpecError(f"the sweep {cube.attributes.sweep} has no figures")
    if unknown := [name for name in only or () if name not in known]:
        raise SpecError(f"there is no figure {unknown[0]!r}; {cube.attributes.sweep} has {', '.join(known)}")
    parent = Path("results") if "://" in store else Path(store).parent
    folder = out or parent / f"{Path(cube.storage.name).stem}-figures"
    folder.mkdir(parents=True, exist_ok=True)
    dataset = cube.dataset()
    if dataset.nbytes <= AT_ONCE:
        dataset = dataset.load()
    failed, not_drawn = {}, {}
    for name, build in known.items():
        if only and name not in only:
            continue
        try:
            problem = _drawn(build, dataset, folder / name)
        except NotDrawn as reason:
            not_drawn[name] = str(reason)
            continue
        if problem:
            failed[name] = problem
        else:
            say(folder / f"{name}.png")
    for name, text in not_drawn.items():
        say(f"not drawn {name}: {text}")
    for name, problem in failed.items():
        say(one_line(f"spinsweep: figure {name!r} of {sweep.figures}: {problem}"), error=True)
    return 1 if failed else 0


def _drawn(build: Callable[[Any], Any], dataset: Any, stem: Path) -> str:
    """Write one figure as PNG and SVG; what is wrong with its code, in one line, or ``""``."""
    try:
        figure = build(dataset)
    except NotDrawn:
        raise
    except Exception as error:  # the code is the user's, and may raise anything
        return _told(error, build)
    if not hasattr(figure, "savefig"):
        return f"{_place(build)} returned {'None' if figure is None else type(figure).__name__}, not a Figure"
    for suffix in ("png", "svg"):
        try:
            figure.savefig(f"{stem}.{suffix}", dpi=300)
        except OSError:  # the disk, not the figure
            raise
        except Exception as error:  # a text that matplotlib cannot set, say
            return f"{_place(build)} returned a Figure that cannot be drawn: {said(error)}"
    return ""


def _told(error: Exception, build: Callable[[Any], Any]) -> str:
    """Type and message of what a figure's code raised, and the last line of its own file on the way there."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    user_frames = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f"{user_frames[-1].filename}:{user_frames[-1].lineno}" if user_frames else _place(build)
    return f"{said(error)} ({where})"


def _place(function: Callable[[Any], Any]) -> str:
    """File and line of a function; what it is, where it has none."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
