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
import warnings
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr

from spinsweep.axis import Value, key
from spinsweep.blocks import BlockGrid
from spinsweep.cube import coordinates, digests
from spinsweep.cube.chunks import Chunks, DamagedChunk
from spinsweep.cube.root import require_valid_root, seal
from spinsweep.cube.storage import Storage, open_storage
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.ledger import Counts, Failure, State
from spinsweep.printable import brief
from spinsweep.provenance import ORIGIN, Origin
from spinsweep.spec import LEDGER, Sweep

if TYPE_CHECKING:  # loaded where it is needed: commands and workers, which write by zarr alone, start without it
    import xarray as xr

FORMAT = 2
ROOT_COPY = f"{coordinates.COPIES}/root.json"


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
        self.path = open_storage(store)
        root = read_json(self.path, "zarr.json")
        if root is None:
            raise CubeError(
                f"{self.path} is not a cube: it has no zarr.json; `spinsweep run NAME --store {self.path}` makes one"
            )
        attrs = root.get("attributes")
        self.attrs: dict[str, Any] = attrs if isinstance(attrs, dict) else {}
        if "spinsweep_format" not in self.attrs:
            raise CubeError(
                f"{self.path} is a zarr store of another program: its attributes have no spinsweep_format"
            )
        if self.attrs["spinsweep_format"] != FORMAT:
            raise CubeError(
                f"{self.path} has cube format {brief(self.attrs['spinsweep_format'])}, and this version has "
                f"{FORMAT}: xarray reads it as before, but it cannot go on; take another --store"
            )
        require_valid_root(root, str(self.path))
        self.write_guard = self.path.write_guard(self.attrs["cube_id"])
        self.definition: dict[str, Any] = json.loads(self.attrs["sweep_definition"])
        self.axis_names: tuple[str, ...] = tuple(a["name"] for a in self.definition["axes"])
        self.output_names: tuple[str, ...] = tuple(o["name"] for o in self.definition["outputs"])
        self.cell_arrays: tuple[str, ...] = (*self.output_names, *LEDGER)
        """Arrays whose chunks are the blocks'."""
        self.digested: tuple[str, ...] = tuple(n for n in self.cell_arrays if n not in digests.LEFT_OUT)
        """Those that a block's digest is over."""
        self.coordinate_names: tuple[str, ...] = tuple(json.loads(self.attrs["coordinates_sha256"]))
        """Of axes, inner dims, and further ones."""
        there = root["consolidated_metadata"]["metadata"]
        self.metadata: dict[str, Any] = {n: there[n] for n in (*self.coordinate_names, *self.cell_arrays)}
        """Of every array of ours, as of the last commit."""
        self._chunks: dict[str, Chunks] = {}
        state = self.metadata["cell_state"]
        self.grid = BlockGrid(tuple(state["shape"]), tuple(state["chunk_grid"]["configuration"]["chunk_shape"]))
        """Its cells and blocks."""
        self.shape = self.grid.shape

    @cached_property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Canonical values along every axis, in the cube's order."""
        return {n: tuple(self.coordinate(n).tolist()) for n in self.axis_names}

    def coordinate(self, name: str) -> npt.NDArray[Any]:
        """Values of a coordinate."""
        return coordinates.read(self.path, name, self.metadata[name], self._sha256(name))

    def damaged_coordinates(self, name: str) -> list[str]:
        """Folders of a coordinate and of its copy that do not hold its values."""
        return coordinates.damaged(self.path, name, self.metadata[name], self._sha256(name))

    def _sha256(self, name: str) -> str:
        return str(json.loads(self.attrs["coordinates_sha256"])[name])

    def chunks(self, name: str) -> Chunks:
        """The chunks of an output or of the ledger."""
        if name not in self._chunks:
            self._chunks[name] = Chunks(self.path / name, self.metadata[name])
        return self._chunks[name]

    def array(self, name: str) -> zarr.Array[Any]:
        """One array of the cube as zarr reads it, by the root's metadata."""
        group = zarr.open_group(self.path.zarr_store(), mode="r", zarr_format=3, use_consolidated=True)
        found = group[name]
        assert isinstance(found, zarr.Array)
        return found

    def ledger(self, name: str, damaged: set[tuple[int, ...]] | None = None) -> npt.NDArray[Any]:
        """One whole array of the ledger, as the last commit shapes it; damaged chunks read as the fill value.

        The places of damaged chunks in the grid of blocks go into ``damaged``. What is damaged of ``cell_state`` is
        absent.
        """
        return self.chunks(name).read(self.shape, set() if damaged is None else damaged)

    def counts(self) -> Counts:
        """Cells by state."""
        return Counts.of(self.ledger("cell_state"))

    def dataset(self) -> xr.Dataset:
        """The cube as xarray opens it (lazily)."""
        import xarray as xr

        dataset: xr.Dataset = xr.open_zarr(str(self.path))
        return dataset

    def requested(self, sweep: Sweep) -> tuple[npt.NDArray[np.bool_], ...]:
        """Along each axis of the cube, whether the sweep asks for that value."""
        wanted = [{key(v) for v in axis.values} for axis in sweep.axes]
        return tuple(
            np.array([key(v) in w for v in self.axes[n]]) for n, w in zip(self.axis_names, wanted, strict=True)
        )

    def states(self, sweep: Sweep) -> npt.NDArray[np.uint8]:
        """State of the cells that the sweep asks for, where the cube has them."""
        return np.asarray(self.ledger("cell_state")[np.ix_(*self.requested(sweep))])

    def failures(self) -> Iterator[Failure]:
        """Every failed cell with its coordinates, attempt and error."""
        state = self.ledger("cell_state")
        places = np.argwhere(state == State.FAILED)
        if not len(places):
            return
        attempt, reference = self.ledger("cell_attempt"), self.ledger("cell_error")
        error = cache(self.error)
        for place in places:
            index = tuple(int(i) for i in place)
            coords = {n: self.axes[n][i] for n, i in zip(self.axis_names, index, strict=True)}
            yield Failure(coords, int(attempt[index]), error(int(reference[index])))

    def error(self, reference: int) -> CellError:
        """The error that a value of ``cell_error`` names."""
        try:
            group = read_json(error_path(self.path, reference), "zarr.json")
            assert group is not None
            return CellError(**{name: group["attributes"][name] for name in ("type", "message", "traceback")})
        except (CubeError, AssertionError, KeyError, TypeError):
            return CellError("unknown", f"the cube holds no readable error {reference:016x}", "")

    def code(self, reference: int) -> dict[str, Any] | None:
        """What a value of ``cell_code`` names: attributes of a :class:`~spinsweep.provenance.Origin`, or None."""
        try:
            group = read_json(code_path(self.path, reference), "zarr.json") if reference else None
            found = {} if group is None else dict(group["attributes"])
        except (CubeError, KeyError, TypeError, ValueError):
            return None
        return found if found.keys() >= ORIGIN else None

    def runs(self) -> list[dict[str, Any]]:
        """The record of every run, oldest first; of those that can be read."""
        return [record for _, record in self.run_records() if record]

    def run_records(self) -> list[tuple[int, dict[str, Any] | None]]:
        """Epoch and record of every run, oldest first; None where it cannot be read."""
        epochs = sorted(int(name) for name in self.path.names("runs") if name.isdigit())
        contents = self.path.read_all(f"runs/{epoch:06d}/zarr.json" for epoch in epochs)
        return [(epoch, _record(data)) for epoch, data in zip(epochs, contents, strict=True)]

    def differences(self, sweep: Sweep) -> list[tuple[str, Any, Any]]:
        """Where the cube's definition and the sweep's differ: (name, in the cube, asked)."""
        return list(_differences("", self.definition, json.loads(json.dumps(sweep.identity()))))

    def commit(self, attrs: Mapping[str, Any]) -> None:
        """Make ``attrs`` what readers see, in one step; shapes stay those of the last commit.

        Raises
        ------
        CubeError
            The cube was removed or replaced since it was opened, or this driver is not the only one any more.
        """
        self._commit(attrs, {})

    def _commit(self, attrs: Mapping[str, Any], foreign: Mapping[str, Any]) -> None:
        """``foreign``: changed metadata of arrays that are not ours."""
        self.write_guard.check()
        root = read_json(self.path, "zarr.json")
        if root is None or root.get("attributes", {}).get("cube_id") != self.attrs["cube_id"]:
            raise CubeError(f"{self.path} was removed or replaced while this run went on")
        metadata = {**root["consolidated_metadata"]["metadata"], **foreign, **self.metadata}
        dims = [d["name"] for d in self.definition["dims"]]
        further = [n for n in self.coordinate_names if n not in (*self.axis_names, *dims)]
        named = {"coordinates": " ".join(further)} if further else {}  # xarray drops it when it writes into the cube
        self.attrs = {**root["attributes"], **named, **attrs}  # others may have added to both since it was read
        write_root(self.path, metadata, self.attrs)

    def grow(self, sweep: Sweep) -> Cube:
        """The cube with the sweep's new axis values appended; old chunks stay as they are."""
        have = {name: {key(v) for v in values} for name, values in self.axes.items()}
        new = {a.name: [v for v in a.values if key(v) not in have[a.name]] for a in sweep.axes}
        if not any(new.values()):
            return self
        axes = {n: (*self.axes[n], *new[n]) for n in self.axis_names}
        grown = {name for name, values in new.items() if values}
        foreign = {n: _resized(m, axes) for n, m in self._foreign_arrays() if grown & set(m["dimension_names"])}
        self.metadata = {n: _resized(m, axes) for n, m in self.metadata.items()}
        for name, metadata in {**foreign, **self.metadata}.items():
            self.write_guard.check()
            write_json(self.path, f"{name}/zarr.json", metadata)
        changed = {n: coordinates.array_of(values) for n, values in axes.items() if n in grown}
        self._commit(self._write_coordinates(changed | self._derived(sweep, axes)), foreign)
        return self.again()

    def again(self) -> Cube:
        """The cube as it is now, under the same fence."""
        cube = Cube(self.path)
        if cube.attrs["cube_id"] != self.attrs["cube_id"]:
            raise CubeError(f"{self.path} was replaced by another cube just now; the same command goes on")
        cube.write_guard = self.write_guard
        return cube

    def mark_stale(self, sweep: Sweep, cells: npt.NDArray[np.bool_] | None = None) -> None:
        """Mark the computed cells stale, or those of ``cells`` alone, then take over the sweep's definition."""
        whole = self.ledger("cell_state")
        computed = (whole == State.DONE) | (whole == State.FAILED)
        whole[computed if cells is None else computed & cells] = State.STALE
        self.set_states(whole)
        self.commit({**definition(sweep), **self._write_coordinates(self._derived(sweep, self.axes))})

    def set_states(self, whole: npt.NDArray[np.uint8]) -> None:
        """Write the states that differ from those that are there; damaged chunks count as absent cells.

        The digest of a block speaks of its done cells alone from then on: else a power cut in the middle of their
        next computation could bring back the old numbers, whole and with a digest that fits.
        """
        self.path.sync()  # the run's record above all, which has the next run look whether this came to its end
        damaged: set[tuple[int, ...]] = set()
        before = self.ledger("cell_state", damaged)
        states = self.chunks("cell_state")
        for place in sorted(damaged.union(self.grid.holding(before != whole))):
            region = self.grid.block(place).region
            self.write_guard.check()
            states.write(place, whole[region])
            done = whole[region] == State.DONE
            if ((before[region] == State.DONE) & ~done).any():
                self._digest_again(place, done)

    def _digest_again(self, place: tuple[int, ...], done: npt.NDArray[np.bool_]) -> None:
        """Replace a block's digest by one of the ``done`` cells, which are some of those that it spoke of."""
        name = digests.name(place)
        try:
            arrays = {n: self.block(n, place) for n in self.digested} if done.any() else {}
        except DamagedChunk:
            arrays = {}
        if arrays:
            entry = digests.Entry.of(done, arrays, self.grid.chunk)
            self.path.write(name, digests.Record(0, 0, (entry,)).encoded())
        else:
            self.path.delete(name)

    def block(self, name: str, place: tuple[int, ...]) -> npt.NDArray[Any]:
        """One block of an output or of the ledger, by its place in the grid of blocks.

        Raises
        ------
        DamagedChunk
        """
        array = self.chunks(name)
        return array.read_one(array.of_block(place), (*self.grid.block(place).shape, *array.chunk[len(place) :]))

    def _write_coordinates(self, values: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
        """Write coordinates from where they are new; returns the attributes that tell of them."""
        digests = json.loads(self.attrs["coordinates_sha256"])
        for name, array in values.items():
            digests[name] = coordinates.digest(array)
            for object_name, data in coordinates.objects(name, self.metadata[name], array).items():
                self.write_guard.check()
                self.path.write(object_name, data)
        return {"coordinates_sha256": json.dumps(digests)}

    def _derived(self, sweep: Sweep, axes: Mapping[str, tuple[Value, ...]]) -> dict[str, npt.NDArray[Any]]:
        """The sweep's further coordinates, computed again."""
        return {c.name: c.along(axes[c.axis], sweep.params) for c in sweep.coordinates}

    def _foreign_arrays(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and metadata of each array at the top that is not ours and has named dimensions."""
        for name in self.path.names(""):
            if name in self.metadata or name.startswith("."):
                continue
            found = _record(self.path.read(f"{name}/zarr.json"), whole=True) or {}
            if found.get("node_type") == "array" and found.get("dimension_names"):
                yield name, found

    def remove(self) -> None:
        """Delete the cube.

        Raises
        ------
        CubeError
            It was replaced since it was opened, or this driver is not the only one any more.
        """
        self.write_guard.check()
        if Cube(self.path).attrs["cube_id"] != self.attrs["cube_id"]:
            raise CubeError(f"{self.path} was replaced by another cube just now")
        self.path.remove()

    def remove_partial_files(self) -> None:
        """Delete the half-written files that killed writers left."""
        self.path.remove_partial_files()

    def bytes_on_disk(self) -> int:
        """Bytes of all objects of the store; takes a while when there are many."""
        return self.path.size()


def write_group(path: Storage, attributes: Mapping[str, Any]) -> None:
    """A zarr v3 group that holds only attributes; written whole or not at all."""
    write_json(path, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)})


def write_root(path: Storage, metadata: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Commit: the root's object, and before it the copy of it that ``verify`` takes when the root is damaged."""
    content = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**attributes, "root_sha256": seal(attributes, metadata)},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": dict(metadata)},
    }
    data = json.dumps(content, indent=1).encode()
    path.write(ROOT_COPY, data)
    path.commit("zarr.json", data)


def error_path(path: Storage, reference: int) -> Storage:
    """The group that holds the error of that reference."""
    return path / f"errors/{reference:016x}"


def code_path(path: Storage, reference: int) -> Storage:
    """The group that tells what computed a cell of that reference."""
    return path / f"codes/{reference:016x}"


def keep_origin(path: Storage, origin: Origin) -> None:
    """Store what computes cells under its number, once; before any of them is written."""
    group = code_path(path, origin.number)
    try:
        there = read_json(group, "zarr.json")
    except CubeError:  # damaged: what is to be there is known
        there = None
    if there is None or there.get("attributes") != origin.attributes:
        write_group(group, origin.attributes)


def definition(sweep: Sweep) -> dict[str, Any]:
    """Attributes of the root that tell what the cube holds."""
    return {
        "sweep": sweep.name,
        "sweep_definition": json.dumps(sweep.identity()),
        "parameters": json.dumps(sweep.identifying_params),
        "root_seed": sweep.root_seed,
        "digest": sweep.digest,
        **({"coordinates": " ".join(c.name for c in sweep.coordinates)} if sweep.coordinates else {}),
    }


def read_json(path: Storage, name: str) -> dict[str, Any] | None:
    """A JSON object of the cube; None where there is none.

    Raises
    ------
    CubeError
        It cannot be read, or is no JSON.
    """
    try:
        data = path.read(name)
        content = None if data is None else json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise CubeError(
            f"{path}/{name} is damaged or cannot be read: {error}; `spinsweep verify {path} --repair` restores what "
            "it can"
        ) from None
    return content if isinstance(content, dict) else None


def write_json(path: Storage, name: str, content: Mapping[str, Any]) -> None:
    """Put or replace a JSON object in one step."""
    path.write(name, json.dumps(content, indent=1).encode())


def _record(data: bytes | None, whole: bool = False) -> dict[str, Any] | None:
    """Attributes of a group's ``zarr.json``, or all of it; None where it cannot be read."""
    try:
        found = json.loads(data or b"")
        found = found if whole else found["attributes"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _resized(metadata: Mapping[str, Any], axes: Mapping[str, tuple[Value, ...]]) -> dict[str, Any]:
    """An array's metadata with the lengths of its axes."""
    dims = zip(metadata["dimension_names"], metadata["shape"], strict=True)
    return {**metadata, "shape": [len(axes[d]) if d in axes else n for d, n in dims]}


def _differences(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for part in dict.fromkeys([*old, *new]):
            yield from _differences(f"{name}.{part}" if name else part, old.get(part), new.get(part))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            label = a["name"] if isinstance(a, dict) and "name" in a else index
            yield from _differences(f"{name}[{label}]", a, b)
    elif old != new:
        yield name, old, new


warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part", category=UserWarning)
