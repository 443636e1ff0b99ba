"""An import carried out: beside the rows of a cube that is there, into a new cube, a grown one, or a larger one.

Cells whose rows did not change keep all that they hold.  The arrays of a cube have one size along currents and
cycles; where new rows need more of these, a larger cube takes its place in one step.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.characterization.import_report import name
from spinneurons.characterization.imported import ImportedLog, Understanding, digest, recorded
from spinneurons.logs.appending import appended, rows_of
from spinneurons.logs.cycles import Cycles
from spinneurons.logs.table import LogError
from spinsweep.cube import Cube, execute, open_storage
from spinsweep.errors import CubeError, SpecError
from spinsweep.ledger import Counts, State
from spinsweep.runs import Run, open_run
from spinsweep.spec import Sweep


@dataclasses.dataclass(frozen=True)
class PlannedImport:
    """An import that is understood, and has changed nothing yet."""

    log: Cycles
    """With the rows of the cube, if there is one."""
    sweep: Sweep
    source: str
    """Names of all files that the rows come from."""
    cube: Cube | None = None
    """What is there."""
    added: int = 0
    """Rows that were not in the cube."""
    known: int = 0

    @property
    def replaces(self) -> bool:
        """Whether a larger cube takes the place of the one that is there."""
        return self.cube is not None and not _has_room(self.cube, self.sweep)

    @property
    def function(self) -> ImportedLog:
        """The sweep's block function."""
        assert isinstance(self.sweep.function, ImportedLog)
        return self.sweep.function


def plan(log: Cycles, source: str, store: str, how: Understanding) -> PlannedImport:
    """The import of a log into a store.

    Raises
    ------
    CubeError
        The store holds something else, or was imported with other options.
    SpecError
        A row is another than it was, or stands twice.
    """
    if not store or not open_storage(store).exists("zarr.json"):
        return PlannedImport(log, recorded(log, source, how), source, added=log.rows)
    cube = Cube(store)
    remedy = f"give another store, or remove {store} first"
    recording = cube.attributes.params.get("recording")
    if cube.attributes.imported_from is None or recording is None:
        raise CubeError(f"{store} holds the sweep {cube.attributes.sweep}, which is no imported log; {remedy}")
    held = xr.open_zarr(str(cube.storage), decode_times=False)
    for column in recording["further"]:
        if (labels := held[column].attrs.get("labels")) is not None:
            held[column].attrs["labels"] = json.loads(labels)
    whole = held["cell_state"].isin((State.DONE, State.STALE))  # of others, rows may be damaged
    held["recorded"] = held["recorded"] & whole
    try:
        both = appended(rows_of(held, recording), log)
    except LogError as error:
        raise SpecError(f"{store}: {error}") from None
    source = ", ".join(dict.fromkeys([*cube.attributes.imported_from.split(", "), *source.split(", ")]))
    sweep = recorded(both.log, source, how, recording["form"])
    for option, old, new in cube.differences(sweep):
        if option.startswith("parameters."):
            option = option.removeprefix("parameters.")
            raise CubeError(f"{store} was imported with {option} = {old!r}, and not with {new!r}; {remedy}")
    planned = PlannedImport(both.log, sweep, source, cube, both.added, both.known)
    _require_damaged_again(cube, planned.function)
    return planned


def _require_damaged_again(cube: Cube, function: ImportedLog) -> None:
    """Refuse to go on where a cell lost its rows and these files do not bring them back."""
    states, digests = cube.ledger("cell_state"), cube.array("rows_digest").read(set())
    for index in np.argwhere((states == State.FAILED) & (digests != 0)):
        coords = {n: cube.axes[n][i] for n, i in zip(cube.axis_names, index, strict=True)}
        try:
            same = digests[tuple(index)] == digest(function.log.sel(coords))
        except KeyError:
            same = False
        if not same:
            raise CubeError(
                f"{cube.storage}: {name(coords)} is damaged; first import {cube.attributes.imported_from} again, and "
                "then more files"
            )


def carry_out(planned: PlannedImport, store: str, update: Callable[[Run], None]) -> Counts:
    """Make, grow or replace the cube; cells by state.

    Parameters
    ----------
    update : shown is how far the run is
    """
    cube = planned.cube
    if cube is None:
        return _computed(planned, store, update, mark_stale=False)
    if planned.replaces:
        held = xr.open_zarr(str(cube.storage), decode_times=False).load()
        larger = dataclasses.replace(planned.function, kept=held)
        planned = dataclasses.replace(planned, sweep=dataclasses.replace(planned.sweep, function=larger))
        cube.write_guard.prepare()
        with cube.write_guard.hold_driver_lock(), cube.storage.replacing() as storage:
            return _computed(planned, str(storage), update, mark_stale=False)
    return _computed(planned, store, update, mark_stale=_changed(cube, planned.function))


def _computed(
    planned: PlannedImport, store: str, update: Callable[[Run], None], *, mark_stale: bool | npt.NDArray[np.bool_]
) -> Counts:
    attrs = {"imported_from": planned.source, "sweep_reference": planned.sweep.name}
    function = planned.function
    options: dict[str, Any] = {"block": 1, "attrs": attrs, "mark_stale": mark_stale}
    with open_run(planned.sweep, store, retry_failed=True, **options) as run:  # failed ones may be damaged ones
        update(run)
        run.begin()
        for task in run.tasks():
            if function.is_recorded(_coords(run, task.block.start)):
                run.note(execute(run.job, task))
            update(run)
        attributes, recording = run.cube.attributes, planned.sweep.params["recording"]
        held = attributes.params["recording"].get("conditions")
        if attributes.imported_from != planned.source or recording.get("conditions") != held:
            parameters = json.dumps({**attributes.params, "recording": recording})
            now = dataclasses.replace(
                attributes, imported_from=planned.source, title=planned.sweep.title, parameters=parameters
            )
            run.cube.commit(now)
        return run.finish()


def _coords(run: Run, index: tuple[int, ...]) -> dict[str, Any]:
    return {n: run.cube.axes[n][i] for n, i in zip(run.cube.axis_names, index, strict=True)}


def _has_room(cube: Cube, sweep: Sweep) -> bool:
    """Whether the arrays of a cube can hold what the sweep has, but for more values along its axes."""
    if any(not part.startswith("parameters") for part, _, _ in cube.differences(sweep)):
        return False
    return all(
        cube.metadata[output.name]["attributes"].get("labels") == output.attrs["labels"]
        for output in sweep.outputs
        if "labels" in output.attrs
    )


def _changed(cube: Cube, function: ImportedLog) -> npt.NDArray[np.bool_]:
    """Which done cells have other rows now."""
    states, digests = cube.ledger("cell_state"), cube.array("rows_digest").read(set())
    changed = np.zeros(states.shape, np.bool_)
    position = {n: {value: i for i, value in enumerate(values)} for n, values in cube.axes.items()}
    for coords in function.cells():
        try:
            index = tuple(position[n][coords[n]] for n in cube.axis_names)
        except KeyError:  # a new one
            continue
        one = function.log.sel({n: coords[n] for n in function.axes})
        changed[index] = states[index] == State.DONE and digests[index] != digest(one)
    return changed
