"""Sweeps whose cells hang or fail at first. Workers import no more than they need."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from spinsweep import Axis, Cell, Cells, Output, Parameter, Sweep, per_cell

HUNG = (3, 8)
"""Values of x at which a cell hangs."""


def wait_for_ever() -> None:
    while True:
        time.sleep(60)


def note(cell: Cell) -> None:
    with (Path(cell.params["log"]) / str(cell["x"])).open("a") as file:
        file.write(f"{os.getpid()}\n")


@per_cell
def hanging(cell: Cell) -> dict[str, Any]:
    note(cell)
    if cell["x"] in HUNG and cell.params["hangs"]:
        wait_for_ever()
    return {"y": cell.rng().random()}


def hanging_blocks(cells: Cells) -> dict[str, Any]:
    """The same, of a whole block at once."""
    return {"y": [hanging(cell)["y"] for cell in cells]}


HANGING = Sweep(
    name="hanging",
    title="Cells of which two hang",
    axes=(Axis("x", tuple(range(12))),),
    outputs=(Output("y"),),
    parameters=(Parameter("log", "", neutral=""), Parameter("hangs", 0, neutral=0)),
    function=hanging,
    timeout=1.0,
)


@per_cell
def locking(cell: Cell) -> dict[str, Any]:
    """Native code that never gives Python's lock back: a search that takes for ever."""
    if cell["x"] == 1:
        sum(range(10**13))
    return {"y": float(cell["x"])}


@per_cell
def holding(cell: Cell) -> dict[str, Any]:
    """Native code that holds Python's lock: nothing else of its process runs."""
    note(cell)
    if cell["x"] == 1 and cell.params["hangs"]:
        ctypes.PyDLL(None).sleep(3600)
    return {"y": float(cell["x"])}


@per_cell
def flaky(cell: Cell) -> dict[str, Any]:
    """Fails on the first ``fails`` calls; changes what it is called with."""
    note(cell)
    calls = len((Path(cell.params["log"]) / str(cell["x"])).read_text().split())
    x = cell.coords.pop("x")
    if calls <= cell.params["fails"]:
        raise ConnectionResetError("gone") if x % 2 else ValueError("wrong")
    return {"y": Cell.rng(cell, axes=()).random() + float(x)}


def flaky_blocks(cells: Cells) -> dict[str, Any]:
    return {"y": [flaky(cell)["y"] for cell in cells]}


FLAKY = Sweep(
    name="flaky",
    title="Cells that fail at first",
    axes=(Axis("x", (1, 2, 3, 5)),),
    outputs=(Output("y"),),
    parameters=(Parameter("log", "", neutral=""), Parameter("fails", 0, neutral=0)),
    function=flaky,
)
