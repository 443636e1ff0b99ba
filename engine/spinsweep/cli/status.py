"""``spinsweep status``: what a cube holds; works while a run goes on and after it was killed."""

from __future__ import annotations

import datetime
import json
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table

from spinsweep.axis import key
from spinsweep.cli.console import console
from spinsweep.cli.options import Store
from spinsweep.cube import Cube
from spinsweep.ledger import Counts
from spinsweep.printable import cut, one_line, say
from spinsweep.progress import duration, size
from spinsweep.provenance import RunRecord


def status(
    store: Store,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every failure.")] = False,
    limit: Annotated[int, typer.Option("--failures", help="Failed cells to list.", min=0)] = 10,
    with_size: Annotated[bool, typer.Option("--size", help="Add up the files; slow for very many.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the tracebacks of the listed failures.")
    ] = False,
) -> int:
    """Cells by state, the last run, and the failures with their messages. Status 0 only when every cell is done.

    Example:  spinsweep status results/characterization.zarr --traceback
    """
    cube = Cube(store)
    damaged: set[tuple[int, ...]] = set()
    counts = Counts.of(cube.ledger("cell_state", damaged))
    runs = cube.runs()
    seconds = cube.ledger("cell_duration")
    code = 0 if counts.done == counts.total else 1
    if as_json:
        failures = [
            {
                "cell": f.coords,
                "attempt": f.attempt,
                "type": f.error.type,
                "message": f.error.message,
                "traceback": f.error.traceback,
            }
            for f in cube.failures()
        ]
        say(
            json.dumps(
                {
                    "store": str(cube.storage),
                    "sweep": cube.attributes.sweep,
                    "digest": cube.attributes.digest,
                    "axes": {n: list(v) for n, v in cube.axes.items()},
                    "cells": counts.as_dict(),
                    "cell_seconds": float(seconds.sum()),
                    "bytes": cube.bytes_on_disk() if with_size else None,
                    "failures": failures,
                    "runs": [run.to_json() for run in runs],
                },
                indent=1,
            )
        )
        return code
    out = console()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("sweep", one_line(f"{cube.attributes.sweep}: {cube.attributes.title}"))
    table.add_row("axes", ", ".join(f"{n} ({len(v)})" for n, v in cube.axes.items()))
    table.add_row(
        "cells",
        f"{counts.done} of {counts.total} done"
        + "".join(f", {n} {what}" for what, n in counts.as_dict().items() if n and what != "done"),
    )
    on_disk = f" in {size(cube.bytes_on_disk())}" if with_size else ""
    if damaged:
        table.add_row(
            "damaged",
            f"the states of {len(damaged)} blocks, whose cells count as absent; spinsweep verify tells more",
        )
    table.add_row("work", f"{duration(float(seconds.sum()))} of block time{on_disk}")
    for run in runs[-1:]:
        table.add_row("last run", _run_line(run))
        if run.outcome == "running":
            table.add_row("now", _now(cube, counts, run))
    out.print(table)
    for failure in islice(cube.failures(), limit):
        where = " ".join(f"{n}={key(v)}" for n, v in failure.coords.items())
        out.print(
            f"failed  {where}  (attempt {failure.attempt})  {failure.error.type}: {_one_line(failure.error.message)}",
            soft_wrap=True,
        )
        if traceback:
            out.print(failure.error.traceback, soft_wrap=True)
    if counts.failed > limit:
        out.print(f"        and {counts.failed - limit} more; --failures {counts.failed} lists all")
    return code


def _one_line(message: str) -> str:
    first, *rest = message.splitlines() or [""]
    return cut(first, 1000) + (f" [... {len(rest)} more lines]" if rest else "")


def _now(cube: Cube, counts: Counts, run: RunRecord) -> str:
    """Rate and time left of a run that has not ended, from the ledger alone."""
    if not cube.write_guard.has_driver():
        return "its driver is gone; the same command goes on"
    ended = counts.ended - (counts.ended if run.ended_before is None else run.ended_before)
    began = datetime.datetime.fromisoformat(run.start)
    rate = ended / max((datetime.datetime.now(datetime.UTC) - began).total_seconds(), 1e-3)
    left = f", {duration((counts.absent + counts.stale) / rate)} left if all are asked for" if rate else ""
    return f"running, {ended} cells so far, {rate:.3g} cells/s{left}"


def _run_line(run: RunRecord) -> str:
    commit = (run.code.git_commit or "")[:10]
    dirty = " with changes" if run.code.git_dirty else ""
    code = f", commit {commit}{dirty}" if commit else ""
    return f"{run.start} on {run.machine.host}: {run.outcome}{code}"
