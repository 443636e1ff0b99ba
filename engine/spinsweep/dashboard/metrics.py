"""Prometheus metrics of the sweeps, beside Dask's own under ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spinsweep.dashboard.blockmap import BlockState

if TYPE_CHECKING:
    from spinsweep.dashboard.plugin import SweepPlugin

LABELS = ["sweep", "run"]


class _SweepMetrics(Collector):
    """Of all schedulers of this process; each metric's name may stand once only."""

    def __init__(self) -> None:
        self.watches: list[SweepPlugin] = []

    def collect(self) -> Iterator[Metric]:
        """Read what the runs and lanes told; called at each scrape."""
        cells = GaugeMetricFamily("spinsweep_cells", "Cells of a run by state", labels=[*LABELS, "state"])
        blocks = GaugeMetricFamily("spinsweep_blocks", "Blocks of a run by state", labels=[*LABELS, "state"])
        seconds = CounterMetricFamily("spinsweep_block_seconds", "Time of the block function", labels=LABELS)
        lost = CounterMetricFamily("spinsweep_workers_lost", "Workers that a run lost", labels=LABELS)
        silent = GaugeMetricFamily(
            "spinsweep_report_age_seconds", "Time since the driver's last report", labels=LABELS
        )
        cycles = GaugeMetricFamily("spinsweep_lane_cycles", "Cycles since the lane began", labels=["bench"])
        pulses = GaugeMetricFamily("spinsweep_lane_pulses", "Pulses of all devices of the bench", labels=["bench"])
        now = time.monotonic()
        for watch in self.watches:
            for run in watch.runs.values():
                labels = [run.description["sweep"], run.name[:8]]
                report = run.report
                done, failed = report.get("cells_done", 0), report.get("cells_failed", 0)
                cells.add_metric([*labels, "waiting"], run.description["cells"] - done - failed)
                cells.add_metric([*labels, "done"], done)
                cells.add_metric([*labels, "failed"], failed)
                for state, number in run.counts(0 if run.ended else len(watch.running(run))).items():
                    if state is not BlockState.OUTSIDE:
                        blocks.add_metric([*labels, state.name.lower()], number)
                seconds.add_metric(labels, report.get("block_seconds", 0.0))
                lost.add_metric(labels, report.get("workers_lost", 0))
                if not run.ended:
                    silent.add_metric(labels, now - run.last_seen)
            for bench, lane in watch.lanes.items():
                cycles.add_metric([bench], lane.report["cycles"])
                pulses.add_metric([bench], lane.report["pulses"])
        yield from (cells, blocks, seconds, lost, silent, cycles, pulses)


_metrics = _SweepMetrics()


def register(watch: SweepPlugin) -> None:
    """Show a scheduler's sweeps in this process's metrics."""
    if not _metrics.watches:
        REGISTRY.register(_metrics)
    _metrics.watches.append(watch)


def unregister(watch: SweepPlugin) -> None:
    """End that."""
    _metrics.watches.remove(watch)
    if not _metrics.watches:
        REGISTRY.unregister(_metrics)
