"""The ledger: one state for each cell, kept in the cube beside the outputs.

absent --computed--> done          done --definition changed--> stale --computed--> done
absent --raised----> failed --retried--> done | failed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import Block
from spinsweep.evaluate import CellError
from spinsweep.provenance import WorkerRecord


class State(IntEnum):
    """State of a cell; a cell is ``DONE`` only after its data are whole in the store."""

    ABSENT = 0
    DONE = 1
    FAILED = 2
    STALE = 3


_PENDING = np.array([s in (State.ABSENT, State.STALE) for s in State])
_RETRIED = np.array([s is not State.DONE for s in State])


def pending(state: npt.NDArray[np.uint8], *, retry_failed: bool = False) -> npt.NDArray[np.bool_]:
    """The cells to compute: absent and stale ones, and failed ones when they are to be retried."""
    return _RETRIED[state] if retry_failed else _PENDING[state]


@dataclass(frozen=True)
class Counts:
    """Cells of a cube by state."""

    absent: int = 0
    done: int = 0
    failed: int = 0
    stale: int = 0

    @classmethod
    def of(cls, state: npt.NDArray[np.uint8]) -> Counts:
        """Counted from an array of states of any shape."""
        counts = np.bincount(state.ravel(), minlength=len(State))
        return cls(*(int(counts[s]) for s in State))

    @property
    def total(self) -> int:
        """All cells."""
        return self.absent + self.done + self.failed + self.stale

    @property
    def ended(self) -> int:
        """Cells that were computed, well or not."""
        return self.done + self.failed

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Receipt:
    """What a task tells the driver about a finished block: counts, never data."""

    block: Block
    done: int
    failed: int
    seconds: float
    """Time of the block function."""
    first_error: str = ""
    """``Type: message`` of one failed cell."""
    first_failed: tuple[int, ...] = ()
    """Index in the cube of that cell."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Failed cells by ``Type: message``, of the commonest few errors."""
    batch: int = 0
    """Of the task; see ``spinsweep.cube.durable``."""
    left: npt.NDArray[np.bool_] | None = None
    """Cells of the block, in its shape, that were not computed, because another one hung; None: there are none."""
    apart: bool = False
    """Whether any of these may be the one that hung."""
    hung: bool = False
    """Whether a cell hung: the process that computed it is to be replaced."""
    hung_at: str = ""
    """The worker that is to be replaced, by the address at which the driver knows it."""
    worker: WorkerRecord | None = None
    """Of the first block of a worker: what computed it."""


@dataclass(frozen=True)
class Failure:
    """One failed cell as ``status`` lists it."""

    coords: dict[str, Any]
    attempt: int
    error: CellError
