"""The sweep engine: describes, runs and resumes experiment sweeps, and knows nothing of any experiment.

The names that a sweep's author needs; ``engine/DESIGN.md`` tells how the parts work together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinsweep.axis import Axis
    from spinsweep.errors import CubeError, OutputError, RunnerError, SpecError, SpinsweepError
    from spinsweep.evaluate import Cell, Cells
    from spinsweep.executors.running import run
    from spinsweep.ledger import State
    from spinsweep.outputs import Coordinate, Dim, Output
    from spinsweep.parameters import Parameter
    from spinsweep.reading import CubeView, open_cube
    from spinsweep.spec import Sweep, per_cell
    from spinsweep.wanted import zipped

# fmt: off
__all__ = [
    "Axis", "Cell", "Cells", "Coordinate", "CubeError", "CubeView", "Dim", "Output", "OutputError", "Parameter",
    "RunnerError", "SpecError", "SpinsweepError", "State", "Sweep", "open_cube", "per_cell", "run",
    "zipped",
]
# fmt: on

_MODULES = {
    "axis": ["Axis"],
    "errors": ["CubeError", "OutputError", "RunnerError", "SpecError", "SpinsweepError"],
    "evaluate": ["Cell", "Cells"],
    "ledger": ["State"],
    "reading": ["CubeView", "open_cube"],
    "executors.running": ["run"],
    "outputs": ["Coordinate", "Dim", "Output"],
    "parameters": ["Parameter"],
    "spec": ["Sweep", "per_cell"],
    "wanted": ["zipped"],
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: the command line starts before numpy does (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return globals().setdefault(name, getattr(import_module(f"spinsweep.{module}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
