"""What a block's done cells hold, in a digest beside them: chunks that were deleted, swapped or old are found.

A checksum behind each chunk finds bytes that changed. It does not find a chunk that is missing, that belongs to
another block, or that a power cut set back. So each block has a small record, written before the states that make its
cells done: which cells it speaks of, and the SHA-256 of their decoded values over all arrays but the states.

A block whose cells are not all new has two entries while it is written, of what was there and of what comes, so that
a kill between two chunks is no damage. A record names the run and the batch of blocks that wrote it: what a run has
synced is told by batches (:mod:`spinsweep.cube.durable`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import indices_along

Mask = npt.NDArray[np.bool_]
Arrays = Mapping[str, npt.NDArray[Any]]
LEFT_OUT = ("cell_state", "cell_error")
"""Arrays of the ledger that a digest leaves out: it is of done cells, which have no error."""
SPARSE = ("cell_error", "cell_code")
"""Arrays of the ledger that mostly hold their fill value, which costs no chunk."""
FOLDER = "cell_state/digests"  # in the folder of an array, where zarr looks for chunks only


@dataclass(frozen=True)
class DigestEntry:
    """The digest of some cells of a block."""

    cells: Mask
    """Which cells, in the shape of a whole chunk."""
    sha256: str
    """Of their values; see :func:`digest`."""

    @classmethod
    def of(cls, cells: Mask, arrays: Arrays, chunk: tuple[int, ...]) -> DigestEntry:
        """Of the true cells of ``cells``, a box at the corner of a chunk; arrays begin with the shape of the box."""
        whole = np.zeros(chunk, bool)
        whole[tuple(slice(0, n) for n in cells.shape)] = cells
        return cls(whole, digest(cells, arrays))

    def fits(self, done: Mask, arrays: Arrays) -> bool:
        """Whether it speaks of all ``done`` cells, and the arrays hold what it saw."""
        cells = self.cells[tuple(slice(0, n) for n in done.shape)]
        return bool((cells | ~done).all()) and digest(cells, arrays) == self.sha256


@dataclass(frozen=True)
class BlockRecord:
    """What a block's object in ``digests/`` holds."""

    run: int
    """Epoch of the run that wrote it; 0: cells were taken from it later."""
    batch: int
    """Of the tasks between two syncs of that run."""
    entries: tuple[DigestEntry, ...]
    """Of the cells that are there, and of those while they are joined by others."""

    def fits(self, done: Mask, arrays: Arrays) -> bool:
        """Whether the done cells of a block are those that were written."""
        return not done.any() or any(entry.fits(done, arrays) for entry in self.entries)

    def covers(self, done: Mask) -> bool:
        """Whether an entry is of all ``done`` cells, a box at the corner of the chunk."""
        box = tuple(slice(0, n) for n in done.shape)
        return any(bool((entry.cells[box] | ~done).all()) for entry in self.entries)

    def encode(self) -> bytes:
        """As JSON."""
        entries = [{"cells": _packed(entry.cells), "sha256": entry.sha256} for entry in self.entries]
        return json.dumps({"run": self.run, "batch": self.batch, "entries": entries}).encode()

    @classmethod
    def decode(cls, data: bytes | None, chunk: tuple[int, ...]) -> BlockRecord | None:
        """The record in an object; None where there is none, or another thing."""
        try:
            content = json.loads(data or b"")
            entries = tuple(DigestEntry(_unpacked(e["cells"], chunk), str(e["sha256"])) for e in content["entries"])
            return cls(int(content["run"]), int(content["batch"]), entries)
        except (ValueError, KeyError, TypeError, zlib.error):
            return None


def digest(cells: Mask, arrays: Arrays) -> str:
    """SHA-256 over, for each array in alphabetical order: its name, its type, and the values of the true cells.

    Values are little-endian and row-major in the order of the cells, so that the digest does not change when the box
    grows around the same cells.  Texts are a JSON list.
    """
    sha256 = hashlib.sha256()
    everywhere = bool(cells.all())
    for name in sorted(arrays):
        values = arrays[name] if everywhere else arrays[name][cells]
        if values.dtype == object:
            sha256.update(f"{name}:str;{json.dumps(values.reshape(-1).tolist())}".encode())
            continue
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1)
        sha256.update(f"{name}:{little.dtype.str};".encode())
        sha256.update(little.view(np.uint8).data)
    return sha256.hexdigest()


def as_digested(arrays: Arrays, incomplete: Mask, fills: Mapping[str, Any]) -> Arrays:
    """The arrays as a digest sees them: of incomplete cells, what is still to be written counts as fill values.

    So a digest fits whether that is written already or not, until the states say that it is.

    Parameters
    ----------
    incomplete : these cells, in the shape of the block
    fills : fill value of each array that is still written there
    """
    if not incomplete.any():
        return arrays
    seen = dict(arrays)
    for name, fill in fills.items():
        seen[name] = arrays[name].copy()
        seen[name][incomplete] = fill
    return seen


def object_name(index: tuple[int, ...]) -> str:
    """Name of the object that holds a block's record."""
    return f"{FOLDER}/{'.'.join(map(str, index))}"


def _packed(cells: Mask) -> Any:
    """A mask as JSON: the lengths of a box at the chunk's corner, or its bits."""
    if cells.all():
        return list(cells.shape)
    lengths = list(map(len, indices_along(cells)))
    box = tuple(slice(0, n) for n in lengths)
    if cells[box].all() and cells.sum() == np.prod(lengths):
        return lengths
    return base64.b64encode(zlib.compress(np.packbits(cells).tobytes())).decode()


def _unpacked(packed: Any, chunk: tuple[int, ...]) -> Mask:
    cells = np.zeros(chunk, bool)
    if isinstance(packed, list):
        if len(packed) != len(chunk):
            raise ValueError("a box of another number of axes")
        cells[tuple(slice(0, int(n)) for n in packed)] = True
        return cells
    bits = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    return np.unpackbits(bits, count=cells.size).astype(bool).reshape(chunk)
