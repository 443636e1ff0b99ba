"""What is being computed for long, and since when: asked of workers every few seconds, and only where it is long."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinsweep.axis import Value, json_of
from spinsweep.calls import IN_HAND, InHand
from spinsweep.cube import Task
from spinsweep.evaluate import point_of
from spinsweep.executors.events import Attempt, LongAttempt
from spinsweep.messages import LongBlock

LONG_S = 10.0  # that a block is computed before anything is said of it
LOOK_S = 5.0  # between questions to a worker
ANSWER_S = 2.0  # in which it has to answer


@dataclass(frozen=True)
class BlockInHand:
    """What a worker says of a block that it computes."""

    block: Any
    """As who computes it names it."""
    seconds: float
    """Since it was begun, s."""
    cell: Mapping[str, Value] | None
    """Coordinates of the cell that is being computed; None: it is not one alone, or none."""
    cell_seconds: float
    """Since that cell was begun, s."""


class BlocksInHand:
    """The blocks that a worker computes now; another thread may ask."""

    def __init__(self) -> None:
        self._blocks: dict[Hashable, tuple[float, InHand]] = {}

    @contextmanager
    def block(self, name: Hashable) -> Iterator[None]:
        """While a block is computed in this context."""
        hand = InHand()
        self._blocks[name] = (time.perf_counter(), hand)
        before = IN_HAND.set(hand)
        try:
            yield
        finally:
            IN_HAND.reset(before)
            del self._blocks[name]

    def now(self) -> list[BlockInHand]:
        """What is to be said of them."""
        now = time.perf_counter()
        blocks = []
        for name, (began, hand) in list(self._blocks.items()):
            call, called = hand.call, hand.began
            cell = None if call is None else point_of(call)
            blocks.append(BlockInHand(name, now - began, cell, now - (began if cell is None else called)))
        return blocks


def first_cell(task: Task, axes: Mapping[str, Sequence[Value]]) -> dict[str, Value]:
    """Coordinates of the first cell that a task computes.

    Parameters
    ----------
    axes : all values of each axis of the cube
    """
    first = np.argwhere(task.mask)[0] + task.block.start
    return {name: values[i] for (name, values), i in zip(axes.items(), first, strict=True)}


def long_blocks(
    attempts: Collection[LongAttempt], in_flight: Mapping[int, Attempt], axes: Mapping[str, Sequence[Value]]
) -> list[LongBlock]:
    """What is shown of them: those that are still in flight, the longest first."""
    blocks = []
    for long in attempts:
        if long.attempt not in in_flight:
            continue
        task, cell, known = in_flight[long.attempt].task, long.cell, long.cell is not None
        if cell is None:
            cell = first_cell(task, axes)
        point = {name: json_of(cell[name]) for name in axes if name in cell}
        seconds = long.cell_seconds if known else long.seconds
        blocks.append(LongBlock(point, known, task.cells, long.seconds, seconds, long.worker, long.answers))
    return sorted(blocks, key=lambda block: -block.cell_seconds)
