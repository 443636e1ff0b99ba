"""``spinsweep cell``: compute one cell again, here, and compare it with what the cube holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table
from rich.text import Text

from spinsweep.axis import closest, json_of, key
from spinsweep.cli.console import console, styled
from spinsweep.cli.options import NamedSweep, Store, Trust, code_of, pairs, sweep_of
from spinsweep.cube import Cube
from spinsweep.deviation import Deviation, date_text
from spinsweep.errors import SpecError
from spinsweep.evaluate import evaluate
from spinsweep.ledger import State
from spinsweep.moments import DTYPE, as_stored
from spinsweep.origins import in_words
from spinsweep.outputs import Output
from spinsweep.printable import one_line
from spinsweep.progress import duration
from spinsweep.provenance import Origin, other_code, other_processor, other_versions
from spinsweep.spec import Sweep


def cell(
    store: Store,
    values: Annotated[list[str], typer.Argument(metavar="AXIS=VALUE...", help="One value for each axis.")],
    named_sweep: NamedSweep = None,
    trust: Trust = False,
) -> int:
    """Compute one cell again in this process (so a debugger works) and compare it with the cube.

    Every digit that differs is shown: another kind of processor may round differently. The exit status is 0 if the
    numbers equal the cube's or are within the tolerance that the sweep declares, and 1 if they differ or the cell
    raises.

    Example:  spinsweep cell results/characterization.zarr width=0.5 device=2
              spinsweep cell results/walk.zarr noise=0.5 seed=7 --sweep mine.py:WALK
    """
    cube = Cube(store)
    sweep = sweep_of(cube, code_of(cube, named_sweep, trust=trust))
    coords = cell_coords(sweep, cube, pairs(values, "cell"))
    index = tuple(cube.axes[n].index(coords[n]) for n in cube.axis_names)
    state = State(int(cube.ledger("cell_state")[index]))
    here = Origin.of(sweep).record
    result = evaluate(sweep, {n: (coords[n],) for n in cube.axis_names})
    out = console()
    where = " ".join(f"{n}={json_of(coords[n])}" for n in cube.axis_names)
    took = duration(float(result.duration.sum()))
    out.print(f"{sweep.name} {where}: {state.name.lower()} in the cube, computed here in {took}")
    has_code = state in (State.DONE, State.FAILED, State.INCOMPLETE)
    made = cube.code(int(cube.ledger("cell_code")[index])) if has_code else None
    if made is not None and (different := other_code(made, here)):
        out.print(f"computed by other code: {in_words(different)}", soft_wrap=True)
    if made is not None and (different := other_versions(made, here) + other_processor(made, here)):
        out.print(f"computed elsewhere: {in_words(different)}", soft_wrap=True)
    for error in result.errors.values():
        out.print(error.traceback, soft_wrap=True)
        return 1
    table = Table("output", "shape", "here", "in the cube", "", box=None, header_style="bold", pad_edge=False)
    fits, off = True, []
    for output in sweep.outputs:
        whole = as_stored(result.values[output.name])
        computed = np.asarray(whole[(0,) * len(index)], whole.dtype)
        stored = cube.cell(output.name, index)
        deviation = Deviation.of(computed, stored)
        within = deviation.fits(output)
        fits &= within
        word: str | Text = "not done"
        if state == State.DONE or (state == State.INCOMPLETE and output.name not in cube.added_outputs):
            word = "same" if not deviation.values else "within its bound" if within else styled("differs", "bold red")
            off += [deviation.line(output)] if deviation.values else []
        shape = "×".join(map(str, computed.shape)) or "scalar"
        table.add_row(output.name, shape, _shown(computed, output), _shown(stored, output), word)
    out.print(table)
    for line in off:
        out.print(line, soft_wrap=True)
    return 0 if fits and state == State.DONE else 1


def cell_coords(sweep: Sweep, cube: Cube, settings: Mapping[str, str]) -> dict[str, Any]:
    """One cell's coordinates from ``axis=value`` texts; every axis must be named and the value be in the cube."""
    axes = cube.axis_names
    for name in settings:
        if name not in axes:
            known = ", ".join(axes)
            raise SpecError(f"{cube.storage} has no axis {name!r}{closest(name, axes)}; its axes are {known}")
    if missing := [n for n in axes if n not in settings]:
        raise SpecError(f"axis {missing[0]!r} is not given; a cell needs {' '.join(f'{n}=...' for n in axes)}")
    coords = {}
    for name, text in settings.items():
        values = sweep.axis(name).parse(text)
        if len(values) != 1:
            raise SpecError(f"axis {name!r}: {text!r} is {len(values)} values; give one")
        if values[0] not in cube.axes[name]:
            have = ", ".join(key(v) for v in cube.axes[name][:20]) + (", ..." if len(cube.axes[name]) > 20 else "")
            raise SpecError(f"axis {name!r}: the cube has no {key(values[0])}; it has {have}")
        coords[name] = values[0]
    return coords


def _shown(value: npt.NDArray[Any], output: Output) -> str:
    unit = "" if output.unit == "1" else f" {output.unit}"
    if output.dtype in (DTYPE, "str") and value.ndim:
        first: Any = value.flat[0] if value.size else ""
        return f"{value.size} from {date_text(first) if output.dtype == DTYPE else one_line(first, 20)}"
    if output.dtype == DTYPE:
        return date_text(value.item())
    if output.dtype == "str":
        return one_line(value.item(), 40)
    if value.ndim == 0:
        return f"{value.item():.9g}{unit}" if value.dtype.kind in "fiu" else str(value.item())
    if value.dtype.kind == "b":
        return f"{int(value.sum())} of {value.size} true"
    return f"mean {np.nanmean(value):.9g}{unit}" if np.isfinite(value).any() else "no finite value"
