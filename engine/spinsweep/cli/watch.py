"""``spinsweep watch``: a run as it goes on, in a terminal, from its cube alone or from what its scheduler knows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from spinsweep.cli.console import console
from spinsweep.cli.options import Insecure, Over, Tls, declared_views
from spinsweep.cli.status import Contents
from spinsweep.cube import Cube
from spinsweep.errors import CubeError, SpecError
from spinsweep.failure_groups import failure_groups, failure_lines
from spinsweep.printable import one_line

MAX_GROUPS = 5
"""Groups of failures that are shown."""
MAX_VALUES = 2_000_000
"""Of an output that is read at each refresh without being asked for."""
OF_A_SCHEDULER = re.compile(r"(tcp|tls)://.*|[^/\\]+:\d+|.*\.json")
"""What is no cube: an address, or a scheduler file."""
OF_A_PAGE = re.compile(r"https?://.*/(sweep|status)(\?.*)?")


def watch(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE|ADDRESS",
            help="The cube that a run writes, a folder or its URL; or a scheduler: its address or scheduler file.",
        ),
    ],
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks at the cube.", min=0.5)] = 5.0,
    output: Annotated[
        str | None, typer.Option(help="The output to draw.", show_default="the sweep's first view")
    ] = None,
    x: Annotated[str | None, typer.Option(metavar="AXIS", help="What to draw it against.")] = None,
    lines: Annotated[str | None, typer.Option(metavar="AXIS", help="The axis with a curve for each value.")] = None,
    over: Over = None,
    tls: Tls = None,
    insecure: Insecure = False,
) -> int:
    """Show a run as it goes on: cells, rate, time left, long cells, failures by message, and an output's curve.

    It reads the cube alone, so that the run may be on another machine. Of a scheduler it shows the runs that go on,
    or the last one, also where their cubes cannot be seen. It ends when no run goes on; the exit status is 0 only if
    every cell is done. Ctrl-C ends it and leaves the run as it is.

    Example:  spinsweep watch results/codesign.zarr --output accuracy --x variation --lines width
              spinsweep watch tls://192.0.2.7:8786 --tls certificates
    """
    view = output, x, lines, over
    if OF_A_PAGE.fullmatch(store):
        raise SpecError(f"{store} is for browsers; give the address of the scheduler (tls://HOST:PORT), or the cube")
    of_scheduler = OF_A_SCHEDULER.fullmatch(store) or Path(store).is_file()
    if not of_scheduler and (tls or insecure):
        raise SpecError(f"{'--tls' if tls else '--insecure'} is for a scheduler, and {store} is a cube; leave it out")
    try:
        if of_scheduler:
            from spinsweep.cli.watched_scheduler import SchedulerView, follow  # late: distributed takes long to load

            curves = partial(_curves_at, options=view)
            return follow(SchedulerView(store, tls, curves, insecure=insecure), once=once, every=every)
        return _follow(store, view, once=once, every=every)
    except KeyboardInterrupt:
        return 1  # not all was done, or it had ended


Options = tuple[str | None, str | None, str | None, list[str] | None]


def _follow(store: str, view: Options, *, once: bool, every: float) -> int:
    """The picture, drawn anew on a terminal; else a line whenever cells have ended, and the picture at the end."""
    out = console()
    contents = Contents.of(Cube(store), with_size=False)
    if once or not out.is_terminal:
        before = ""
        while not (once or _over(contents)):
            line = f"{contents.counts.done} of {contents.counts.total} cells done{contents.counts.failures}"
            if line != before:
                out.print(line)
                out.file.flush()  # whoever reads a pipe follows, too
                before = line
            time.sleep(every)
            contents = Contents.of(Cube(store), with_size=False)
        out.print(_picture(contents, out, view), soft_wrap=True)
        return contents.exit_status
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(_picture(contents, out, view), refresh=True)
            if _over(contents):
                return contents.exit_status
            time.sleep(every)
            contents = Contents.of(Cube(store), with_size=False)


def _over(contents: Contents) -> bool:
    """Whether no run goes on."""
    runs = contents.runs
    return not runs or runs[-1].outcome != "running" or not contents.cube.write_guard.has_driver()


def _picture(contents: Contents, out: Console, view: Options) -> RenderableType:
    parts: list[RenderableType] = [contents.table()]
    parts += _failures(contents.cube) if contents.counts.failed else []
    parts += _curves(contents, out, view)
    return Group(*parts)


def _failures(cube: Cube) -> Iterator[Text]:
    grouped = failure_groups(cube)
    return map(Text, failure_lines(grouped.groups, MAX_GROUPS, grouped.unread))


def _curves_at(path: str, cube_id: str, out: Console, *, options: Options) -> list[RenderableType]:
    """The curves of a cube that a scheduler names, where it can be read from here."""
    try:
        cube = Cube(path)
        if cube.attributes.cube_id != cube_id:
            raise CubeError("another cube is there")
        return _curves(Contents.of(cube, with_size=False), out, options)
    except (CubeError, OSError) as error:
        return [Text(one_line(f"no curves, since the cube at {path} cannot be read from here: {error}", 400))]


def _curves(contents: Contents, out: Console, options: Options) -> list[RenderableType]:
    cube, is_asked = contents.cube, any(options)
    if not contents.counts.done and not is_asked:
        return []
    from spinsweep.cli.watched_curves import drawn_view, pictures  # late: xarray takes long to load

    try:
        most = None if is_asked else MAX_VALUES
        room = max(40, min(90, out.width - 1)), max(8, min(14, out.height - 12)) if out.is_terminal else 12
        dataset = cube.dataset()
        view = drawn_view(dataset, declared_views(cube), *options)
        return list(pictures(dataset, view, room, most, unicode=not out.options.ascii_only))
    except SpecError:
        if is_asked:
            raise
        return []
