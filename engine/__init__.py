"""The sweep engine: describes, runs and resumes experiment sweeps, and knows nothing of any experiment.

The names that a sweep's author needs; ``engine/DESIGN.md`` tells how the parts work together.
"""

from engine.axis import Axis
from engine.errors import CubeError, OutputError, RunnerError, SpecError, SpinsweepError
from engine.evaluate import Cell, Cells
from engine.spec import Coordinate, Dim, Output, Parameter, Sweep, per_cell

__all__ = [
    "Axis",
    "Cell",
    "Cells",
    "Coordinate",
    "CubeError",
    "Dim",
    "Output",
    "OutputError",
    "Parameter",
    "RunnerError",
    "SpecError",
    "SpinsweepError",
    "Sweep",
    "per_cell",
]
