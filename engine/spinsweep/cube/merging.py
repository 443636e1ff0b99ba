"""Cubes of one definition put together: two machines computed two halves.

The new cube has all values of all axes, and of each cell the one that was computed. It appears whole or not at all;
the cubes that it is made of stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value, key
from spinsweep.cube import coordinates
from spinsweep.cube.attributes import CubeAttributes
from spinsweep.cube.copying import Arrays, CellSource, CellTarget, all_indices, copy_objects
from spinsweep.cube.creation import lay_out
from spinsweep.cube.cube import Cube, resized
from spinsweep.cube.groups import parse_node, run_group, write_group, write_root
from spinsweep.cube.storage import Storage
from spinsweep.cube.stores import open_storage
from spinsweep.errors import CubeError
from spinsweep.ledger import Counts, State, flags
from spinsweep.printable import brief
from spinsweep.provenance import now
from spinsweep.until import ATTRIBUTE

ORDER = (State.UNWANTED, State.ABSENT, State.STALE, State.FAILED, State.INCOMPLETE, State.DONE)
"""Of two states of a cell, the later one is taken: a cell that one cube wants is wanted."""
RANK = np.array([1 + ORDER.index(state) for state in State], np.uint8)
"""By state; 0 is left for a cube that does not have the cell."""
NOT_COMPARED = ("history", "root_sha256", ATTRIBUTE)
"""Attributes of the root that differ between cubes of one sweep, beside ours."""


@dataclass(frozen=True)
class Merged:
    """What came of it."""

    counts: Counts
    """Cells of the new cube by state."""
    taken: tuple[int, ...]
    """Done cells that each of the cubes gave; one that several hold counts for the first of them."""
    notes: tuple[str, ...]
    """What is not in the new cube, or was chosen, in words."""


def merge(
    stores: Sequence[str | Path], into: str | Path, look: Callable[[int, int], None] = lambda number, of: None
) -> Merged:
    """Make a cube of the cells of several.

    Parameters
    ----------
    into : where no cube is yet
    look : called with the number of blocks that are written, and of all

    Raises
    ------
    CubeError
        They have other definitions, hold different numbers of one cell, were measured or imported, are being written
        or damaged, or something is at ``into``. Nothing is written then.
    """
    storage = open_storage(into)
    cubes = [Cube(store) for store in stores]
    _require_none(storage, storage)
    storage.ensure_creatable()
    for cube in cubes:
        _require_mergeable(cubes[0], cube)
    axes = _joined_axes(cubes)
    values = _joined_coordinates(cubes, axes)
    first = cubes[0]
    metadata = {name: resized(content, axes) for name, content in first.metadata.items()}
    named = {s for cube in cubes for s in cube.metadata["cell_state"]["attributes"].get("flag_values", ())}
    metadata["cell_state"]["attributes"] = {**metadata["cell_state"]["attributes"], **flags(named)}
    cells = {name: metadata[name] for name in first.cell_arrays}
    with storage.staging() as staging:
        _require_none(staging, storage)
        cube_id = lay_out(staging, metadata, values)
        target = CellTarget(staging, cells, len(axes))
        counts, taken = _copied(target, [CellSource(cube, axes) for cube in cubes], first.output_names, axes, look)
        for cube in cubes:
            copy_objects(cube.storage, staging, "errors")
            copy_objects(cube.storage, staging, "codes")
        newest = _copy_runs(cubes, staging)
        write_root(staging, metadata, _attributes(cubes, cube_id, values, newest).to_json())
    return Merged(counts, taken, tuple(_notes(cubes)))


def _require_none(staging: Storage, storage: Storage) -> None:
    if staging.exists("zarr.json"):
        raise CubeError(f"{storage} is a cube already; name a new one with --into")


def _require_mergeable(first: Cube, cube: Cube) -> None:
    for what, old, new in first.definition_differences(cube.definition):
        raise CubeError(
            f"{first.storage} and {cube.storage} hold other sweeps: {what} is {brief(old)} and {brief(new)}; only "
            "cubes of one definition can be merged"
        )
    measured = cube.attributes.measured_on
    if measured or cube.attributes.imported_from:
        remedy = f"import both logs into one cube ({cube.attributes.imported_from})"
        if measured:
            remedy = (
                f"the journal of bench {measured} knows its cells by this cube alone; continue it, or export both"
            )
        raise CubeError(f"{cube.storage} holds readings and cannot be merged: {remedy}")
    if cube.write_guard.has_driver():
        raise CubeError(f"{cube.storage} is being written by a run; merge it when that has ended")
    if count := cube.counts().incomplete:
        raise CubeError(
            f"{cube.storage}: {count} cells lack the output {', '.join(cube.added_outputs)}, which came later; "
            f"compute that first, with `spinsweep run {cube.definition['name']} --store {cube.storage}`"
        )
    theirs = cube.attributes.others
    for name, value in first.attributes.others.items():
        if name in theirs and theirs[name] != value and name not in NOT_COMPARED:
            raise CubeError(
                f"{first.storage} and {cube.storage} differ in the attribute {name}: {brief(value)} and "
                f"{brief(theirs[name])}; their numbers may rest on different things"
            )


def _joined_axes(cubes: Sequence[Cube]) -> dict[str, tuple[Value, ...]]:
    """Values along each axis: those of the first cube, then what each other one has beside them."""
    joined: dict[str, tuple[Value, ...]] = {}
    for name in cubes[0].axis_names:
        in_turn: dict[str, Value] = {}
        for cube in cubes:
            in_turn |= {key(v): v for v in cube.axes[name] if key(v) not in in_turn}
        joined[name] = tuple(in_turn.values())
    return joined


def _joined_coordinates(cubes: Sequence[Cube], axes: Mapping[str, tuple[Value, ...]]) -> dict[str, npt.NDArray[Any]]:
    """Values of all coordinates of the new cube."""
    first = cubes[0]
    joined: dict[str, npt.NDArray[Any]] = {}
    for name in first.coordinate_names:
        along = first.metadata[name]["dimension_names"][0]
        if name in axes:
            joined[name] = coordinates.array_of(axes[name])
        elif along not in axes:
            joined[name] = first.coordinate(name)
        else:
            joined[name] = np.array(_derived(cubes, name, along, axes[along]))
    return joined


def _derived(cubes: Sequence[Cube], name: str, along: str, values: Sequence[Value]) -> list[float]:
    """A further coordinate at each value of its axis."""
    known: dict[str, float] = {}
    for cube in cubes:
        for value, number in zip(cube.axes[along], cube.coordinate(name).tolist(), strict=True):
            if not np.array_equal(known.setdefault(key(value), number), number, equal_nan=True):
                raise CubeError(
                    f"{cubes[0].storage} and {cube.storage} differ in the coordinate {name} at {along}={key(value)}: "
                    f"{known[key(value)]} and {number}"
                )
    return [known[key(value)] for value in values]


def _copied(
    target: CellTarget,
    sources: Sequence[CellSource],
    outputs: Sequence[str],
    axes: Mapping[str, tuple[Value, ...]],
    look: Callable[[int, int], None],
) -> tuple[Counts, tuple[int, ...]]:
    """Write all blocks; cells by state, and the number of done cells of each source."""
    states = np.zeros(len(State), np.int64)
    taken = [0] * len(sources)
    unequal, example = 0, ""
    indices = all_indices(target.grid)
    for number, index in enumerate(indices):
        look(number, len(indices))
        region = target.grid.block(index).region
        block: Arrays | None = None
        rank = np.zeros(target.grid.block(index).shape, np.uint8)
        for position, source in enumerate(sources):
            new = source.read(region, target.arrays)
            if new is None:
                continue
            before = 0 if block is None else int((block["cell_state"] == State.DONE).sum())
            if block is None:
                block = new
            else:
                different = _unequal(block, new, outputs)
                if different is not None and different.any():
                    unequal += int(different.sum())
                    example = example or _example(block, new, different, outputs, region, axes)
            _take(block, new, rank, source.has(region))
            taken[position] += int((block["cell_state"] == State.DONE).sum()) - before
        size = target.grid.block(index).size
        if block is None:
            states[State.ABSENT] += size
            continue
        states += np.bincount(block["cell_state"].ravel(), minlength=len(State))
        target.write(index, block)
    look(len(indices), len(indices))
    if unequal:
        names = " and ".join(str(source.cube.storage) for source in sources)
        raise CubeError(f"{names} hold different numbers in {unequal} cells, the first of them {example}")
    return Counts(*map(int, states)), tuple(taken)


def _unequal(block: Arrays, new: Arrays, outputs: Sequence[str]) -> npt.NDArray[np.bool_] | None:
    """Which cells are done in both and hold different numbers; NaN equals NaN."""
    both = (block["cell_state"] == State.DONE) & (new["cell_state"] == State.DONE)
    if not both.any():
        return None
    different = np.zeros(both.shape, bool)
    for name in outputs:
        a, b = block[name], new[name]
        differs = (a != b) & ~((a != a) & (b != b))
        different |= differs.reshape(*both.shape, -1).any(axis=-1)
    return np.asarray(different & both)


def _example(
    block: Arrays,
    new: Arrays,
    different: npt.NDArray[np.bool_],
    outputs: Sequence[str],
    region: tuple[slice, ...],
    axes: Mapping[str, tuple[Value, ...]],
) -> str:
    """The first cell that differs, in words."""
    cell = tuple(int(i) for i in np.argwhere(different)[0])
    places = zip(axes.items(), region, cell, strict=True)
    where = " ".join(f"{name}={key(values[cut.start + i])}" for (name, values), cut, i in places)
    for name in outputs:
        a, b = np.atleast_1d(block[name][cell]).ravel(), np.atleast_1d(new[name][cell]).ravel()
        differs = np.flatnonzero((a != b) & ~((a != a) & (b != b)))
        if len(differs):
            return f"{where}: {name} is {a[differs[0]]!s} and {b[differs[0]]!s}"
    return where


def _take(block: Arrays, new: Arrays, rank: npt.NDArray[np.uint8], has: npt.NDArray[np.bool_]) -> None:
    """Put the cells into ``block`` that are better known in ``new``; the attempts are the larger number of both.

    Parameters
    ----------
    rank : of the state that each cell of ``block`` has, by :data:`RANK`; brought up to date
    has : which cells the cube of ``new`` has
    """
    attempts = np.maximum(block["cell_attempt"], new["cell_attempt"])
    here = np.where(has, RANK[new["cell_state"]], 0)
    better = here > rank
    for name, values in new.items():
        block[name][better] = values[better]
    rank[better] = here[better]
    block["cell_attempt"] = attempts


def _copy_runs(cubes: Sequence[Cube], staging: Storage) -> str | None:
    """Number the records of all runs by their start; one that several cubes have stands once. JSON of the newest."""
    records: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for cube in cubes:
        for epoch, _ in cube.run_records():
            attributes = parse_node(run_group(cube.storage, epoch).read("zarr.json")).get("attributes", {})
            records.setdefault(json.dumps(attributes, sort_keys=True), (str(attributes.get("start", "")), attributes))
    ordered = sorted(records.values(), key=lambda pair: pair[0])
    for epoch, (_, attributes) in enumerate(ordered, 1):
        write_group(run_group(staging, epoch), attributes)
    return json.dumps(ordered[-1][1]) if ordered else None


def _attributes(
    cubes: Sequence[Cube], cube_id: str, values: Mapping[str, npt.NDArray[Any]], provenance: str | None
) -> CubeAttributes:
    first = cubes[0].attributes
    others: dict[str, Any] = {}
    lines: dict[str, None] = {}
    for cube in cubes:
        others = {**cube.attributes.others, **others}
        lines |= dict.fromkeys(str(cube.attributes.others.get("history", "")).splitlines())
    others.pop(ATTRIBUTE, None)  # of a part of the sets; the next run with --until counts them all
    names = ", ".join(cube.storage.name for cube in cubes)
    others["history"] = "\n".join([*lines, f"{now()} merged from {names}"])
    return replace(
        first,
        cube_id=cube_id,
        created=now(),
        provenance=provenance,
        coordinates_sha256=json.dumps({name: coordinates.digest(array) for name, array in values.items()}),
        others=others,
    )


def _notes(cubes: Sequence[Cube]) -> Iterator[str]:
    for cube in cubes:
        if names := cube.foreign_names():
            yield f"{cube.storage}: what others put into it is not merged: {', '.join(names)}"
        if cube.attributes.params != cubes[0].attributes.params:
            yield f"{cube.storage}: its parameters are written otherwise; taken are those of {cubes[0].storage}"
        if any(cube.metadata[n]["attributes"] != cubes[0].metadata[n]["attributes"] for n in cube.output_names):
            yield f"{cube.storage}: its outputs have other attributes; taken are those of {cubes[0].storage}"
