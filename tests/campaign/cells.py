"""The sweep that is computed under fire, and the numbers that must come of it."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spinsweep import Axis, Cell, Cells, Dim, Output, Parameter, Sweep, per_cell
from spinsweep.ledger import State

FILE = Path(__file__)


@per_cell
def cell(cell: Cell) -> dict[str, Any]:
    """A number that only depends on the cell; fails where a file says so; takes its time."""
    time.sleep(cell.params["seconds"])
    if cell.params["broken"] and Path(cell.params["broken"]).exists() and (cell["x"] + cell["seed"]) % 5 == 0:
        raise ValueError("told to fail")
    return numbers(cell)


def numbers(cell: Cell) -> dict[str, Any]:
    trace = cell.params["gain"] * (cell["x"] + cell.rng().random(24))
    return {"y": trace.sum(), "trace": trace, "n": 10 * cell["x"] + cell["seed"]}


SWEEP = Sweep(
    name="fire",
    title="Cells under fire",
    axes=(Axis("x", tuple(range(4))), Axis("seed", tuple(range(4)))),
    dims=(Dim("step", size=24),),
    outputs=(Output("y", unit="A"), Output("trace", ("step",), "float32"), Output("n", dtype="uint16")),
    parameters=(Parameter("seconds", 0.0, "s"), Parameter("gain", 1.0), Parameter("broken", "")),
    function=cell,
)


@cache
def right(x: int, seed: int, gain: float) -> dict[str, Any]:
    """What a cell has to hold."""
    sweep = SWEEP.with_values(gain=gain)
    (one,) = Cells(sweep, {"x": (x,), "seed": (seed,)})
    return numbers(one)


class Wrong(AssertionError):
    """A promise was broken."""


def gain_of(ds: xr.Dataset) -> float:
    return float(json.loads(ds.attrs["parameters"])["gain"])


def look(store: Path) -> int:
    """Every cell that is done holds its number, whole; how many there are.

    For cubes that are written meanwhile: the states are read before and after the numbers.
    """
    ds = xr.open_zarr(store, chunks=None)
    done = ds.cell_state.values == State.DONE
    values = {name: ds[name].values for name in ("y", "trace", "n")}
    again = xr.open_zarr(store, chunks=None)
    if gain_of(again) != gain_of(ds):
        return 0  # another definition was adopted meanwhile
    state = again.cell_state.values[tuple(slice(n) for n in done.shape)]
    done &= state == State.DONE
    for i, j in np.argwhere(done):
        x, seed = int(ds.x.values[i]), int(ds.seed.values[j])
        want = right(x, seed, gain_of(ds))
        for name, value in values.items():
            if not np.array_equal(value[i, j], np.asarray(want[name], value.dtype)):
                raise Wrong(f"{store}: cell x={x} seed={seed} is done, and {name} is {value[i, j]}, not {want[name]}")
    return int(done.sum())


def all_done(store: Path, cells: int) -> None:
    """As :func:`look`, and ``cells`` are done."""
    if (done := look(store)) != cells:
        raise Wrong(f"{store}: {done} of {cells} cells are done after the last run")
