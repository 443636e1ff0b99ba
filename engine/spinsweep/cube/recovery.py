"""How damage is made good: lost cells are computed again, coordinates and metadata come back from their copies.

:func:`repair` takes the states of damaged blocks away, so that the next run computes their cells again, bit for bit.
A run looks before it begins (:func:`recover`), but not at everything: it reads all states anyway, the sizes of all
chunks, and checks what a run that was killed, or lost its power, had not synced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spinsweep.cube import coordinates
from spinsweep.cube.block_array import DamagedChunk
from spinsweep.cube.cube import Cube
from spinsweep.cube.damage import (
    BlockChecker,
    Damage,
    Index,
    Look,
    damaged_blocks,
    damaged_metadata,
    damaged_objects,
    root_is_damaged,
)
from spinsweep.cube.durable import durable_batch
from spinsweep.cube.groups import ROOT_COPY, keep_error, write_group, write_json
from spinsweep.cube.storage import Storage
from spinsweep.cube.stores import open_storage, write_guard_of
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.ledger import State, holding

CLEAN = ("complete", "failed cells", "stopped")
"""Outcomes of a run that synced all it wrote."""


@dataclass(frozen=True)
class Lost:
    """Cells that were done and are not there any more."""

    blocks: int = 0
    """Blocks that they were in."""
    cells: int = 0
    """How many."""
    remedy: str = ""
    """What brings them back, where the next run does not."""


@dataclass(frozen=True)
class Repair:
    """What :func:`repair` found and did."""

    damages: list[Damage]
    """All that was damaged."""
    hopeless: list[Damage]
    """Those that nothing brings back."""
    lost: Lost
    """Cells that are not done any more."""


def recover(cube: Cube, before: int) -> Lost:
    """Look whether what the ledger calls done is there, before a run; called by the only driver.

    Parameters
    ----------
    before : epoch of the run that is to begin

    Returns
    -------
    Which cells are lost, and are not done any more.
    """
    checker = BlockChecker(cube)
    done = cube.grid.holding(holding(checker.states))
    suspects = checker.incomplete(done)
    if batches := _synced_batches(cube, before):
        suspects |= _unsynced(batches, checker, done)
        for damage in list(damaged_metadata(cube)):
            _restore(cube, damage)
    return _mark_lost(checker, [damage for index in suspects for damage in checker.damages(index)])


def repair(store: str | Path | Storage, look: Look = lambda number, of: None) -> Repair:
    """Make good what :func:`examine` finds: cells that are lost become absent, coordinates and metadata come back.

    Raises
    ------
    CubeError
        There is no cube, a run is at work on it, or its root and the copy are both damaged.
    """
    storage = open_storage(store)
    damages = []
    if root_is_damaged(storage):
        copy = storage.read(ROOT_COPY) or b""
        with write_guard_of(storage, json.loads(copy)["attributes"]["cube_id"]).hold_driver_lock():
            storage.write("zarr.json", copy, sync=True)
        damages.append(Damage("zarr.json", "the root was damaged; it is restored from its copy"))
    cube = Cube(storage)
    cube.write_guard.prepare()
    with cube.write_guard.hold_driver_lock(), cube.write_guard.begin_epoch():
        cube = cube.reopen()
        checker = BlockChecker(cube)
        damages += [*damaged_objects(cube), *damaged_blocks(checker, look)]
        hopeless = [damage for damage in damages if not _restore(cube, damage)]
        lost = _mark_lost(checker, damages)
        cube.storage.sync()
    return Repair(damages, hopeless, lost)


def _synced_batches(cube: Cube, before: int) -> dict[int, int]:
    """Of the newest runs that did not end by themselves, by epoch, the batch up to which each had synced."""
    batches: dict[int, int] = {}
    for epoch, record in reversed(cube.run_records()):
        if epoch >= before:
            continue
        if record is not None and record.outcome in CLEAN:
            break
        batches[epoch] = durable_batch(cube.storage, epoch)
        if record is not None and record.ended_before is not None:  # what was there before it, it looked at itself
            break
    return batches


def _unsynced(batches: Mapping[int, int], checker: BlockChecker, done: list[Index]) -> set[Index]:
    """Blocks that those runs wrote and had not synced: what is on disk of them may be of any age."""

    def may_be_old(index: Index) -> bool:
        record = checker.record(index)
        if record is None or record.batch > batches.get(record.run, record.batch):
            return True
        return not record.covers(checker.held(index))

    # a chunk that nobody can read makes readers of the whole cube fail, also where no cell is done
    return checker.written() - set(done) | set(filter(may_be_old, done))


def _mark_lost(checker: BlockChecker, damages: list[Damage]) -> Lost:
    """Take the done cells that are damaged from the ledger, and delete chunks that nobody can read.

    Cells that were measured or imported are not computed again by themselves: they become failed ones.
    """
    cube = checker.cube
    damaged = {d.block_index for d in damages if d.block_index is not None} | checker.damaged_states
    losing = {d.block_index for d in damages if d.lost_cells} | checker.damaged_states
    if not damaged:
        return Lost()
    remedy = _remedy(cube)
    reference = keep_error(cube.storage, CellError("spinsweep.Lost", remedy, "")) if remedy else 0
    states = checker.states.copy()
    cells = blocks = 0
    for index in damaged:
        lost = checker.held(index) & (index in losing)
        if index in checker.damaged_states:
            record = checker.record(index)
            box = tuple(slice(0, n) for n in lost.shape)
            lost = record.entries[-1].cells[box] if record and record.entries else np.ones(lost.shape, bool)
        cells += int(lost.sum())
        blocks += bool(lost.any())
        states[cube.grid.block(index).region][lost] = State.FAILED if remedy else State.ABSENT
        _clear(checker, index, lost, reference)
    cube.set_states(states, checker.states, checker.damaged_states)
    return Lost(blocks, cells, remedy if cells else "")


def _clear(checker: BlockChecker, index: Index, lost: npt.NDArray[np.bool_], reference: int) -> None:
    """Delete a block's damaged chunks, which make readers fail; of failed cells say why."""
    for name, array in checker.arrays.items():
        if name == "cell_state":
            continue
        checker.cube.write_guard.check()
        try:
            values = array.read_block(index)
        except DamagedChunk:
            array.delete_block(index)
            values = array.read_block(index)
        if name == "cell_error" and reference:
            values[lost] = reference
            array.write_block(index, values, sync=True)


def _remedy(cube: Cube) -> str:
    """How lost cells come back, where computing them again is not the answer."""
    if bench := cube.attributes.measured_on:
        return (
            f"its readings are damaged; --retry-failed on bench {bench} takes them from the "
            "bench's journal, and measures again what the journal does not hold"
        )
    if log := cube.attributes.imported_from:
        return f"its readings are damaged; importing {log} again brings them back"
    return ""


def _restore(cube: Cube, damage: Damage) -> bool:
    """Restore an object that is no block's; whether that could be done."""
    name, _, last = damage.object_name.rpartition("/")
    if damage.block_index is not None or damage.object_name == "zarr.json":
        return True
    if damage.object_name == ROOT_COPY:
        cube.commit(cube.attributes)
    elif last == "zarr.json" and name in cube.metadata:
        write_json(cube.storage, damage.object_name, cube.metadata[name])
    elif last == "zarr.json":  # of a run, an error or a code: what it said is gone, but it is a group
        newest = name == f"runs/{cube.write_guard.newest_epoch():06d}"
        write_group(cube.storage / name, json.loads(cube.attributes.provenance or "{}") if newest else {})
    else:
        name = name.removeprefix(f"{coordinates.COPIES}/")
        try:
            values = cube.coordinate(name)
        except CubeError:
            return False
        cube.storage.write_all(coordinates.objects(name, cube.metadata[name], values))
    return True
