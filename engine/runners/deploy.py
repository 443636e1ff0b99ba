"""Clients of every kind of deployment, each started by the library that exists for it.

Every worker is one process with one thread that offers the resource ``cpu``; its numerical libraries use one thread
each, so that a machine runs as many threads as it was given workers.
"""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
import yaml
from distributed import Client, Security, SSHCluster
from distributed.utils import get_ip_interface

from engine.errors import RunnerError
from engine.runners.cluster import (
    SUFFIXES,
    WORD,
    Deployment,
    Gpu,
    Jobs,
    Kubernetes,
    Local,
    Running,
    Ssh,
    load,
)
from engine.runners.dask import CPU, SPAWN, THREAD_SETTINGS, free_port, local_client, quiet
from engine.runners.interrupts import held_back
from engine.runners.scaling import KeepBusy, adapt
from engine.runners.security import (
    CLIENT,
    LOOPBACK,
    NO_DASHBOARD,
    ROLES,
    as_config,
    credentials,
    demand_loopback,
    on_loopback,
    scheduler_address,
    secured,
)

ANSWER = 10.0  # seconds that a running scheduler may take to answer
ORPHAN = "1 hour"  # without work, after which a scheduler on another host ends: its driver may have been killed
CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}


def deployment(given: str | None, workers: int) -> Deployment:
    """What ``--cluster`` names: a cluster file, a scheduler file, an address; None: ``workers`` processes here."""
    if given is None:
        return Local(workers=workers)
    if Path(given).suffix in SUFFIXES:
        return load(Path(given))
    try:
        return Running(kind="scheduler", address=scheduler_address(given))
    except RunnerError as error:
        raise RunnerError(f"--cluster {error}") from None


@contextmanager
def cluster_client(
    where: Deployment,
    tls: Path | None = None,
    insecure: bool = False,
    dashboard: bool = True,
    resources: Mapping[str, float] | None = None,
) -> Iterator[Client]:
    """A client of a deployment; what it started is ended with the block.

    Parameters
    ----------
    tls : folder of certificates, before the one in the cluster file
    insecure : whether an address beyond loopback may be used without certificates
    dashboard : serve Dask's dashboard, on loopback; a scheduler that runs already has its own
    resources : what local workers offer beside ``cpu``

    Raises
    ------
    RunnerError
        One line: it cannot be started, cannot be reached, or would leave loopback unencrypted.
    """
    quiet()
    match where:
        case Local():
            started = _local(where, dashboard, resources)
        case Jobs():
            started = _jobs(where, tls or where.tls, insecure, dashboard)
        case Ssh():
            started = _ssh(where, tls or where.tls, insecure, dashboard)
        case Kubernetes():
            started = _kubernetes(where, insecure)
        case Gpu():
            started = _gpu(where, dashboard)
        case Running():
            started = _running(where, tls or where.tls, insecure)
    with started as client:
        yield client


@contextmanager
def _local(where: Local, dashboard: bool, resources: Mapping[str, float] | None) -> Iterator[Client]:
    with local_client(where.least, dashboard, resources) as client:
        if where.minimum is not None:
            adapt(client, where.least, where.workers)
        yield client


@contextmanager
def _running(where: Running, tls: Path | None, insecure: bool) -> Iterator[Client]:
    address, security = secured(scheduler_address(where.address), tls, CLIENT, insecure=insecure)
    with reach(address, security) as client:
        client.register_plugin(KeepBusy())  # its cluster may scale
        yield client


def reach(address: str, security: Security | None) -> Client:
    """A client of the scheduler at ``address``; ``RunnerError`` if it does not answer."""
    try:
        return Client(address, timeout=ANSWER, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        hint = ", or it does not accept these certificates" if security else ""
        raise RunnerError(
            f"no scheduler answers at {address} ({type(error).__name__}){hint}; `spinsweep scheduler` starts one"
        ) from None


@contextmanager
def _jobs(where: Jobs, tls: Path | None, insecure: bool, dashboard: bool) -> Iterator[Client]:
    library = _library("dask_jobqueue", "slurm")
    cluster_class = getattr(library, CLASSES[where.kind])
    submit = cluster_class.job_cls.submit_command
    if shutil.which(submit.split()[0]) is None:
        raise RunnerError(f"{where.kind}: there is no command {submit} here; run this where jobs are submitted")
    here = where.scheduler_interface or where.interface
    with _one_line(where.kind):
        listen = get_ip_interface(here)
    if tls is None:
        demand_loopback(listen, insecure)
    elif not re.fullmatch(WORD, str(tls.absolute())):
        raise RunnerError(f"{tls} goes into a job script: letters, digits and ./:@%+=,~- only")
    security = None if tls is None else credentials(tls, *ROLES)
    scheduler = {"interface": here, "port": where.port, "dashboard_address": _dashboard(dashboard)}
    with ExitStack() as stack:
        with _one_line(where.kind), held_back():
            cluster = cluster_class(
                **job_options(where), scheduler_options=scheduler, security=security, silence_logs="critical"
            )
            stack.callback(_close, cluster)
            client = stack.enter_context(Client(cluster))
            cluster.sync(_submitted, cluster, where.least)
            # a job that ends too early is followed by another only while the cluster adapts
            adapt(client, where.least, where.workers)
        yield client


def job_options(where: Jobs) -> dict[str, Any]:
    """What the batch system's class in dask-jobqueue is told about one job: one worker of one thread."""
    exports = {**where.environment, **dict.fromkeys(THREAD_SETTINGS, "1")}
    return {
        "cores": 1,
        "processes": 1,
        "memory": where.memory,
        "walltime": where.walltime,
        "queue": where.queue,
        "account" if where.kind in ("slurm", "pbs") else "project": where.account,
        "job_name": "spinsweep",
        "job_extra_directives": list(where.directives),
        "job_script_prologue": [f"export {name}={shlex.quote(text)}" for name, text in exports.items()],
        "log_directory": str(where.logs),
        "local_directory": None if where.scratch is None else str(where.scratch),
        "python": where.python,
        "interface": where.interface,
        "worker_extra_args": ["--resources", f"{CPU}=1", "--no-dashboard", "--dashboard-address", NO_DASHBOARD],
    }


def _close(cluster: Any) -> None:
    with suppress(AssertionError):  # Dask's, about a job that was refused
        cluster.close()


async def _submitted(cluster: Any, jobs: int) -> None:
    """Submit the first jobs; what the batch system objects to is raised."""
    cluster.scale(jobs)
    await cluster
    for job in list(cluster.workers.values()):
        await job


@contextmanager
def _ssh(where: Ssh, tls: Path | None, insecure: bool, dashboard: bool) -> Iterator[Client]:
    _library("asyncssh", "ssh")
    security = None
    settings: dict[str, Any] = {
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_SETTINGS, "1"),
        "logging": {"distributed": "info"},  # Dask waits for the lines in which they tell their addresses
    }
    if tls is None:
        demand_loopback(where.listen, insecure)
    else:
        security = credentials(tls, *ROLES)
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
        with _one_line("ssh"), held_back(), dask.config.set(settings):  # which the hosts' processes inherit
            cluster = stack.enter_context(
                SSHCluster(
                    [where.scheduler or where.hosts[0], *where.hosts],
                    connect_options=connect,
                    scheduler_options={
                        "host": where.listen,
                        "port": where.port,
                        "protocol": protocol,
                        "dashboard_address": _dashboard(dashboard),
                        "idle_timeout": ORPHAN,
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
                    remote_python=where.python,
                    security=security,
                )
            )
            client = stack.enter_context(Client(cluster))
        yield client


@contextmanager
def _kubernetes(where: Kubernetes, insecure: bool) -> Iterator[Client]:
    if not insecure:
        raise RunnerError(
            "kubernetes: dask-kubernetes speaks to its scheduler without certificates; fence its pods with a network "
            "policy and spell out --insecure, or attach to one that uses certificates (cluster/README.md)"
        )
    library = _library("dask_kubernetes.operator", "kubernetes")
    manifest = dask_cluster(where)
    with ExitStack() as stack:
        with _one_line("kubernetes"), held_back():
            cluster = stack.enter_context(
                library.KubeCluster(
                    custom_cluster_spec=manifest,
                    namespace=where.namespace,
                    create_mode=library.CreateMode.CREATE_ONLY,
                    resource_timeout=where.patience,
                    quiet=True,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.register_plugin(KeepBusy())
            if where.minimum is not None:
                cluster.adapt(minimum=where.minimum, maximum=where.workers)
        yield client


def dask_cluster(where: Kubernetes) -> dict[str, Any]:
    """The ``DaskCluster`` of a deployment, with its number of workers.

    Raises
    ------
    RunnerError
        The manifest cannot be read, or is something else.
    """
    try:
        found = yaml.safe_load(where.manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunnerError(f"{where.manifest}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise RunnerError(f"{where.manifest}: is not YAML; the manifest is one DaskCluster in YAML") from None
    if not isinstance(found, dict) or found.get("kind") != "DaskCluster":
        kind = found.get("kind", "mapping") if isinstance(found, dict) else type(found).__name__
        raise RunnerError(f"{where.manifest}: is a {kind}; the manifest is one DaskCluster in YAML")
    try:
        found["spec"]["worker"]["replicas"] = where.least
    except (KeyError, TypeError):
        raise RunnerError(f"{where.manifest}: has no spec.worker to give {where.least} replicas") from None
    return found


@contextmanager
def _gpu(where: Gpu, dashboard: bool) -> Iterator[Client]:
    with ExitStack() as stack:
        with (
            _one_line("gpu"),
            held_back(),
            dask.config.set({"distributed.nanny.pre-spawn-environ": SPAWN}),
        ):
            cluster = stack.enter_context(
                _library("dask_cuda", "gpu").LocalCUDACluster(
                    n_workers=where.workers,
                    threads_per_worker=1,
                    memory_limit=where.memory or "auto",
                    host=LOOPBACK,
                    protocol="tcp",
                    resources={CPU: 1},
                    dashboard_address=_dashboard(dashboard),
                )
            )
            client = stack.enter_context(Client(cluster))
        yield client


def _dashboard(serve: bool) -> str:
    return f"{LOOPBACK}:{free_port(8787) if serve else 0}"  # None would take 8787 all the same


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RunnerError(f"{module} is not usable ({error}); `pip install 'spinsweep[{extra}]'` brings it") from None


@contextmanager
def _one_line(kind: str) -> Iterator[None]:
    """Whatever a library raises while it starts a cluster, as one line."""
    try:
        yield
    except RunnerError:
        raise
    except Exception as error:
        said = str(error).partition("stderr:")[2] or str(error)  # of a command that failed
        raise RunnerError(
            f"{kind}: the cluster did not start: {' '.join(said.split()) or type(error).__name__}"
        ) from None
