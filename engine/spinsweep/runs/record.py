"""The record of a run, which the cube keeps: code, machine, command, workers, start, end and outcome."""

from __future__ import annotations

import json
from typing import Any

from spinsweep import provenance
from spinsweep.cube import Cube, run_group, write_group
from spinsweep.provenance import Origin
from spinsweep.spec import Sweep


class RunRecord:
    """A run's record, written before its first block, as workers come, and at the end."""

    def __init__(self, sweep: Sweep, origin: Origin) -> None:
        self._values: dict[str, Any] = provenance.collect(sweep, origin)
        self._values |= {"start": provenance.now(), "end": None, "outcome": "running"}

    def write(self, cube: Cube, epoch: int, **values: Any) -> None:
        """Add values and write the record of the run with that epoch."""
        self._values |= values
        write_group(run_group(cube.storage, epoch), self._values)

    def commit(self, cube: Cube, **attrs: Any) -> None:
        """Make it what readers of the cube see as its provenance, together with other attributes of the root."""
        cube.commit({"provenance": json.dumps(self._values), **attrs})

    def end(self, **values: Any) -> None:
        """Add what came of the run."""
        self._values |= {"end": provenance.now(), **values}
