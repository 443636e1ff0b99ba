"""What a cube's page tells, as data: read from the cube, and not yet in words."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value, json_of
from spinsweep.cube import Cube
from spinsweep.failure_groups import FailureGroups, failure_groups
from spinsweep.ledger import Counts
from spinsweep.provenance import RunRecord
from spinsweep.saved_page.kept_rates import Rates
from spinsweep.until import ATTRIBUTE


@dataclass(frozen=True)
class Variable:
    """An axis, an inner dim or an output."""

    name: str
    long_name: str
    """What people call it; may be empty."""
    unit: str
    """``"1"`` for a pure number."""
    values: tuple[Any, ...] | None = None
    """JSON values along an axis; None where they and their copy are damaged, and for what is no axis."""
    dims: tuple[str, ...] = ()
    """Of an output, beside the axes."""
    dtype: str = ""
    """Of an output."""


@dataclass(frozen=True)
class RunOfCube:
    """One run."""

    epoch: int
    """Its number among the cube's runs."""
    record: RunRecord | None
    """None where it cannot be read."""

    @property
    def workers(self) -> Counter[tuple[str, str, str]]:
        """Its workers by machine, Python and processor."""
        workers = () if self.record is None else self.record.workers or ()
        return Counter((str(w.host), str(w.python), str(w.processor)) for w in workers)


@dataclass(frozen=True)
class PageContents:
    """What the page tells of a cube."""

    store: str
    """As a user types it."""
    cube_id: str
    """The cube's own identity."""
    made_at: str
    """When it was looked at, UTC, ISO 8601."""
    title: str
    sweep: str
    digest: str
    root_seed: int
    created: str
    """When the cube was made, UTC, ISO 8601; may be empty."""
    origin: str
    """The bench or the log of cells that were not computed, in words; empty: they were."""
    axes: tuple[Variable, ...]
    dims: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    parameters: Mapping[str, Any]
    until: Mapping[str, Any]
    """Of the last run with rounds of replicates; empty: there was none, or what it says cannot be read."""
    states: npt.NDArray[np.uint8]
    """A :class:`~spinsweep.State` of each cell, in the cube's shape."""
    chunk: tuple[int, ...]
    damaged_blocks: int
    """Blocks whose states are damaged; their cells count as absent."""
    cell_seconds: float
    """Time of all cells, s."""
    failures: FailureGroups
    runs: tuple[RunOfCube, ...]
    """Oldest first."""
    before: RunOfCube | None
    """What the last run is compared with; None: there is nothing."""
    has_driver: bool
    """Whether a run writes into the cube now."""
    rates: Rates = field(default=())
    """Of the last run, where it is known: the cube does not keep it."""

    @property
    def last_run(self) -> str:
        """Names the last run among those of all cubes."""
        return f"{self.cube_id}/{self.runs[-1].epoch if self.runs else 0}"

    @property
    def counts(self) -> Counts:
        """Cells by state."""
        return Counts.of(self.states)

    @classmethod
    def of(cls, cube: Cube, now: datetime.datetime, rates: Rates = ()) -> PageContents:
        """Read a cube; a run may go on meanwhile."""
        made, damaged = cube.attributes, set[tuple[int, ...]]()
        states = cube.ledger("cell_state", damaged)
        runs = tuple(RunOfCube(*pair) for pair in cube.run_records())
        goes_on = bool(runs) and runs[-1].record is not None and runs[-1].record.outcome == "running"
        origin = f"measured on the bench {made.measured_on}" if made.measured_on else ""
        return cls(
            store=str(cube.storage),
            cube_id=made.cube_id,
            made_at=now.isoformat(timespec="seconds"),
            title=made.title,
            sweep=made.sweep,
            digest=made.digest,
            root_seed=made.root_seed,
            created=made.created or "",
            origin=f"measured; imported from {made.imported_from}" if made.imported_from else origin,
            axes=tuple(_axis(cube, name, values) for name, values in cube.readable_axes().items()),
            dims=tuple(_described(cube, dim["name"]) for dim in cube.definition["dims"]),
            outputs=tuple(
                _described(cube, o["name"], dims=tuple(o["dims"]), dtype=str(o["dtype"]))
                for o in cube.definition["outputs"]
            ),
            parameters=made.params,
            until=_until(made.others.get(ATTRIBUTE)),
            states=states,
            chunk=cube.grid.chunk,
            damaged_blocks=len(damaged),
            cell_seconds=float(cube.ledger("cell_duration").sum()),
            failures=failure_groups(cube),
            runs=runs,
            before=RunOfCube(*before) if runs and (before := cube.run_before(runs[-1].epoch)) else None,
            has_driver=goes_on and cube.write_guard.has_driver(),
            rates=rates,
        )


def _described(cube: Cube, name: str, **more: Any) -> Variable:
    attributes = cube.metadata.get(name, {}).get("attributes", {})
    return Variable(name, str(attributes.get("long_name", "")), str(attributes.get("units", "1")), **more)


def _axis(cube: Cube, name: str, values: tuple[Value, ...] | None) -> Variable:
    return _described(cube, name, values=None if values is None else tuple(map(json_of, values)))


def _until(text: Any) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
