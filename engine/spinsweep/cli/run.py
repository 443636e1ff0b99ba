"""``spinsweep run``: compute what is missing."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spinsweep.cli.display import Display
from spinsweep.cli.options import (
    Block,
    DashboardHost,
    DashboardToken,
    Insecure,
    Into,
    Name,
    On,
    Seed,
    Set,
    Tls,
    block_option,
    default_store,
    requested,
)
from spinsweep.cube import Cube, open_storage
from spinsweep.discovery import reference
from spinsweep.errors import SpecError
from spinsweep.printable import say
from spinsweep.runs import open_run

if TYPE_CHECKING:  # loaded where they are needed: help and mistakes come at once
    from spinsweep.dashboard.closed import Pages
    from spinsweep.deployment.cluster_file import Local
    from spinsweep.equipment import Equipment, OwningWorker


def run(
    name: Name,
    settings: Set = None,
    on: On = None,
    store: Into = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes on this machine; 0 computes in this process, without Dask.",
            min=0,
            show_default="one for each core",
        ),
    ] = None,
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
        typer.Option("--mark-stale", help="Compute again what an earlier definition or other code computed."),
    ] = False,
    allow_mixed: Annotated[
        bool,
        typer.Option(
            "--allow-mixed", help="Let workers with other code or packages compute; each cell names what computed it."
        ),
    ] = False,
    dashboard: Annotated[bool, typer.Option(help="Serve the Dask dashboard on loopback.")] = True,
    dashboard_token: DashboardToken = False,
    dashboard_host: DashboardHost = None,
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
    from spinsweep.dashboard.closed import Pages, new_token
    from spinsweep.dashboard.reports import serve_watchers
    from spinsweep.deployment.check import check
    from spinsweep.deployment.clients import cluster_client, deployment
    from spinsweep.deployment.cluster_file import Local, Running
    from spinsweep.equipment import load
    from spinsweep.executors.dask import run_dask
    from spinsweep.executors.sending import require_sendable
    from spinsweep.executors.serial import run_serial
    from spinsweep.warden import Warden

    bench = None if on is None else load(on)
    sweep = requested(name, settings, seed, bench)
    path = store or default_store(sweep, bench.name if bench else "")
    open_storage(path).ensure_creatable()
    where = deployment(cluster, workers)
    pages = Pages(tuple(dashboard_host or ()), new_token() if dashboard_token else "")
    check(where, tls, insecure, watchers, pages)
    if not isinstance(where, Local) or where.workers:
        require_sendable(sweep)
    if watchers is not None and isinstance(where, Local) and where.workers == 0:
        raise SpecError(f"--watchers {watchers}: --workers 0 has no scheduler that could serve a page")
    if bench is not None and sweep.prepare is not None:
        sweep.prepare(sweep)  # refuses what the bench cannot do, before anything is written
    with ExitStack() as stack:
        stack.enter_context(Warden(deaf=where.workers == 0 and on is None))
        client, lane, parallel = None, None, where.workers or 1
        if isinstance(where, Running):
            client = stack.enter_context(cluster_client(where, tls, insecure))
            if watchers is not None:
                serve_watchers(client, watchers, pages)
            parallel = max(1, sum(client.nthreads().values()))
        there = open_storage(path).exists("zarr.json")
        if block is None and not sweep.resources and not there:
            say("timing a few cells to choose the blocks", error=True)
        if "://" in path and there and Cube(path).write_guard.has_driver():
            say("another run was here a moment ago; looking whether it lives", error=True)
        at_bench = stack.enter_context(ExitStack())
        if bench is not None and isinstance(where, Local) and not there:
            client, lane = _reach(at_bench, bench, where, dashboard, pages)
        work = stack.enter_context(
            open_run(
                sweep,
                path,
                block=block_option(block),
                workers=parallel,
                retry_failed=retry_failed,
                mark_stale=mark_stale,
                allow_mixed=allow_mixed,
                attrs={"sweep_reference": reference(name), **({"measured_on": bench.name} if bench else {})},
            )
        )
        show = stack.enter_context(Display(work))
        stack.callback(at_bench.close)  # before the end of the run is recorded
        if bench is not None and isinstance(where, Local) and there and work.progress.blocks:
            client, lane = _reach(at_bench, bench, where, dashboard, pages)
        if work.progress.blocks == 0:
            pass
        elif isinstance(where, Local) and where.workers == 0:
            run_serial(work, show.update)
        else:
            if isinstance(where, Local):
                where = where.at_most(work.progress.blocks)
            if client is None:
                client = stack.enter_context(cluster_client(where, tls, insecure, dashboard, sweep.resources, pages))
            if lane is not None:
                show.also = lane.check
            show.advice = where.advice
            show.where(client, dashboard)
            if watchers is not None:
                show.console.print(f"for watchers {serve_watchers(client, watchers, pages)}", soft_wrap=True)
            run_dask(work, client, show.update)
        return show.finish()


def _reach(
    stack: ExitStack, bench: Equipment, where: Local, dashboard: bool, pages: Pages
) -> tuple[Any, OwningWorker | None]:
    """Own the bench in this process (no client, no lane), or start a cluster of its lane alone on this machine."""
    from spinsweep.deployment.clients import cluster_client

    if where.workers == 0:
        stack.enter_context(bench.own())
        return None, None
    client = stack.enter_context(
        cluster_client(where.at_most(0), dashboard=dashboard, resources=bench.needs, pages=pages)
    )
    return client, stack.enter_context(bench.worker(client.scheduler_info()["address"], client.security))
