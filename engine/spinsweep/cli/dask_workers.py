"""Dask workers of ``spinsweep run``: of this machine, of a cluster file, or of a scheduler that runs already."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from spinsweep.cli.display import Display, dashboard_page
from spinsweep.cli.page_answer import tell_when_it_answers
from spinsweep.cli.walltime import measured_cell_s, timeout_advice, walltime_advice
from spinsweep.cli.workers import DASK, Workers
from spinsweep.dashboard.reports import serve_watchers
from spinsweep.deployment.batch_jobs import BatchJobs
from spinsweep.deployment.check import Access, check
from spinsweep.deployment.clients import cluster_client
from spinsweep.deployment.cluster_file import Deployment, Jobs, Local, Running
from spinsweep.deployment.worker_memory import memory_of_worker
from spinsweep.equipment import Equipment
from spinsweep.errors import RunnerError
from spinsweep.executors.dask import needs_of, on_client
from spinsweep.executors.protocol import Context, Start
from spinsweep.machine import in_words
from spinsweep.runs import Run


class DaskWorkers(Workers):
    """Workers of a deployment.

    Raises
    ------
    RunnerError
        One line: what the deployment lacks.
    """

    def __init__(self, deployment: Deployment, access: Access, bench: Equipment | None, show: Display) -> None:
        super().__init__(DASK, deployment.workers or 1, bench)
        self.deployment = deployment
        self.access = access
        self.show = show
        self._client: Any = None
        check(deployment, access)

    def __enter__(self) -> DaskWorkers:
        if isinstance(self.deployment, Running):  # a mistake in its address is found before a cube is made
            access = self.access
            client = cluster_client(self.deployment, Access(access.tls, access.insecure))
            self._client = self._stack.enter_context(client)
            if access.watchers is not None:
                serve_watchers(self._client, access.watchers, access.pages.of_watchers)
            self.at_a_time = max(1, sum(self._client.nthreads().values()))
        return self

    @property
    def is_on_this_machine(self) -> bool:
        return isinstance(self.deployment, Local)

    def require_room(self, memory: int | None) -> None:
        has = memory_of_worker(self.deployment)
        if memory is not None and has is not None and memory > has:
            raise RunnerError(
                f"a cell needs memory of {in_words(memory)}, and a worker of this {self.deployment.kind} cluster has "
                f"{in_words(has)}; give its workers more in the cluster file, or --memory less"
            )

    def _reach(self, stack: ExitStack, bench: Equipment) -> None:
        """Start a cluster of the bench's worker alone on this machine; a scheduler that runs has one."""
        if not isinstance(self.deployment, Local):
            return
        self._client = stack.enter_context(self._cluster(self.deployment.at_most(0), bench.needs))
        worker = bench.worker(self._client.scheduler_info()["address"], self._client.security)
        self.show.also = stack.enter_context(worker).check

    def _executor(self, stack: ExitStack, context: Context) -> Start:
        run, deployment = context.run, self.deployment
        if self._client is None:
            if isinstance(deployment, Local):
                deployment = deployment.at_most(min(run.progress.blocks, context.workers))
            self._client = stack.enter_context(self._cluster(deployment, needs_of(run.sweep), run))
        if deployment.untried:
            run.notes.append(f"a cluster of kind {deployment.kind} is not tried yet: {deployment.untried}")
        if isinstance(deployment, Jobs):
            cell_s, block_cells = measured_cell_s(run.cube), math.prod(run.cube.grid.chunk)
            advice = walltime_advice(deployment, cell_s, block_cells), timeout_advice(deployment, run.sweep.timeout)
            run.notes += filter(None, advice)
        jobs = BatchJobs(deployment.kind, self._client.cluster) if isinstance(deployment, Jobs) else None
        self.show.advice = lambda: _advice(deployment, jobs)
        if jobs is not None:
            self.show.also = jobs.note
        if self.access.watchers is not None:
            page = serve_watchers(self._client, self.access.watchers, self.access.pages.of_watchers)
            run.notes.append(f"for watchers {page}")
        if self.access.dashboard:
            _tell_page(self._client, run)
        said = self._client.scheduler_info()["address"]
        return on_client(self._client, said) if jobs is None else on_client(self._client, said, jobs.why_gone)

    def _cluster(self, deployment: Deployment, resources: Any, run: Run | None = None) -> Any:
        title = "" if run is None else f"{run.sweep.name}-{Path(str(run.cube.storage)).stem}"
        return cluster_client(deployment, replace(self.access, watchers=None), resources, title)


def _tell_page(client: Any, run: Run) -> None:
    """Note where the Sweep page is: once it answers, or at once where it is on another machine."""
    if (answer := dashboard_page(client)) is None:
        return
    page, seen = answer
    if " " in page:  # there is a way to go first
        run.notes.append(f"dashboard {page}{seen}")
    else:
        tell_when_it_answers(page, seen, run.notes.append)


def _advice(deployment: Deployment, jobs: BatchJobs | None) -> str:
    """What to look at when no worker comes for long, and what the batch system says."""
    states = jobs.why_waiting() if jobs is not None else ""
    return f"{deployment.advice}; {states}" if states else deployment.advice
