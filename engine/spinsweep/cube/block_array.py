"""The blocks of one array of a cube, each read and written as one object of the cube's storage.

zarr takes about 1 ms for a small chunk, there or not; a file takes a tenth of that to read and a third to write. The
cube's chunks are Zstandard frames of little-endian numbers, or of texts, with a CRC-32C behind (it makes no others),
and a block is one chunk of every array, so that this is all that a worker needs. What is written here is, byte for
byte, what zarr writes (tested).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import numpy.typing as npt

from spinsweep.blocks import BlockGrid
from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError

CODECS = ["bytes", "zstd", "crc32c"]
TEXT_CODECS = ["vlen-utf8", "zstd", "crc32c"]
CRC_BYTES = 4
"""Of the checksum behind each chunk."""
ZSTD_LEVEL = 0

Index = tuple[int, ...]


class DamagedChunk(CubeError):
    """A chunk's object is there and holds something else than was written."""


class BlockArray:
    """One array of numbers, booleans or texts, an output or a part of the ledger, by blocks.

    Parameters
    ----------
    storage : of the array
    metadata : its ``zarr.json``
    axes : how many of its dimensions are the cube's axes, which blocks cut; the inner ones are not cut

    Raises
    ------
    CubeError
        Its chunks are not stored as the cube stores them.
    """

    def __init__(self, storage: Storage, metadata: Mapping[str, Any], axes: int) -> None:
        if not is_raw_layout(metadata):
            raise CubeError(
                f"{storage} was written by another program in its own way; spinsweep cannot go on with it"
            )
        self._storage = storage
        self._chunk: Index = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        self.grid = BlockGrid(tuple(metadata["shape"][:axes]), self._chunk[:axes])
        self.inner: Index = tuple(metadata["shape"][axes:])
        """Lengths of the dimensions behind the axes."""
        self._inner_index: Index = (0,) * len(self.inner)
        self._inner_name = "/0" * len(self.inner)
        self._texts = numcodecs.VLenUTF8() if metadata["data_type"] == "string" else None
        self.dtype = np.dtype(metadata["data_type"] if self._texts is None else object).newbyteorder("<")
        fill = metadata["fill_value"]
        self.fill = np.asarray(_number(fill) if self._texts is None else fill, self.dtype)
        self._zstd = numcodecs.Zstd(level=metadata["codecs"][1]["configuration"]["level"], checksum=False)

    def read(self, damaged: set[Index] | None = None) -> npt.NDArray[Any]:
        """The whole array; what no chunk holds is the fill value.

        Indices of damaged blocks go into ``damaged``, and their part is the fill value; without it they are an error.
        """
        whole = np.full((*self.grid.shape, *self.inner), self.fill, self.dtype)
        indices = self.written()
        names = map(self.object_name, indices)
        for index, data in zip(indices, self._storage.read_all(names), strict=True):
            if data is None:
                continue
            block = whole[self.grid.block(index).region]
            try:
                block[...] = self._decode(index, data)[_corner(block.shape)]
            except DamagedChunk:
                if damaged is None:
                    raise
                damaged.add(index)
        return whole

    def read_box(self, box: Sequence[slice]) -> npt.NDArray[Any]:
        """What lies in a box, given as slices with a start and a stop; what no chunk holds is the fill value.

        Raises
        ------
        DamagedChunk
        CubeError
            The array is not there any more: a cube that was moved would read as an empty one.
        """
        values = np.full([s.stop - s.start for s in box], self.fill, self.dtype)
        if not values.size:
            return values
        ranges = [range(s.start // c, -(-s.stop // c)) for s, c in zip(box, self.grid.chunk, strict=False)]
        indices = list(itertools.product(*ranges))
        missing = False
        for index, data in zip(indices, self._storage.read_all(map(self.object_name, indices)), strict=True):
            if data is None:
                missing = True
                continue
            block = self.grid.block(index)
            starts, stops = (*block.start, *(0,) * len(self.inner)), (*block.stop, *self.inner)
            common = [slice(max(s.start, a), min(s.stop, b)) for s, a, b in zip(box, starts, stops, strict=True)]
            into = tuple(slice(c.start - s.start, c.stop - s.start) for c, s in zip(common, box, strict=True))
            of = tuple(slice(c.start - a, c.stop - a) for c, a in zip(common, starts, strict=True))
            values[into] = self._decode(index, data)[of]
        if missing and not self._storage.exists("zarr.json"):
            raise CubeError(f"{self._storage} is not there any more: it was moved or removed after it was opened")
        return values

    def read_block(self, index: Index) -> npt.NDArray[Any]:
        """A copy of one block; the fill value where it has no chunk.

        Raises
        ------
        DamagedChunk
        """
        values = self.find_block(index)
        return np.full(self._shape(index), self.fill, self.dtype) if values is None else values

    def find_block(self, index: Index) -> npt.NDArray[Any] | None:
        """The same, and None where it has no chunk."""
        data = self._storage.read(self.object_name(index))
        return None if data is None else self._decode(index, data)[_corner(self._shape(index))].copy()

    def write_block(self, index: Index, values: npt.NDArray[Any], *, sync: bool = False) -> None:
        """Replace one block in one step; see :meth:`encode`."""
        self._storage.write(self.object_name(index), self.encode(values), sync=sync)

    def delete_block(self, index: Index) -> None:
        """Delete a block's chunk, if it has one."""
        self._storage.delete(self.object_name(index))

    def exists(self, index: Index) -> bool:
        """Whether a block has a chunk."""
        return self._storage.exists(self.object_name(index))

    def object_name(self, index: Index) -> str:
        """Name of a block's object, seen from the array's storage."""
        return f"c/{'/'.join(map(str, index))}{self._inner_name}"

    def encode(self, values: npt.NDArray[Any]) -> bytes:
        """What stands in a block's object; a chunk is whole, also at the array's edge, where its block is shorter."""
        if values.shape != self._chunk:
            padded = np.full(self._chunk, self.fill, self.dtype)
            padded[_corner(values.shape)] = values
            values = padded
        content = np.ascontiguousarray(values, self.dtype)
        if self._texts is not None:
            content = self._texts.encode(content.reshape(-1))
        frame = bytes(self._zstd.encode(content))
        return frame + int(google_crc32c.value(frame)).to_bytes(CRC_BYTES, "little")

    def sizes(self, indices: Iterable[Index]) -> list[int]:
        """Bytes of the objects of some blocks; 0 for those without a chunk."""
        names = (self.object_name(index).removeprefix("c/") for index in indices)
        return self._storage.sizes("c", names)

    def written(self) -> list[Index]:
        """Indices of all blocks with a chunk, as of the last commit: a growth that was cut may have left others."""
        return list(self._written())

    def _written(self) -> Iterator[Index]:
        axes = len(self.grid.shape)
        for name in self._storage.files("c"):
            parts = name.split("/")
            if all(map(str.isdigit, parts)):  # others are half-written
                index = tuple(map(int, parts))
                if index[:axes] in self.grid and index[axes:] == self._inner_index:
                    yield index[:axes]

    def _path(self, index: Index) -> str:
        return f"{self._storage}/{self.object_name(index)}"

    def _shape(self, index: Index) -> Index:
        """Of a block, with the dimensions behind the axes."""
        return (*self.grid.block(index).shape, *self.inner)

    def _decode(self, index: Index, data: bytes) -> npt.NDArray[Any]:
        """The whole chunk in the bytes of a block's object."""
        frame = memoryview(data)[:-CRC_BYTES]
        checksum = int.from_bytes(data[-CRC_BYTES:], "little")
        if len(data) <= CRC_BYTES or google_crc32c.value(bytes(frame)) != checksum:
            raise DamagedChunk(f"{self._path(index)} is damaged: its {len(data)} bytes do not fit their checksum")
        try:
            if self._texts is not None:
                return np.asarray(self._texts.decode(self._zstd.decode(frame)), object).reshape(self._chunk)
            values = np.zeros(self._chunk, self.dtype)  # a frame that says it holds more is refused, not unpacked
            self._zstd.decode(frame, values)
        except (RuntimeError, ValueError) as error:
            raise DamagedChunk(f"{self._path(index)} is damaged: {error}") from None
        return values


def _corner(shape: Index) -> tuple[slice, ...]:
    """The box of that shape at the corner of a chunk."""
    return tuple(slice(0, n) for n in shape)


def is_raw_layout(metadata: Mapping[str, Any]) -> bool:
    """Whether an array's chunks are stored in the one way that :class:`BlockArray` knows."""
    try:
        texts = metadata["data_type"] == "string"
        return bool(
            [codec["name"] for codec in metadata["codecs"]] == (TEXT_CODECS if texts else CODECS)
            and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
            and (texts or metadata["codecs"][0].get("configuration", {"endian": "little"}) == {"endian": "little"})
            and metadata["codecs"][1]["configuration"]["checksum"] is False
            and metadata["codecs"][1]["configuration"]["level"] in range(-100_000, 23)
            and isinstance(metadata["data_type"], str)
        )
    except (KeyError, TypeError, IndexError):
        return False


def _number(fill: Any) -> Any:
    """A fill value of ``zarr.json`` as a number: NaN and complex numbers are texts there."""
    return complex(*map(float, fill)) if isinstance(fill, list) else float(fill) if isinstance(fill, str) else fill
