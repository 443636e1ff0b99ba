"""Damage: what of a cube is not as it was written, and how it is made good.

Every array is stored with checksums, every block with a digest over its done cells, every coordinate and the root
with a copy. :func:`examine` reads all of a cube and names what is damaged; :func:`repair` takes the states of damaged
blocks away, so that the next run computes their cells again, bit for bit, and restores coordinates and metadata.

A run looks before it begins (:func:`recover`), but not at everything: it reads all states anyway, the sizes of all
chunks, and checks what a run that was killed, or lost its power, had not synced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.cube import coordinates, digests
from spinsweep.cube.chunks import Chunks, DamagedChunk
from spinsweep.cube.digests import Record
from spinsweep.cube.durable import durable_batch
from spinsweep.cube.layout import FORMAT, ROOT_COPY, Cube, write_group, write_json
from spinsweep.cube.root import require_valid_root
from spinsweep.cube.storage import Storage, open_storage
from spinsweep.cube.writer import keep_error
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.ledger import State

CLEAN = ("complete", "failed cells", "stopped")  # outcomes of a run that synced all it wrote

Indices = tuple[int, ...]


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was written."""

    where: str
    """The object, seen from the cube."""
    what: str
    place: Indices | None = None
    """The block, by its place in the grid of blocks."""
    cells: int = 0
    """Done cells of that block that are lost."""


@dataclass(frozen=True)
class Lost:
    """Cells that were done and are not there any more."""

    blocks: int = 0
    cells: int = 0
    remedy: str = ""
    """What brings them back, where the next run does not."""


@dataclass(frozen=True)
class Repair:
    """What :func:`repair` found and did."""

    damages: list[Damage]
    hopeless: list[Damage]
    """Those that nothing brings back."""
    lost: Lost


class _Blocks:
    """A cube's blocks, to be compared with their digests."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self.damaged_states: set[Indices] = set()
        self.states = cube.ledger("cell_state", self.damaged_states)
        self.arrays: dict[str, Chunks] = {name: cube.chunks(name) for name in cube.cell_arrays}

    def done(self, place: Indices) -> npt.NDArray[np.bool_]:
        """The done cells of a block."""
        return np.asarray(self.states[self.cube.grid.block(place).region] == State.DONE)

    def record(self, place: Indices) -> Record | None:
        """What was written of a block; None where that is not known."""
        return Record.decoded(self.cube.path.read(digests.name(place)), self.cube.grid.chunk)

    def damages(self, place: Indices) -> Iterator[Damage]:
        """What of a block is damaged."""
        done = self.done(place)
        lost = int(done.sum())
        found = {}
        for name, array in self.arrays.items():
            where = f"{name}/{array.name(array.of_block(place))}"
            try:
                found[name] = self.cube.block(name, place)
            except DamagedChunk as error:
                what = str(error).partition(" is damaged: ")[2]
                yield Damage(where, what, place, 0 if name == "cell_error" else lost)
                lost = 0
        if len(found) < len(self.arrays) or not done.any():
            return
        record = self.record(place)
        if record is None:
            yield Damage(digests.name(place), "the block's digest is missing or damaged", place, lost)
        elif not record.fits(done, {name: found[name] for name in self.cube.digested}):
            yield Damage(digests.name(place), "the block's numbers are not those that were written", place, lost)

    def small(self, places: list[Indices]) -> set[Indices]:
        """Blocks of which a chunk is missing or empty; only names and sizes are looked at."""
        found: set[Indices] = set()
        for name in self.cube.digested if places else ():
            if name in digests.SPARSE:
                continue
            array = self.arrays[name]
            sizes = array.sizes(map(array.of_block, places))
            found.update(place for place, size in zip(places, sizes, strict=True) if size == 0)
        return found

    def there(self) -> set[Indices]:
        """Places of the blocks of which any chunk is there."""
        grid = self.cube.grid
        found = {index[: len(grid.shape)] for array in self.arrays.values() for index in array.there()}
        return {place for place in found if place in grid}


def recover(cube: Cube, before: int) -> Lost:
    """Look whether what the ledger calls done is there, before a run; called by the only driver.

    Parameters
    ----------
    before : epoch of the run that is to begin

    Returns
    -------
    Which cells are lost, and are not done any more.
    """
    blocks = _Blocks(cube)
    places = cube.grid.holding(blocks.states == State.DONE)
    suspects = blocks.small(places)
    if marks := _marks(cube, before):
        suspects |= _behind(marks, blocks, places)
        for damage in list(_damaged_groups(cube)):
            _restored(cube, damage)
    return take_away(cube, blocks, [damage for place in suspects for damage in blocks.damages(place)])


def _marks(cube: Cube, before: int) -> dict[int, int]:
    """The newest runs that did not end by themselves, and the batch up to which each had synced."""
    marks: dict[int, int] = {}
    for epoch, record in reversed(cube.run_records()):
        if epoch >= before:
            continue
        if record is not None and record.get("outcome") in CLEAN:
            break
        marks[epoch] = durable_batch(cube.path, epoch)
        if record is not None and "ended_before" in record:  # what was there before it, it looked at itself
            break
    return marks


def _behind(marks: Mapping[int, int], blocks: _Blocks, places: list[Indices]) -> set[Indices]:
    """Blocks that those runs wrote and had not synced: what is on disk of them may be of any age."""

    def suspect(place: Indices) -> bool:
        record = blocks.record(place)
        return (
            record is None
            or record.batch > marks.get(record.run, record.batch)
            or not record.speaks_of(blocks.done(place))
        )

    begun = blocks.there() - set(places)  # a chunk in them that nobody can read makes readers of the whole cube fail
    return begun | {place for place in places if suspect(place)}


def take_away(cube: Cube, blocks: _Blocks, damages: list[Damage]) -> Lost:
    """Take the done cells that are damaged from the ledger, and delete chunks that nobody can read.

    Cells that were measured or imported are not computed again by themselves: they become failed ones.
    """
    places = {d.place for d in damages if d.place is not None} | blocks.damaged_states
    taken = {d.place for d in damages if d.cells} | blocks.damaged_states
    if not places:
        return Lost()
    remedy = _remedy(cube)
    reference = keep_error(cube.path, CellError("spinsweep.Lost", remedy, "")) if remedy else 0
    states = blocks.states.copy()
    lost = lost_blocks = 0
    for place in places:
        region = cube.grid.block(place).region
        done = blocks.done(place) & (place in taken)
        if place in blocks.damaged_states:
            record = blocks.record(place)
            box = tuple(slice(0, n) for n in done.shape)
            done = record.entries[-1].cells[box] if record and record.entries else np.ones(done.shape, bool)
        lost += int(done.sum())
        lost_blocks += bool(done.any())
        states[region][done] = State.FAILED if remedy else State.ABSENT
        _clear(cube, blocks, place, reference, done)
    cube.set_states(states)
    return Lost(lost_blocks, lost, remedy if lost else "")


def _clear(cube: Cube, blocks: _Blocks, place: Indices, reference: int, lost: npt.NDArray[np.bool_]) -> None:
    """Delete a block's damaged chunks, which make readers fail; of failed cells say why."""
    for name, array in blocks.arrays.items():
        if name == "cell_state":
            continue
        index = array.of_block(place)
        cube.write_guard.check()
        try:
            values = cube.block(name, place)
        except DamagedChunk:
            array.delete(index)
            values = cube.block(name, place)
        if name == "cell_error" and reference:
            values[lost] = reference
            array.write(index, values, sync=True)


def _remedy(cube: Cube) -> str:
    """How lost cells come back, where computing them again is not the answer."""
    if "measured_on" in cube.attrs:
        return (
            f"its readings are damaged; --retry-failed on bench {cube.attrs['measured_on']} takes them from the "
            "bench's journal, and measures again what the journal does not hold"
        )
    if "imported_from" in cube.attrs:
        log = cube.attrs["imported_from"]
        return f"its readings are damaged; importing {log} again brings them back"
    return ""


def examine(store: str | Path | Storage, look: Callable[[int, int], None] = lambda n, of: None) -> Iterator[Damage]:
    """Read all of a cube and yield what is damaged, as it is found.

    Parameters
    ----------
    look : called with the number of blocks that were read, and of all

    Raises
    ------
    CubeError
        There is no cube, or it has another format.
    """
    place = open_storage(store)
    if _root_is_damaged(place):
        yield Damage("zarr.json", "the root is damaged; its copy is whole")
        return
    cube = Cube(place)
    yield from _damaged_groups(cube)
    for name in cube.coordinate_names:
        folders = cube.damaged_coordinates(name)
        for folder in folders:
            other = "both are damaged" if len(folders) == 2 else "the other is whole"
            yield Damage(f"{folder}/c", f"a coordinate stands here and in a copy; {other}")
    blocks = _Blocks(cube)
    there = sorted(blocks.there())
    for number, block in enumerate(there):
        look(number, len(there))
        yield from blocks.damages(block)
    look(len(there), len(there))


def repair(store: str | Path | Storage, look: Callable[[int, int], None] = lambda n, of: None) -> Repair:
    """Make good what :func:`examine` finds: cells that are lost become absent, coordinates and metadata come back.

    Raises
    ------
    CubeError
        There is no cube, a run is at work on it, or its root and the copy are both damaged.
    """
    place = open_storage(store)
    found = []
    if _root_is_damaged(place):
        copy = place.read(ROOT_COPY) or b""
        with place.write_guard(json.loads(copy)["attributes"]["cube_id"]).hold_driver_lock():
            place.write("zarr.json", copy, sync=True)
        found.append(Damage("zarr.json", "the root was damaged; it is restored from its copy"))
    cube = Cube(place)
    cube.write_guard.prepare()
    with cube.write_guard.hold_driver_lock(), cube.write_guard.begin_epoch():
        cube = cube.again()
        found += list(examine(cube.path, look))
        hopeless = [d for d in found if not _restored(cube, d)]
        blocks = _Blocks(cube)
        lost = take_away(cube, blocks, found)
        cube.path.sync()
    return Repair(found, hopeless, lost)


def _root_is_damaged(place: Storage) -> bool:
    """Whether the root is not as it was written, and its copy is."""
    return not _whole_root(place, "zarr.json") and _whole_root(place, ROOT_COPY)


def _whole_root(place: Storage, name: str) -> bool:
    content = _group(place.read(name))
    try:
        require_valid_root(content or {}, str(place))
    except CubeError:
        return False
    return content is not None and content["attributes"].get("spinsweep_format") == FORMAT


def _damaged_groups(cube: Cube) -> Iterator[Damage]:
    """Metadata that are not JSON, or not what the root says of an array."""
    for name, known in cube.metadata.items():
        where = f"{name}/zarr.json"
        found = _group(cube.path.read(where)) or {}
        if any(found.get(part) != known[part] for part in known if part not in ("shape", "attributes")):
            yield Damage(where, "the array's metadata are not those that the root holds")
    for folder in ("runs", "errors", "codes"):
        names = [n for n in cube.path.names(folder) if n != "zarr.json"]
        wheres = [f"{folder}/zarr.json", *(f"{folder}/{name}/zarr.json" for name in sorted(names))]
        for where, data in zip(wheres, cube.path.read_all(wheres), strict=True):
            if _group(data) is None:
                yield Damage(where, "the record cannot be read")
    if not _whole_root(cube.path, ROOT_COPY):
        yield Damage(ROOT_COPY, "the copy of the root is damaged")


def _restored(cube: Cube, damage: Damage) -> bool:
    """Restore what is no block; whether that could be done."""
    name, _, rest = damage.where.rpartition("/")
    if damage.place is not None or damage.where == "zarr.json":
        return True
    if damage.where == ROOT_COPY:
        cube.commit({})
    elif rest == "zarr.json" and name in cube.metadata:
        write_json(cube.path, damage.where, cube.metadata[name])
    elif rest == "zarr.json":  # of a run, an error or a code: what it said is gone, but it is a group
        last = name == f"runs/{cube.write_guard.newest():06d}"
        write_group(cube.path / name, json.loads(cube.attrs.get("provenance", "{}")) if last else {})
    else:
        name = name.removeprefix(f"{coordinates.COPIES}/")
        try:
            values = cube.coordinate(name)
        except CubeError:
            return False
        cube.path.write_all(coordinates.objects(name, cube.metadata[name], values))
    return True


def _group(data: bytes | None) -> dict[str, Any] | None:
    """A ``zarr.json``; None where it is none."""
    try:
        found = json.loads(data or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("attributes"), dict) else None
