"""The scheduler plugin: brings the Sweep page and the metrics to a scheduler, and passes on what it is told.

It has no hook for tasks, so that the scheduler has no work for a single block.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from distributed import SchedulerPlugin

from spinsweep.dashboard.access import Pages, dashboard_of
from spinsweep.dashboard.metrics import register, unregister
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.messages import LANE_TOPIC

if TYPE_CHECKING:
    from spinsweep.dashboard.serving import PageServer

PLUGIN_NAME = "spinsweep_sweep"
"""Of the plugin; the names of its handlers begin with it."""


class SweepPlugin(SchedulerPlugin):
    """Keeps what drivers and lanes report, and shows it on the page and among the metrics."""

    name = PLUGIN_NAME
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Answer drivers and watchers, and add the page to the dashboard, if there is one, and the metrics.

        Raises
        ------
        ModuleNotFoundError
            The scheduler has no Bokeh, so that nobody could open a page.
        """
        if find_spec("bokeh") is None:
            raise ModuleNotFoundError("the scheduler has no bokeh")
        self.monitor = SweepMonitor(scheduler)
        self.server: PageServer | None = None
        for handler in (self.monitor.begin, self.monitor.report, self.monitor.tell_runs, self.watchers):
            scheduler.handlers[f"{PLUGIN_NAME}_{handler.__name__}"] = handler
        if dashboard_of(scheduler) is not None:
            self._pages().add_tab()
        register(self.monitor)

    async def close(self) -> None:
        """The scheduler ends."""
        unregister(self.monitor)
        if self.server is not None:
            self.server.close()

    def remove_client(self, scheduler: Any, client: str) -> None:
        """A driver left; one that was killed has left what its run brought to the workers."""
        for name, run in self.monitor.runs.items():
            if run.description.client != client or scheduler._ongoing_background_tasks.closed:
                continue
            job_plugin = f"{run.description.sweep}-{name}"  # and the one that stops it
            for plugin in [p for p in scheduler.worker_plugins if p.startswith(job_plugin)]:
                scheduler._ongoing_background_tasks.call_soon(scheduler.unregister_worker_plugin, None, plugin)

    def watchers(self, port: int, hosts: Sequence[str] = (), token: str = "") -> str:
        """Serve the page and the metrics alone on a loopback port, as :class:`Pages` says; its address.

        Raises
        ------
        OSError
            The port is taken.
        ValueError
            It is served already, without the token that is asked for.
        """
        return self._pages().serve(port, Pages(tuple(hosts), token))

    def _pages(self) -> PageServer:
        """What serves pages, from the first page on: without any, a scheduler need not load Bokeh."""
        from spinsweep.dashboard.serving import PageServer

        if self.server is None:
            self.server = PageServer(self.monitor)
        return self.server

    def log_event(self, topic: str, msg: Any) -> None:
        """A lane reports what it does."""
        if topic == LANE_TOPIC:
            self.monitor.lane_report(msg)
