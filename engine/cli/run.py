"""``spinsweep run``: compute what is missing."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from engine.cli.display import Display
from engine.cli.options import Block, Insecure, Into, Name, On, Seed, Set, Tls, asked, block_option, default_store
from engine.cube import Cube, place_of
from engine.errors import SpecError
from engine.find import reference
from engine.run import open_run, threads


def run(
    name: Name,
    settings: Set = None,
    on: On = None,
    store: Into = None,
    workers: Annotated[
        int,
        typer.Option(help="Worker processes on this machine; 0 computes in this process, without Dask.", min=0),
    ] = threads(),
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|ADDRESS",
            show_default="processes of this machine",
            help="A cluster file (TOML or YAML), or a running scheduler: its address or its scheduler file.",
        ),
    ] = None,
    tls: Tls = None,
    insecure: Insecure = False,
    block: Block = None,
    seed: Seed = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed cells again as well.")] = False,
    mark_stale: Annotated[
        bool,
        typer.Option("--mark-stale", help="If the definition or the function changed, compute the old cells again."),
    ] = False,
    dashboard: Annotated[bool, typer.Option(help="Serve the Dask dashboard on loopback.")] = True,
    watchers: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=1,
            max=65535,
            show_default=False,
            help="Serve the dashboard's Sweep page and metrics, and nothing else, on this loopback port of the "
            "scheduler's machine, for those who only watch.",
        ),
    ] = None,
) -> int:
    """Compute the cells that the cube does not have yet; the same command goes on after any interruption.

    More values on any axis extend the cube in place. Status 0 only when every cell asked for is done.

    Example:  spinsweep run characterization --set device=0:8 --workers 2
              spinsweep run characterization --on bench.toml --store results/measured.zarr
              spinsweep run characterization --cluster slurm.toml
    """
    from engine.dashboard.reports import serve_watchers
    from engine.instruments.bench import load
    from engine.instruments.own import own
    from engine.runners.cluster import Local, Running
    from engine.runners.dask import run_dask
    from engine.runners.deploy import cluster_client, deployment
    from engine.runners.lane import local_lane
    from engine.runners.serial import run_serial

    sweep = asked(name, settings, seed, on)
    bench = None if on is None else load(on)
    path = store or default_store(sweep, bench.name if bench else "")
    where = deployment(cluster, workers)
    if watchers is not None and isinstance(where, Local) and where.workers == 0:
        raise SpecError(f"--watchers {watchers}: --workers 0 has no scheduler that could serve a page")
    with ExitStack() as stack:
        client, parallel = None, where.workers or 1
        if isinstance(where, Running):
            client = stack.enter_context(cluster_client(where, tls, insecure))
            parallel = max(1, sum(client.nthreads().values()))
        there = place_of(path).exists("zarr.json")
        if block is None and not sweep.resources and not there:
            print("timing a few cells to choose the blocks", file=sys.stderr, flush=True)
        if "://" in path and there and Cube(path).fence.driven():
            print("another run was here a moment ago; looking whether it lives", file=sys.stderr, flush=True)
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
        elif isinstance(where, Local) and where.workers == 0:
            if bench:
                stack.enter_context(own(bench))
            run_serial(work, show.update)
        else:
            if isinstance(where, Local):
                where = where.at_most(0 if bench else work.progress.blocks)
            if client is None:
                client = stack.enter_context(cluster_client(where, tls, insecure, dashboard, sweep.resources))
            if on and isinstance(where, Local):
                lane = stack.enter_context(local_lane(on, client.scheduler_info()["address"]))
                show.also = lane.check
            show.where(client, dashboard)
            if watchers is not None:
                show.console.print(f"for watchers {serve_watchers(client, watchers)}", soft_wrap=True)
            run_dask(work, client, show.update)
        return show.conclude()
