"""What travels to a worker: the run's job, and for each block a task."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.blocks import Block
from spinsweep.cube.storage import is_in_memory
from spinsweep.errors import CubeError
from spinsweep.provenance import Origin
from spinsweep.spec import Sweep

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A block and its cells to compute."""

    block: Block
    selected: Mask | None = None
    """Which cells, in the block's shape; None: all of them, and nothing was in the block before."""
    batch: int = 0
    """Of tasks that were made between two syncs; see :mod:`spinsweep.cube.durable`."""

    @property
    def mask(self) -> Mask:
        """The cells to compute, in the block's shape."""
        return np.ones(self.block.shape, bool) if self.selected is None else self.selected

    @property
    def cells(self) -> int:
        """Number of cells to compute."""
        return self.block.size if self.selected is None else int(self.selected.sum())


@dataclass(frozen=True)
class Job:
    """What every task of a run shares."""

    sweep: Sweep
    store: str
    """The cube's storage, as every worker can name it."""
    cube_id: str
    """Tells a cube from another one made later in the same storage."""
    epoch: int
    """Of the run."""
    origin: Origin
    """What computes the cells here: the driver's, until a worker puts its own."""
    allow_mixed: bool = False
    """Whether workers with other code compute as well."""
    artifact_ids: Mapping[str, Any] = field(default_factory=dict)
    """The sweep's own, as the driver found them."""
    synced_by: str = ""
    """The machine whose driver syncs what is written there; others sync by themselves."""
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tells the run from another one of the same epoch, in a cube that somebody put back meanwhile."""

    def __getstate__(self) -> dict[str, Any]:
        if is_in_memory(self.store):
            raise CubeError(f"{self.store} is in this process's memory, where no worker finds it: use no workers")
        return vars(self)
