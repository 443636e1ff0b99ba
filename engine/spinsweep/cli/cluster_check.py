"""``spinsweep cluster check``: the workers of a cluster file, started, asked and ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.table import Table

from spinsweep.cli.console import console
from spinsweep.deployment.check import Access, check
from spinsweep.deployment.clients import cluster_client
from spinsweep.deployment.cluster_file import Deployment
from spinsweep.deployment.worker_report import WorkerReport, here, reports
from spinsweep.errors import RunnerError
from spinsweep.printable import one_line, say

CLOCK_S = 1.0  # by which clocks may differ: times in the records of a run come from several machines
LOOK_S = 0.2
HEADINGS = ("worker", "host", "python", "cores", "memory free", "clock", "folder", "other versions")


def show_workers(where: Deployment, access: Access, folder: Path, wait: float) -> int:
    """A table of the workers, and the exit status.

    Raises
    ------
    RunnerError
        One line: the cluster cannot be started, or no worker came.
    """
    check(where, access)
    with cluster_client(where, access) as client:
        count = _wait_for(client, where.workers, wait, where.advice)
        expected = where.workers or count
        table = Table(
            "worker", "host", "python", "cores", "memory free", "clock", "folder", "other versions", box=None
        )
        good = True
        versions, python = here()
        try:
            for report in reports(client, folder.absolute()):
                different = report.differences(versions, python)
                table.add_row(*_cells(report, different))
                good = good and not (different or report.folder or _clock_is_off(report))
        except OSError as error:
            raise RunnerError(f"{folder} cannot be written to from here: {error.strerror}") from None
    console().print(table)
    if count < expected:
        say(f"only {count} of {expected} workers came within {wait:g} s", error=True)
    return 0 if good and count >= expected else 1


def _wait_for(client: Any, workers: int | None, seconds: float, advice: str) -> int:
    """How many workers have come."""
    until = time.monotonic() + seconds
    say("waiting for workers", error=True)
    while (count := len(client.scheduler_info(n_workers=-1)["workers"])) < (workers or 1):
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_S)
    if not count:
        raise RunnerError(f"no worker came within {seconds:g} s{f'; {advice}' if advice else ''}")
    return count


def _cells(report: WorkerReport, different: list[str]) -> list[str]:
    ahead = abs(report.clock_ahead_s)
    clock = f"within {max(report.clock_unsure_s, 0.001):.3f} s"
    if _clock_is_off(report):
        clock = f"{ahead:.1f} s {'ahead' if report.clock_ahead_s > 0 else 'behind'}"
    memory = decimal(report.memory_free)
    if report.memory_limit:
        memory += f" (may use {decimal(report.memory_limit)})"
    return [
        report.address.rpartition("/")[2],
        report.host,
        report.python,
        str(report.cores),
        memory,
        clock,
        report.folder or "shared",
        one_line("; ".join(different)) or "none",
    ]


def _clock_is_off(report: WorkerReport) -> bool:
    return abs(report.clock_ahead_s) - report.clock_unsure_s > CLOCK_S
