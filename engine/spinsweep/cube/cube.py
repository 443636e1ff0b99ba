"""The cube: one zarr v3 group that xarray opens without us, its coordinates, outputs and ledger.

Metadata of all arrays also stand in the root's ``zarr.json`` (consolidated metadata). Readers take them from
there, so replacing that one file is the commit of a creation, of a growth or of a new definition: a reader sees
the cube before it or after it, and a kill in the middle leaves the cube before it. What the root names is synced
before the root is, so that a power cut leaves the one or the other as well.

Others may keep arrays, groups and attributes of their own in the cube: they stay, are not looked at, and grow with
the axes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value, key
from spinsweep.blocks import BlockGrid
from spinsweep.cube import coordinates, digests
from spinsweep.cube.attributes import ARCHIVE, FORMAT, VERSION_NAME, CubeAttributes, definition_of
from spinsweep.cube.block_array import BlockArray, DamagedChunk
from spinsweep.cube.groups import code_group, error_group, parse_json, parse_node, read_json, write_json, write_root
from spinsweep.cube.root import require_valid_root
from spinsweep.cube.storage import Storage, is_in_memory
from spinsweep.cube.stores import open_storage, write_guard_of
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.ledger import Counts, Failure, State, flags, holding, with_wanted
from spinsweep.long_values import LongValues
from spinsweep.printable import brief, said
from spinsweep.provenance import OriginRecord, RunRecord
from spinsweep.spec import LEDGER, Sweep

if TYPE_CHECKING:  # loaded where it is needed: commands and workers, which write by zarr alone, start without it
    import xarray as xr


AT_ONCE = 2**28
"""Bytes of a cube that is read at once; of a larger one, each part reads what it shows."""
RUNS_LOOKED_AT = 20
"""Before a run, for one to compare it with."""
SMALL_BYTES, FEW_CHUNKS = 2**24, 20_000
"""What the result of a run may hold to be in memory; reading it takes about a second."""


class Cube:
    """A sweep's store, as its last commit left it.

    Parameters
    ----------
    store
        A folder, or a URL such as ``s3://bucket/walk.zarr``.

    Raises
    ------
    CubeError
        There is no cube, its root is damaged, or it has another format.
    """

    def __init__(self, store: str | Path | Storage) -> None:
        storage = self.storage = open_storage(store)
        root = read_json(storage, "zarr.json")
        if root is None:
            raise CubeError(
                f"{storage} is not a cube: it has no zarr.json; `spinsweep run NAME --store {storage}` makes one"
            )
        attrs = root.get("attributes")
        if isinstance(attrs, dict) and ARCHIVE in attrs:
            raise CubeError(f"{storage} is an archive of a cube: spinsweep.open_cube reads it; name the cube itself")
        if not isinstance(attrs, dict) or VERSION_NAME not in attrs:
            raise CubeError(f"{storage} is a zarr store of another program: its attributes have no {VERSION_NAME}")
        if attrs[VERSION_NAME] != FORMAT:
            raise CubeError(
                f"{storage} has cube format {brief(attrs[VERSION_NAME])}, and this version has {FORMAT}: xarray "
                "reads it as before, but it cannot go on; take another --store"
            )
        require_valid_root(root, str(storage))
        self.attributes = CubeAttributes.from_json(attrs)
        """As of the last commit."""
        self.write_guard = write_guard_of(storage, self.attributes.cube_id)
        self.definition = self.attributes.definition
        """Of the sweep, as of when it was opened."""
        self.axis_names: tuple[str, ...] = tuple(a["name"] for a in self.definition["axes"])
        self.output_names: tuple[str, ...] = tuple(o["name"] for o in self.definition["outputs"])
        self.cell_arrays: tuple[str, ...] = (*self.output_names, *LEDGER)
        """Arrays whose chunks are the blocks'."""
        self.digested: tuple[str, ...] = tuple(n for n in self.cell_arrays if n not in digests.LEFT_OUT)
        """Those that a block's digest is over."""
        self.added_outputs: tuple[str, ...] = tuple((self.attributes.added_outputs or "").split())
        """Outputs that incomplete cells lack."""
        self.late_arrays: tuple[str, ...] = (*self.added_outputs, "cell_code") if self.added_outputs else ()
        """Arrays of which incomplete cells are still written: these outputs, and what computed the cell."""
        self.coordinate_names: tuple[str, ...] = tuple(self.attributes.coordinate_digests)
        """Of axes, inner dims, and further ones."""
        arrays = root["consolidated_metadata"]["metadata"]
        self.metadata: dict[str, Any] = {n: arrays[n] for n in (*self.coordinate_names, *self.cell_arrays)}
        """Of every array of ours, as of the last commit."""
        self._arrays: dict[str, BlockArray] = {}
        state = self.metadata["cell_state"]
        self.grid = BlockGrid(tuple(state["shape"]), tuple(state["chunk_grid"]["configuration"]["chunk_shape"]))
        """Its cells and blocks."""
        self.shape = self.grid.shape

    @cached_property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Canonical values along every axis, in the cube's order."""
        return {n: self._axis_values(n) for n in self.axis_names}

    def _axis_values(self, name: str) -> tuple[Value, ...]:
        kind = self.definition["axes"][self.axis_names.index(name)]["kind"]
        return coordinates.values_of(self.coordinate(name), kind)

    def coordinate(self, name: str) -> npt.NDArray[Any]:
        """Values of a coordinate as they are stored: dates are whole numbers."""
        return coordinates.read(self.storage, name, self.metadata[name], self.attributes.coordinate_digests[name])

    def readable_axes(self) -> dict[str, tuple[Value, ...] | None]:
        """The same, and None for an axis that is damaged, as is its copy."""
        axes: dict[str, tuple[Value, ...] | None] = {}
        for name in self.axis_names:
            try:
                axes[name] = self._axis_values(name)
            except CubeError:
                axes[name] = None
        return axes

    def damaged_coordinates(self, name: str) -> list[str]:
        """Folders of a coordinate and of its copy that do not hold its values."""
        return coordinates.damaged(self.storage, name, self.metadata[name], self.attributes.coordinate_digests[name])

    def array(self, name: str) -> BlockArray:
        """An output or a part of the ledger, by blocks."""
        if name not in self._arrays:
            self._arrays[name] = BlockArray(self.storage / name, self.metadata[name], len(self.shape))
        return self._arrays[name]

    def cell(self, name: str, cell: tuple[int, ...]) -> npt.NDArray[Any]:
        """The value of an output or of the ledger in one cell, as it is stored, in the shape of the inner dims.

        Raises
        ------
        DamagedChunk
        """
        index = self.grid.index(cell)
        start = self.grid.block(index).start
        within = tuple(i - s for i, s in zip(cell, start, strict=True))
        block = self.array(name).read_block(index)
        return np.asarray(block[within], block.dtype)

    def ledger(self, name: str, damaged: set[tuple[int, ...]] | None = None) -> npt.NDArray[Any]:
        """One whole array of the ledger, as the last commit shapes it; damaged chunks read as the fill value.

        The indices of damaged blocks go into ``damaged``. What is damaged of ``cell_state`` is absent.
        """
        return self.array(name).read(set() if damaged is None else damaged)

    def counts(self) -> Counts:
        """Cells by state."""
        return Counts.of(self.ledger("cell_state"))

    def dataset(self, *, at_once: bool = False, pieces: Mapping[str, int] | None = None) -> xr.Dataset:
        """The cube as xarray opens it: lazily, or ``at_once``, in memory unless it has more than ``AT_ONCE`` bytes.

        Who looks at each cell by itself reads a small cube at once: a chunk a cell takes milliseconds each time.

        Parameters
        ----------
        pieces : how many values along each dimension a task reads; None: some blocks

        Raises
        ------
        CubeError
            An array, or a chunk that is read at once, is damaged.
        """
        import xarray as xr

        from spinsweep.cube.lazy_arrays import lazily, pieces_of

        with self._reading():
            storage, axes = self.storage.absolute(), len(self.shape)  # also when the folder changes later
            arrays = {name: BlockArray(storage / name, self.metadata[name], axes) for name in self.cell_arrays}
            dataset = lazily(xr.open_zarr(str(self.storage), chunks=None), arrays)
            if at_once and dataset.nbytes <= AT_ONCE:
                return dataset.load()
            if is_in_memory(self.storage):  # a Dask client's workers would find nothing there
                return dataset
            return dataset.chunk(pieces_of(dataset, arrays) if pieces is None else dict(pieces))

    def loaded_if_small(self, dataset: xr.Dataset) -> xr.Dataset:
        """A Dataset of this cube, in memory if it has at most ``SMALL_BYTES`` in ``FEW_CHUNKS``, else as it is.

        Raises
        ------
        CubeError
            A chunk is damaged.
        """
        from spinsweep.cube.lazy_arrays import blocks_of

        if dataset.nbytes > SMALL_BYTES or sum(map(blocks_of, dataset.data_vars.values())) > FEW_CHUNKS:
            return dataset
        with self._reading():
            return dataset.load(scheduler="threads")  # not on the workers of a client, which have work to do

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, OSError):
            raise
        except Exception as error:  # what damage makes of zarr, its codecs and xarray is of any type
            raise CubeError(
                f"{self.storage} cannot be read: {said(error)}; `spinsweep verify {self.storage}` names the damage"
            ) from error

    def requested(self, sweep: Sweep) -> tuple[npt.NDArray[np.bool_], ...]:
        """Along each axis of the cube, whether the sweep asks for that value."""
        keys = [{key(v) for v in axis.values} for axis in sweep.axes]
        pairs = zip(self.axes.values(), keys, strict=True)
        return tuple(np.array([key(v) in requested for v in values]) for values, requested in pairs)

    def states(self, sweep: Sweep) -> npt.NDArray[np.uint8]:
        """State of the cells that the sweep asks for, where the cube has them."""
        return np.asarray(self.ledger("cell_state")[np.ix_(*self.requested(sweep))])

    def wanted(self, sweep: Sweep) -> npt.NDArray[np.bool_] | None:
        """Which of the cells that the sweep asks for it wants, in the shape of :meth:`states`; None: all."""
        if (wanted := sweep.wanted_mask) is None:
            return None
        places = [{key(value): place for place, value in enumerate(axis.values)} for axis in sweep.axes]
        order = [
            [p[k] for k in map(key, values) if k in p] for p, values in zip(places, self.axes.values(), strict=True)
        ]
        return np.asarray(wanted[np.ix_(*order)])

    def mark_wanted(self, sweep: Sweep, chosen: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.uint8]:
        """Mark the cells that the sweep asks for as it wants them or not; the states of all cells, then.

        Parameters
        ----------
        chosen : which cells are wanted, in the cube's shape; None: as the sweep says
        """
        damaged: set[tuple[int, ...]] = set()
        before = self.ledger("cell_state", damaged)
        if chosen is None and sweep.wanted is None and not (before == State.UNWANTED).any():
            return before
        region = np.ix_(*self.requested(sweep))
        after = before.copy()
        wanted = self.wanted(sweep) if chosen is None else chosen[region]
        after[region] = with_wanted(before[region], wanted)
        if (after != before).any():
            self._name_state(State.UNWANTED)
            self.set_states(after, before, damaged)
        return after

    def _name_state(self, state: State) -> None:
        """Have the attributes of the states name a rare one."""
        metadata = self.metadata["cell_state"]
        named = [state, *metadata["attributes"].get("flag_values", ())]
        attributes = {**metadata["attributes"], **flags(named)}
        if attributes != metadata["attributes"]:
            self.metadata["cell_state"] = {**metadata, "attributes": attributes}
            self.write_guard.check()
            write_json(self.storage, "cell_state/zarr.json", self.metadata["cell_state"])
            self.commit(self.attributes)

    def failures(self) -> Iterator[Failure]:
        """Every cell that failed, with its coordinates, or indices along damaged axes, attempt and error.

        Among them are incomplete cells whose last computation failed.
        """
        state = self.ledger("cell_state")
        if not np.isin(state, (State.FAILED, State.INCOMPLETE)).any():
            return
        attempt, reference = self.ledger("cell_attempt"), self.ledger("cell_error")
        failed = np.argwhere((state == State.FAILED) | ((state == State.INCOMPLETE) & (reference != 0)))
        axes = self.readable_axes()
        error = cache(self.error)
        for index in map(tuple, failed.tolist()):
            values = zip(axes.items(), index, strict=True)
            coords = {n: f"[{i}]" if along is None else along[i] for (n, along), i in values}
            yield Failure(coords, int(attempt[index]), error(int(reference[index])))

    def error(self, reference: int) -> CellError:
        """The error that a value of ``cell_error`` names."""
        try:
            group = read_json(error_group(self.storage, reference), "zarr.json")
            assert group is not None
            attributes = group["attributes"]
            texts = {name: attributes[name] for name in ("type", "message", "traceback")}
            return CellError(**texts, output=attributes.get("output", ""))
        except (CubeError, AssertionError, KeyError, TypeError):
            return CellError("unknown", f"the cube holds no readable error {reference:016x}", "")

    def code(self, reference: int) -> OriginRecord | None:
        """What a value of ``cell_code`` names; None where that is not known."""
        try:
            data = code_group(self.storage, reference).read("zarr.json") if reference else None
        except (OSError, CubeError):
            return None
        return OriginRecord.from_json(parse_node(data).get("attributes", {}))

    def runs(self) -> list[RunRecord]:
        """The record of every run, oldest first; of those that can be read."""
        return [record for _, record in self.run_records() if record is not None]

    def run_records(self) -> list[tuple[int, RunRecord | None]]:
        """Epoch and record of every run, oldest first; None where it cannot be read."""
        epochs = sorted(int(name) for name in self.storage.names("runs") if name.isdigit())
        contents = self.storage.read_all(f"runs/{epoch:06d}/zarr.json" for epoch in epochs)
        records = (RunRecord.from_json(parse_node(data).get("attributes")) for data in contents)
        return list(zip(epochs, records, strict=True))

    def run_before(self, epoch: int) -> tuple[int, RunRecord] | None:
        """Epoch and record of the newest earlier run that computed cells, else of the newest that can be read.

        Of many runs that computed nothing, or were killed, the newest :data:`RUNS_LOOKED_AT` are looked at.
        """
        epochs = sorted((int(n) for n in self.storage.names("runs") if n.isdigit() and int(n) < epoch), reverse=True)
        newest: tuple[int, RunRecord] | None = None
        for earlier in epochs[:RUNS_LOOKED_AT]:
            record = self.run_record(earlier)
            if record is not None and record.cells:
                return earlier, record
            if record is not None and newest is None:
                newest = earlier, record
        return newest

    def run_record(self, epoch: int) -> RunRecord | None:
        """The record of a run; None where it cannot be read."""
        return RunRecord.from_json(parse_node(self.storage.read(f"runs/{epoch:06d}/zarr.json")).get("attributes"))

    def differences(self, sweep: Sweep) -> list[tuple[str, Any, Any]]:
        """Where the cube's definition and the sweep's differ: (name, in the cube, in the sweep)."""
        return self.definition_differences(json.loads(json.dumps(sweep.identity())))

    def definition_differences(self, other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """The same of another definition, as JSON gives it."""
        return list(differences("", _with_summaries(self.definition), other))

    def commit(self, attributes: CubeAttributes, foreign: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Make ``attributes`` what readers see, in one step; shapes stay those of the last commit.

        What they share with those of the last commit stays as it is on disk, where others may have changed it.

        Parameters
        ----------
        foreign : changed metadata of arrays that are not ours

        Raises
        ------
        CubeError
            The cube was removed or replaced since it was opened, or this driver is not the only one any more.
        """
        self.write_guard.check()
        root = read_json(self.storage, "zarr.json")
        if root is None or root.get("attributes", {}).get("cube_id") != self.attributes.cube_id:
            raise CubeError(f"{self.storage} was removed or replaced while this run went on")
        metadata = {**root["consolidated_metadata"]["metadata"], **foreign, **self.metadata}
        dims = [d["name"] for d in self.definition["dims"]]
        further = [n for n in self.coordinate_names if n not in (*self.axis_names, *dims)]
        named = {"coordinates": " ".join(further)} if further else {}  # xarray drops it when it writes into the cube
        old = self.attributes.to_json()
        changed = {n: v for n, v in attributes.to_json().items() if n not in old or old[n] != v}
        written = {**root["attributes"], **named, **changed}
        self.attributes = CubeAttributes.from_json(written)
        write_root(self.storage, metadata, written)

    def grow(self, sweep: Sweep) -> Cube:
        """The cube with the sweep's new axis values appended; old chunks stay as they are."""
        have = {name: {key(v) for v in values} for name, values in self.axes.items()}
        new = {a.name: [v for v in a.values if key(v) not in have[a.name]] for a in sweep.axes}
        if not any(new.values()):
            return self
        axes = {n: (*self.axes[n], *new[n]) for n in self.axis_names}
        grown = {name for name, values in new.items() if values}
        foreign = {n: resized(m, axes) for n, m in self._foreign_arrays() if grown & set(m["dimension_names"])}
        self.metadata = {n: resized(m, axes) for n, m in self.metadata.items()}
        for name, metadata in {**foreign, **self.metadata}.items():
            self.write_guard.check()
            write_json(self.storage, f"{name}/zarr.json", metadata)
        changed = {n: coordinates.array_of(values) for n, values in axes.items() if n in grown}
        sha256 = self._write_coordinates(changed | self._derived(sweep, axes))
        self.commit(replace(self.attributes, coordinates_sha256=sha256), foreign)
        return self.reopen()

    def reopen(self) -> Cube:
        """The cube as it is now, under the same write guard."""
        cube = Cube(self.storage)
        if cube.attributes.cube_id != self.attributes.cube_id:
            remedy = "run the same command again to continue"
            raise CubeError(f"{self.storage} was replaced by another cube just now; {remedy}")
        cube.write_guard = self.write_guard
        return cube

    def mark_stale(self, sweep: Sweep, cells: npt.NDArray[np.bool_] | None = None) -> None:
        """Mark the computed cells stale, or those of ``cells`` alone, then take over the sweep's definition."""
        damaged: set[tuple[int, ...]] = set()
        before = self.ledger("cell_state", damaged)
        computed = holding(before) | (before == State.FAILED)
        stale = computed if cells is None else computed & cells
        self.set_states(np.where(stale, np.uint8(State.STALE), before), before, damaged)
        sha256 = self._write_coordinates(self._derived(sweep, self.axes))
        self.commit(replace(self.attributes, **definition_of(sweep), coordinates_sha256=sha256))

    def set_states(
        self, states: npt.NDArray[np.uint8], before: npt.NDArray[np.uint8], damaged: set[tuple[int, ...]]
    ) -> None:
        """Write the states of all blocks that differ from those ``before``, and of the ``damaged`` ones.

        The digest of a block speaks of the cells alone that hold numbers from then on: else a power cut in the
        middle of their next computation could bring back the old numbers, whole and with a digest that fits.
        """
        self.storage.sync()  # the run's record above all, which has the next run look whether this came to its end
        array = self.array("cell_state")
        for index in sorted(damaged.union(self.grid.holding(before != states))):
            region = self.grid.block(index).region
            self.write_guard.check()
            array.write_block(index, states[region])
            if (holding(before[region]) & ~holding(states[region])).any():
                self._replace_digest(index, states[region])

    def as_digested(self, values: digests.Arrays, states: npt.NDArray[np.uint8]) -> digests.Arrays:
        """A block's arrays as its digest sees them, with these states of its cells."""
        fills = {name: self.array(name).fill for name in self.late_arrays}
        return digests.as_digested(values, states == State.INCOMPLETE, fills)

    def _replace_digest(self, index: tuple[int, ...], states: npt.NDArray[np.uint8]) -> None:
        """Replace a block's digest by one of the cells that hold numbers, some of those that it spoke of."""
        name, held = digests.object_name(index), holding(states)
        try:
            values = {n: self.array(n).read_block(index) for n in self.digested} if held.any() else {}
        except DamagedChunk:
            values = {}
        if values:
            entry = digests.DigestEntry.of(held, self.as_digested(values, states), self.grid.chunk)
            self.storage.write(name, digests.BlockRecord(0, 0, (entry,)).encode())
        else:
            self.storage.delete(name)

    def _write_coordinates(self, values: Mapping[str, npt.NDArray[Any]]) -> str:
        """Write coordinates; returns the JSON text of all their digests."""
        sha256 = dict(self.attributes.coordinate_digests)
        for name, array in values.items():
            sha256[name] = coordinates.digest(array)
            for object_name, data in coordinates.objects(name, self.metadata[name], array).items():
                self.write_guard.check()
                self.storage.write(object_name, data)
        return json.dumps(sha256)

    def _derived(self, sweep: Sweep, axes: Mapping[str, tuple[Value, ...]]) -> dict[str, npt.NDArray[Any]]:
        """The sweep's further coordinates, computed again."""
        return {c.name: c.along(axes[c.axis], sweep.params) for c in sweep.coordinates}

    def foreign_names(self) -> list[str]:
        """Names of the arrays and groups at the top that are not ours."""
        ours = {*self.metadata, "zarr.json", "runs", "errors", "codes"}
        return sorted(name for name in self.storage.names("") if name not in ours and not name.startswith("."))

    def _foreign_arrays(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and metadata of each array at the top that is not ours and has named dimensions."""
        for name in self.storage.names(""):
            if name in self.metadata or name.startswith("."):
                continue
            metadata = parse_json(self.storage.read(f"{name}/zarr.json"))
            if metadata.get("node_type") == "array" and metadata.get("dimension_names"):
                yield name, metadata

    def remove(self) -> None:
        """Delete the cube.

        Raises
        ------
        CubeError
            It was replaced since it was opened, or this driver is not the only one any more.
        """
        self.write_guard.check()
        if Cube(self.storage).attributes.cube_id != self.attributes.cube_id:
            raise CubeError(f"{self.storage} was replaced by another cube just now")
        self.storage.remove()


def resized(metadata: Mapping[str, Any], axes: Mapping[str, tuple[Value, ...]]) -> dict[str, Any]:
    """An array's metadata with the lengths of its axes."""
    dims = zip(metadata["dimension_names"], metadata["shape"], strict=True)
    return {**metadata, "shape": [len(axes[d]) if d in axes else n for d, n in dims]}


def _with_summaries(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition in which long dims are summarized; earlier cubes hold all their values."""
    dims = []
    for dim in definition["dims"]:
        long = LongValues.of(dim["name"], dim["values"]) if isinstance(dim["values"], list) else None
        dims.append(dim if long is None else {**dim, "values": long.summary})
    return {**definition, "dims": dims}


def differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values of JSON differ: (name, in the old one, in the new one); ``name`` is that of the values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for part in dict.fromkeys([*old, *new]):
            yield from differences(f"{name}.{part}" if name else part, old.get(part), new.get(part))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            label = a["name"] if isinstance(a, dict) and "name" in a else index
            yield from differences(f"{name}[{label}]", a, b)
    elif old != new:
        yield name, old, new
