"""Which workers the options of ``spinsweep run`` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spinsweep.cli.display import Display
from spinsweep.cli.workers import DASK, SERIAL, Workers, name_of_executor, require_no_cluster
from spinsweep.equipment import Equipment
from spinsweep.resources import cpu_count


@dataclass(frozen=True)
class DashboardOptions:
    """What the command line says of a run's pages."""

    shown: bool = True
    token: bool = False
    hosts: tuple[str, ...] = ()
    watchers: int | None = None


def choose_workers(
    executor: str,
    workers: int | None,
    cluster: str | None,
    tls: Path | None,
    bench: Equipment | None,
    show: Display,
    *,
    insecure: bool,
    dashboard: DashboardOptions,
) -> Workers:
    """The workers that the command line asks for.

    Raises
    ------
    SpecError, RunnerError
        One line: options that do not go together, or what the cluster lacks.
    """
    name = name_of_executor(executor, workers)
    if name != DASK:
        require_no_cluster(name, {"--cluster": cluster, "--tls": tls, "--watchers": dashboard.watchers}, bench)
        return Workers(name, 1 if name == SERIAL else workers or cpu_count(), bench)
    from spinsweep.cli.dask_workers import DaskWorkers  # late: Dask takes long to load
    from spinsweep.dashboard.access import Pages, new_token
    from spinsweep.deployment.check import Access
    from spinsweep.deployment.clients import deployment

    pages = Pages(dashboard.hosts, new_token() if dashboard.token else "")
    access = Access(tls, insecure, dashboard.shown, pages, dashboard.watchers)
    return DaskWorkers(deployment(cluster, workers), access, bench, show)
