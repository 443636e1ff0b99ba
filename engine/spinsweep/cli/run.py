"""``spinsweep run``: compute what is missing."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Annotated

import typer

from spinsweep import limits
from spinsweep.cli import options
from spinsweep.cli.display import Display
from spinsweep.cli.inputs import default_store, run_missing
from spinsweep.cli.options import block_option, pairs, requested, retries_option
from spinsweep.cube import Cube, open_storage
from spinsweep.discovery import reference
from spinsweep.errors import SpecError
from spinsweep.printable import say
from spinsweep.runs import Run
from spinsweep.spec import Sweep


def run(
    name: options.Name,
    settings: options.Set = None,
    on: options.On = None,
    store: options.Into = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes on this machine; 0 computes in this process, without Dask.",
            min=0,
            show_default="one for each core",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What computes the blocks: dask (has a dashboard; clusters and benches need it), processes (of this "
            "machine; they start sooner), serial (this process), or one that an installed package adds.",
        ),
    ] = "dask",
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|ADDRESS",
            show_default="processes of this machine",
            help="A cluster file (TOML or YAML), or a running scheduler: its address or its scheduler file.",
        ),
    ] = None,
    tls: options.Tls = None,
    insecure: options.Insecure = False,
    block: options.Block = None,
    seed: options.Seed = None,
    with_inputs: options.WithInputs = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute failed cells again as well.")] = False,
    timeout: options.Timeout = None,
    retries: options.Retries = None,
    max_failures: options.MaxFailures = None,
    memory: options.Memory = None,
    gpu: options.Gpu = None,
    until: options.UntilOption = None,
    most: options.Max = None,
    mark_stale: Annotated[
        bool,
        typer.Option(
            "--mark-stale",
            help="Compute again the cells that an earlier definition of the sweep or other code computed.",
        ),
    ] = False,
    allow_mixed: Annotated[
        bool,
        typer.Option(
            "--allow-mixed",
            help="Let workers with other code or packages compute. Each cell records what computed it.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Begin on a bench without asking; off a terminal nobody is asked.")
    ] = False,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND|URL",
            show_default="nothing",
            help="Tell somebody when the first cell fails, when no cell ends for long, and when the run ends, "
            "however it ends: this command gets a line on its standard input, or a webhook gets it.",
        ),
    ] = None,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help="Write the cube's page, as spinsweep page does, when the run has ended.",
            show_default="after more than a minute, or where the cube has a page",
        ),
    ] = None,
    dashboard: Annotated[bool, typer.Option(help="Serve the Dask dashboard on loopback.")] = True,
    dashboard_token: options.DashboardToken = False,
    dashboard_host: options.DashboardHost = None,
    watchers: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=1,
            max=65535,
            help="Also serve only the Sweep page and the metrics, read-only, on this loopback port of the "
            "scheduler's machine.",
        ),
    ] = None,
) -> int:
    """Compute the cells that the cube does not have yet. After an interruption, run the same command again.

    More values on any axis extend the cube in place. The exit status is 0 only if every
    requested cell is done.

    Example:  spinsweep run characterization --set device=0:8 --workers 2
              spinsweep run characterization --set device=0:8 --executor processes
              spinsweep run codesign --set seed=0:10 --until "accuracy: half_width < 0.005" --max seed=60
              spinsweep run characterization --on bench.toml --store results/measured.zarr
              spinsweep run characterization --cluster slurm.toml
              spinsweep run characterization --notify "mail -s spinsweep me@example.org"
    """
    from spinsweep.cli.notify import Hook
    from spinsweep.cli.page_at_end import PageAtEnd
    from spinsweep.cli.worker_choice import DashboardOptions, choose_workers
    from spinsweep.equipment import load
    from spinsweep.executors.running import run as run_sweep
    from spinsweep.executors.sending import require_sendable
    from spinsweep.reaper import Reaper

    bench = None if on is None else load(on)
    if with_inputs:
        upstream = partial(run, workers=workers, executor=executor, cluster=cluster, tls=tls, insecure=insecure,
                           dashboard=dashboard, page=page, with_inputs=True)  # fmt: skip
        status = run_missing(name, pairs(settings), lambda sweep, store: upstream(sweep, store=store))
        if status:
            return status
    sweep = requested(name, settings, seed, bench, store)
    limits.timeout("--timeout", timeout)
    memory_bytes, gpus = limits.memory("--memory", memory), limits.gpu("--gpu", gpu)
    retries_by_name = retries_option(retries)
    limits.max_failures("--max-failures", max_failures)
    wanted = options.until_option(until, most) or sweep.until
    if wanted is not None and bench is not None:
        raise SpecError(f"--until cannot be used on bench {bench.name}: what it does is confirmed before it begins")
    path = store or default_store(sweep, bench.name if bench else "")
    open_storage(path).ensure_creatable()
    show = Display()
    served = DashboardOptions(dashboard, dashboard_token, tuple(dashboard_host or ()), watchers)
    chosen = choose_workers(executor, workers, cluster, tls, bench, show, insecure=insecure, dashboard=served)
    chosen.require_room(memory_bytes or sweep.memory_bytes)
    if not chosen.is_in_process:
        require_sendable(sweep)
    if bench is not None and sweep.prepare is not None:
        sweep.prepare(sweep)  # refuses what the bench cannot do, before anything is written
    if bench is not None and not yes:
        bench.confirm(sweep)
    made_on = {"measured_on": bench.name} if bench else {}
    hook = Hook(notify, f"{sweep.name} in {path}") if notify else nullcontext()
    page_at_end = PageAtEnd(page)

    def on_progress(run: Run) -> None:
        show.update(run)
        page_at_end.update(run)
        if isinstance(hook, Hook):
            hook.update(run)

    with page_at_end, hook, Reaper(relays_signals=chosen.is_in_process and bench is None), chosen, show:
        if not _exists(path, sweep, block):
            chosen.reach_bench()
        run_sweep(
            sweep,
            path,
            executor=chosen.start,
            workers=chosen.at_a_time,
            on_progress=on_progress,
            block=block_option(block),
            retry_failed=retry_failed,
            mark_stale=mark_stale,
            allow_mixed=allow_mixed,
            timeout=limits.timeout("--timeout", timeout),
            retries=retries_by_name,
            max_failures=limits.max_failures("--max-failures", max_failures),
            memory=memory_bytes,
            gpu=gpus,
            until=wanted,
            attrs={"sweep_reference": reference(name), **made_on},
        )
        status = show.finish()
        if isinstance(hook, Hook):
            hook.ended(show.summary)
        return status


def _exists(path: str, sweep: Sweep, block: str | None) -> bool:
    """Whether there is a cube; says what may take a while because of it."""
    exists = open_storage(path).exists("zarr.json")
    if block is None and sweep.is_timed and not exists:
        say("timing a few cells to choose the blocks", error=True)
    if "://" in path and exists and Cube(path).write_guard.has_driver():
        say("another run was writing here a moment ago; checking whether it is alive", error=True)
    return exists
