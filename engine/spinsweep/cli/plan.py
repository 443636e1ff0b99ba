"""``spinsweep plan``: what a run would do and cost; nothing is run into a cube."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.table import Table

from spinsweep.blocks import BlockGrid
from spinsweep.cli.console import console
from spinsweep.cli.inputs import default_store, in_words
from spinsweep.cli.options import (
    Block,
    Into,
    Max,
    Name,
    Seed,
    Set,
    UntilOption,
    block_option,
    requested,
    until_option,
)
from spinsweep.cube import Cube, open_storage
from spinsweep.errors import SpecError
from spinsweep.ledger import Counts, State, pending, with_wanted
from spinsweep.machine import Machine
from spinsweep.machine import in_words as in_words_of
from spinsweep.printable import one_line, say
from spinsweep.progress import duration
from spinsweep.resources import cpu_count
from spinsweep.runs.block_size import block_shape
from spinsweep.runs.checks import check, require_cells
from spinsweep.runs.sampling import sample_elsewhere
from spinsweep.spec import Sweep
from spinsweep.until import Until


def plan(
    name: Name,
    settings: Set = None,
    store: Into = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of workers to assume.", min=1, show_default="those of --cluster, or cores"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A cluster file: its workers, and whether cells and blocks fit its jobs."),
    ] = None,
    block: Block = None,
    until: UntilOption = None,
    most: Max = None,
    seed: Seed = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Estimate the cells, blocks, bytes and time of a run by timing a few cells. Writes nothing.

    Example:  spinsweep plan characterization --set device=0:8 --workers 16
              spinsweep plan codesign --cluster slurm.toml
    """
    where = None
    if cluster is not None:
        from spinsweep.deployment.clients import deployment

        where = deployment(cluster)
    workers = workers or (where.workers if where is not None else None) or cpu_count()
    on_this_machine = where is None or where.kind == "local"
    sweep = requested(name, settings, seed, store=store)
    path = store or default_store(sweep)
    open_storage(path).ensure_creatable()
    require_cells(sweep)
    wanted = until_option(until, most) or sweep.until
    rounds: list[str] = []
    cube, shape = None, None
    exists = open_storage(path).exists("zarr.json")
    if exists:
        cube = Cube(path)
        sweep = sweep.keeping(cube.axis_names).settled(cube.attributes.params)
        check(cube, sweep)
        shape = cube.grid.chunk
    if wanted is not None:
        sweep, cells, missing, rounds = _next_round(cube, sweep, wanted)
    else:
        cells = sweep.cells
        missing = cells if cube is None else cells - _ended(cube, sweep)
    # elsewhere, each worker computes one at a time
    fitting = Machine.here().at_a_time(workers, sweep.memory_bytes, sweep.gpu) if on_this_machine else workers
    workers = fitting
    timed = None if sweep.resources else sample_elsewhere(sweep)  # what needs resources may act on the world
    seconds = timed.cell_seconds if timed and math.isfinite(timed.cell_seconds) else math.nan
    shape = shape or block_shape(sweep, block_option(block), workers, math.inf if math.isnan(seconds) else seconds)
    block_cells = math.prod(shape)
    report: dict[str, Any] = {
        "sweep": sweep.name,
        "store": path,
        "axes": {a.name: len(a.values) for a in sweep.axes},
        "cells": cells,
        "cells_to_compute": missing,
        **({"until": rounds} if rounds else {}),
        "block": dict(zip(sweep.axis_names, shape, strict=True)),
        "blocks": BlockGrid(sweep.shape, shape).size,
        "bytes": cells * sweep.cell_bytes,
        "bytes_on_disk": round(cells * sweep.cell_bytes * timed.compressed) if timed else None,
        "block_bytes": block_cells * sweep.cell_bytes,
        "cell_seconds": None if math.isnan(seconds) else seconds,
        "seconds": None if math.isnan(seconds) else missing * seconds / workers,
        "workers": workers,
    }
    if timed and timed.note:
        raise SpecError(timed.note.partition(";")[0])
    if timed and timed.error:
        raise SpecError(f"every cell that was timed failed, the first with {one_line(timed.error)}")
    if as_json:
        say(json.dumps(report, indent=1))
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("sweep", f"{sweep.name}: {one_line(sweep.title)}")
    table.add_row("store", f"{path}" + (" (exists)" if exists else ""))
    grid = " × ".join(f"{len(a.values)} {a.name}" for a in sweep.axes)
    if rounds:
        table.add_row("cells", f"{cells} so far, of {rounds.pop()}")
    else:
        table.add_row("cells", f"{cells} = {grid}" if sweep.wanted is None else f"{cells} are wanted of {grid}")
    for line in in_words(sweep):
        table.add_row("input", line)
    for line in rounds:
        table.add_row("until", line)
    table.add_row("to compute", f"{missing}" + (" in this round" if rounds else ""))
    lengths = ", ".join(f"{n}={c}" for n, c in report["block"].items())
    table.add_row("blocks", f"{report['blocks']} of up to {block_cells} cells ({lengths})")
    on_disk = f"about {decimal(report['bytes_on_disk'])}, " if report["bytes_on_disk"] else ""
    table.add_row(
        "on disk", f"{on_disk}{decimal(report['bytes'])} before compression, {decimal(report['block_bytes'])} a block"
    )
    if timed and math.isnan(seconds):
        table.add_row("time", "not known: the cells that were timed did not end within a minute")
    elif math.isnan(seconds):
        table.add_row("time", f"not sampled: the sweep needs {dict(sweep.resources)}")
    else:
        about = f"about {duration(report['seconds'])} on {workers} workers"
        table.add_row("time", f"{about} ({duration(seconds)} a cell, from a timed sample)")
    if needs := _needs(sweep):
        table.add_row("at a time", f"{fitting} cells, each with {needs}")
    if where is not None:
        from spinsweep.cli.walltime import walltime_advice  # late: Dask takes long to load

        if line := walltime_advice(where, seconds, block_cells):
            table.add_row("walltime", line)
    console().print(table)
    return 0


def _next_round(cube: Cube | None, sweep: Sweep, until: Until) -> tuple[Sweep, int, int, list[str]]:
    """The sweep with its first round, the cells that sets have so far, those of them to compute, and words."""
    from spinsweep.runs.rounds import Rounds  # late: scipy takes long to load

    rounds = Rounds.of(sweep, until)
    if cube is None:
        chosen = rounds.choose(None, None, None)
        missing = int(chosen.sum())
    else:
        state = cube.ledger("cell_state")
        absent = pending(state) | (state == State.UNWANTED)
        chosen = rounds.choose(cube, state, absent)
        missing = int((rounds.absent(cube, absent) & chosen).sum())
    most = rounds.sets * until.most
    words = [f"{until}", rounds.words(), f"at most {most} = {rounds.sets} sets × {until.most} {rounds.axis}"]
    return rounds.first, int(chosen.sum()), missing, words


def _needs(sweep: Sweep) -> str:
    """What a cell needs, in words; empty: nothing in particular."""
    memory = f"memory {in_words_of(sweep.memory_bytes)}" if sweep.memory_bytes is not None else ""
    return " and ".join(filter(None, [memory, f"gpu {sweep.gpu:g}" if sweep.gpu is not None else ""]))


def _ended(cube: Cube, sweep: Sweep) -> int:
    """How many of the cells that the sweep wants were computed, well or not."""
    return Counts.of(with_wanted(cube.states(sweep), cube.wanted(sweep))).ended
