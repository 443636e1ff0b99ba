"""What must not be done to a cube, found before anything is written."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from spinsweep.cube import Cube, other_artifacts
from spinsweep.errors import CubeError, SpecError
from spinsweep.ledger import State, pending
from spinsweep.plugins import installed_as, renamed
from spinsweep.spec import Sweep

FIXED = ("name", "axes", "dims", "outputs")
"""Parts of a definition that a cube's arrays rest on."""


def check(cube: Cube, sweep: Sweep, *, mark_stale: bool = False) -> None:
    """Refuse a sweep that is not the cube's.

    Raises
    ------
    CubeError
        Its sweep has another name now, its arrays differ, or its definition does and its cells are not to become
        stale.
    """
    reference = cube.attributes.sweep_reference or ""
    if renamed(reference) and installed_as(reference):
        raise CubeError(
            f"{cube.storage} was made by {reference}, of a version before 0.1.0: it can be read, but not grown; "
            "use another --store"
        )
    differences = cube.differences(sweep)
    fixed = [d for d in differences if d[0].split(".")[0].split("[")[0] in FIXED]
    if fixed:
        name, old, new = next((d for d in differences if d[0].startswith("parameters.")), fixed[0])
        raise CubeError(
            f"{cube.storage} holds another sweep: its {name} is {_short(old)}, yours is {_short(new)}, and its "
            f"arrays cannot change in a run; use another --store, or try `spinsweep migrate {cube.storage}`"
        )
    for name, old, new in differences:
        if not mark_stale:
            raise CubeError(
                f"{cube.storage} was made with {name} = {_short(old)}, and now it is {_short(new)}; "
                "use another --store, or --mark-stale to compute its cells again"
            )


def require_inputs(sweep: Sweep) -> None:
    """Refuse a sweep that lacks an input.

    Raises
    ------
    SpecError
        Which, and how it is given.
    """
    for name in sweep.inputs:
        if sweep.params[name] is None:
            raise SpecError(
                f"sweep {sweep.name!r} lacks the input {name!r}: with_values({name}=FOLDER) gives its cube"
            )


def rests_on_other_artifacts(cube: Cube, sweep: Sweep, *, retry_failed: bool, mark_stale: bool) -> bool:
    """Whether the done cells rest on other artifacts than new ones would.

    Raises
    ------
    CubeError
        They do, and are not to be marked stale.
    """
    if sweep.artifact_ids is None:
        return False
    whole = cube.ledger("cell_state")
    states = whole[np.ix_(*cube.requested(sweep))]
    works = states.shape != sweep.shape or pending(states, retry_failed=retry_failed).any() or mark_stale
    if not works or not (whole == State.DONE).any():
        return False
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    others = other_artifacts(cube.attributes.others, sweep)
    if others and not mark_stale:
        raise CubeError(
            f"{cube.storage} was computed with {others}, as it may come out on another processor; copy that from "
            "where the cube was made, use another --store, or compute its cells again with --mark-stale"
        )
    return bool(others)


def keeps_cells(cube: Cube, sweep: Sweep) -> bool:
    """Whether cells stay whatever code is installed now: they were measured on a bench, or read from a log."""
    return sweep.measured or cube.attributes.has_readings


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
