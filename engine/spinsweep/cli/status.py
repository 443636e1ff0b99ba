"""``spinsweep status``: what a cube holds; works while a run goes on and after it was killed."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.table import Table

from spinsweep.axis import Value, json_of, key
from spinsweep.cli.console import console
from spinsweep.cli.options import Store
from spinsweep.cube import Cube
from spinsweep.ledger import Counts
from spinsweep.messages import LongReport
from spinsweep.printable import cut, one_line, say
from spinsweep.progress import duration, long_in_words
from spinsweep.provenance import RunRecord
from spinsweep.until import ATTRIBUTE

DRIVER_GONE = "its driver is gone; run the same command again to continue"


def status(
    store: Store,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every failure.")] = False,
    limit: Annotated[int, typer.Option("--failures", help="Number of failed cells to list.", min=0)] = 10,
    with_size: Annotated[
        bool, typer.Option("--size", help="Also show the size of the store; slow if it has very many files.")
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option("--traceback", help="Show tracebacks of the listed failures, and what was printed."),
    ] = False,
) -> int:
    """Show the cells by state, the last run, and the failures with their messages.

    The exit status is 0 only if every cell is done.

    Example:  spinsweep status results/characterization.zarr --traceback
    """
    contents = Contents.of(Cube(store), with_size=with_size)
    if as_json:
        say(json.dumps(contents.as_json(), indent=1))
        return contents.exit_status
    out = console()
    out.print(contents.table())
    for failure in islice(contents.cube.failures(), limit):
        where = " ".join(f"{n}={key(v)}" for n, v in failure.coords.items())
        error = f"{failure.error.type}: {_one_line(failure.error.message)}"
        out.print(f"failed  {where}  (attempt {failure.attempt})  {error}", soft_wrap=True)
        if traceback:
            out.print(failure.error.traceback, soft_wrap=True)
            if failure.error.output:
                out.print(f"It had printed:\n{failure.error.output}", soft_wrap=True)
    if contents.counts.failed > limit:
        out.print(f"        and {contents.counts.failed - limit} more; --failures {contents.counts.failed} lists all")
    return contents.exit_status


@dataclass(frozen=True)
class Contents:
    """What can be read of a cube."""

    cube: Cube
    axes: dict[str, tuple[Value, ...] | None]
    """Values along each axis; None where they and their copy are damaged."""
    counts: Counts
    """Cells by state."""
    damaged_states: int
    """Blocks whose states are damaged."""
    runs: list[RunRecord]
    """Oldest first."""
    cell_seconds: float
    """Time of all cells."""
    size_bytes: int | None
    """Of the whole store, if that was added up."""

    @classmethod
    def of(cls, cube: Cube, *, with_size: bool) -> Contents:
        damaged: set[tuple[int, ...]] = set()
        counts = Counts.of(cube.ledger("cell_state", damaged))
        seconds = float(cube.ledger("cell_duration").sum())
        size_bytes = cube.storage.size() if with_size else None
        return cls(cube, cube.readable_axes(), counts, len(damaged), cube.runs(), seconds, size_bytes)

    @property
    def exit_status(self) -> int:
        whole = None not in self.axes.values()
        return 0 if whole and self.counts.done == self.counts.total else 1

    def as_json(self) -> dict[str, Any]:
        return {
            "store": str(self.cube.storage),
            "sweep": self.cube.attributes.sweep,
            "digest": self.cube.attributes.digest,
            "axes": {n: None if values is None else [json_of(v) for v in values] for n, values in self.axes.items()},
            "cells": self.counts.as_dict(),
            **({"until": self.cube.attributes.others[ATTRIBUTE]} if ATTRIBUTE in self.cube.attributes.others else {}),
            "cell_seconds": self.cell_seconds,
            "bytes": self.size_bytes,
            "failures": [
                {"cell": f.json_coords, "attempt": f.attempt, **vars(f.error)} for f in self.cube.failures()
            ],
            "runs": [run.to_json() for run in self.runs],
        }

    def table(self) -> Table:
        counts, attributes = self.counts, self.cube.attributes
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("sweep", one_line(f"{attributes.sweep}: {attributes.title}"))
        lengths = zip(self.axes.items(), self.cube.shape, strict=True)
        table.add_row("axes", ", ".join(f"{n} ({length}{'' if v else ', damaged'})" for (n, v), length in lengths))
        others = "".join(f", {n} {what}" for what, n in counts.as_dict().items() if n and what != "done")
        table.add_row("cells", f"{counts.done} of {counts.total} done{others}")
        if self.damaged_states:
            blocks = f"the states of {self.damaged_states} blocks, whose cells count as absent"
            table.add_row("damaged", f"{blocks}; spinsweep verify tells more")
        for name in (name for name, values in self.axes.items() if values is None):
            table.add_row("damaged", f"the axis {name} and its copy; spinsweep verify tells more")
        on_disk = "" if self.size_bytes is None else f" in {decimal(self.size_bytes)}"
        if until := _until(self.cube):
            table.add_row("until", until)
        table.add_row("work", f"{duration(self.cell_seconds)} of block time{on_disk}")
        for run in self.runs[-1:]:
            table.add_row("last run", _run_line(run))
            if run.outcome == "running":
                has_driver = self.cube.write_guard.has_driver()
                table.add_row("now", _now(counts, run) if has_driver else DRIVER_GONE)
                for name, text in _long(run, has_driver=has_driver):
                    table.add_row(name, text)
        return table


def _until(cube: Cube) -> str:
    """How far the rounds of replicates have come, as the last run that had any says; empty if none had."""
    try:
        rounds = json.loads(cube.attributes.others[ATTRIBUTE])
        least, median, most = rounds["replicates"]
        text = f"{rounds['conditions']}: round {rounds['round']}, {rounds['met']} of {rounds['sets']} sets met, "
        text += f"{rounds['open']} open, {least} / {median:g} / {most} values of {rounds['axis']} "
        return one_line(f"{text}(min / median / max), at most {rounds['max']}")
    except (KeyError, TypeError, ValueError):
        return ""


def _one_line(message: str) -> str:
    first, *rest = message.splitlines() or [""]
    return cut(first, 1000) + (f" [... {len(rest)} more lines]" if rest else "")


def _now(counts: Counts, run: RunRecord) -> str:
    """Rate and time left of a run that has not ended, from the ledger alone."""
    ended = counts.ended - (counts.ended if run.ended_before is None else run.ended_before)
    rate = ended / max(_seconds_since(run.start), 1e-3)
    waiting = counts.absent + counts.stale + counts.incomplete
    left = f", {duration(waiting / rate)} left if all are computed" if rate else ""
    return f"running, {ended} cells so far, {rate:.3g} cells/s{left}"


def _long(run: RunRecord, *, has_driver: bool) -> Iterator[tuple[str, str]]:
    """What has been computed for long, as the driver said it last."""
    if run.long is None:
        return
    try:
        report = LongReport.from_json(run.long)
        ago = max(0.0, _seconds_since(report.seen))
        lines = [one_line(long_in_words(block)) for block in report.blocks]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:  # of another version, or damaged
        yield "computing", f"what the run says of it cannot be read: {one_line(str(error))}"
        return
    when = f"{duration(round(ago))} ago" + ("" if has_driver else ", when the driver told last")
    yield "computing", f"cells that take long, {when}:"
    for line in lines:
        yield "", line
    if report.more:
        yield "", f"and {report.more} more blocks"


def _seconds_since(moment: str) -> float:
    """Since a time as the record has it, ISO 8601."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)).total_seconds()


def _run_line(run: RunRecord) -> str:
    commit = (run.code.git_commit or "")[:10]
    dirty = " with changes" if run.code.git_dirty else ""
    code = f", commit {commit}{dirty}" if commit else ""
    return f"{run.start} on {run.machine.host}: {run.outcome}{code}"
