"""The long-lived processes of a cluster of one's own: a scheduler that outlives drivers, and workers that compute."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import dask
from distributed import Nanny, Scheduler, Security

from spinsweep.dashboard.access import OPEN, VISIBLE_TO_ALL, Pages, RestrictedScheduler
from spinsweep.dashboard.plugin import SweepPlugin
from spinsweep.deployment import worker_signals
from spinsweep.deployment.equipment_lease import ClusterLease
from spinsweep.deployment.local_cluster import WORKER, free_port, nannies, own_files, quiet
from spinsweep.deployment.scaling import KeepBusy
from spinsweep.deployment.security import LOOPBACK, NO_DASHBOARD, bare, host_of, on_loopback, scheduler_address
from spinsweep.errors import RunnerError
from spinsweep.interrupts import Interrupts
from spinsweep.machine import VISIBLE, Machine, memory_limit
from spinsweep.printable import say
from spinsweep.reaper import Reaper
from spinsweep.resources import CPU, GPU, MEMORY


def run_scheduler(
    host: str, port: int, security: Security | None, dashboard: int, scheduler_file: Path | None, pages: Pages = OPEN
) -> None:
    """Be a scheduler on ``host`` until SIGTERM or Ctrl-C.

    Parameters
    ----------
    host : name or address; IPv6 with or without brackets
    port : 0: any
    dashboard : port of Dask's dashboard, on loopback
    scheduler_file : written for drivers and workers, and removed at the end
    pages : how the dashboard is served

    Raises
    ------
    RunnerError
        Its address cannot be had, or ``scheduler_file`` is something else, which is left as it is.
    """
    if scheduler_file is not None and scheduler_file.exists():
        try:
            scheduler_address(str(scheduler_file.absolute()))
        except RunnerError:
            raise RunnerError(
                f"--scheduler-file {scheduler_file} exists and is not a scheduler file; it is left as it is: "
                "give another name"
            ) from None
    literal = f"[{bare(host)}]" if ":" in bare(host) else host
    web = free_port(dashboard)
    if web != dashboard:
        say(f"port {dashboard} is taken; the dashboard uses another", error=True)

    async def serve() -> None:
        scheduler = RestrictedScheduler(
            pages=pages,
            host=literal,
            port=port,
            protocol="tls" if security else "tcp",
            security=security,
            dashboard_address=f"{LOOPBACK}:{web}",
            scheduler_file=None if scheduler_file is None else str(scheduler_file),
            plugins=(ClusterLease(), KeepBusy()),
        )
        async with scheduler:
            await _show_sweeps(scheduler)
            served = scheduler.services["dashboard"].port
            page = f"http://{LOOPBACK}:{served}{pages.prefix}/status"
            say(f"scheduler {scheduler.address}, dashboard {page}")
            if not pages.token:
                say(VISIBLE_TO_ALL, error=True)
            await _until_stopped()

    quiet()
    try:
        with dask.config.set(own_files()):
            asyncio.run(serve())
    except (OSError, RuntimeError, ValueError) as error:
        raise RunnerError(f"no scheduler on {literal}:{port}: {error.__cause__ or error}") from None


def run_workers(address: str, count: int, security: Security | None) -> None:
    """Be ``count`` workers of one thread for the scheduler at ``address``, until it ends, or SIGTERM or Ctrl-C.

    Raises
    ------
    RunnerError
        No scheduler answers, or it is gone.
    """

    async def serve() -> None:
        host = LOOPBACK if on_loopback(host_of(address)) else None
        memory, gpus = memory_limit() // count, Machine.here().gpus
        nannies = [
            Nanny(
                address,
                nthreads=1,
                resources={CPU: 1, MEMORY: memory, **({GPU: min(1.0, len(gpus) / count)} if gpus else {})},
                memory_limit=memory,
                host=host,
                dashboard=False,
                dashboard_address=NO_DASHBOARD,
                security=security,
                preload=[worker_signals.__name__],
                env={**WORKER, **({VISIBLE: gpus[number % len(gpus)]} if gpus else {})},
            )
            for number in range(count)
        ]
        await asyncio.gather(*nannies)
        say("ready")
        stopped = asyncio.ensure_future(_until_stopped())
        ended = asyncio.ensure_future(asyncio.wait([asyncio.ensure_future(n.finished()) for n in nannies]))
        await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*(n.close() for n in nannies))
        if not stopped.done():
            raise RunnerError(f"the scheduler at {address} is gone")

    quiet()
    logging.getLogger("distributed.nanny.memory").setLevel(logging.WARNING)  # it tells why a worker was killed
    with Reaper(), nannies():
        try:
            asyncio.run(serve())
        except (OSError, RuntimeError, TimeoutError) as error:
            kind = type(error.__cause__ or error).__name__
            raise RunnerError(f"no scheduler answers at {address} ({kind})") from None


async def _show_sweeps(scheduler: Scheduler) -> None:
    """The Sweep page and the sweeps' metrics, before the first run."""
    try:
        await scheduler.register_scheduler_plugin(SweepPlugin(), idempotent=True)
    except ImportError as error:
        say(f"no Sweep page in the dashboard: {error}", error=True)


async def _until_stopped() -> None:
    """Until SIGTERM, Ctrl-C, or the end of the terminal."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    with Interrupts(lambda: loop.call_soon_threadsafe(stopped.set)):
        await stopped.wait()
    say("ending", error=True)
