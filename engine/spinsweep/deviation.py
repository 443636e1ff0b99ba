"""How far an output of a cell, computed again, is from what a cube holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import plain
from spinsweep.moments import DTYPE, NOT_A_TIME, as_moments, text_of
from spinsweep.outputs import Output


@dataclass(frozen=True)
class Deviation:
    """How far an output of a cell, computed again, is from what is in the cube."""

    values: int
    """How many of its values differ in any bit."""
    size: int
    relative: float
    """Largest difference over the largest magnitude of both; infinite where one is not finite and the other is."""
    index: tuple[int, ...]
    """Where the largest difference is."""
    computed: Any
    stored: Any
    """The values at that place."""

    @classmethod
    def of(cls, computed: npt.NDArray[Any], stored: npt.NDArray[Any]) -> Deviation:
        """Of two arrays of one shape and type."""
        numbers = computed.dtype.kind in "fc"
        differ = (computed != stored) & ~(np.isnan(computed) & np.isnan(stored)) if numbers else computed != stored
        if not differ.any():
            return cls(0, computed.size, 0.0, (), None, None)
        amount = np.where(differ, np.inf, 0.0)
        if numbers:
            finite = np.isfinite(computed) & np.isfinite(stored)
            wide = np.result_type(computed.dtype, np.float64)
            amount[finite] = abs(computed[finite].astype(wide) - stored[finite].astype(wide))
            largest = max(np.max(abs(v[finite]), initial=0.0) for v in (computed, stored))
            amount[finite] /= float(largest) or 1.0
        index = tuple(int(i) for i in np.unravel_index(np.argmax(amount), amount.shape))
        values = plain(computed[index]), plain(stored[index])
        return cls(int(differ.sum()), computed.size, float(amount[index]), index, *values)

    def fits(self, output: Output) -> bool:
        """Whether it is within the tolerance of the output."""
        return self.relative <= output.tolerance

    def line(self, output: Output) -> str:
        """All that differs, in words, with every digit."""
        extent = ""
        if self.index:
            index = ", ".join(map(str, self.index))
            extent = f"{self.values} of {self.size} values differ, most of all {output.name}[{index}] "
        bound = f"its bound is {output.tolerance:g}" if output.tolerance else "it should be the same bit for bit"
        off = f", relative {self.relative:.2g}" if np.isfinite(self.relative) else ""
        here, held = (date_text(v) if output.dtype == DTYPE else repr(v) for v in (self.computed, self.stored))
        return f"{output.name}: {extent}{here} here, {held} in the cube{off}; {bound}"


def date_text(count: int) -> str:
    """A date of a cube, which is a count of nanoseconds."""
    return "no date" if count == NOT_A_TIME else text_of(as_moments(np.asarray(count)))
