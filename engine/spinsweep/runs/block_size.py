"""How large a block is: as the user says, or so that it takes about a second."""

from __future__ import annotations

import math
from collections.abc import Mapping

from spinsweep.blocks import choose_chunk
from spinsweep.errors import SpecError
from spinsweep.spec import Sweep

BLOCK_S = 1.0  # aim of one task: long against Dask's few ms a task, short against patience
BLOCK_BYTES = 64_000_000  # of one block's outputs at most, before compression
BLOCKS_PER_WORKER = 8  # at least, so that the last block does not leave the others idle
MOST_BLOCKS = 10_000  # where nothing is known of a cell's time


def block_shape(
    sweep: Sweep, block: int | Mapping[str, int] | None, workers: int, cell_seconds: float = math.inf
) -> tuple[int, ...]:
    """Shape of a block in cells: as given, or from a cell's time; infinite: nothing is known of it.

    Raises
    ------
    SpecError
        A length is below 1, or an axis is unknown.
    """
    first = [sweep.axis_names.index(name) for name in sweep.shared_axes if name in sweep.axis_names]
    if isinstance(block, Mapping):
        for name, length in block.items():
            if length < 1:
                raise SpecError(f"--block {name}={length}: must be at least 1")
            sweep.axis(name)
        return tuple(min(block.get(n, 1), length) for n, length in zip(sweep.axis_names, sweep.shape, strict=True))
    if block is not None:
        if block < 1:
            raise SpecError(f"--block {block}: must be at least 1")
        return choose_chunk(sweep.shape, block, first)
    if not sweep.is_timed:
        return (1,) * len(sweep.axes)
    return choose_chunk(sweep.shape, _cells_per_block(sweep, cell_seconds, workers), first)


def _cells_per_block(sweep: Sweep, cell_seconds: float, workers: int) -> int:
    share = sweep.cells / math.prod(sweep.shape)  # of a block's cells that are wanted, on average
    by_time = BLOCK_S / max(cell_seconds * share, 1e-9) or math.prod(sweep.shape) / MOST_BLOCKS
    by_memory = BLOCK_BYTES / sweep.cell_bytes
    by_share = math.prod(sweep.shape) / (BLOCKS_PER_WORKER * workers)
    return max(1, round(min(max(min(by_time, by_share), sweep.shared_cells), by_memory)))
