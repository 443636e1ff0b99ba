"""``spinsweep run``: compute what is missing."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.display import Display
from engine.cli.options import Block, Name, On, Seed, Set, asked, block_option, default_store
from engine.find import reference
from engine.run import open_run, threads


def run(
    name: Name,
    settings: Set = None,
    on: On = None,
    store: Annotated[Path | None, typer.Option(help="The cube to write.", show_default="results/NAME.zarr")] = None,
    workers: Annotated[
        int,
        typer.Option(help="Worker processes on this machine; 0 computes in this process, without Dask.", min=0),
    ] = threads(),
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|FILE",
            show_default="a cluster on this machine",
            help="A running Dask scheduler: tcp://HOST:PORT, or the scheduler file that it wrote.",
        ),
    ] = None,
    block: Block = None,
    seed: Seed = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed cells again as well.")] = False,
    mark_stale: Annotated[
        bool,
        typer.Option("--mark-stale", help="If the definition or the function changed, compute the old cells again."),
    ] = False,
    dashboard: Annotated[bool, typer.Option(help="Serve the Dask dashboard on loopback.")] = True,
) -> int:
    """Compute the cells that the cube does not have yet; the same command goes on after any interruption.

    More values on any axis extend the cube in place. Status 0 only when every cell asked for is done.

    Example:  spinsweep run characterization --set device=0:8 --workers 2
              spinsweep run characterization --on bench.toml --store results/measured.zarr
    """
    from engine.instruments.bench import load
    from engine.instruments.own import own
    from engine.runners.dask import cluster_client, local_client, run_dask
    from engine.runners.lane import local_lane
    from engine.runners.serial import run_serial

    sweep = asked(name, settings, seed, on)
    bench = None if on is None else load(on)
    path = store or default_store(sweep, bench.name if bench else "")
    with ExitStack() as stack:
        client = stack.enter_context(cluster_client(cluster)) if cluster else None
        parallel = max(1, sum(client.nthreads().values()) if client else workers)
        if block is None and not sweep.resources and not (path / "zarr.json").exists():
            print("timing a few cells to choose the blocks", file=sys.stderr, flush=True)
        work = stack.enter_context(
            open_run(
                sweep,
                path,
                block=block_option(block),
                workers=parallel,
                retry_failed=retry_failed,
                mark_stale=mark_stale,
                attrs={"sweep_reference": reference(name), **({"measured_on": bench.name} if bench else {})},
            )
        )
        show = stack.enter_context(Display(work))
        if work.progress.blocks == 0:
            pass
        elif client is None and workers == 0:
            if bench:
                stack.enter_context(own(bench))
            run_serial(work, show.update)
        else:
            if client is None:
                processes = 0 if bench else min(workers, work.progress.blocks)
                client = stack.enter_context(local_client(processes, dashboard, sweep.resources))
                if on:
                    lane = stack.enter_context(local_lane(on, client.scheduler_info()["address"]))
                    show.also = lane.check
            show.where(client, dashboard)
            run_dask(work, client, show.update)
        return show.conclude()
