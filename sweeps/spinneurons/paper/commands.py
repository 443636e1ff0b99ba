"""The verb ``spinsweep paper``: every sweep, figure and claim of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinsweep.cli.display import Display
from spinsweep.printable import say
from spinsweep.reaper import Reaper
from spinsweep.resources import cpu_count

if TYPE_CHECKING:  # loaded where they are needed: help comes at once
    import xarray as xr

    from spinneurons.paper.plan import PlannedSweep
    from spinsweep.executors.protocol import Start

FULL, QUICK, FRONTIER = (Path(f"results/{name}") for name in ("paper", "paper-quick", "frontier"))


def paper(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick/--full", help="Run for minutes and get wide intervals, or for half an hour and get narrow ones."
        ),
    ] = True,
    frontier: Annotated[
        bool,
        typer.Option(
            "--frontier",
            help="In place of the paper's sweeps, compare what makes up for variation, by the pulses of a device.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write into.",
            show_default=f"{QUICK}; with --full {FULL}, with --frontier {FRONTIER}",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Worker processes on this machine; 0 computes in this process.", min=0)
    ] = cpu_count(),
) -> int:
    """Run every sweep of the paper, draw its figures and judge its claims.

    Cells that are done are not computed again: run the same command again to continue after an interruption.

    Example:  spinsweep paper --quick
    """
    import xarray as xr

    from spinneurons.paper import plan
    from spinsweep.deployment.local_cluster import local_client
    from spinsweep.executors.dask import on_client

    folder = out or (FRONTIER if frontier else QUICK if quick else FULL)
    sweeps, quick = (plan.FRONTIER, False) if frontier else (plan.SWEEPS, quick)
    with ExitStack() as stack:
        stack.enter_context(Reaper(relays_signals=not workers))
        client = cache(lambda: stack.enter_context(local_client(workers)))  # for all sweeps, when the first needs it
        executor: Start | str = (lambda context: on_client(client())(context)) if workers else "serial"
        for number, planned in enumerate(sweeps, 1):
            say(f"[{number} of {len(sweeps)}] {planned.name}", error=True)
            if not _complete(planned, folder, executor, workers or None, quick=quick):
                return 1
    cubes = {planned.name: xr.open_zarr(planned.store(folder)).load() for planned in sweeps}
    for path in _written(folder, cubes, quick=quick):
        say(path)
    return 0


def _written(folder: Path, cubes: dict[str, xr.Dataset], *, quick: bool) -> Sequence[Path]:
    """Write what the cubes come to; the paths for the reader."""
    if "frontier" in cubes:
        from spinneurons.paper.frontier import write_frontier

        return write_frontier(folder, cubes)
    from spinneurons.paper.write import write

    return write(folder, cubes, quick=quick)


def _complete(
    planned: PlannedSweep, folder: Path, executor: Start | str, workers: int | None, *, quick: bool
) -> bool:
    """Compute what is missing of a cube; whether all of it is done then, and Ctrl-C was not pressed."""
    from spinsweep.executors.running import run as run_silently

    with Display() as show:
        result = run_silently(
            planned.sweep(folder, quick=quick),
            planned.store(folder),
            executor=executor,
            workers=workers,
            on_progress=show.update,
            attrs={"sweep_reference": planned.name},
        )
        return show.finish() == 0 and result.outcome != "stopped"
