"""A cube in pieces of bounded size, so that one larger than the memory is exported as well."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from spinsweep.cube import Cube

PIECE_BYTES = 2**25
"""Of the largest output in one piece, before compression; several pieces are in memory at a time."""


def piece_lengths(cube: Cube, most: int = PIECE_BYTES) -> dict[str, int]:
    """Values along each dimension that are read at a time: blocks, doubled as often as ``most`` bytes allow.

    A length is a block's times a power of two, or all values of the dimension.
    """
    lengths = dict(zip(cube.axis_names, cube.shape, strict=True))
    pieces = dict(zip(cube.axis_names, cube.grid.chunk, strict=True))
    cell = max(_cell_bytes(cube, name) for name in cube.cell_arrays)
    for name in reversed(cube.axis_names):
        while pieces[name] < lengths[name] and 2 * cell * math.prod(pieces.values()) <= most:
            pieces[name] = min(2 * pieces[name], lengths[name])
    inner = [m for m in cube.metadata.values() if len(m["dimension_names"]) > len(cube.axis_names)]
    whole = {d: n for m in inner for d, n in zip(m["dimension_names"], m["shape"], strict=True) if d not in lengths}
    return {**pieces, **whole}


def boxes(lengths: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Boxes of at most ``most`` points that follow each other in row-major order, and so do the points in each."""
    whole = len(lengths)  # dimensions from here on are whole in each box
    while whole and math.prod(lengths[whole - 1 :]) <= most:
        whole -= 1
    if not whole:
        yield tuple(slice(0, n) for n in lengths)
        return
    step = max(1, most // math.prod(lengths[whole:]))
    rest = tuple(slice(0, n) for n in lengths[whole:])
    for first in itertools.product(*map(range, lengths[: whole - 1])):
        for start in range(0, lengths[whole - 1], step):
            cut = slice(start, min(start + step, lengths[whole - 1]))
            yield (*(slice(i, i + 1) for i in first), cut, *rest)


def chunk_and_shard(
    shape: Mapping[str, int], pieces: Mapping[str, int], itemsize: int, most: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of an array's piece, the lengths of chunks of about ``most`` bytes, and of the shard that holds them all.

    A shard is a whole number of chunks; where a piece holds all values of a dimension, its shard may be longer.
    """
    parts = dict.fromkeys(shape, 1)
    lengths = {d: min(pieces[d], n) for d, n in shape.items()}

    def chunk() -> dict[str, int]:
        return {d: -(-lengths[d] // parts[d]) for d in shape}

    for d in shape:
        splits = lengths[d] if lengths[d] >= shape[d] else lengths[d] & -lengths[d]  # the powers of two in a length
        while math.prod(chunk().values()) * itemsize > most and 2 * parts[d] <= splits:
            parts[d] *= 2
    return tuple(chunk().values()), tuple(n * parts[d] for d, n in chunk().items())


def _cell_bytes(cube: Cube, name: str) -> int:
    array = cube.array(name)
    return math.prod(array.inner) * int(array.dtype.itemsize)
