"""Sweeps whose cells note and use processes. Workers import no more than they need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from spinsweep import Axis, Cell, Output, Parameter, Sweep, per_cell


@per_cell
def traced(cell: Cell) -> dict[str, Any]:
    """Notes its process; takes a while; ends or holds its process in the first cell, if it is told to."""
    with (Path(cell.params["log"]) / f"{cell['x']}-{cell['seed']}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(cell.params["seconds"])
    if cell["x"] == 0 and cell["seed"] == 0 and cell.params["first"]:
        if cell.params["first"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(3600)
    print("printed by a cell")
    return {"y": cell.rng().random()}


TRACED = Sweep(
    name="traced",
    title="Cells that tell their process",
    axes=(Axis("x", (0, 1, 2, 3)), Axis("seed", (0, 1, 2))),
    outputs=(Output("y"),),
    parameters=(Parameter("log", "", neutral=""), Parameter("seconds", 0.0), Parameter("first", "", neutral="")),
    function=traced,
)


@per_cell
def failing(cell: Cell) -> dict[str, Any]:
    if cell["x"] == 1:
        raise ValueError("no good")
    return {"y": 0.0}


FAILING = Sweep("failing", "One cell fails", (Axis("x", (0, 1, 2, 3)),), (Output("y"),), failing)


def doubled(value: int) -> int:
    return 2 * value


@per_cell
def with_processes(cell: Cell) -> dict[str, Any]:
    """Uses a pool of processes, and leaves a program behind."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (value,) = pool.map(doubled, [cell["x"]])
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    (Path(cell.params["log"]) / str(left.pid)).touch()
    return {"y": float(value)}
