"""What a sweep or a run allows its cells: how many may fail. It changes no number and no identity."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from spinsweep.errors import SpecError
from spinsweep.printable import brief


def max_failures(what: str, value: Any) -> float | None:
    """Failed cells at which a run stops: a whole number from 1 on, or infinite; None: the default rule.

    Raises
    ------
    SpecError
        It is something else.
    """
    if value is None:
        return None
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if number == math.inf or (number >= 1 and number == int(number)):
        return number
    raise SpecError(f"{what} must be a number of cells from 1 on, or inf, not {brief(value)}")
