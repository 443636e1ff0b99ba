"""``spinsweep cell``: compute one cell again, here, and compare it with what the cube holds."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table

from engine.cli.console import console, styled
from engine.cli.options import Own, Store, Trust, code_of, pairs, sweep_of
from engine.cube import Cube
from engine.evaluate import evaluate
from engine.ledger import State
from engine.progress import duration
from engine.run import cell_coords


def cell(
    store: Store,
    at: Annotated[
        list[str],
        typer.Argument(metavar="AXIS=VALUE...", help="One value of every axis.", show_default=False),
    ],
    own: Own = None,
    trust: Trust = False,
) -> int:
    """Compute one cell again in this process (so a debugger works) and compare it with the cube, bit by bit.

    Status 0 when the cube's numbers are the same, 1 when they differ or the cell raises.

    Example:  spinsweep cell results/characterization.zarr width=0.5 device=2
              spinsweep cell results/walk.zarr noise=0.5 seed=7 --sweep mine.py:WALK
    """
    cube = Cube(store)
    sweep = sweep_of(cube, code_of(cube, own, trust))
    coords = cell_coords(sweep, cube, pairs(at, "cell"))
    index = tuple(cube.axes[n].index(coords[n]) for n in cube.axis_names)
    state = State(int(cube.ledger("cell_state")[index]))
    result = evaluate(sweep, {n: (coords[n],) for n in cube.axis_names})
    out = console()
    where = " ".join(f"{n}={coords[n]}" for n in cube.axis_names)
    took = duration(float(result.duration.sum()))
    out.print(f"{sweep.name} {where}: {state.name.lower()} in the cube, computed here in {took}")
    for error in result.errors.values():
        out.print(error.traceback, soft_wrap=True)
        return 1
    table = Table("output", "shape", "here", "in the cube", "", box=None, header_style="bold", pad_edge=False)
    same = True
    for output in sweep.outputs:
        here = result.values[output.name][(0,) * len(index)]
        there = np.asarray(cube.array(output.name)[index])
        equal = bool(np.array_equal(here, there, equal_nan=here.dtype.kind in "fc"))
        same &= equal
        table.add_row(
            output.name,
            "×".join(map(str, here.shape)) or "scalar",
            _shown(here, output.unit),
            _shown(there, output.unit),
            "same" if equal else styled("differs", "bold red") if state == State.DONE else "not done",
        )
    out.print(table)
    return 0 if same and state == State.DONE else 1


def _shown(value: npt.NDArray[Any], unit: str) -> str:
    unit = "" if unit == "1" else f" {unit}"
    if value.ndim == 0:
        return f"{value.item():.9g}{unit}" if value.dtype.kind in "fiu" else str(value.item())
    if value.dtype.kind == "b":
        return f"{int(value.sum())} of {value.size} true"
    return f"mean {np.nanmean(value):.9g}{unit}" if np.isfinite(value).any() else "no finite value"
