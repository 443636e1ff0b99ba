"""Chunks read and written straight as objects of the cube's place.

zarr takes about 1 ms for a small chunk, there or not; a file takes a tenth of that to read and a third to write. The
cube's chunks are Zstandard frames of little-endian numbers (it makes no others), and a block is one chunk of every
array, so that this is all that a worker needs. What is written here is, byte for byte, what zarr writes (tested);
arrays of any other make go through zarr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from engine.cube.place import Place

CODECS = ["bytes", "zstd"]


class Chunks:
    """The chunks of one array.

    Parameters
    ----------
    place : of the array
    metadata : its ``zarr.json``
    """

    def __init__(self, place: Place, metadata: Mapping[str, Any]) -> None:
        self._place = place
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.chunk: tuple[int, ...] = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        self.fill = np.asarray(_number(metadata["fill_value"]), self.dtype)
        level = metadata["codecs"][1]["configuration"]["level"]
        self._zstd = numcodecs.Zstd(level=level, checksum=False)

    def read(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The whole array, cut to ``shape``; what no chunk holds is the fill value."""
        whole = np.full(shape, self.fill, self.dtype)
        there = dict(self._there(shape))
        for index, data in zip(there.values(), self._place.read_all(there), strict=True):
            if data is None:
                continue
            start = tuple(i * c for i, c in zip(index, self.chunk, strict=True))
            region = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, self.chunk, shape, strict=True))
            whole[region] = self._decoded(data)[tuple(slice(0, r.stop - r.start) for r in region)]
        return whole

    def read_one(self, index: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """One chunk, cut to ``shape``; a copy."""
        data = self._place.read(self.name(index))
        if data is None:
            return np.full(shape, self.fill, self.dtype)
        return self._decoded(data)[tuple(slice(0, n) for n in shape)].copy()

    def exists(self, index: tuple[int, ...]) -> bool:
        """Whether the chunk has been written."""
        return self._place.exists(self.name(index))

    def write(self, index: tuple[int, ...], values: npt.NDArray[Any]) -> None:
        """Replace one chunk in one step; a chunk at the array's edge may be given without what lies beyond."""
        self._place.write(self.name(index), self.encoded(values))

    def name(self, index: tuple[int, ...]) -> str:
        """Name of a chunk's object, seen from the array's place."""
        return "/".join(("c", *map(str, index)))

    def encoded(self, values: npt.NDArray[Any]) -> bytes:
        """What stands in a chunk's object; see :meth:`write`."""
        if values.shape != self.chunk:
            padded = np.full(self.chunk, self.fill, self.dtype)
            padded[tuple(slice(0, n) for n in values.shape)] = values
            values = padded
        return bytes(self._zstd.encode(np.ascontiguousarray(values, self.dtype)))

    def _there(self, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and index of every chunk that begins within ``shape``; half-written ones are no chunks."""
        for name in self._place.files("c"):
            parts = name.split("/")
            if len(parts) == len(shape) and all(part.isdigit() for part in parts):
                index = tuple(map(int, parts))
                if all(i * c < n for i, c, n in zip(index, self.chunk, shape, strict=True)):
                    yield f"c/{name}", index  # else beyond the last commit

    def _decoded(self, data: bytes) -> npt.NDArray[Any]:
        return np.frombuffer(self._zstd.decode(data), self.dtype).reshape(self.chunk)


def usual(metadata: Mapping[str, Any]) -> bool:
    """Whether an array's chunks are stored in the one way that :class:`Chunks` knows."""
    return (
        [codec["name"] for codec in metadata["codecs"]] == CODECS
        and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
        and metadata["codecs"][0].get("configuration", {"endian": "little"}) == {"endian": "little"}
        and metadata["codecs"][1]["configuration"]["checksum"] is False
        and isinstance(metadata["data_type"], str)
        and metadata["data_type"] != "string"
    )


def _number(fill: Any) -> Any:
    """A fill value of ``zarr.json`` as a number: NaN and complex numbers are texts there."""
    return complex(*map(float, fill)) if isinstance(fill, list) else float(fill) if isinstance(fill, str) else fill
