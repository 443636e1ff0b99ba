"""How large a block is: as the user says, or so that it takes about a second."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinsweep.axis import Value
from spinsweep.blocks import choose_chunk
from spinsweep.cube import compressed_fraction
from spinsweep.errors import SpecError
from spinsweep.evaluate import evaluate
from spinsweep.spec import Sweep

BLOCK_S = 1.0  # aim of one task: long against Dask's few ms a task, short against patience
BLOCK_BYTES = 64_000_000  # of one block's outputs at most, before compression
BLOCKS_PER_WORKER = 8  # at least, so that the last block does not leave the others idle
SAMPLE_S = 0.1  # a sample this long tells a cell's time well enough


def block_shape(
    sweep: Sweep, block: int | Mapping[str, int] | None, workers: int, cell_seconds: float | None = None
) -> tuple[int, ...]:
    """Shape of a block in cells: as given, or from a cell's time (measured when None).

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
    if sweep.resources:
        return (1,) * len(sweep.axes)  # it may act on the world: never sampled
    seconds = sample(sweep).cell_seconds if cell_seconds is None else cell_seconds
    return choose_chunk(sweep.shape, _cells_per_block(sweep, seconds, workers), first)


def _cells_per_block(sweep: Sweep, cell_seconds: float, workers: int) -> int:
    share = sweep.cells / math.prod(sweep.shape)  # of a block's cells that are wanted, on average
    by_time = BLOCK_S / max(cell_seconds * share, 1e-9)
    by_memory = BLOCK_BYTES / sweep.cell_bytes
    by_share = math.prod(sweep.shape) / (BLOCKS_PER_WORKER * workers)
    return max(1, round(min(max(min(by_time, by_share), sweep.shared_cells), by_memory)))


@dataclass(frozen=True)
class Sample:
    """What computing a few cells says about all of them."""

    cell_seconds: float
    compressed: float
    """Size of the outputs on disk over their size in memory."""
    error: str = ""
    """``Type: message`` of a cell, when every cell of the sample failed."""


def sample(sweep: Sweep) -> Sample:
    """Measured in this process: larger and larger boxes of cells until one takes long enough; nothing is written."""
    if sweep.prepare is not None:
        sweep.prepare(sweep)
    first = [sweep.axis_names.index(name) for name in sweep.shared_axes if name in sweep.axis_names]
    count = least = sweep.shared_cells
    total = sweep.cells
    while True:
        boxes = _first_boxes(sweep, count, first)
        began = time.perf_counter()
        results = [evaluate(sweep, coords) for coords in boxes]
        seconds = time.perf_counter() - began
        # the first box pays for imports and compilation, and tells only when it takes long in any case
        warm = count > least or seconds > 10 * SAMPLE_S
        if (warm and seconds >= SAMPLE_S) or count >= total:
            cells = sum(result.duration.size for result in results)
            failed = [error for result in results for error in result.errors.values()]
            error = f"{failed[0].type}: {failed[0].message}" if len(failed) == cells else ""
            values = (array for result in results for array in result.values.values())
            return Sample(seconds / cells, compressed_fraction(values), error)
        count = min(total, count * (4 if seconds < SAMPLE_S / 4 else 2))


def _first_boxes(sweep: Sweep, count: int, first: Sequence[int]) -> list[dict[str, tuple[Value, ...]]]:
    """Boxes of about ``count`` cells together: one, or one for each cell where not all are wanted."""
    if sweep.wanted_mask is None:
        shape = choose_chunk(sweep.shape, count, first)
        return [{a.name: a.values[:n] for a, n in zip(sweep.axes, shape, strict=True)}]
    cells = np.argwhere(sweep.wanted_mask)[:count].tolist()
    return [{a.name: (a.values[i],) for a, i in zip(sweep.axes, cell, strict=True)} for cell in cells]
