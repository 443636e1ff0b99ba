"""Adaptive scaling that follows the work that computes, and retires only idle workers that it started."""

from __future__ import annotations

from typing import Any

from distributed import Adaptive, Client, SchedulerPlugin

from spinsweep.resources import EXCLUSIVE


class KeepBusy(SchedulerPlugin):
    """At the scheduler: a worker that owns equipment, or has work, is never proposed for retirement."""

    name = "spinsweep-scaling"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Answer to ``spinsweep_tasks``."""
        self.scheduler = scheduler
        scheduler.handlers["spinsweep_tasks"] = self.tasks

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        """Of the workers that Dask would consider, those that may go."""
        return [w for w in workers if not w.processing and EXCLUSIVE not in w.resources]

    def tasks(self) -> int:
        """Tasks that compute, waiting or running: so many workers would have work."""
        running = sum(len(w.processing) for w in self.scheduler.workers.values() if EXCLUSIVE not in w.resources)
        unrunnable = [t for t in self.scheduler.unrunnable if EXCLUSIVE not in (t.resource_restrictions or {})]
        return running + len(unrunnable) + len(self.scheduler.queued)


class OwnWorkers(Adaptive):
    """Counts only the workers of its cluster, where Dask's counts the lane and others that came from elsewhere."""

    async def target(self) -> int:
        """How many workers there should be, before the limits."""
        return int(await self.scheduler.spinsweep_tasks())

    async def workers_to_close(self, target: int) -> list[Any]:
        """Names of workers that may go, so that ``target`` of this cluster are left."""
        elsewhere = len(self.observed - self.plan)
        return [name for name in await super().workers_to_close(target + elsewhere) if name in self.plan]


def adapt(client: Client, minimum: int, maximum: int) -> None:
    """Let the client's cluster have between ``minimum`` and ``maximum`` workers, as the work asks.

    When both are equal this keeps the number: Dask replaces a worker that it has lost only while it adapts.
    """
    client.register_plugin(KeepBusy())
    cluster: Any = client.cluster
    cluster.adapt(Adaptive=OwnWorkers, minimum=minimum, maximum=maximum)
