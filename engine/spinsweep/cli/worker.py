"""``spinsweep worker``: take part in a cluster, to compute or from the machine that is wired to a bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import Insecure, Tls
from spinsweep.printable import say


def worker(
    scheduler: Annotated[
        str, typer.Argument(metavar="SCHEDULER", help="Address of a scheduler, or the scheduler file that it wrote.")
    ],
    bench: Annotated[
        Path | None,
        typer.Option(metavar="BENCH.toml", help="Be the lane of the bench that this machine is wired to."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes that compute, with one thread each.", min=1)] = 1,
    tls: Tls = None,
    insecure: Insecure = False,
) -> int:
    """Add workers to a scheduler until Ctrl-C: some that compute, or with --bench the lane, which owns a bench.

    Runs on that scheduler with --on BENCH.toml wait for the lane, and use it one after the other.  When the lane ends
    or dies, the bench is made safe.  Start the lane again, and the runs go on.

    Example:  spinsweep worker tls://127.0.0.1:8786 --workers 4
              spinsweep worker tls://192.0.2.7:8786 --tls certificates --bench bench.toml
    """
    from spinsweep.deployment.connect import require_scheduler
    from spinsweep.deployment.security import CLIENT, WORKER, scheduler_address, secured
    from spinsweep.deployment.servers import run_workers
    from spinsweep.equipment import load

    roles = (WORKER,) if bench is None else (CLIENT, WORKER)
    address, security = secured(scheduler_address(scheduler), tls, *roles, insecure=insecure)
    described = None if bench is None else load(bench)
    what = f"{workers} workers" if described is None else f"lane of bench {described.name}"
    end = "ends them" if described is None else "makes the bench safe and ends it"
    say(f"{what} for {address}; Ctrl-C {end}", error=True)
    require_scheduler(address, security, roles[0])
    if described is None:
        run_workers(address, workers, security)
    else:
        described.serve(address, security)
        say("the lane has ended and the bench is safe", error=True)
    return 0
