"""Coordinates of a cube: small arrays that zarr writes, kept twice.

They are the only arrays with names (strings) in them, and a cube whose axis cannot be read is worth nothing. So each
chunk stands a second time under ``cell_state/copies/``, and the root's attributes hold a digest of the values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value
from spinsweep.blocks import BlockGrid
from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError
from spinsweep.moments import as_moments, as_stored

COPIES = "cell_state/copies"  # in the folder of an array, where zarr looks for chunks only
COORD_CHUNK = 4096  # coordinate values in one chunk, so that growing rewrites one small file
LONG_CHUNK = 2**20  # of a long dim, so that writing it takes little memory beside it


def array_of(values: Sequence[Value]) -> npt.NDArray[Any]:
    """Values of an axis as zarr takes them."""
    return np.array(values, dtype=object) if isinstance(values[0], str) else as_stored(np.array(values))


def values_of(array: npt.NDArray[Any], kind: str) -> tuple[Value, ...]:
    """The values of an axis of that kind in what :func:`read` gives."""
    return tuple(as_moments(array)) if kind == "datetime" else tuple(array.tolist())


def digest(values: npt.NDArray[Any]) -> str:
    """SHA-256 of the little-endian numbers; of names, of their JSON list."""
    return hashlib.sha256(content(values)).hexdigest()


def content(values: npt.NDArray[Any]) -> bytes | memoryview:
    """What a digest of an array is over: its little-endian numbers, row-major; of texts, their JSON list."""
    if values.dtype.kind in "OTU":
        return json.dumps(values.tolist()).encode()
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def objects(name: str, metadata: Mapping[str, Any], values: npt.NDArray[Any]) -> dict[str, bytes]:
    """The chunks that hold the values, as a cube's objects, each with its copy."""
    import zarr  # late, here and below: most commands need none, and it takes longer to load than all else
    from zarr.storage import MemoryStore

    memory = {"zarr.json": _buffer(json.dumps(metadata).encode())}
    array = zarr.open_array(MemoryStore(memory), mode="r+", zarr_format=3).with_config({"write_empty_chunks": True})
    length, chunks = array.chunks[0], {}
    for number, chunk in enumerate(_chunk_names(metadata)):  # one at a time: zarr would hold them all
        part = slice(number * length, (number + 1) * length)
        array[part] = values[part]
        chunks[chunk] = memory.pop(chunk).to_bytes()
    return {f"{folder}/{chunk}": data for folder in _folders(name) for chunk, data in chunks.items()}


def read(storage: Storage, name: str, metadata: Mapping[str, Any], sha256: str) -> npt.NDArray[Any]:
    """The values, from the array or from its copy.

    Raises
    ------
    CubeError
        Both are damaged.
    """
    for folder in _folders(name):
        values = _read(storage, folder, metadata)
        if values is not None and digest(values) == sha256:
            return values
    raise CubeError(f"{storage}/{name}: this coordinate is damaged, and so is its copy in {COPIES}/")


def damaged(storage: Storage, name: str, metadata: Mapping[str, Any], sha256: str) -> list[str]:
    """Which of the array and its copy do not hold the values."""
    copies = {folder: _read(storage, folder, metadata) for folder in _folders(name)}
    return [folder for folder, values in copies.items() if values is None or digest(values) != sha256]


def _folders(name: str) -> tuple[str, str]:
    return name, f"{COPIES}/{name}"


def _read(storage: Storage, folder: str, metadata: Mapping[str, Any]) -> npt.NDArray[Any] | None:
    """The values in a folder of chunks; None where any chunk is missing or damaged."""
    import zarr
    from zarr.storage import MemoryStore

    memory = {"zarr.json": _buffer(json.dumps(metadata).encode())}
    for name in _chunk_names(metadata):
        data = storage.read(f"{folder}/{name}")
        if data is None:
            return None
        memory[name] = _buffer(data)
    try:
        return np.asarray(zarr.open_array(MemoryStore(memory, read_only=True), mode="r", zarr_format=3)[:])
    except Exception:  # whatever its codecs say of bytes that are not theirs
        return None


def _chunk_names(metadata: Mapping[str, Any]) -> list[str]:
    """Names of an array's chunks, seen from its folder."""
    grid = BlockGrid(tuple(metadata["shape"]), tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"]))
    return [f"c/{index}" for index in range(grid.size)]


def _buffer(data: bytes) -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(data)
