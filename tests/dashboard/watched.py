"""A sweep to watch, and the cluster and browser to watch it with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client

from spinsweep import Axis, Cell, Dim, Output, Parameter, Sweep, per_cell
from spinsweep.cube import Cube
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.runs import open_run


@per_cell
def slow(cell: Cell) -> dict[str, Any]:
    """Waits; raises at the first seed of one current; may wait for a file, or until that lets its current through."""
    while cell.params["gate"] and not lets_through(Path(cell.params["gate"]), cell["current"]):
        time.sleep(0.02)
    time.sleep(cell.params["seconds"])
    if cell["current"] == cell.params["bad"] and cell["seed"] == 0:
        raise ArithmeticError("<b>no</b> number")
    return {"voltage": cell["current"] * (1 + cell["seed"]), "trace": np.arange(3) * cell["current"]}


def lets_through(gate: Path, current: float) -> bool:
    """An empty file lets all through, a number in it the currents up to it.

    Wait only for the first blocks that it lets through: both workers may wait at it before they come to the others.
    """
    if not gate.exists():
        return False
    highest = gate.read_text()
    return not highest or current <= float(highest)


@per_cell
def broken(cell: Cell) -> dict[str, Any]:
    """Always raises."""
    raise ArithmeticError(f"no number at {cell['seed']}")


WATCHED = Sweep(
    name="watched",
    title="Voltage of a <resistor>",
    axes=(
        Axis("current", tuple(i * 1e-3 for i in range(1, 9)), "A", "write current"),
        Axis("seed", tuple(range(12))),
    ),
    dims=(Dim("time", 3),),
    outputs=(Output("voltage", unit="V", long_name="Hall voltage"), Output("trace", ("time",), unit="V")),
    parameters=(Parameter("seconds", 0.0, "s"), Parameter("bad", -1.0, "A"), Parameter("gate", "")),
    function=slow,
)
FIRST_HALF = WATCHED.axes[0].values[:4]


@contextmanager
def running(sweep: Sweep, store: Path, client: Client, **options: Any) -> Iterator[threading.Thread]:
    """The sweep, driven from another thread until the block has ended."""

    def compute() -> None:
        with open_run(sweep, store, **options) as run:
            drive(run, on_client(client))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


@contextmanager
def held_at_half(store: Path, client: Client, **values: Any) -> Iterator[Path]:
    """A run with half of the cells done and the others behind a gate, which ``touch`` opens, as the end does.

    The first half is a run of its own: in one run both workers may wait at the gate while blocks that it lets through
    stand behind them.
    """
    gate = store.with_name("gate")
    sweep = WATCHED.with_values(gate=str(gate), **values)
    gate.touch()
    with running(sweep.with_values(current=FIRST_HALF), store, client, block=4):
        pass
    gate.unlink()
    with running(sweep, store, client, block=4):
        try:
            until(lambda: len(Cube(store).runs()) == 2)
            yield gate
        finally:
            gate.touch()


def until(true: Callable[[], Any], seconds: float = 300.0) -> Any:
    """What ``true`` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value
