"""``spinsweep worker``: take part in a cluster, from the machine that is wired to a bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def worker(
    scheduler: Annotated[
        str, typer.Argument(metavar="SCHEDULER", help="Address of a Dask scheduler.", show_default=False)
    ],
    bench: Annotated[
        Path, typer.Option(metavar="BENCH.toml", help="The bench that this machine is wired to.", show_default=False)
    ],
) -> int:
    """Be the lane of a bench: the one worker that owns it and measures on it, until Ctrl-C.

    Runs on that scheduler with --on BENCH.toml wait for the lane and use it one after the other.  When the lane ends
    or dies, the bench is made safe; start it again and the runs go on.

    Example:  spinsweep worker tcp://127.0.0.1:8786 --bench bench.toml
    """
    from engine.instruments.bench import load
    from engine.runners.lane import run_lane

    described = load(bench)
    print(f"lane of bench {described.name} for {scheduler}; Ctrl-C makes the bench safe and ends it", file=sys.stderr)
    run_lane(described, scheduler)
    return 0
