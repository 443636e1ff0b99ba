"""Clients of every kind of deployment, each started by the library that exists for it.

Every worker is one process with one thread that offers the resource ``cpu``; its numerical libraries use one thread
each, if the cluster file does not say otherwise. A machine therefore runs as many threads as it has workers.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
from distributed import Client, SSHCluster

from spinsweep.dashboard.access import Pages, RestrictedScheduler, new_token, restrict_scheduler
from spinsweep.deployment.certificates import own_certificates, temporary
from spinsweep.deployment.check import USUAL, Access, check, cluster_class, dask_cluster, library
from spinsweep.deployment.cluster_file import SUFFIXES, Deployment, Gpu, Jobs, Kubernetes, Local, Running, Ssh, load
from spinsweep.deployment.connect import connect
from spinsweep.deployment.job_script import job_options, python_command
from spinsweep.deployment.local_cluster import ClosedCluster, free_port, local_client, nannies, own_files, quiet
from spinsweep.deployment.scaling import KeepBusy, adapt
from spinsweep.deployment.security import (
    CLIENT,
    LOOPBACK,
    NO_DASHBOARD,
    ROLES,
    as_config,
    credentials,
    is_address,
    on_loopback,
    scheduler_address,
    secured,
)
from spinsweep.errors import RunnerError
from spinsweep.interrupts import sigint_blocked
from spinsweep.resources import CPU, GPU, THREAD_SETTINGS

STARTING = "10 minutes"  # that a scheduler on another host waits for its driver
ORPHAN = 60.0  # seconds without work, after which it ends: its driver may have been killed


def deployment(option: str | None, workers: int | None = None) -> Deployment:
    """What ``--cluster`` names: a cluster file, a scheduler file, an address; None: ``workers`` processes here.

    Raises
    ------
    RunnerError
        One line: it names nothing of these, or says itself how many workers there are.
    """
    if option is None:
        return Local() if workers is None else Local(workers=workers)
    if workers is not None:
        raise RunnerError(f"--workers {workers}: --cluster {option} says how many there are; leave one of them out")
    if Path(option).suffix in SUFFIXES:
        return load(Path(option))
    try:
        address = scheduler_address(option)
    except RunnerError as error:
        raise RunnerError(f"--cluster {error}") from None
    if not is_address(address):
        raise RunnerError(
            f"--cluster {option or repr(option)} is not a cluster file ({', '.join(SUFFIXES)}), a scheduler file "
            "or an address such as tls://127.0.0.1:8786"
        )
    return Running(kind="scheduler", address=address)


@contextmanager
def cluster_client(
    where: Deployment, access: Access = USUAL, resources: Mapping[str, float] | None = None, title: str = ""
) -> Iterator[Client]:
    """A client of a deployment; what it started is ended with the block.

    Parameters
    ----------
    resources : what local workers offer beside ``cpu``
    title : what the run computes, for the names of jobs

    Raises
    ------
    RunnerError
        One line: it cannot be started, cannot be reached, or would not be encrypted.
    """
    quiet()
    check(where, access)
    if not access.dashboard and not isinstance(where, Ssh):  # Dask serves one in any case: here, nobody can name it
        access = replace(access, pages=Pages(token=new_token()))
    if isinstance(where, Jobs | Ssh) and not access.insecure:
        access = replace(access, tls=access.tls or where.tls or own_certificates())
    match where:
        case Local():
            started = _local(where, access, resources)
        case Jobs():
            started = _jobs(where, access, title)
        case Ssh():
            started = _ssh(where, access)
        case Kubernetes():
            started = _kubernetes(where)
        case Gpu():
            started = _gpu(where, access)
        case Running():
            started = _running(where, access)
    with started as client:
        yield client


@contextmanager
def _local(where: Local, access: Access, resources: Mapping[str, float] | None) -> Iterator[Client]:
    with local_client(where.least, dashboard=access.dashboard, resources=resources, pages=access.pages) as client:
        if where.minimum is not None:
            adapt(client, where.least, where.workers)
        yield client


@contextmanager
def _running(where: Running, access: Access) -> Iterator[Client]:
    tls = access.tls or where.tls
    address, security = secured(scheduler_address(where.address), tls, CLIENT, insecure=access.insecure)
    with connect(address, security) as client:
        try:
            client.register_plugin(KeepBusy())  # its cluster may scale
        except ImportError as error:
            raise RunnerError(
                f"the scheduler at {address} cannot run spinsweep ({error}); install the same version there"
            ) from None
        yield client


@contextmanager
def _jobs(where: Jobs, access: Access, title: str) -> Iterator[Client]:
    security = None if access.tls is None else credentials(access.tls, *ROLES)
    scheduler = {
        "interface": where.driver_interface,
        "port": where.port,
        "dashboard_address": _dashboard(access),
        "pages": access.pages,
    }
    with ExitStack() as stack:
        with _one_line(where.kind), sigint_blocked(), dask.config.set(own_files()):
            cluster = cluster_class(where)(
                **job_options(where, title),
                scheduler_cls=RestrictedScheduler,
                scheduler_options=scheduler,
                security=security,
                silence_logs="critical",
            )
            stack.callback(_close, cluster)
            client = stack.enter_context(Client(cluster))
            cluster.sync(_submitted, cluster, where.least)
            # a job that ends too early is followed by another only while the cluster adapts
            adapt(client, where.least, where.workers)
        yield client


def _close(cluster: Any) -> None:
    with suppress(AssertionError):  # Dask's, about a job that was refused
        cluster.close()


async def _submitted(cluster: Any, workers: int) -> None:
    """Submit the first jobs; what the batch system objects to is raised."""
    cluster.scale(workers)
    await cluster
    for job in list(cluster.workers.values()):
        await job


@contextmanager
def _ssh(where: Ssh, access: Access) -> Iterator[Client]:
    security = None if access.tls is None else credentials(access.tls, *ROLES)
    only_this_machine = on_loopback(where.listen) and where.user is None
    settings: dict[str, Any] = {
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_SETTINGS, "1"),
        "logging": {"distributed": "info"},  # Dask waits for the lines in which they tell their addresses
        # on hosts elsewhere it is made, under a name that nobody can have made before
        **(own_files() if only_this_machine else {"temporary-directory": f"/tmp/spinsweep-{secrets.token_hex(8)}"}),
    }
    if security is not None:
        settings |= as_config(security)
    protocol = "tcp" if security is None else "tls"
    connect: dict[str, Any] = {"port": where.ssh_port}
    if where.user is not None:
        connect["username"] = where.user
    if where.keys:
        connect["client_keys"] = [str(key) for key in where.keys]
    if where.known_hosts is not None:
        connect["known_hosts"] = str(where.known_hosts)
    with ExitStack() as stack:
        with _one_line("ssh"), sigint_blocked(), dask.config.set(settings):  # which the hosts' processes inherit
            cluster = stack.enter_context(
                SSHCluster(
                    [where.scheduler or where.hosts[0], *where.hosts],
                    connect_options=connect,
                    scheduler_options={
                        "host": where.listen,
                        "port": where.port,
                        "protocol": protocol,
                        "dashboard_address": _dashboard(access),
                        "idle_timeout": STARTING,
                    },
                    worker_options={
                        "n_workers": where.workers_per_host,
                        "nthreads": 1,
                        "resources": {CPU: 1},
                        "host": LOOPBACK if on_loopback(where.listen) else None,
                        "protocol": protocol,
                        "dashboard": False,
                        "dashboard_address": NO_DASHBOARD,
                    },
                    remote_python=python_command(where),
                    security=security,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.run_on_scheduler(_end_when_idle, ORPHAN)
            client.run_on_scheduler(restrict_scheduler, access.pages)
        yield client


def _end_when_idle(seconds: float, dask_scheduler: Any) -> None:
    """At a scheduler: end after so long without a task, waiting or running."""
    dask_scheduler.idle_timeout = seconds
    dask_scheduler.idle_since = None  # it counts from now, not from its start


@contextmanager
def _kubernetes(where: Kubernetes) -> Iterator[Client]:
    operator = library("dask_kubernetes.operator", "kubernetes")
    manifest = dask_cluster(where)
    with ExitStack() as stack:
        with _one_line("kubernetes"), sigint_blocked():
            cluster = stack.enter_context(
                operator.KubeCluster(
                    custom_cluster_spec=manifest,
                    namespace=where.namespace,
                    create_mode=operator.CreateMode.CREATE_ONLY,
                    resource_timeout=where.timeout_s,
                    quiet=True,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.register_plugin(KeepBusy())
            if where.minimum is not None:
                cluster.adapt(minimum=where.minimum, maximum=where.workers)
        yield client


@contextmanager
def _gpu(where: Gpu, access: Access) -> Iterator[Client]:
    with ExitStack() as stack:
        with _one_line("gpu"), sigint_blocked(), nannies():
            cluster = stack.enter_context(
                type("_Closed", (ClosedCluster, library("dask_cuda", "gpu").LocalCUDACluster), {})(
                    scheduler_kwargs={"pages": access.pages},
                    n_workers=where.workers,
                    threads_per_worker=1,
                    memory_limit=where.memory or "auto",
                    host=LOOPBACK,
                    protocol="tls",
                    security=temporary(),
                    resources={CPU: 1, GPU: 1},
                    dashboard_address=_dashboard(access),
                )
            )
            client = stack.enter_context(Client(cluster))
        yield client


def _dashboard(access: Access) -> str:
    return f"{LOOPBACK}:{free_port(8787) if access.dashboard else 0}"  # None would take 8787 all the same


@contextmanager
def _one_line(kind: str) -> Iterator[None]:
    """Whatever a library raises while it starts a cluster, as one line."""
    try:
        yield
    except RunnerError:
        raise
    except Exception as error:
        said = str(error).partition("stderr:")[2] or str(error)  # of a command that failed
        problem = " ".join(said.split()) or type(error).__name__
        raise RunnerError(f"{kind}: the cluster did not start: {problem}") from None
