"""Making a cube: its objects are made in memory, written, synced, and committed by the root."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from spinsweep import moments
from spinsweep.axis import Axis, Value
from spinsweep.cube import coordinates
from spinsweep.cube.attributes import FORMAT, CubeAttributes, definition_of
from spinsweep.cube.block_array import ZSTD_LEVEL
from spinsweep.cube.cube import Cube
from spinsweep.cube.groups import write_group, write_json, write_root
from spinsweep.cube.root import CELL
from spinsweep.cube.storage import Storage
from spinsweep.cube.stores import open_storage, write_guard_of
from spinsweep.ledger import flags
from spinsweep.long_values import LongValues
from spinsweep.outputs import Dim
from spinsweep.spec import Sweep

Lengths = tuple[int, ...]
LEDGER: dict[str, dict[str, Any]] = {
    "cell_state": {
        "long_name": "state of the cell",
        **flags(),
    },
    "cell_attempt": {"long_name": "times the cell was computed", "units": "1"},
    "cell_duration": {"long_name": "time that the cell took", "units": "s"},
    "cell_error": {"long_name": "last error of the cell: 0 none, else attributes of group errors/<16 hex digits>"},
    "cell_code": {
        "long_name": "what computed the cell, if it is done or failed: attributes of group codes/<16 hex digits>"
    },
}
"""Attributes of the ledger's arrays."""
TIMEDELTA_UNITS = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
"""Written in the singular, which means the same."""


def create(
    store: str | Path | Storage, sweep: Sweep, chunk: Sequence[int], attrs: Mapping[str, Any], code: int = 0
) -> Cube:
    """Make the cube of ``sweep`` with blocks of shape ``chunk``; it appears whole or not at all.

    When another driver makes a cube there at the same time, that one is returned.

    Parameters
    ----------
    attrs : further attributes of the root, by their names on disk
    code : number of what will compute most of it: blocks of that one need no chunk of ``cell_code``

    Raises
    ------
    CubeError
        Something is there already.
    """
    storage = open_storage(store)
    if storage.exists("zarr.json"):
        return Cube(storage)
    values = coordinate_values(sweep)
    metadata = metadata_of(sweep, values, tuple(chunk), code)
    with storage.staging() as staging:
        if staging.exists("zarr.json"):
            return Cube(storage)
        cube_id = lay_out(staging, metadata, values)
        attributes = CubeAttributes(
            FORMAT,
            cube_id,
            sweep.title,
            sweep.source,
            **definition_of(sweep),
            coordinates_sha256=json.dumps({name: coordinates.digest(v) for name, v in values.items()}),
            others=attrs,
        )
        write_root(staging, metadata, attributes.to_json())
    return Cube(storage)


def lay_out(staging: Storage, metadata: Mapping[str, Any], values: Mapping[str, npt.NDArray[Any]]) -> str:
    """Write all of an empty cube but its root; returns its ``cube_id``.

    Parameters
    ----------
    metadata : of every array
    values : of every coordinate
    """
    for name, content in metadata.items():
        write_json(staging, f"{name}/zarr.json", content)
    for name, array in values.items():
        staging.write_all(coordinates.objects(name, metadata[name], array))
    for group in ("runs", "errors", "codes"):
        write_group(staging / group, {})
    cube_id = uuid.uuid4().hex
    write_guard_of(staging, cube_id).prepare()
    return cube_id


def compressed_fraction(arrays: Iterable[npt.NDArray[Any]]) -> float:
    """Size of the arrays' chunks on disk over their size in memory, by the cube's compressor (Zstandard)."""
    whole = [_bytes_of(array) for array in arrays]
    codec = numcodecs.Zstd(level=ZSTD_LEVEL)
    return sum(len(codec.encode(part)) for part in whole) / max(1, sum(map(len, whole)))


def metadata_of(
    sweep: Sweep, values: Mapping[str, npt.NDArray[Any]], chunk: tuple[int, ...], code: int
) -> dict[str, Any]:
    """The ``zarr.json`` of every array of a cube of the sweep, by name.

    Parameters
    ----------
    values : of all coordinates
    chunk, code : see :func:`create`
    """
    return {**_coordinate_metadata(sweep, values), **_cell_metadata(sweep, chunk, code)}


def _bytes_of(array: npt.NDArray[Any]) -> bytes:
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    return bytes(numcodecs.VLenUTF8().encode(array.reshape(-1)))


def coordinate_values(sweep: Sweep) -> dict[str, npt.NDArray[Any]]:
    """Values of all coordinates."""
    axes = {axis.name: coordinates.array_of(axis.values) for axis in sweep.axes}
    dims = {dim.name: _dim_array(sweep.dim_values(dim.name)) for dim in sweep.dims}
    derived = {c.name: c.along(sweep.axis(c.axis).values, sweep.params) for c in sweep.coordinates}
    return {**axes, **dims, **derived}


def _dim_array(values: Sequence[Value] | range | LongValues) -> npt.NDArray[Any]:
    if isinstance(values, LongValues):
        return np.asarray(moments.as_stored(values.array))
    return np.arange(values.start, values.stop) if isinstance(values, range) else coordinates.array_of(values)


def _coordinate_metadata(sweep: Sweep, values: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    metadata = {}
    dated = {a.name: a.kind == "datetime" for a in sweep.axes} | {d.name: d.has_dates for d in sweep.dims}
    every: tuple[Axis | Dim, ...] = (*sweep.axes, *sweep.dims)
    for along in every:
        array = values[along.name]
        chunk = (min(max(coordinates.COORD_CHUNK, len(array)), coordinates.LONG_CHUNK),)
        dtype = "string" if array.dtype == object else array.dtype.name
        fill = np.nan if dtype == "float64" else None  # a chunk that is lost reads as NaN, not as 0
        labels = _labels(along, dates=dated[along.name])
        metadata[along.name] = _array(array.shape, chunk, dtype, fill, (along.name,), labels)
    for c in sweep.coordinates:
        shape = values[c.name].shape
        metadata[c.name] = _array(shape, (coordinates.COORD_CHUNK,), "float64", np.nan, (c.axis,), _labels(c))
    return metadata


def _cell_metadata(sweep: Sweep, chunk: tuple[int, ...], code: int) -> dict[str, Any]:
    """Of the outputs and the ledger, whose chunks are the blocks."""
    metadata = {}
    axes = sweep.axis_names
    for output in sweep.outputs:
        inner = sweep.output_shape(output)
        dates = output.dtype == moments.DTYPE
        fill = moments.NOT_A_TIME if dates else output.fill
        states = {"ancillary_variables": "cell_state"}  # by CF: where it is not 1, the fill value stands
        attrs = _decoded_by_nobody(_labels(output, dates=dates) | states | dict(output.attrs))
        if dates:
            attrs["_FillValue"] = fill  # by which xarray knows it for no date
        dims = axes + output.dims
        metadata[output.name] = _array(sweep.shape + inner, chunk + inner, output.stored_dtype, fill, dims, attrs)
    for name, attrs in LEDGER.items():
        fill = code if name == "cell_code" else None
        metadata[name] = _array(sweep.shape, chunk, CELL[name], fill, axes, attrs)
    return metadata


def _labels(what: Any, *, dates: bool = False) -> dict[str, Any]:
    labels = {"units": what.unit, "long_name": what.long_name} if what.long_name else {"units": what.unit}
    return labels | moments.ATTRIBUTES if dates else _decoded_by_nobody(labels)


def _decoded_by_nobody(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes with ``units`` that no xarray takes for its own: of numbers in ``days`` it makes timedeltas."""
    unit = attributes.get("units")
    return {**attributes, "units": unit[:-1]} if unit in TIMEDELTA_UNITS else attributes


def _array(
    shape: Lengths, chunk: Lengths, dtype: str, fill: Any, dims: tuple[str, ...], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """An array's ``zarr.json``, as zarr makes it."""
    import zarr  # late: it takes longer to load than all else
    from zarr.codecs import Crc32cCodec, ZstdCodec
    from zarr.storage import MemoryStore

    objects: dict[str, Any] = {}
    zarr.create_array(
        MemoryStore(objects),
        shape=shape,
        chunks=tuple(max(1, c) for c in chunk),
        dtype=dtype,
        fill_value=fill,
        compressors=[ZstdCodec(level=ZSTD_LEVEL, checksum=False), Crc32cCodec()],
        dimension_names=dims,
        attributes=dict(attributes),
        zarr_format=3,
    )
    return dict(json.loads(objects["zarr.json"].to_bytes()))
