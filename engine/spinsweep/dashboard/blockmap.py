"""States of blocks, and maps of them over two axes. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import BlockGrid
from spinsweep.ledger import State, pending

BINS = 100
"""Largest number of places along an axis of a map."""


class BlockState(IntEnum):
    """State of a block, and of a place of a map; larger ones hide smaller ones."""

    OUTSIDE = 0
    """Not asked for, and nothing is there."""
    WAITING = 1
    PARTLY = 2
    """Only of a place: some of its blocks are done, others wait."""
    DONE = 3
    RUNNING = 4
    FAILED = 5
    """All its cells ended, one of them failed at least."""


def initial_states(
    state: npt.NDArray[np.uint8],
    requested: Sequence[npt.NDArray[np.bool_]],
    grid: BlockGrid,
    retry_failed: bool,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """State of each block before a run, and how many of its cells the run will compute.

    Parameters
    ----------
    state : of each cell, as the ledger has it
    requested : along each axis, the values that the run asks for
    grid : the cube's blocks
    """
    left = grid.count(pending(state, retry_failed=retry_failed) & _outer(requested))
    blocks = np.zeros(left.shape, np.uint8)
    blocks[grid.count(state == State.DONE) > 0] = BlockState.DONE
    blocks[grid.count(state == State.FAILED) > 0] = BlockState.FAILED
    blocks[left > 0] = BlockState.WAITING
    return blocks, left


class BlockMap(NamedTuple):
    """The blocks over two axes, those of all further axes together."""

    counts: npt.NDArray[np.int64]
    """(states, y, x) blocks of each :class:`BlockState`."""
    shown: npt.NDArray[np.uint8]
    """(y, x) the :class:`BlockState` that stands for the place."""


def block_map(states: npt.NDArray[np.uint8], y: int, x: int) -> BlockMap:
    """The map of a grid of block states over its axes ``y`` and ``x``, at most ``BINS`` places along each."""
    counts = np.zeros((len(BlockState), *(places(states.shape[axis]) for axis in (y, x))), np.int64)
    for block_state in BlockState:
        counts[block_state] = binned(states == block_state, y, x)
    shown = np.zeros(counts.shape[1:], np.uint8)
    shown[counts[BlockState.WAITING] > 0] = BlockState.WAITING
    done = counts[BlockState.DONE] > 0
    shown[done] = np.where(shown[done] == BlockState.WAITING, BlockState.PARTLY, BlockState.DONE)
    for block_state in (BlockState.RUNNING, BlockState.FAILED):
        shown[counts[block_state] > 0] = block_state
    return BlockMap(counts, shown)


def binned(grid: npt.NDArray[np.generic], y: int, x: int) -> npt.NDArray[np.float64]:
    """Sum of a grid of blocks over all axes but two, and over the blocks of each place: (y, x)."""
    others = tuple(axis for axis in range(grid.ndim) if axis not in (y, x))
    total = grid.sum(axis=others, dtype=np.float64)
    if y > x:
        total = total.T
    for axis, length in enumerate(total.shape):
        total = np.add.reduceat(total, np.arange(0, length, group(length)), axis=axis)
    return np.asarray(total, np.float64)


def group(blocks: int) -> int:
    """Blocks along an axis that one place of a map stands for."""
    return math.ceil(blocks / BINS)


def places(blocks: int) -> int:
    """Places of a map along an axis of that many blocks."""
    return math.ceil(blocks / group(blocks))


def _outer(along: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """True where all are, of the shape that they span."""
    whole = np.ones((1,) * len(along), bool)
    for axis, part in enumerate(along):
        whole = whole & part.reshape([-1 if a == axis else 1 for a in range(len(along))])
    return whole
