"""States of blocks, and maps of them over two axes. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import BlockGrid
from spinsweep.ledger import State, pending

MAX_BINS = 100
"""Along an axis of a map."""


class BlockState(IntEnum):
    """State of a block, and of a bin of a map; larger ones hide smaller ones."""

    OUTSIDE = 0
    """The run does not ask for it, and it holds nothing."""
    WAITING = 1
    PARTLY = 2
    """Only of a bin: some of its blocks are done, others wait."""
    DONE = 3
    RUNNING = 4
    FAILED = 5
    """All its cells ended, and at least one of them failed."""


def initial_states(
    state: npt.NDArray[np.uint8], requested: Sequence[npt.NDArray[np.bool_]], grid: BlockGrid, *, retry_failed: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """State of each block before a run, how many of its cells the run will compute, and its share of failed cells.

    Parameters
    ----------
    state : of each cell, as the ledger has it
    requested : along each axis, the values that the run asks for
    grid : the cube's blocks
    """
    cells_left = grid.count(pending(state, retry_failed=retry_failed) & reduce(np.logical_and.outer, requested))
    blocks = np.zeros(grid.lengths, np.uint8)
    blocks[grid.count(state == State.DONE) > 0] = BlockState.DONE
    blocks[grid.count(state == State.FAILED) > 0] = BlockState.FAILED
    blocks[cells_left > 0] = BlockState.WAITING
    cells = grid.count(np.ones(state.shape, bool))
    return blocks, cells_left, share_byte(grid.count(state == State.FAILED), cells)


def share_byte(failed: npt.ArrayLike, cells: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The share of a block's cells that failed as a byte: 255 for all of them, and 0 only for none."""
    share = np.ceil(255 * np.asarray(failed, np.float64) / np.asarray(cells, np.float64))
    return np.asarray(np.clip(share, 0, 255), np.uint8)


class BlockMap(NamedTuple):
    """The blocks over two axes, those of all further axes together."""

    counts: npt.NDArray[np.int64]
    """(states, y, x) blocks of each :class:`BlockState`."""
    shown: npt.NDArray[np.uint8]
    """(y, x) the :class:`BlockState` that stands for the bin."""
    failed: npt.NDArray[np.float64]
    """(y, x) share of the cells of the bin's blocks that failed, from 0 to 1."""


def block_map(states: npt.NDArray[np.uint8], failed: npt.NDArray[np.uint8], y: int, x: int) -> BlockMap:
    """The map of a grid of block states over its axes ``y`` and ``x``, at most ``MAX_BINS`` bins along each.

    A grid of one axis has one of length 1 before it.

    Parameters
    ----------
    failed : of each block, see :func:`share_byte`; it counts where the state is FAILED
    """
    counts = np.stack([binned(states == state, y, x).astype(np.int64) for state in BlockState])
    shown = np.zeros(counts.shape[1:], np.uint8)
    shown[counts[BlockState.WAITING] > 0] = BlockState.WAITING
    done = counts[BlockState.DONE] > 0
    shown[done] = np.where(shown[done] == BlockState.WAITING, BlockState.PARTLY, BlockState.DONE)
    for state in (BlockState.RUNNING, BlockState.FAILED):
        shown[counts[state] > 0] = state
    shares = binned(np.where(states == BlockState.FAILED, failed, 0), y, x) / 255
    blocks = counts.sum(axis=0) - counts[BlockState.OUTSIDE]
    return BlockMap(counts, shown, shares / np.maximum(blocks, 1))


def binned(values: npt.NDArray[np.generic], y: int, x: int) -> npt.NDArray[np.float64]:
    """Sum of the blocks' ``values`` over all axes but two, and over the blocks of each bin: (y, x)."""
    values = np.atleast_2d(values)
    others = tuple(axis for axis in range(values.ndim) if axis not in (y, x))
    total = values.sum(axis=others, dtype=np.float64)
    if y > x:
        total = total.T
    for axis, length in enumerate(total.shape):
        total = np.add.reduceat(total, np.arange(0, length, *bins(length).chunk), axis=axis)
    return np.asarray(total, np.float64)


def bins(cells: int, chunk: int = 1) -> BlockGrid:
    """The bins of a map along an axis of ``cells`` cells in blocks of ``chunk``: each holds whole blocks."""
    blocks = BlockGrid((cells,), (chunk,)).size
    return BlockGrid((cells,), (chunk * math.ceil(blocks / MAX_BINS),))
