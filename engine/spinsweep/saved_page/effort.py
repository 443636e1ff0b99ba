"""How much a page may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Limits of the figures of a page; what is beyond them is named on it."""

    values: float
    """Of an output that is read for its figure."""
    chunks: float
    """In which it lies: each is a file, or an object."""
    seconds: float
    """After which no further figure is begun, s."""


ASKED = Effort(20_000_000, math.inf, math.inf)
"""Of a page that a user asks for."""
AT_END = Effort(2_000_000, 5_000, 15.0)
"""Of a page that a run writes by itself."""
