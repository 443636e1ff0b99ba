"""Chunks read and written straight as objects of the cube's place.

zarr takes about 1 ms for a small chunk, there or not; a file takes a tenth of that to read and a third to write. The
cube's chunks are Zstandard frames of little-endian numbers with a CRC-32C behind (it makes no others), and a block is
one chunk of every array, so that this is all that a worker needs. What is written here is, byte for byte, what zarr
writes (tested).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import numpy.typing as npt

from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError

CODECS = ["bytes", "zstd", "crc32c"]
CRC = 4  # bytes of the checksum behind each chunk
LEVEL = 0  # of Zstandard


class DamagedChunk(CubeError):
    """A chunk's object is there and holds something else than was written."""


class Chunks:
    """The chunks of one array of numbers or booleans.

    Parameters
    ----------
    place : of the array
    metadata : its ``zarr.json``

    Raises
    ------
    CubeError
        Its chunks are not stored as the cube stores them.
    """

    def __init__(self, place: Storage, metadata: Mapping[str, Any]) -> None:
        if not is_raw_layout(metadata):
            raise CubeError(f"{place} was written by another program in its own way; spinsweep cannot go on with it")
        self._place = place
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.chunk: tuple[int, ...] = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        self.fill = np.asarray(_number(metadata["fill_value"]), self.dtype)
        self._zstd = numcodecs.Zstd(level=metadata["codecs"][1]["configuration"]["level"], checksum=False)

    def read(self, shape: tuple[int, ...], damaged: set[tuple[int, ...]] | None = None) -> npt.NDArray[Any]:
        """The whole array, cut to ``shape``; what no chunk holds is the fill value.

        Indices of damaged chunks go into ``damaged``, and their part is the fill value; without it they are an error.
        """
        whole = np.full(shape, self.fill, self.dtype)
        there = dict(self._there(shape))
        for (name, index), data in zip(there.items(), self._place.read_all(there), strict=True):
            if data is None:
                continue
            try:
                values = self._decoded(name, data)
            except DamagedChunk:
                if damaged is None:
                    raise
                damaged.add(index)
                continue
            start = tuple(i * c for i, c in zip(index, self.chunk, strict=True))
            region = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, self.chunk, shape, strict=True))
            whole[region] = values[tuple(slice(0, r.stop - r.start) for r in region)]
        return whole

    def read_one(self, index: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """One chunk, cut to ``shape``; a copy. The fill value where there is none.

        Raises
        ------
        DamagedChunk
        """
        found = self.find(index, shape)
        return np.full(shape, self.fill, self.dtype) if found is None else found

    def find(self, index: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
        """The same, and None where there is no chunk."""
        data = self._place.read(self.name(index))
        if data is None:
            return None
        return self._decoded(self.name(index), data)[tuple(slice(0, n) for n in shape)].copy()

    def of_block(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Index of the one chunk of the block at a place of the grid: inner dims are not cut."""
        return (*place, *(0 for _ in self.chunk[len(place) :]))

    def exists(self, index: tuple[int, ...]) -> bool:
        """Whether the chunk has been written."""
        return self._place.exists(self.name(index))

    def write(self, index: tuple[int, ...], values: npt.NDArray[Any], sync: bool = False) -> None:
        """Replace one chunk in one step; a chunk at the array's edge may be given without what lies beyond."""
        self._place.write(self.name(index), self.encoded(values), sync)

    def delete(self, index: tuple[int, ...]) -> None:
        """Delete one chunk, if it is there."""
        self._place.delete(self.name(index))

    def name(self, index: tuple[int, ...]) -> str:
        """Name of a chunk's object, seen from the array's place."""
        return "/".join(("c", *map(str, index)))

    def encoded(self, values: npt.NDArray[Any]) -> bytes:
        """What stands in a chunk's object; see :meth:`write`."""
        if values.shape != self.chunk:
            padded = np.full(self.chunk, self.fill, self.dtype)
            padded[tuple(slice(0, n) for n in values.shape)] = values
            values = padded
        frame = bytes(self._zstd.encode(np.ascontiguousarray(values, self.dtype)))
        return frame + int(google_crc32c.value(frame)).to_bytes(CRC, "little")

    def sizes(self, indices: Iterable[tuple[int, ...]]) -> list[int]:
        """Bytes of the objects of some chunks; 0 for those that are not there."""
        return self._place.sizes("c", ("/".join(map(str, index)) for index in indices))

    def there(self) -> list[tuple[int, ...]]:
        """Indices of all chunks that are there."""
        return [tuple(map(int, name.split("/"))) for name in self._place.files("c") if _is_index(name)]

    def _there(self, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and index of every chunk that begins within ``shape``; half-written ones are no chunks."""
        for name in self._place.files("c"):
            if _is_index(name):
                index = tuple(map(int, name.split("/")))
                within = len(index) == len(shape)
                if within and all(i * c < n for i, c, n in zip(index, self.chunk, shape, strict=True)):
                    yield f"c/{name}", index  # else beyond the last commit

    def _decoded(self, name: str, data: bytes) -> npt.NDArray[Any]:
        frame = memoryview(data)[:-CRC]
        if len(data) <= CRC or google_crc32c.value(bytes(frame)) != int.from_bytes(data[-CRC:], "little"):
            raise DamagedChunk(f"{self._place}/{name} is damaged: its {len(data)} bytes do not fit their checksum")
        values = np.zeros(self.chunk, self.dtype)  # a frame that says it holds more is refused, not unpacked
        try:
            self._zstd.decode(frame, values)
            return values
        except (RuntimeError, ValueError) as error:
            raise DamagedChunk(f"{self._place}/{name} is damaged: {error}") from None


def is_raw_layout(metadata: Mapping[str, Any]) -> bool:
    """Whether an array's chunks are stored in the one way that :class:`Chunks` knows."""
    try:
        return bool(
            [codec["name"] for codec in metadata["codecs"]] == CODECS
            and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
            and metadata["codecs"][0].get("configuration", {"endian": "little"}) == {"endian": "little"}
            and metadata["codecs"][1]["configuration"]["checksum"] is False
            and metadata["codecs"][1]["configuration"]["level"] in range(-100_000, 23)
            and isinstance(metadata["data_type"], str)
            and metadata["data_type"] != "string"
        )
    except (KeyError, TypeError, IndexError):
        return False


def _is_index(name: str) -> bool:
    return all(part.isdigit() for part in name.split("/"))


def _number(fill: Any) -> Any:
    """A fill value of ``zarr.json`` as a number: NaN and complex numbers are texts there."""
    return complex(*map(float, fill)) if isinstance(fill, list) else float(fill) if isinstance(fill, str) else fill
