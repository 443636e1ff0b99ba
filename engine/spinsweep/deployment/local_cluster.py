"""A cluster of this machine: single-threaded processes on loopback, closed to its other users."""

from __future__ import annotations

import atexit
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.deploy.spec import close_clusters

from spinsweep.dashboard.access import OPEN, Pages, RestrictedScheduler
from spinsweep.deployment.certificates import temporary
from spinsweep.errors import RunnerError
from spinsweep.interrupts import Interrupted, sigint_blocked
from spinsweep.machine import VISIBLE, Devices, Machine, deal, memory_limit
from spinsweep.private import scratch
from spinsweep.process import SAFE_PATH, environment
from spinsweep.resources import CPU, GPU, MEMORY, THREAD_SETTINGS
from spinsweep.system import KILL, send

SPAWN = {**dict.fromkeys(THREAD_SETTINGS, "1"), "DASK_LOGGING__DISTRIBUTED": "critical", SAFE_PATH: "1"}
"""Environment in which workers start."""
WORKER = {SAFE_PATH: ""}
"""What changes in it once they have: programs that a cell starts find the files beside them."""
# Dask gives a worker up, for good, that its nanny has not brought back in 15 s: a busy machine takes longer
NEVER = "1000 days"
LOGGED = 100  # things of each kind in Dask's logs and profiles: 1,000 make workers grow by 2 MB a minute at first


class ClosedCluster(LocalCluster):
    """A cluster of this machine whose scheduler's pages are closed to other sites."""

    devices: Sequence[Devices] = ()
    """GPUs of each worker, in the order of their names; empty: none is dealt."""

    async def _start(self) -> None:
        self.scheduler_spec["cls"] = RestrictedScheduler
        self.worker_spec = {name: self._with_devices(name, spec) for name, spec in self.worker_spec.items()}
        await super()._start()  # type: ignore[no-untyped-call]

    def new_worker_spec(self) -> dict[Any, Any]:
        """Of a worker that comes while the cluster adapts."""
        spec: dict[Any, Any] = super().new_worker_spec()  # type: ignore[no-untyped-call]
        return {name: self._with_devices(name, of_worker) for name, of_worker in spec.items()}

    def _with_devices(self, name: Any, spec: dict[str, Any]) -> dict[str, Any]:
        if not self.devices:
            return spec
        options = spec["options"]
        environment = {**options.get("env", {}), VISIBLE: ",".join(self.devices[int(name) % len(self.devices)])}
        return {**spec, "options": {**options, "env": environment}}


@contextmanager
def local_client(
    workers: int, *, dashboard: bool = True, resources: Mapping[str, float] | None = None, pages: Pages = OPEN
) -> Iterator[Client]:
    """A cluster of ``workers`` single-threaded processes on this machine, on loopback only, closed to its users.

    Parameters
    ----------
    resources
        What each offers beside ``cpu``. If memory is among them, each may use an equal share of the machine's, and
        offers that; of GPUs, each sees as many as it offers.
    """
    quiet()
    offers: dict[str, float] = {CPU: 1.0, **(resources or {})}
    limit: int | str = "auto"
    devices: Sequence[Devices] = ()
    if MEMORY in offers and workers:
        limit = share = memory_limit() // workers
        offers[MEMORY] = share
    if GPU in offers:
        devices = deal(Machine.here().gpus, offers[GPU])
    with ExitStack() as stack:
        settings = {"distributed.deploy.lost-worker-timeout": NEVER, "distributed.admin.low-level-log-length": LOGGED}
        stack.enter_context(nannies(settings))
        with sigint_blocked(), _started():
            cluster = stack.enter_context(
                type("_Closed", (ClosedCluster,), {"devices": devices})(
                    memory_limit=limit,
                    # without it Dask need not load Bokeh, which takes as long as all else of the scheduler
                    scheduler_kwargs={"pages": pages, "dashboard": dashboard},
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    security=temporary(),
                    env=WORKER,
                    resources=offers,
                    # None would take 8787 all the same
                    dashboard_address=f"127.0.0.1:{free_port(8787) if dashboard else 0}",
                )
            )
            # a run's, and not for what else computes with Dask in this process, as xarray does to read
            client = stack.enter_context(Client(cluster, set_as_default=False))
        try:
            yield client
        except Interrupted:
            _kill(cluster)
            raise


@contextmanager
def _started() -> Iterator[None]:
    """A cluster that does not come about is one line, and what there is of it is left to the end of the process."""
    try:
        yield
    except BaseException as error:
        atexit.unregister(close_clusters)  # it stumbles over workers that were never there
        if isinstance(error, RuntimeError):  # Dask's, when one of them died
            raise RunnerError(f"the workers did not start: {error}; run the same command again to continue") from None
        raise


def _kill(cluster: LocalCluster) -> None:
    """End the workers at once, whatever they compute; else each is waited for."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # it starts no other worker
        with suppress(TypeError, ProcessLookupError):  # it has none
            send(nanny.pid, KILL)


def quiet() -> None:
    """Keep distributed's log off the terminal: the progress line tells of lost workers."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    for name in ["distributed", "asyncio", "tornado.application", *known]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def nannies(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Inside, nannies of this process start workers in their environment, with these settings of Dask."""
    variables = {name: os.environ.get(name) or value for name, value in SPAWN.items()}  # a user's own come first
    with environment(variables), dask.config.set({**(settings or {}), **own_files()}):
        yield


def own_files() -> dict[str, str]:
    """Setting of Dask: its files lie where no other user can put code, unless this user has set where they lie."""
    return {} if dask.config.get("temporary-directory") else {"temporary-directory": str(scratch())}


def free_port(port: int) -> int:
    """``port`` if it is free on loopback, else 0 (any)."""
    try:
        require_free_port(port)
    except OSError:
        return 0
    return port


def require_free_port(port: int) -> None:
    """``OSError`` if nothing can listen on ``port`` of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
