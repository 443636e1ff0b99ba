"""The ledger: one state for each cell, kept in the cube beside the outputs.

absent --computed--> done          done --definition changed--> stale --computed--> done
absent --raised----> failed --retried--> done | failed
absent, failed, stale --not wanted any more--> unwanted --wanted--> absent
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import json_of
from spinsweep.blocks import Block
from spinsweep.evaluate import CellError
from spinsweep.provenance import WorkerRecord


class State(IntEnum):
    """State of a cell; a cell is ``DONE`` only after its data are whole in the store."""

    ABSENT = 0
    DONE = 1
    FAILED = 2
    STALE = 3
    UNWANTED = 4
    """No part of the sweep, as its ``wanted`` says: blank, never computed, and not missing."""


def flags(*, unwanted: bool) -> dict[str, Any]:
    """Attributes that name the states; ``UNWANTED`` only in a cube that has had such cells."""
    states = [s for s in State if unwanted or s is not State.UNWANTED]
    return {"flag_values": [int(s) for s in states], "flag_meanings": " ".join(s.name.lower() for s in states)}


_PENDING = np.array([s in (State.ABSENT, State.STALE) for s in State])
_RETRIED = np.array([s not in (State.DONE, State.UNWANTED) for s in State])


def pending(state: npt.NDArray[np.uint8], *, retry_failed: bool = False) -> npt.NDArray[np.bool_]:
    """The cells to compute: absent and stale ones, and failed ones when they are to be retried."""
    return _RETRIED[state] if retry_failed else _PENDING[state]


def with_wanted(state: npt.NDArray[np.uint8], wanted: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.uint8]:
    """The states of cells of which these are wanted, or all; what is done stays done."""
    if wanted is None:
        return np.where(state == State.UNWANTED, np.uint8(State.ABSENT), state)
    other = np.where(wanted, np.uint8(State.ABSENT), np.uint8(State.UNWANTED))
    return np.where((state == State.DONE) | (wanted & (state != State.UNWANTED)), state, other)


@dataclass(frozen=True)
class Counts:
    """Cells of a cube by state."""

    absent: int = 0
    done: int = 0
    failed: int = 0
    stale: int = 0
    unwanted: int = 0

    @classmethod
    def of(cls, state: npt.NDArray[np.uint8]) -> Counts:
        """Counted from an array of states of any shape."""
        counts = np.bincount(state.ravel(), minlength=len(State))
        return cls(*(int(counts[s]) for s in State))

    @property
    def total(self) -> int:
        """All cells that are wanted."""
        return self.absent + self.done + self.failed + self.stale

    @property
    def ended(self) -> int:
        """Cells that were computed, well or not."""
        return self.done + self.failed

    def as_dict(self) -> dict[str, int]:
        """For JSON; unwanted cells only where there are any."""
        return {state: count for state, count in vars(self).items() if count or state != "unwanted"}


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
    """Cells of the block, in its shape, that were not computed, because one was given up, which ran too long or used
    too much memory; None: there are none."""
    apart: bool = False
    """Whether any of these may be the one at fault."""
    overran: tuple[int, ...] = ()
    """Index in the block of the cell that ran when the time of the worker's job was over; it is among ``left``."""
    overran_s: float = 0.0
    """Seconds that it ran."""
    hung: bool = False
    """Whether a cell was given up: the process that computed it is to be replaced."""
    over: str = ""
    """How much memory the process held, where that may be of what it computed before; empty: it is not that."""
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

    @property
    def json_coords(self) -> dict[str, Any]:
        """The coordinates as JSON values."""
        return {name: json_of(value) for name, value in self.coords.items()}
