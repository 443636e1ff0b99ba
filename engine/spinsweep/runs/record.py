"""The record of a run, which the cube keeps: code, machine, command, workers, start, end and outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from spinsweep.cube import Cube, run_group, write_group
from spinsweep.provenance import Origin, RunRecord
from spinsweep.runs.opened import Run
from spinsweep.spec import Sweep


class RunRecorder:
    """Keeps a run's record in the cube: before its first block, as workers come, and at the end."""

    def __init__(self, sweep: Sweep, origin: Origin) -> None:
        self.record = RunRecord.begun(sweep, origin)

    def write(self, cube: Cube, epoch: int, **values: Any) -> None:
        """Change fields of the record, and write the record of the run with that epoch.

        Raises
        ------
        CubeError
            Another run has taken over the cube, or may have.
        """
        self.record = replace(self.record, **values)
        cube.write_guard.check()
        write_group(run_group(cube.storage, epoch), self.record.to_json())

    def commit(self, cube: Cube, parameters: str | None = None) -> None:
        """Make it what readers of the cube see as its provenance, and the parameters, where they are given."""
        attributes = replace(cube.attributes, provenance=json.dumps(self.record.to_json()))
        cube.commit(attributes if parameters is None else replace(attributes, parameters=parameters))

    def end(self, run: Run) -> None:
        """Add what came of the run."""
        lost, workers = run.progress.workers_lost, run.described_workers()
        self.record = self.record.ended(run.outcome, run.progress.cells_ended, lost, workers)
