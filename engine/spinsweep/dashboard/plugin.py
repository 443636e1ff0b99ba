"""At the scheduler: what runs and lanes told, kept for the page and the metrics.

The plugin has no hook for tasks: the scheduler does nothing for a single block. Which blocks run is looked up when
the page asks, and which ended stands in the driver's report of each second.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from distributed import SchedulerPlugin

from spinsweep.blocks import BlockGrid
from spinsweep.dashboard.blockmap import BlockMap, BlockState, block_map
from spinsweep.dashboard.closed import Pages
from spinsweep.dashboard.metrics import register, unregister
from spinsweep.dashboard.reader import Reader
from spinsweep.resources import EXCLUSIVE

NAME = "spinsweep_sweep"  # of the plugin, and what its handlers' names begin with
TOPIC = "spinsweep-lane"  # under which lanes tell what they do
RUNS = 20  # kept, the newest
FAILURES = 100  # kept of a run, the newest
SHARE = 0.01  # of the scheduler's time that drawing maps may take


@dataclass
class WatchedRun:
    """One run as its driver described and reported it."""

    name: str
    description: Mapping[str, Any]
    """See :func:`spinsweep.dashboard.reports.describe`."""
    states: npt.NDArray[np.uint8]
    """Of each block, a :class:`BlockState` without RUNNING, in the shape of the grid of blocks."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """The driver's last."""
    failures: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=FAILURES))
    version: int = 0
    """Grows with every report."""
    last_seen: float = field(default_factory=time.monotonic)
    """When the driver was heard last, s of the monotonic clock."""
    began: float = field(default_factory=time.time)
    """When the scheduler heard of it, s of the clock."""

    @cached_property
    def grid(self) -> BlockGrid:
        """The cube's blocks."""
        return BlockGrid(tuple(len(a["values"]) for a in self.description["axes"]), tuple(self.description["chunk"]))

    @property
    def ended(self) -> bool:
        """Whether the driver said that it is done."""
        return bool(self.report.get("ended"))

    def counts(self, running: int) -> dict[BlockState, int]:
        """Blocks by state, with ``running`` of those that wait running."""
        found = np.bincount(self.states.ravel(), minlength=len(BlockState))
        counts: dict[BlockState, int] = {s: int(found[s]) for s in BlockState if s is not BlockState.PARTLY}
        counts[BlockState.WAITING] -= running
        counts[BlockState.RUNNING] = running
        return counts


@dataclass
class Lane:
    """What a lane told last."""

    report: Mapping[str, Any]
    last_seen: float


class SweepPlugin(SchedulerPlugin):
    """Keeps what is told, and brings the page and the metrics to the scheduler."""

    name = NAME
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Answer to drivers, add the page to the dashboard and the metrics to ``/metrics``."""
        from spinsweep.dashboard import page

        self.scheduler = scheduler
        self.runs: dict[str, WatchedRun] = {}
        self.lanes: dict[str, Lane] = {}
        self.pages: set[Any] = set()
        """Windows that are open."""
        self.reader = Reader()
        self._maps: dict[tuple[str, int, int], tuple[float, int, BlockMap]] = {}
        self._servers: dict[int, tuple[Any, Pages]] = {}
        for handler in (self.begin, self.report, self.watchers):
            scheduler.handlers[f"{NAME}_{handler.__name__}"] = handler
        page.add(self)
        register(self)

    async def close(self) -> None:
        """The scheduler ends."""
        unregister(self)
        self.reader.close()
        for server, _ in self._servers.values():
            server.stop()

    def remove_client(self, scheduler: Any, client: str) -> None:
        """A driver is gone; one that was killed has left what its run brought to the workers."""
        for name, run in self.runs.items():
            plugin = f"{run.description['sweep']}-{name}"
            its = run.description.get("client") == client and plugin in scheduler.worker_plugins
            if its and not scheduler._ongoing_background_tasks.closed:
                scheduler._ongoing_background_tasks.call_soon(scheduler.unregister_worker_plugin, None, plugin)

    def begin(self, run: str, description: Mapping[str, Any], states: bytes) -> None:
        """A driver begins a run; ``states`` are the blocks' as one byte each, last axis fastest."""
        watched = WatchedRun(run, description, np.frombuffer(states, np.uint8).copy())
        watched.states = watched.states.reshape(watched.grid.lengths)
        self.runs[run] = watched
        for name in list(self.runs)[:-RUNS]:
            del self.runs[name]

    def report(
        self,
        run: str,
        report: Mapping[str, Any],
        numbers: bytes,
        states: bytes,
        failures: Sequence[dict[str, Any]],
    ) -> None:
        """A driver reports: its counts, the blocks that ended since its last report (uint32), and their states."""
        if run not in self.runs:
            return
        watched = self.runs[run]
        watched.states.reshape(-1)[np.frombuffer(numbers, np.uint32)] = np.frombuffer(states, np.uint8)
        watched.report = report
        watched.failures.extend(failures)
        watched.version += 1
        watched.last_seen = time.monotonic()

    def watchers(self, port: int, hosts: Sequence[str] = (), token: str = "") -> str:
        """Serve the page and the metrics alone on a loopback port, as :class:`Pages` says; its address.

        A port that is served already stays as it is; ``ValueError`` if that is without the token that is asked for.
        """
        from spinsweep.dashboard import page

        if port not in self._servers:
            pages = Pages(tuple(hosts), token)
            self._servers[port] = page.serve(self, port, pages), pages
        _, pages = self._servers[port]
        if token and not pages.token:
            raise ValueError("an earlier run had it served without a token")
        return f"http://127.0.0.1:{port}{pages.prefix}/sweep"

    def log_event(self, topic: str, msg: Any) -> None:
        """A lane tells what it does."""
        if topic == TOPIC:
            self.lanes[msg["bench"]] = Lane(msg, time.monotonic())

    def running(self, run: WatchedRun) -> list[tuple[int, ...]]:
        """Places in the grid of the blocks that run now."""
        found = []
        axes = len(run.grid.shape)
        for worker in self.scheduler.workers.values():
            for task in self._computed(worker):
                key = task.key
                if isinstance(key, tuple) and len(key) >= 2 + axes and key[1] == run.name:
                    found.append(run.grid.index([int(s) for s in key[2 : 2 + axes]]))
        return found

    def map(self, run: WatchedRun, y: int, x: int) -> BlockMap:
        """The blocks of a run over two axes, now or, where drawing takes long, as of a while ago."""
        key = (run.name, y, x)
        began, spent = time.monotonic(), time.thread_time()
        if key in self._maps:
            due, version, drawn = self._maps[key]
            if began < due or (run.ended and version == run.version):
                return drawn
        states = run.states.copy()
        for place in self.running(run):
            if states[place] == BlockState.WAITING:
                states[place] = BlockState.RUNNING
        if states.ndim == 1:
            states = states[np.newaxis]
        drawn = block_map(states, y, x)
        if len(self._maps) > RUNS:
            self._maps.clear()
        self._maps[key] = (began + (time.thread_time() - spent) / SHARE, run.version, drawn)
        return drawn

    def owners(self) -> dict[str, tuple[str, float]]:
        """Each lane that holds a lease at this scheduler, and the time until which it does, s of the clock."""
        lease = self.scheduler.plugins.get("spinsweep-lease")
        held = lease.held if lease else {}
        return {holder: its.until for holder, its in held.items() if its.until > time.monotonic()}

    def driver_lost(self, run: WatchedRun) -> bool:
        """Whether the driver left without a word."""
        return not run.ended and run.description["client"] not in self.scheduler.clients

    def measured(self) -> dict[str, WatchedRun]:
        """The run that each lane works for now, by the name of its worker."""
        found = {}
        for worker in self._lanes():
            for task in self._computed(worker):
                run = self.runs.get(task.key[1]) if isinstance(task.key, tuple) and len(task.key) > 1 else None
                if run is not None:
                    found[str(worker.name)] = run
        return found

    def queue(self) -> list[WatchedRun]:
        """Runs that wait for a lane."""
        measured = {run.name for run in self.measured().values()}
        on_lane = [run for run in self.runs.values() if run.description["on_lane"]]
        return [run for run in on_lane if not (run.ended or self.driver_lost(run) or run.name in measured)]

    def lane_workers(self) -> list[str]:
        """Names of the workers that own a bench."""
        return [str(worker.name) for worker in self._lanes()]

    def _lanes(self) -> list[Any]:
        return [w for w in self.scheduler.workers.values() if w.resources.get(EXCLUSIVE)]

    @staticmethod
    def _computed(worker: Any) -> list[Any]:
        """The first of the tasks that a worker was given, as many as it has threads: it computes them."""
        return heapq.nsmallest(worker.nthreads, worker.processing, key=lambda t: t.priority)
