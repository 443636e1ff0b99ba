"""``spinsweep scheduler``: a scheduler that outlives drivers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import DashboardHost, DashboardToken, Insecure, Tls


def scheduler(
    host: Annotated[str, typer.Option(help="Address or name on which it listens.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port on which it listens; 0 takes any free one.", min=0, max=65535)
    ] = 8786,
    scheduler_file: Annotated[
        Path | None, typer.Option(help="File to write its address to, for `run --cluster` and `worker`.")
    ] = None,
    dashboard_port: Annotated[int, typer.Option(help="Port of the dashboard, on loopback.", min=0, max=65535)] = 8787,
    dashboard_token: DashboardToken = False,
    dashboard_host: DashboardHost = None,
    tls: Tls = None,
    insecure: Insecure = False,
) -> int:
    """Serve a Dask scheduler until Ctrl-C; runs attach to it and leave.

    Everyone who connects must show a certificate. On loopback the certificates are your own, which `run` and `worker`
    find by themselves; on any other address they come from --tls.

    Example:  spinsweep scheduler --scheduler-file cluster.json
              spinsweep scheduler --host 192.0.2.7 --tls certificates
    """
    from spinsweep.dashboard.access import Pages, new_token
    from spinsweep.deployment.certificates import own_certificates
    from spinsweep.deployment.security import SCHEDULER, credentials, require_loopback
    from spinsweep.deployment.servers import run_scheduler

    if tls is None and not insecure:
        require_loopback(host)
        tls = own_certificates()
    security = None if tls is None else credentials(tls, SCHEDULER)
    pages = Pages(tuple(dashboard_host or ()), new_token() if dashboard_token else "")
    run_scheduler(host, port, security, dashboard_port, scheduler_file, pages)
    return 0
