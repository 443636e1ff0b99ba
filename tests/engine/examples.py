"""Sweeps that the tests run; their functions are imported by name on workers."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from spinsweep import Axis, Cell, Cells, Dim, Output, Parameter, Sweep, per_cell

WIDTHS = (5.0, 2.5, 1.0, 0.3)


def blockwise(cells: Cells) -> dict[str, Any]:
    """Deterministic and random parts of a whole block at once."""
    width, variation, seed = (cells.coords[n] for n in ("width", "variation", "seed"))
    sums = width[:, None, None] + 10 * variation[:, None] + 100 * seed
    noise = np.empty((*cells.shape, cells.params["steps"]), np.float32)
    chips = {int(s): cells.rng("chip", seed=int(s)).normal(size=cells.params["steps"]) for s in seed}
    for place, cell in zip(np.ndindex(cells.shape), cells, strict=True):
        noise[place] = chips[cell["seed"]] * cell["variation"] + cell.rng("own").random()
    return {"sum": sums * cells.params["gain"], "noise": noise}


GRID = Sweep(
    name="grid",
    title="A grid with shared and own noise",
    axes=(
        Axis("width", WIDTHS, "um", "bar width", low=0.0),
        Axis("variation", (0.0, 0.1, 0.2, 0.3), low=0, high=0.5),
        Axis("seed", tuple(range(6)), low=0),
    ),
    dims=(Dim("step", size="steps"),),
    outputs=(Output("sum", unit="A", long_name="a sum"), Output("noise", ("step",), "float32", "V")),
    parameters=(Parameter("steps", 3, low=1), Parameter("gain", 1.0, "A")),
    function=blockwise,
)


@per_cell
def logged(cell: Cell) -> dict[str, Any]:
    """One file a call in ``log``; waits ``seconds``; raises, kills its worker or gives NaN where it is told to."""
    log = Path(cell.params["log"])
    (log / f"{cell['x']}-{cell['seed']}-{os.getpid()}-{uuid.uuid4().hex}").touch()
    time.sleep(cell.params["seconds"])
    switch = log / "broken"
    if cell["x"] == cell.params["bad"] and cell["seed"] == 1 and switch.exists():
        if switch.read_text() == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError(f"no good at seed {cell['seed']}: {switch.read_text()}")
    value = float("nan") if cell["x"] == cell.params["hole"] else cell["x"] + cell.rng().random()
    return {"y": value, "n": cell["seed"]}


LOGGED = Sweep(
    name="logged",
    title="Cells that leave a trace",
    axes=(Axis("x", tuple(i / 10 for i in range(10)), "V"), Axis("seed", tuple(range(10)))),
    outputs=(Output("y", unit="A"), Output("n", dtype="uint8")),
    parameters=(
        Parameter("log", ""),
        Parameter("seconds", 0.0, "s"),
        Parameter("bad", -1.0),
        Parameter("hole", -1.0),
    ),
    function=logged,
)


def calls(log: Path) -> dict[tuple[float, int], int]:
    """How often each cell was computed, over all processes."""
    found: dict[tuple[float, int], int] = {}
    for file in log.iterdir():
        if file.name != "broken":
            x, seed = file.name.split("-")[:2]
            found[float(x), int(seed)] = found.get((float(x), int(seed)), 0) + 1
    return found
