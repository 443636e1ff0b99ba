"""``spinsweep scheduler``: a scheduler that outlives drivers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import Insecure, Tls


def scheduler(
    host: Annotated[str, typer.Option(help="Address or name on which it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any.", min=0, max=65535)] = 8786,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(help="Written with the address, for `run --cluster` and `worker`.", show_default=False),
    ] = None,
    dashboard_port: Annotated[int, typer.Option(help="Of the dashboard, on loopback.", min=0, max=65535)] = 8787,
    tls: Tls = None,
    insecure: Insecure = False,
) -> int:
    """Serve a Dask scheduler until Ctrl-C: runs attach to it, leave, and others go on.

    On any address but loopback it demands certificates of everyone who connects.

    Example:  spinsweep scheduler --scheduler-file cluster.json
              spinsweep scheduler --host 192.0.2.7 --tls certificates
    """
    from engine.runners.security import SCHEDULER, credentials, demand_loopback
    from engine.runners.servers import run_scheduler

    if tls is None:
        demand_loopback(host, insecure)
    security = None if tls is None else credentials(tls, SCHEDULER)
    run_scheduler(host, port, security, dashboard_port, scheduler_file)
    return 0
