"""The sweep engine: describes, runs and resumes experiment sweeps, and knows nothing of any experiment.

The names that a sweep's author needs; ``engine/DESIGN.md`` tells how the parts work together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinsweep.analysis.figures import figures
    from spinsweep.axis import Axis
    from spinsweep.cell_function import cell
    from spinsweep.errors import CubeError, OutputError, RunnerError, SpecError, SpinsweepError, SweepFailed
    from spinsweep.evaluate import Cell, Cells
    from spinsweep.inputs import Input
    from spinsweep.interactive.running import run
    from spinsweep.ledger import State
    from spinsweep.outputs import Coordinate, Dim, Output
    from spinsweep.parameters import Parameter
    from spinsweep.reading import CubeView, open_cube
    from spinsweep.spec import Sweep, per_cell
    from spinsweep.stages import Stage
    from spinsweep.until import Until
    from spinsweep.views import View
    from spinsweep.wanted import zipped

# fmt: off
__all__ = [
    "Axis", "Cell", "Cells", "Coordinate", "CubeError", "CubeView", "Dim", "Input", "Output", "OutputError",
    "Parameter", "RunnerError", "SpecError", "SpinsweepError", "Stage", "State", "Sweep", "SweepFailed", "Until",
    "View", "cell", "figures", "open_cube", "per_cell", "run", "zipped",
]
# fmt: on

_MODULES = {
    "analysis.figures": ["figures"],
    "axis": ["Axis"],
    "errors": ["CubeError", "OutputError", "RunnerError", "SpecError", "SpinsweepError", "SweepFailed"],
    "evaluate": ["Cell", "Cells"],
    "inputs": ["Input"],
    "ledger": ["State"],
    "reading": ["CubeView", "open_cube"],
    "interactive.running": ["run"],
    "outputs": ["Coordinate", "Dim", "Output"],
    "parameters": ["Parameter"],
    "spec": ["Sweep", "per_cell"],
    "stages": ["Stage"],
    "cell_function": ["cell"],
    "until": ["Until"],
    "views": ["View"],
    "wanted": ["zipped"],
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: the command line starts before numpy does (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return globals().setdefault(name, getattr(import_module(f"spinsweep.{module}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
