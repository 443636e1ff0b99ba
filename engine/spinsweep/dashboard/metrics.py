"""Prometheus metrics of the sweeps, beside Dask's own under ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.monitor import SweepMonitor, WatchedRun

LABELS = ["sweep", "store", "run"]
"""Of each run that is kept: at most ``MAX_RUNS`` values of them at a time."""


class _SweepMetrics(Collector):
    """Of all schedulers of this process: the registry takes each metric's name once."""

    def __init__(self) -> None:
        self.monitors: list[SweepMonitor] = []

    def collect(self) -> Iterator[Metric]:
        """Read what runs and lanes reported; called at each scrape."""
        cells = GaugeMetricFamily("spinsweep_cells", "Cells of a run by state", labels=[*LABELS, "state"])
        blocks = GaugeMetricFamily("spinsweep_blocks", "Blocks of a run by state", labels=[*LABELS, "state"])
        seconds = CounterMetricFamily("spinsweep_block_seconds", "Time of the block function", labels=LABELS)
        lost = CounterMetricFamily("spinsweep_workers_lost", "Workers that a run lost", labels=LABELS)
        age = GaugeMetricFamily("spinsweep_report_age_seconds", "Time since the driver's last report", labels=LABELS)
        longest = GaugeMetricFamily(
            "spinsweep_longest_cell_seconds", "Time of the cell that takes longest; 0: none takes long", labels=LABELS
        )
        rate = GaugeMetricFamily("spinsweep_cells_per_second", "Cells that end, in the last minutes", labels=LABELS)
        left = GaugeMetricFamily(
            "spinsweep_left_seconds", "Estimated time that is left of a run", labels=[*LABELS, "bound"]
        )
        cycles = GaugeMetricFamily("spinsweep_lane_cycles", "Cycles since the lane started", labels=["bench"])
        pulses = GaugeMetricFamily("spinsweep_lane_pulses", "Pulses of all devices of the bench", labels=["bench"])
        now = time.monotonic()
        for labels, (monitor, run) in self._runs().items():
            report = run.report
            cells.add_metric([*labels, "waiting"], run.cells_left)
            cells.add_metric([*labels, "done"], report.cells_done)
            cells.add_metric([*labels, "failed"], report.cells_failed)
            for state, number in run.counts(0 if run.ended else len(monitor.running(run))).items():
                if state is not BlockState.OUTSIDE:
                    blocks.add_metric([*labels, state.name.lower()], number)
            seconds.add_metric(labels, report.block_seconds)
            lost.add_metric(labels, report.workers_lost)
            if run.ended:
                continue
            age.add_metric(labels, now - run.last_seen)
            longest.add_metric(labels, max((block.cell_seconds for block in run.long_now()), default=0.0))
            rate.add_metric(labels, report.rate)
            bounds = {"low": report.seconds_left_low, "mean": report.seconds_left, "high": report.seconds_left_high}
            for bound, value in bounds.items():
                if value is not None:
                    left.add_metric([*labels, bound], value)
        for monitor in self.monitors:
            for bench, lane in monitor.lanes.items():
                cycles.add_metric([bench], lane.report.cycles)
                pulses.add_metric([bench], lane.report.pulses)
        yield from (cells, blocks, seconds, lost, age, longest, rate, left, cycles, pulses)

    def _runs(self) -> dict[tuple[str, str, str], tuple[SweepMonitor, WatchedRun]]:
        """The runs by their labels: where a cube was made anew at its place, numbers recur, and the newest counts."""
        return {
            (run.description.sweep, run.description.path, str(run.description.epoch)): (monitor, run)
            for monitor in self.monitors
            for run in monitor.runs.values()
        }


_metrics = _SweepMetrics()


def register(monitor: SweepMonitor) -> None:
    """Show a scheduler's sweeps in this process's metrics."""
    if not _metrics.monitors:
        REGISTRY.register(_metrics)
    _metrics.monitors.append(monitor)


def unregister(monitor: SweepMonitor) -> None:
    """Stop showing them."""
    _metrics.monitors.remove(monitor)
    if not _metrics.monitors:
        REGISTRY.unregister(_metrics)
