"""Sweeps whose cells need much memory. Workers import no more than they need."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from spinsweep import Axis, Cell, Cells, Output, Parameter, Sweep, memory, per_cell

MUCH = 600_000_000  # bytes, three times what a cell may use


SCORE = Path("/proc/self/oom_score_adj")


def numpy_array() -> Any:
    return np.ones(MUCH, np.uint8)


def native_code_that_lets_no_python_run() -> Any:
    return b"x" * MUCH


def child() -> Any:
    process = subprocess.Popen([sys.executable, "-c", f"b = b'x' * {MUCH}; import time; time.sleep(60)"])
    process.wait()


def nothing() -> Any:
    return None


WAYS = (nothing, numpy_array, native_code_that_lets_no_python_run, child)


@per_cell
def heavy(cell: Cell) -> dict[str, Any]:
    with (Path(cell.params["log"]) / str(cell["x"])).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if cell["x"] == 3:
        held = WAYS[cell.params["way"]]()
        if held is not None:
            time.sleep(60)
    return {"y": cell.rng().random(), "score": float(SCORE.read_text())}


HEAVY = Sweep(
    name="heavy",
    title="Cells of which one takes too much memory",
    axes=(Axis("x", tuple(range(6))),),
    outputs=(Output("y"), Output("score")),
    parameters=(Parameter("log", "", neutral=""), Parameter("way", 0, neutral=0)),
    function=heavy,
    memory="200 MB",
)


left: list[Any] = []


@per_cell
def leaking(cell: Cell) -> dict[str, Any]:
    """Leaves 60 MB in its process: the third or fourth cell finds it full."""
    with (Path(cell.params["log"]) / str(cell["x"])).open("a") as file:
        file.write(f"{os.getpid()}\n")
    left.append(np.ones(60_000_000, np.uint8))
    time.sleep(0.2)
    return {"y": cell.rng().random(), "score": 0.0}


def whole_block(cells: Cells) -> dict[str, Any]:
    """70 MB for each cell: four at once are too many."""
    held = np.ones(70_000_000 * cells.shape[0], np.uint8)
    time.sleep(0.5)
    return {"y": [cell.rng().random() for cell in cells], "score": held[: cells.shape[0]].astype(float)}


def forks_and_files(folder: Path) -> None:
    before = memory.held(os.getpid())
    array = np.ones(100_000_000, np.uint8)
    assert 90_000_000 < memory.held(os.getpid()) - before < 150_000_000

    file = np.memmap(folder / "file", np.uint8, "w+", shape=100_000_000)
    file[:] = 1
    read = np.memmap(folder / "file", np.uint8, "r")
    assert read.sum() == file.size
    assert memory.held(os.getpid()) - before < 190_000_000

    ready = multiprocessing.get_context("fork").Barrier(4)
    forks = [multiprocessing.get_context("fork").Process(target=wait, args=(array, ready)) for _ in range(3)]
    for fork in forks:
        fork.start()
    try:
        ready.wait(60)
        assert memory.held(os.getpid()) > before + 3 * array.size
        assert memory.more_than(os.getpid(), before + 2 * array.size) is None
        assert memory.more_than(os.getpid(), before + array.size // 2) is not None
    finally:
        for fork in forks:
            fork.kill()
            fork.join()


def wait(array: Any, ready: Any) -> None:
    assert array[0] == 1
    ready.wait(60)
    time.sleep(60)
