"""Cells that wait until they are let go, in Python or in native code, and start processes of their own."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from spinsweep import Axis, Cell, Output, Parameter, Sweep, per_cell

CELLS = 12
LONG = "86399"  # seconds; tells the processes that cells start from all others


def stuck(library: ctypes.CDLL) -> None:
    """Never come back, without using the processor, whatever signals come."""
    mutex = ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


@per_cell
def held(cell: Cell) -> dict[str, Any]:
    """Leave a file, start what ``starts`` names, and wait for a file ``go``, or for ever in native code."""
    log = Path(cell.params["log"])
    started = 0
    if cell.params["starts"] == "program":
        started = subprocess.Popen(["sleep", LONG], start_new_session=True).pid
    if cell.params["starts"] == "fork":
        started = os.fork()
        if not started:
            time.sleep(int(LONG))
            os._exit(0)
    if cell.params["starts"] == "pool":
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(abs, [1, 2])
    (log / f"cell-{cell['x']}-{os.getpid()}-{started}").touch()
    if cell.params["stuck"] == "native":
        stuck(ctypes.CDLL(None))
    if cell.params["stuck"] == "deaf":  # so that no Python runs in this process
        stuck(ctypes.PyDLL(None))
    while not ((log / "go").exists() or (log / f"go-{cell['x']}").exists()):
        time.sleep(0.01)
    return {"y": float(cell["x"])}


HELD = Sweep(
    name="held",
    title="Cells that wait",
    axes=(Axis("x", tuple(range(CELLS))),),
    outputs=(Output("y"),),
    parameters=(Parameter("log", ""), Parameter("stuck", ""), Parameter("starts", "")),
    function=held,
)
