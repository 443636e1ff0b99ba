"""Blocks: boxes of cells. One Dask task computes one block and alone writes its chunks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, order=True)
class Block:
    """A box of cells: ``start[i] <= index[i] < stop[i]`` on every axis ``i``."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def region(self) -> tuple[slice, ...]:
        """The box as slices of an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def points(self) -> Iterator[tuple[int, ...]]:
        """Index of every cell, last axis fastest."""
        return itertools.product(*(range(a, b) for a, b in zip(self.start, self.stop, strict=True)))


@dataclass(frozen=True)
class BlockGrid:
    """The cells of a cube, cut into blocks along multiples of a block's lengths; each cell is in one block.

    A block has an *index*, ``(2, 0)`` for the third along the first axis, and a *number*, its index counted with the
    last axis fastest. Blocks at the end of an axis may be shorter.
    """

    shape: tuple[int, ...]
    """Cells along each axis."""
    chunk: tuple[int, ...]
    """Cells of a whole block along each axis, 1 at least."""

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    @property
    def size(self) -> int:
        """Number of blocks."""
        return math.prod(self.lengths)

    def __contains__(self, index: tuple[int, ...]) -> bool:
        """Whether there is a block of that index."""
        return len(index) == len(self.shape) and all(i < n for i, n in zip(index, self.lengths, strict=True))

    def index(self, cell: Sequence[int]) -> tuple[int, ...]:
        """Index of the block that a cell is in."""
        return tuple(i // c for i, c in zip(cell, self.chunk, strict=True))

    def number(self, index: Sequence[int]) -> int:
        """Number of the block of that index."""
        number = 0
        for i, n in zip(index, self.lengths, strict=True):
            number = number * n + i
        return number

    def block(self, index: Sequence[int]) -> Block:
        """The block of that index."""
        start = tuple(i * c for i, c in zip(index, self.chunk, strict=True))
        return Block(start, tuple(min(s + c, n) for s, c, n in zip(start, self.chunk, self.shape, strict=True)))

    def blocks(self, selected: Sequence[npt.NDArray[np.bool_]] | None = None) -> Iterator[Block]:
        """All blocks, last axis fastest, or those that hold a cell whose values are ``selected`` along every axis."""
        if selected is None:
            return map(self.block, np.ndindex(*self.lengths))
        touched = [
            np.flatnonzero(np.logical_or.reduceat(mask, range(0, len(mask), length))).tolist()
            for mask, length in zip(selected, self.chunk, strict=True)
        ]
        return map(self.block, itertools.product(*touched))

    def holding(self, cells: npt.NDArray[np.bool_]) -> list[tuple[int, ...]]:
        """Indices of the blocks that hold a true cell; ``cells`` has the shape of the cube."""
        for axis, length in enumerate(self.chunk):
            cells = np.logical_or.reduceat(cells, range(0, cells.shape[axis], length), axis=axis)
        return [tuple(index) for index in np.argwhere(cells).tolist()]

    def count(self, cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """How many cells of each block are true, in the shape :attr:`lengths`."""
        counts: npt.NDArray[np.generic] = cells
        for axis, length in enumerate(self.chunk):
            counts = np.add.reduceat(counts, range(0, counts.shape[axis], length), axis=axis, dtype=np.int64)
        return np.asarray(counts, np.int64)


def choose_chunk(shape: Sequence[int], cells: int, first: Sequence[int] = ()) -> tuple[int, ...]:
    """Block shape of about ``cells`` cells: axes filled in the order ``first``, then the last axis inwards.

    A length that divides the axis is taken where one is near, so that a later value on the axis begins a new
    chunk instead of completing an old one.
    """
    room = max(1, cells)
    chunk = [1] * len(shape)
    for axis in [*first, *(i for i in reversed(range(len(shape))) if i not in first)]:
        chunk[axis] = _block_length(shape[axis], room)
        room //= chunk[axis]
        if chunk[axis] < shape[axis] or room <= 1:
            break
    return tuple(chunk)


def _block_length(length: int, longest: int) -> int:
    if longest >= length:
        return length
    even = math.ceil(length / math.ceil(length / longest))
    divisor = max(d for d in range(1, longest + 1) if length % d == 0)
    return divisor if 2 * divisor >= even else even


def as_boxes(cells: npt.NDArray[np.bool_]) -> list[tuple[npt.NDArray[np.intp], ...]]:
    """The true cells of a mask as boxes, each given by its indices along every axis.

    One box if the cells are a product of index sets, else one box a cell.
    """
    if not cells.any():
        return []
    sets = indices_along(cells)
    if int(cells.sum()) == math.prod(len(s) for s in sets):
        return [sets]
    return [tuple(np.array([i]) for i in point) for point in np.argwhere(cells)]


def indices_along(cells: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], ...]:
    """Along each axis, the indices at which there is a true cell."""
    axes = range(cells.ndim)
    return tuple(np.flatnonzero(cells.any(axis=tuple(a for a in axes if a != axis))) for axis in axes)
