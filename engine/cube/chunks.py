"""Chunks read and written straight as files.

zarr takes about 1 ms for a small chunk, there or not; a file takes a tenth of that to read and a third to write. The
cube's chunks are Zstandard frames of little-endian numbers (it makes no others), and a block is one chunk of every
array, so that this is all that a worker needs. What is written here is, byte for byte, what zarr writes (tested);
arrays of any other make go through zarr.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

CODECS = ["bytes", "zstd"]


class Chunks:
    """The chunk files of one array.

    Parameters
    ----------
    folder : of the array
    metadata : its ``zarr.json``
    """

    def __init__(self, folder: Path, metadata: Mapping[str, Any]) -> None:
        self._folder = str(folder / "c")
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.chunk: tuple[int, ...] = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        self.fill = np.asarray(_number(metadata["fill_value"]), self.dtype)
        level = metadata["codecs"][1]["configuration"]["level"]
        self._zstd = numcodecs.Zstd(level=level, checksum=False)
        self._folders: set[str] = set()

    def read(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The whole array, cut to ``shape``; what no chunk holds is the fill value."""
        whole = np.full(shape, self.fill, self.dtype)
        for index, file in _files(self._folder, len(shape)):
            start = tuple(i * c for i, c in zip(index, self.chunk, strict=True))
            if any(s >= n for s, n in zip(start, shape, strict=True)):
                continue  # beyond the last commit
            region = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, self.chunk, shape, strict=True))
            whole[region] = self._decoded(file)[tuple(slice(0, r.stop - r.start) for r in region)]
        return whole

    def read_one(self, index: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """One chunk, cut to ``shape``; a copy."""
        try:
            chunk = self._decoded(self._path(index))
        except FileNotFoundError:
            return np.full(shape, self.fill, self.dtype)
        return chunk[tuple(slice(0, n) for n in shape)].copy()

    def exists(self, index: tuple[int, ...]) -> bool:
        """Whether the chunk has a file."""
        return os.path.exists(self._path(index))  # noqa: PTH110  four times a block

    def write(self, index: tuple[int, ...], values: npt.NDArray[Any]) -> None:
        """Replace one chunk in one step; a chunk at the array's edge may be given without what lies beyond."""
        if values.shape != self.chunk:
            padded = np.full(self.chunk, self.fill, self.dtype)
            padded[tuple(slice(0, n) for n in values.shape)] = values
            values = padded
        path = self._path(index)
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._folders.add(folder)
        temporary = f"{path}.{uuid.uuid4().hex}.partial"
        with open(temporary, "wb", buffering=0) as file:  # noqa: PTH123
            file.write(self._zstd.encode(np.ascontiguousarray(values, self.dtype)))
        os.replace(temporary, path)  # noqa: PTH105

    def _path(self, index: tuple[int, ...]) -> str:
        return "/".join((self._folder, *map(str, index)))

    def _decoded(self, path: str) -> npt.NDArray[Any]:
        with open(path, "rb") as file:  # noqa: PTH123
            return np.frombuffer(self._zstd.decode(file.read()), self.dtype).reshape(self.chunk)


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


def _files(folder: str, depth: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Index and path of every chunk file under ``folder``; half-written ones are no chunks."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.isdigit():
            if depth == 1:
                yield (int(entry.name),), entry.path
            else:
                yield from (((int(entry.name), *rest), path) for rest, path in _files(entry.path, depth - 1))
