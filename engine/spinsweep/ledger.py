"""The ledger: one state for each cell, kept in the cube beside the outputs.

absent --computed--> done          done --definition changed--> stale --computed--> done
absent --raised----> failed --retried--> done | failed
absent, failed, stale --not wanted any more--> unwanted --wanted--> absent
done --an output was added--> incomplete --computed, and the others are the same--> done
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    INCOMPLETE = 5
    """Done, but for outputs that the cube got later: the numbers of all others are there, and stay."""


RARE = (State.UNWANTED, State.INCOMPLETE)
"""States that a cube names only once it has had such cells."""


def flags(named: Collection[int] = ()) -> dict[str, Any]:
    """Attributes that name the states, of the rare ones those in ``named``."""
    states = [s for s in State if s not in RARE or s in named]
    return {"flag_values": [int(s) for s in states], "flag_meanings": " ".join(s.name.lower() for s in states)}


_PENDING = np.array([s in (State.ABSENT, State.STALE, State.INCOMPLETE) for s in State])
_HOLDING = np.array([s in (State.DONE, State.INCOMPLETE) for s in State])
_RETRIED = np.array([s not in (State.DONE, State.UNWANTED) for s in State])


def pending(state: npt.NDArray[np.uint8], *, retry_failed: bool = False) -> npt.NDArray[np.bool_]:
    """The cells to compute: absent, stale and incomplete ones, and failed ones when they are to be retried."""
    return _RETRIED[state] if retry_failed else _PENDING[state]


def holding(state: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The cells whose numbers are in the cube: done ones, and those that lack only outputs which came later."""
    return _HOLDING[state]


def with_wanted(state: npt.NDArray[np.uint8], wanted: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.uint8]:
    """The states of cells of which these are wanted, or all; what holds numbers stays as it is."""
    if wanted is None:
        return np.where(state == State.UNWANTED, np.uint8(State.ABSENT), state)
    other = np.where(wanted, np.uint8(State.ABSENT), np.uint8(State.UNWANTED))
    return np.where(holding(state) | (wanted & (state != State.UNWANTED)), state, other)


@dataclass(frozen=True)
class Counts:
    """Cells of a cube by state."""

    absent: int = 0
    done: int = 0
    failed: int = 0
    stale: int = 0
    unwanted: int = 0
    incomplete: int = 0

    @classmethod
    def of(cls, state: npt.NDArray[np.uint8]) -> Counts:
        """Counted from an array of states of any shape."""
        counts = np.bincount(state.ravel(), minlength=len(State))
        return cls(*(int(counts[s]) for s in State))

    @property
    def total(self) -> int:
        """All cells that are wanted."""
        return self.absent + self.done + self.failed + self.stale + self.incomplete

    @property
    def ended(self) -> int:
        """Cells that were computed, well or not."""
        return self.done + self.failed

    @property
    def failures(self) -> str:
        """How many cells failed and how many are incomplete, to stand behind the number of done cells."""
        failed = f", {self.failed} failed" if self.failed else ""
        return failed + (f", {self.incomplete} incomplete" if self.incomplete else "")

    def as_dict(self) -> dict[str, int]:
        """For JSON; cells in a rare state only where there are any."""
        rare = [state.name.lower() for state in RARE]
        return {state: count for state, count in vars(self).items() if count or state not in rare}


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
