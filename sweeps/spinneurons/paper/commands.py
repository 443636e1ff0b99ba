"""The verb ``spinsweep paper``: every sweep, figure and claim of the paper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinsweep.cli.display import Display
from spinsweep.printable import say
from spinsweep.resources import cpu_count
from spinsweep.runs import open_run
from spinsweep.warden import Warden

if TYPE_CHECKING:  # loaded where they are needed: help comes at once
    from distributed import Client

    from spinneurons.paper.plan import Step

FULL, QUICK = Path("results/paper"), Path("results/paper-quick")


def paper(
    quick: Annotated[
        bool, typer.Option("--quick/--full", help="Minutes and wide intervals, or half an hour and narrow ones.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default=f"{QUICK}; with --full {FULL}")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Worker processes on this machine; 0 computes in this process.", min=0)
    ] = cpu_count(),
) -> int:
    """Run every sweep of the paper, draw its figures and judge its claims.

    What is there is not computed again: the same command goes on after any interruption.

    Example:  spinsweep paper --quick
    """
    import xarray as xr

    from spinneurons.paper import report
    from spinneurons.paper.plan import STEPS
    from spinsweep.deployment.local_cluster import local_client

    folder = out or (QUICK if quick else FULL)
    with ExitStack() as stack:
        stack.enter_context(Warden(deaf=not workers))
        client = cache(lambda: stack.enter_context(local_client(workers)))
        for number, step in enumerate(STEPS, 1):
            say(f"[{number} of {len(STEPS)}] {step.name}", error=True)
            if not _complete(step, folder, quick, workers, client):
                return 1
    cubes = {step.name: xr.open_zarr(step.store(folder)).load() for step in STEPS}
    for path in report.write(folder, cubes, quick):
        say(path)
    return 0


def _complete(step: Step, folder: Path, quick: bool, workers: int, client: Callable[[], Client]) -> bool:
    """Compute what is missing of a cube; whether all of it is done then, and Ctrl-C was not pressed."""
    from spinsweep.executors.dask import run_dask
    from spinsweep.executors.serial import run_serial

    with (
        open_run(
            step.sweep(quick), step.store(folder), workers=max(1, workers), attrs={"sweep_reference": step.name}
        ) as run,
        Display(run) as show,
    ):
        if run.progress.blocks and workers:
            run_dask(run, client(), show.update)
        elif run.progress.blocks:
            run_serial(run, show.update)
        return show.finish() == 0 and run.outcome != "stopped"
