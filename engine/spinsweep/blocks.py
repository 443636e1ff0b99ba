"""Blocks: boxes of cells. One Dask task computes one block and alone writes its chunks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def grid(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[Block]:
    """The blocks that cut an array of ``shape`` along multiples of ``chunk``, each cell in exactly one."""
    steps = [range(0, n, c) for n, c in zip(shape, chunk, strict=True)]
    for start in itertools.product(*steps):
        stop = tuple(min(a + c, n) for a, c, n in zip(start, chunk, shape, strict=True))
        yield Block(start, stop)


def choose_chunk(shape: Sequence[int], cells: int, first: Sequence[int] = ()) -> tuple[int, ...]:
    """Block shape of about ``cells`` cells: axes filled in the order ``first``, then the last axis inwards.

    A length that divides the axis is taken where one is near, so that a later value on the axis begins a new
    chunk instead of completing an old one.
    """
    left = max(1, cells)
    chunk = [1] * len(shape)
    for axis in [*first, *(i for i in reversed(range(len(shape))) if i not in first)]:
        chunk[axis] = _part(shape[axis], left)
        left //= chunk[axis]
        if chunk[axis] < shape[axis] or left <= 1:
            break
    return tuple(chunk)


def _part(length: int, most: int) -> int:
    if most >= length:
        return length
    even = math.ceil(length / math.ceil(length / most))
    divisor = max(d for d in range(1, most + 1) if length % d == 0)
    return divisor if 2 * divisor >= even else even


def as_boxes(wanted: npt.NDArray[np.bool_]) -> list[tuple[npt.NDArray[np.intp], ...]]:
    """The true cells of a mask as boxes, each given by its indices along every axis.

    One box if the cells are a product of index sets, else one box a cell.
    """
    if not wanted.any():
        return []
    axes = range(wanted.ndim)
    sets = tuple(np.flatnonzero(wanted.any(axis=tuple(a for a in axes if a != axis))) for axis in axes)
    if int(wanted.sum()) == math.prod(len(s) for s in sets):
        return [sets]
    return [tuple(np.array([i]) for i in point) for point in np.argwhere(wanted)]
