"""What a deployment lacks, found before anything is started or written."""

from __future__ import annotations

import importlib
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed.utils import get_ip_interface

from spinsweep.dashboard.access import OPEN, Pages
from spinsweep.deployment.cluster_file import WORD, Deployment, Gpu, Jobs, Kubernetes, Local, Running, Ssh
from spinsweep.deployment.local_cluster import require_free_port
from spinsweep.deployment.security import (
    CLIENT,
    ROLES,
    credentials,
    on_loopback,
    own_folder,
    require_loopback,
    scheduler_address,
    secured,
)
from spinsweep.errors import RunnerError
from spinsweep.files import read, yaml

CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
PROBE = 2.0  # seconds for a connection that is refused at once where nothing listens


@dataclass(frozen=True)
class Access:
    """Who may reach a scheduler and its pages."""

    tls: Path | None = None
    """Folder of certificates, before the one in the cluster file; None there too: what this machine needs is made."""
    insecure: bool = False
    """Whether to go without."""
    dashboard: bool = True
    """Whether Dask's dashboard is served, on loopback; a scheduler that runs already has its own."""
    pages: Pages = OPEN
    """How it is served."""
    watchers: int | None = None
    """Port of a page for those who only watch, on the scheduler's machine."""


USUAL = Access()


def check(where: Deployment, access: Access = USUAL) -> None:
    """Look at all of a deployment that can be seen without starting it.

    Raises
    ------
    RunnerError
        One line: what is missing, taken, or would not be encrypted.
    """
    tls, insecure, watchers = access.tls, access.insecure, access.watchers
    if tls is not None and isinstance(where, Local | Gpu | Kubernetes):
        raise RunnerError(f"--tls {tls}: a cluster of kind {where.kind} does not use your certificates; leave it out")
    if access.pages.token and not isinstance(where, Local | Gpu | Jobs) and watchers is None:
        raise RunnerError(
            f"--dashboard-token: the dashboard of a cluster of kind {where.kind} is not this run's; "
            "`spinsweep scheduler` takes the option"
        )
    if watchers is not None and isinstance(where, Local | Gpu | Jobs):
        try:
            require_free_port(watchers)
        except OSError as error:
            raise RunnerError(
                f"--watchers {watchers}: the page cannot be served on this port: {error.strerror}"
            ) from None
    match where:
        case Jobs():
            _check_jobs(where, tls or where.tls, insecure=insecure)
        case Ssh():
            _check_ssh(where, tls or where.tls, insecure=insecure)
        case Kubernetes():
            _check_kubernetes(where, insecure=insecure)
        case Gpu():
            library("dask_cuda", "gpu")
        case Running():
            secured(scheduler_address(where.address), tls or where.tls, CLIENT, insecure=insecure)


def library(module: str, extra: str) -> Any:
    """A library that an extra brings; ``RunnerError`` if it is not usable."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RunnerError(
            f"{module} is not usable ({error}); `pip install 'spinsweep[{extra}]'` installs it"
        ) from None


def cluster_class(where: Jobs) -> Any:
    """The class of dask-jobqueue for a batch system."""
    return getattr(library("dask_jobqueue", "slurm"), CLASSES[where.kind])


def _check_jobs(where: Jobs, tls: Path | None, *, insecure: bool) -> None:
    driver_interface = where.driver_interface
    if tls is None:
        for interface in (where.interface, driver_interface):
            require_loopback(_ip(interface), insecure=insecure, name=f"{where.kind}: interface {interface}")
    folder = tls or (None if insecure else own_folder())
    if folder is not None:
        if not re.fullmatch(WORD, str(folder.absolute())):
            raise RunnerError(f"{folder} goes into a job script: letters, digits and ./:@%+=,~- only")
        if folder == tls or folder.exists():
            credentials(folder, *ROLES)
    if not _ip(driver_interface):
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise RunnerError(
            f"{where.kind}: this machine has no interface {driver_interface} with an IPv4 address; it has {names}"
        )
    submit = cluster_class(where).job_cls.submit_command
    if shutil.which(submit.split()[0]) is None:
        raise RunnerError(f"{where.kind}: this machine has no command {submit}; run this where jobs are submitted")


def _ip(interface: str) -> str:
    """IPv4 address of this machine at a network interface; empty: it has none."""
    try:
        return str(get_ip_interface(interface))
    except ValueError:
        return ""


def _check_ssh(where: Ssh, tls: Path | None, *, insecure: bool) -> None:
    library("asyncssh", "ssh")
    beyond = [host for host in (where.scheduler or where.hosts[0], *where.hosts) if not on_loopback(host)]
    if beyond and on_loopback(where.listen):
        raise RunnerError(
            f"ssh: listen is {where.listen}, through which {beyond[0]} and this machine cannot meet; name an "
            "address of the scheduler's host that all of them reach"
        )
    if tls is None:
        require_loopback(where.listen, insecure=insecure)
    folder = tls or (None if insecure else own_folder())
    if folder is not None and (folder == tls or folder.exists()):
        credentials(folder, *ROLES)
    if where.port and _answers(where.listen, where.port):
        raise RunnerError(
            f"ssh: port {where.port} is taken on {where.listen}; the scheduler of a run that was killed ends about a "
            "minute later, or give another port"
        )


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), PROBE):
            return True
    except OSError:
        return False


def _check_kubernetes(where: Kubernetes, *, insecure: bool) -> None:
    if not insecure:
        raise RunnerError(
            "kubernetes: dask-kubernetes speaks to its scheduler without certificates; fence its pods with a network "
            "policy and spell out --insecure, or attach to one that uses certificates (cluster/README.md)"
        )
    library("dask_kubernetes.operator", "kubernetes")
    dask_cluster(where)


def dask_cluster(where: Kubernetes) -> dict[str, Any]:
    """The ``DaskCluster`` of a deployment, with its number of workers.

    Raises
    ------
    RunnerError
        The manifest cannot be read, or is something else.
    """
    what = "one DaskCluster in YAML"
    manifest = read(where.manifest, what, RunnerError, yaml)
    if not isinstance(manifest, dict) or manifest.get("kind") != "DaskCluster":
        kind = manifest.get("kind", "mapping") if isinstance(manifest, dict) else type(manifest).__name__
        raise RunnerError(f"{where.manifest}: is a {kind}; give {what}")
    try:
        manifest["spec"]["worker"]["replicas"] = where.least
    except (KeyError, TypeError):
        raise RunnerError(f"{where.manifest}: has no spec.worker to give {where.least} replicas") from None
    return manifest
