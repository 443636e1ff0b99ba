"""A cube written anew for its sweep as it is now: with other names, an axis more, fewer values, or other labels.

Every block is read, checked and written into a new cube beside the old one, which takes its place in one step, or
elsewhere, and the old one stays. A kill leaves the one or the other. The ledger, errors, runs and codes stay, and so
does what others put into the cube.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinsweep.axis import Value, key
from spinsweep.cube import coordinates
from spinsweep.cube.attributes import CubeAttributes, definition_of
from spinsweep.cube.copying import RECORDS, CellSource, CellTarget, all_indices, copy_objects
from spinsweep.cube.creation import coordinate_values, lay_out, metadata_of
from spinsweep.cube.cube import Cube
from spinsweep.cube.groups import read_json, write_root
from spinsweep.cube.storage import ObjectStorage, Storage
from spinsweep.cube.stores import open_storage
from spinsweep.errors import CubeError
from spinsweep.ledger import State, flags
from spinsweep.provenance import now
from spinsweep.spec import Sweep


@dataclass(frozen=True)
class Rewriting:
    """What a cube becomes."""

    sweep: Sweep
    """As the new cube holds it: its axes have the values of the new cube."""
    steps: tuple[str, ...]
    """What changes, in words, for its ``history``."""
    old_axes: Mapping[str, str] = field(default_factory=dict)
    """Earlier names of axes, by the new ones."""
    old_outputs: Mapping[str, str] = field(default_factory=dict)
    """Earlier names of outputs, by the new ones."""
    added_axes: Mapping[str, Value] = field(default_factory=dict)
    """Axes that the cube lacks, with the value at which its cells are."""
    added_outputs: tuple[str, ...] = ()
    """Outputs that the cube lacks; its done cells are incomplete then."""

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Values along each axis of the new cube."""
        return {axis.name: axis.values for axis in self.sweep.axes}


def require_rewritable(cube: Cube, changed_axes: Sequence[str] = ()) -> None:
    """Refuse a cube that cannot be written anew.

    Parameters
    ----------
    changed_axes : those that get another name or lose values, by their names in the cube

    Raises
    ------
    CubeError
        It holds readings, which the journal of a bench knows by this cube; it has incomplete cells, or others keep
        arrays in it along an axis that changes.
    """
    attributes = cube.attributes
    if attributes.has_readings:
        source = f"measured on bench {attributes.measured_on}" if attributes.measured_on else "imported from a log"
        raise CubeError(
            f"{cube.storage} was {source}: what it rests on knows its cells by this cube, and would not know them in "
            "another; export its numbers instead"
        )
    if count := cube.counts().incomplete:
        raise CubeError(
            f"{cube.storage}: {count} cells are incomplete since the output {', '.join(cube.added_outputs)} came; "
            f"compute that first, with `spinsweep run {cube.definition['name']} --store {cube.storage}`"
        )
    for name, metadata in _foreign_metadata(cube).items():
        if along := [d for d in metadata.get("dimension_names") or () if d in changed_axes]:
            raise CubeError(
                f"{cube.storage} has the array {name} of another program along {along[0]}; move it out first"
            )


def require_place(cube: Cube, into: str | Path | Storage | None) -> None:
    """Refuse a place that cannot take the rewritten cube; None: that of ``cube``.

    Raises
    ------
    CubeError
        ``cube`` is in object storage, where nothing can take its place in one step, or something is at ``into``.
    """
    if into is None:
        if isinstance(cube.storage, ObjectStorage):
            raise CubeError(
                f"{cube.storage}: object storage cannot exchange two cubes in one step; give the new one a place of "
                f"its own, such as --into {cube.storage.parent}/NAME.zarr"
            )
        return
    storage = open_storage(into)
    if storage.exists("zarr.json"):
        raise CubeError(f"{storage} is a cube already; name a new one with --into")
    storage.ensure_creatable()


def rewrite(
    cube: Cube,
    rewriting: Rewriting,
    look: Callable[[int, int], None] = lambda number, of: None,
    into: str | Path | Storage | None = None,
) -> None:
    """Put a rewritten cube in the place of ``cube``, or elsewhere.

    Parameters
    ----------
    look : called with the number of blocks that are written, and of all
    into : where no cube is yet; ``cube`` stays as it is then

    Raises
    ------
    CubeError
        A run is at work on the cube, it changed since it was opened, it is damaged, or the new one cannot be at its
        place. It is then as it was.
    """
    require_place(cube, into)
    cube.write_guard.prepare()
    with cube.write_guard.hold_driver_lock(), cube.write_guard.begin_epoch():
        known, cube = cube, cube.reopen()
        if (cube.attributes.digest, cube.axes) != (known.attributes.digest, known.axes):
            raise CubeError(f"{cube.storage} changed just now; look at the plan again")
        with cube.storage.replacing() if into is None else open_storage(into).staging() as storage:
            if storage.exists("zarr.json"):
                raise CubeError(f"{into} is a cube already; name a new one with --into")
            sweep = rewriting.sweep
            values = coordinate_values(sweep)
            metadata = _metadata(cube, rewriting, values)
            cube_id = lay_out(storage, metadata, values)
            cells = {n: m for n, m in metadata.items() if n not in values}
            target = CellTarget(storage, cells, len(sweep.axes), rewriting.added_outputs)
            source = CellSource(cube, rewriting.axes, rewriting.old_outputs, rewriting.old_axes, rewriting.added_axes)
            indices = all_indices(target.grid)
            for number, index in enumerate(indices):
                look(number, len(indices))
                if (block := source.read(target.grid.block(index).region, target.arrays)) is not None:
                    if rewriting.added_outputs:
                        block["cell_state"][block["cell_state"] == State.DONE] = State.INCOMPLETE
                    target.write(index, block)
            look(len(indices), len(indices))
            for name in (*RECORDS, *cube.foreign_names()):
                copy_objects(cube.storage, storage, name)
            digests = {name: coordinates.digest(array) for name, array in values.items()}
            attributes = _attributes(cube, rewriting, cube_id, digests)
            write_root(storage, {**_foreign_metadata(cube), **metadata}, attributes.to_json())


def _metadata(cube: Cube, rewriting: Rewriting, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of all arrays of the new cube; what others say of an array stays."""
    sweep = rewriting.sweep
    old = dict(zip(cube.axis_names, cube.grid.chunk, strict=True))
    names = [rewriting.old_axes.get(name, name) for name in sweep.axis_names]
    chunk = tuple(min(old.get(name, 1), n) for name, n in zip(names, sweep.shape, strict=True))
    code = int(np.asarray(cube.metadata["cell_code"]["fill_value"]))
    metadata = metadata_of(sweep, values, chunk, code)
    for name, content in metadata.items():
        old_name = {**rewriting.old_axes, **rewriting.old_outputs}.get(name, name)
        before = cube.metadata.get(old_name, {}).get("attributes", {})
        kept = {n: v for n, v in before.items() if n not in ("units", "long_name")}
        content["attributes"] = {**kept, **content["attributes"]}
    named = [*cube.metadata["cell_state"]["attributes"].get("flag_values", ())]
    named += [State.INCOMPLETE] if rewriting.added_outputs else []
    metadata["cell_state"]["attributes"] |= flags(named)
    return metadata


def _attributes(cube: Cube, rewriting: Rewriting, cube_id: str, digests: Mapping[str, str]) -> CubeAttributes:
    sweep, before = rewriting.sweep, cube.attributes
    lines = [line for line in str(before.others.get("history", "")).splitlines() if line]
    lines += [f"{now()} migrated: {step}" for step in rewriting.steps]
    return replace(
        before,
        **{"coordinates": None, **definition_of(sweep)},
        added_outputs=" ".join(rewriting.added_outputs) or None,
        cube_id=cube_id,
        title=sweep.title,
        coordinates_sha256=json.dumps(dict(digests)),
        others={**before.others, "history": "\n".join(lines)},
    )


def _foreign_metadata(cube: Cube) -> dict[str, Any]:
    """What the root says of arrays and groups of others, by their names."""
    root = read_json(cube.storage, "zarr.json") or {}
    arrays = root.get("consolidated_metadata", {}).get("metadata", {})
    foreign = set(cube.foreign_names())
    listed = {name: content for name, content in arrays.items() if name.partition("/")[0] in foreign}
    unlisted = {name: read_json(cube.storage, f"{name}/zarr.json") or {} for name in foreign if name not in listed}
    return {name: content for name, content in {**unlisted, **listed}.items() if content}


def dropped_cells(cube: Cube, dropped: Mapping[str, Sequence[Value]]) -> tuple[int, int]:
    """Cells of the cube that go with values of its axes, and how many of them are done."""
    cells = np.zeros(cube.shape, bool)
    for position, name in enumerate(cube.axis_names):
        keys = {key(v) for v in dropped.get(name, ())}
        along = np.array([key(v) in keys for v in cube.axes[name]])
        cells |= along.reshape([-1 if i == position else 1 for i in range(cells.ndim)])
    return int(cells.sum()), int((cells & (cube.ledger("cell_state") == State.DONE)).sum())
