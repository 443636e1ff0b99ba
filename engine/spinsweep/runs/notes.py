"""What the user should know about a run before its work begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spinsweep.cube import Cube, Lost
from spinsweep.origins import Origins
from spinsweep.runs.block_size import block_shape
from spinsweep.runs.checks import keeps_cells
from spinsweep.runs.opened import Run
from spinsweep.spec import Sweep

MANY_BLOCKS = 10_000
"""More of them are worth a note,"""
SMALL_BLOCK = 10
"""if they have fewer cells than this."""


def notes(
    run: Run, *, created: bool, block: int | Mapping[str, int] | None, others: Origins, lost: Lost
) -> Iterator[str]:
    """Lines about other code, damage, and blocks.

    Parameters
    ----------
    created : whether the run made the cube
    block : the blocks that the user asks for
    others : what the computed cells name beside what is installed now
    lost : what recovery took away
    """
    cube, blocks = run.cube, run.progress.blocks
    if incomplete := run.counts_before.incomplete:
        lacking = ", ".join(cube.added_outputs)
        yield f"{incomplete} cells lack the output {lacking}: it is added, and what else comes out is compared"
    for cells, difference in others.code:
        stay = "what was measured or imported stays as it is"
        if not keeps_cells(cube, run.sweep):
            stay = "they stay as they are, --mark-stale computes them again"
        yield f"{cells} cells that are there were computed by other code ({difference}): {stay}"
    for cells, difference in others.environment if blocks else ():
        yield f"{cells} cells that are there were computed elsewhere ({difference}), where last digits may differ"
    yield from (note for note in run.job.origin.code.notes if blocks)
    lengths = ", ".join(f"{n}={c}" for n, c in zip(cube.axis_names, cube.grid.chunk, strict=True))
    if block is not None and not created and not _has_blocks(cube, run.sweep, block):
        yield f"the cube was made with blocks of {lengths} and keeps them; --block is for a new one"
    elif not created and blocks > MANY_BLOCKS and run.progress.cells < SMALL_BLOCK * blocks:
        yield f"{blocks} blocks of {lengths}, as the cube was made when it was small; a new --store cuts larger ones"
    if lost.blocks:
        remedy = lost.remedy or "they are computed again"
        damage = f"{lost.cells} cells in {lost.blocks} blocks were done, and are damaged or missing in {cube.storage}"
        yield f"{damage}: {remedy}"


def _has_blocks(cube: Cube, sweep: Sweep, block: int | Mapping[str, int]) -> bool:
    """Whether the cube's blocks are those that ``block`` would give."""
    whole = sweep.with_values(None, **cube.axes)
    return block_shape(whole, block, 1) == cube.grid.chunk
