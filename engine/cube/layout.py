"""The cube: one zarr v3 group that xarray opens without us, its coordinates, outputs and ledger.

Metadata of all arrays also stand in the root's ``zarr.json`` (consolidated metadata). Readers take them from
there, so replacing that one file is the commit of a creation, of a growth or of a new definition: a reader sees
the cube before it or after it, and a kill in the middle leaves the cube before it.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import numpy.typing as npt
import zarr

from engine.axis import Axis, Value, key
from engine.cube.chunks import Chunks, usual
from engine.cube.place import Place, place_of
from engine.errors import CubeError
from engine.evaluate import CellError
from engine.ledger import Counts, Failure, State
from engine.spec import LEDGER as LEDGER_NAMES
from engine.spec import Sweep

if TYPE_CHECKING:  # loaded where it is needed: commands and workers, which write by zarr alone, start without it
    import xarray as xr

FORMAT = 1
COORD_CHUNK = 4096  # coordinate values in one chunk, so that growing rewrites one small file

LEDGER: dict[str, tuple[str, dict[str, Any]]] = {
    "cell_state": (
        "uint8",
        {
            "long_name": "state of the cell",
            "flag_values": [int(s) for s in State],
            "flag_meanings": " ".join(s.name.lower() for s in State),
        },
    ),
    "cell_attempt": ("uint16", {"long_name": "times the cell was computed", "units": "1"}),
    "cell_duration": ("float32", {"long_name": "time that the cell took", "units": "s"}),
    "cell_error": (
        "int64",
        {"long_name": "last error of the cell: 0 none, else attributes of group errors/<16 hex digits>"},
    ),
}
assert tuple(LEDGER) == LEDGER_NAMES


class Cube:
    """A sweep's store, as its last commit left it.

    Parameters
    ----------
    store
        A folder, or a URL such as ``s3://bucket/walk.zarr``.

    Raises
    ------
    CubeError
        There is no cube, or it was made by a newer format.
    """

    def __init__(self, store: str | Path | Place) -> None:
        self.path = place_of(store)
        root = _read_json(self.path, "zarr.json")
        if root is None:
            raise CubeError(
                f"{self.path} is not a cube: it has no zarr.json; `spinsweep run NAME --store {self.path}` makes one"
            )
        self.attrs: dict[str, Any] = root.get("attributes", {})
        if "spinsweep_format" not in self.attrs:
            raise CubeError(
                f"{self.path} is a zarr store of another program: its attributes have no spinsweep_format"
            )
        if self.attrs["spinsweep_format"] > FORMAT:
            raise CubeError(
                f"{self.path} has cube format {self.attrs['spinsweep_format']}; this version reads up to {FORMAT}"
            )
        self.fence = self.path.fence(self.attrs["cube_id"])
        self.metadata: dict[str, Any] = root["consolidated_metadata"]["metadata"]
        """Of every array, as of the last commit."""
        self.definition: dict[str, Any] = json.loads(self.attrs["sweep_definition"])
        self.axis_names: tuple[str, ...] = tuple(a["name"] for a in self.definition["axes"])
        self.shape: tuple[int, ...] = tuple(self.metadata[n]["shape"][0] for n in self.axis_names)
        self.chunk: tuple[int, ...] = tuple(self.metadata["cell_state"]["chunk_grid"]["configuration"]["chunk_shape"])

    @cached_property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Canonical values along every axis, in the cube's order."""
        return {n: tuple(np.asarray(self.array(n)[: self.shape[i]]).tolist()) for i, n in enumerate(self.axis_names)}

    def array(self, name: str, mode: Any = "r") -> zarr.Array[Any]:
        """One array of the cube, by its own metadata."""
        return zarr.open_array((self.path / name).zarr_store(read_only=mode == "r"), mode=mode, zarr_format=3)

    def ledger(self, name: str) -> npt.NDArray[Any]:
        """One whole array of the ledger, as the last commit shapes it."""
        metadata = self.metadata[name]
        if usual(metadata):
            return Chunks(self.path / name, metadata).read(self.shape)
        return np.asarray(self.array(name)[tuple(slice(0, n) for n in self.shape)])

    def counts(self) -> Counts:
        """Cells by state."""
        return Counts.of(self.ledger("cell_state"))

    def dataset(self) -> xr.Dataset:
        """The cube as xarray opens it (lazily)."""
        import xarray as xr

        dataset: xr.Dataset = xr.open_zarr(str(self.path))
        return dataset

    def asked(self, sweep: Sweep) -> tuple[npt.NDArray[np.bool_], ...]:
        """Along each axis of the cube, whether the sweep asks for that value."""
        wanted = [{key(v) for v in axis.values} for axis in sweep.axes]
        return tuple(
            np.array([key(v) in w for v in self.axes[n]]) for n, w in zip(self.axis_names, wanted, strict=True)
        )

    def states(self, sweep: Sweep) -> npt.NDArray[np.uint8]:
        """State of the cells that the sweep asks for, where the cube has them."""
        return np.asarray(self.ledger("cell_state")[np.ix_(*self.asked(sweep))])

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
        group = _read_json(error_path(self.path, reference), "zarr.json")
        if group is None:
            return CellError("unknown", f"the cube holds no error {reference:016x}", "")
        return CellError(**{name: group["attributes"][name] for name in ("type", "message", "traceback")})

    def runs(self) -> list[dict[str, Any]]:
        """The record of every run, oldest first."""
        names = [f"runs/{name}/zarr.json" for name in sorted(self.path.names("runs")) if name.isdigit()]
        return [json.loads(data)["attributes"] for data in self.path.read_all(names) if data is not None]

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
        self.fence.check()
        root = _read_json(self.path, "zarr.json")
        if root is None or root.get("attributes", {}).get("cube_id") != self.attrs["cube_id"]:
            raise CubeError(f"{self.path} was removed or replaced while this run went on")
        self.attrs = {**self.attrs, **attrs}
        _commit(self.path, self.metadata, self.attrs)

    def grow(self, sweep: Sweep) -> Cube:
        """The cube with the sweep's new axis values appended; old chunks stay as they are."""
        have = {name: {key(v) for v in values} for name, values in self.axes.items()}
        new = {a.name: [v for v in a.values if key(v) not in have[a.name]] for a in sweep.axes}
        if not any(new.values()):
            return self
        lengths = {n: self.shape[i] + len(new[n]) for i, n in enumerate(self.axis_names)}
        inner = {d["name"]: self.metadata[d["name"]]["shape"][0] for d in self.definition["dims"]}
        for name, meta in self.metadata.items():
            array = self.array(name, "r+")
            self.fence.check()
            array.resize(tuple({**inner, **lengths}[d] for d in meta["dimension_names"]))
            if new.get(name):
                coordinates = _coordinates(new[name])
                self.fence.check()
                array[self.metadata[name]["shape"][0] :] = coordinates
        self._derive(sweep, {n: (*self.axes[n], *new[n]) for n in self.axis_names})
        self.metadata = _metadata(self.path, self.metadata)
        self.commit({})
        return self.again()

    def again(self) -> Cube:
        """The cube as it is now, under the same fence."""
        cube = Cube(self.path)
        if cube.attrs["cube_id"] != self.attrs["cube_id"]:
            raise CubeError(f"{self.path} was replaced by another cube just now; the same command goes on")
        cube.fence = self.fence
        return cube

    def mark_stale(self, sweep: Sweep) -> None:
        """Mark every computed cell stale, then take over the sweep's definition."""
        state = self.array("cell_state", "r+")
        whole = self.ledger("cell_state")
        whole[(whole == State.DONE) | (whole == State.FAILED)] = State.STALE
        self.fence.check()
        state[tuple(slice(0, n) for n in self.shape)] = whole
        self._derive(sweep, self.axes)
        self.commit(_definition(sweep))

    def _derive(self, sweep: Sweep, axes: Mapping[str, tuple[Value, ...]]) -> None:
        """Compute the sweep's further coordinates again."""
        for coordinate in sweep.coordinates:
            values = coordinate.function(np.asarray(axes[coordinate.axis]), sweep.params)
            array = self.array(coordinate.name, "r+")
            self.fence.check()
            array[: len(values)] = values

    def sweep_out(self) -> None:
        """Delete the half-written files that killed writers left."""
        self.path.sweep_out()

    def bytes_on_disk(self) -> int:
        """Bytes of all objects of the store; takes a while when there are many."""
        return self.path.size()


def create(store: str | Path | Place, sweep: Sweep, chunk: Sequence[int], attrs: Mapping[str, Any]) -> Cube:
    """Make the cube of ``sweep`` with blocks of shape ``chunk``; it appears whole or not at all.

    When another driver makes a cube there at the same time, that one is returned.

    Raises
    ------
    CubeError
        Something is there already.
    """
    place = place_of(store)
    if place.exists("zarr.json"):
        return Cube(place)
    with place.building() as building:
        if building.exists("zarr.json"):
            return Cube(place)
        names = _make_arrays(building, sweep, tuple(chunk))
        for group in ("runs", "errors"):
            write_group(building / group, {})
        cube_id = uuid.uuid4().hex
        building.fence(cube_id).prepare()
        _commit(
            building,
            _metadata(building, names),
            {
                "spinsweep_format": FORMAT,
                "cube_id": cube_id,
                "title": sweep.title,
                "source": sweep.source,
                **_definition(sweep),
                **attrs,
            },
        )
    return Cube(place)


def write_group(path: Place, attributes: Mapping[str, Any], sync: bool = True) -> None:
    """A zarr v3 group that holds only attributes; written whole or not at all."""
    _write_json(path, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}, sync)


def compressed_fraction(arrays: Iterable[npt.NDArray[Any]]) -> float:
    """Size of the arrays' chunks on disk over their size in memory, by the cube's compressor (Zstandard)."""
    whole = [np.ascontiguousarray(a).tobytes() for a in arrays]
    codec = numcodecs.Zstd()
    return sum(len(codec.encode(part)) for part in whole) / max(1, sum(map(len, whole)))


def error_path(path: Place, reference: int) -> Place:
    """The group that holds the error of that reference."""
    return path / f"errors/{reference:016x}"


def _definition(sweep: Sweep) -> dict[str, Any]:
    return {
        "sweep": sweep.name,
        "sweep_definition": json.dumps(sweep.identity()),
        "parameters": json.dumps(sweep.params),
        "root_seed": sweep.root_seed,
        "digest": sweep.digest,
        **({"coordinates": " ".join(c.name for c in sweep.coordinates)} if sweep.coordinates else {}),
    }


def _make_arrays(path: Place, sweep: Sweep, chunk: tuple[int, ...]) -> list[str]:
    axes = sweep.axis_names
    names = []
    for axis in sweep.axes:
        _coordinate(path, axis, axis.values)
        names.append(axis.name)
    for dim in sweep.dims:
        values = sweep.dim_values(dim.name)
        _coordinate(path, Axis(dim.name, tuple(values), dim.unit, dim.long_name), values)
        names.append(dim.name)
    for coordinate in sweep.coordinates:
        derived = np.asarray(coordinate.function(np.asarray(sweep.axis(coordinate.axis).values), sweep.params), float)
        labels = _labels(coordinate.unit, coordinate.long_name)
        _make(path / coordinate.name, derived.shape, (COORD_CHUNK,), "float64", np.nan, (coordinate.axis,), labels)
        zarr.open_array((path / coordinate.name).zarr_store(read_only=False), mode="r+")[:] = derived
        names.append(coordinate.name)
    for output in sweep.outputs:
        inner = sweep.output_shape(output)
        attrs = _labels(output.unit, output.long_name) | dict(output.attrs)
        _make(
            path / output.name,
            sweep.shape + inner,
            chunk + inner,
            output.dtype,
            output.fill,
            axes + output.dims,
            attrs,
        )
        names.append(output.name)
    for name, (dtype, attrs) in LEDGER.items():
        _make(path / name, sweep.shape, chunk, dtype, None, axes, attrs)
        names.append(name)
    return names


def _coordinate(path: Place, axis: Axis, values: Sequence[Value]) -> None:
    attrs = _labels(axis.unit, axis.long_name)
    chunk = (max(COORD_CHUNK, len(values)),)
    _make(path / axis.name, (len(values),), chunk, axis.dtype, None, (axis.name,), attrs)
    zarr.open_array((path / axis.name).zarr_store(read_only=False), mode="r+")[:] = _coordinates(values)


def _labels(unit: str, long_name: str) -> dict[str, Any]:
    return {"units": unit, "long_name": long_name} if long_name else {"units": unit}


def _coordinates(values: Sequence[Value]) -> npt.NDArray[Any]:
    return np.array(values, dtype=object) if isinstance(values[0], str) else np.array(values)


def _make(
    path: Place,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    dtype: str,
    fill: Any,
    dims: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> None:
    chunk = tuple(max(1, c) for c in chunk)
    zarr.create_array(
        path.zarr_store(read_only=False),
        shape=shape,
        chunks=chunk,
        dtype=dtype,
        fill_value=fill,
        dimension_names=dims,
        attributes=dict(attributes),
        zarr_format=3,
    )


def _metadata(path: Place, names: Iterable[str]) -> dict[str, Any]:
    """The metadata that stand with the arrays themselves."""
    return {name: _read_json(path, f"{name}/zarr.json") for name in names}


def _commit(path: Place, metadata: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    _write_json(
        path,
        "zarr.json",
        {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": dict(attributes),
            "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": dict(metadata)},
        },
    )


def _read_json(path: Place, name: str) -> dict[str, Any] | None:
    try:
        data = path.read(name)
        content = None if data is None else json.loads(data)
    except (OSError, ValueError) as error:
        raise CubeError(f"{path}/{name} cannot be read: {error}") from None
    return content if isinstance(content, dict) else None


def _write_json(path: Place, name: str, content: Mapping[str, Any], sync: bool = True) -> None:
    path.write(name, json.dumps(content, indent=1).encode(), sync)


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
