"""What a sweep or a run allows its cells: how long, how often, how many may fail, how much memory, which GPUs.

Nothing of it changes a number or the identity of a sweep.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

from spinsweep.errors import SpecError
from spinsweep.printable import brief

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0  # before a cell is tried again: twice as long each time
MOST_RETRIES = 1000
LEAST_MEMORY = 64 << 20
"""Bytes: a worker needs as much before it computes anything."""


def max_failures(what: str, value: Any) -> float | None:
    """Failed cells at which a run stops: a whole number from 1 on, or infinite; None: the default rule.

    Raises
    ------
    SpecError
        It is something else.
    """
    if value is None:
        return None
    number = _number(value)
    if number == math.inf or (number >= 1 and number == int(number)):
        return number
    raise SpecError(f"{what} must be a number of cells from 1 on, or inf, not {brief(value)}")


def timeout(what: str, value: Any) -> float | None:
    """Seconds that a cell may take; None: any.

    Raises
    ------
    SpecError
        It is no positive number.
    """
    if value is None:
        return None
    number = _number(value)
    if not 0 < number < math.inf:
        raise SpecError(f"{what} must be seconds above 0, not {brief(value)}")
    return number


def memory(what: str, value: Any) -> int | None:
    """Bytes that the process of a cell may use, of a number or a text such as ``"2 GiB"``; None: any.

    Raises
    ------
    SpecError
        It is something else, or less than a worker itself needs.
    """
    if value is None:
        return None
    number = math.nan
    if isinstance(value, str):
        from dask.utils import parse_bytes  # late: only a sweep that names a size needs it

        with suppress(ValueError, OverflowError):
            number = parse_bytes(value)
    else:
        number = _number(value)
    if not 0 < number < 2**63:
        raise SpecError(f"{what} must be a size such as '2 GiB', or bytes, not {brief(value)}")
    if number < LEAST_MEMORY:
        raise SpecError(
            f"{what}: {brief(value)} is less than a worker needs by itself, {LEAST_MEMORY >> 20} MiB; "
            "write the unit, as in '2 GiB'"
        )
    return int(number)


def gpu(what: str, value: Any) -> float | None:
    """GPUs that a cell needs: a part of one, or a whole number; None: none.

    Raises
    ------
    SpecError
        It is something else.
    """
    if value is None:
        return None
    number = _number(value)
    if not (0.01 <= number < 1 or (1 <= number <= 1024 and number == int(number))):
        raise SpecError(f"{what} must be a part of a GPU from 0.01 to 1, or a whole number, not {brief(value)}")
    return number


def retries(what: str, value: Any) -> dict[str, int]:
    """How often a cell that raised is called again, by the name of the exception's class.

    Parameters
    ----------
    value : a mapping from such classes, or their names, to numbers

    Raises
    ------
    SpecError
        It is something else.
    """
    if not isinstance(value, Mapping):
        raise SpecError(f"{what} must be a mapping such as {{'OSError': 3}}, not {brief(value)}")
    checked = {}
    for kind, times in value.items():
        name = _class_name(kind) if isinstance(kind, type) and issubclass(kind, BaseException) else kind
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise SpecError(f"{what}: {brief(kind)} is not the name of an exception, such as 'OSError'")
        number = _number(times)
        if not (1 <= number <= MOST_RETRIES and number == int(number)):
            raise SpecError(f"{what}: {name}: must be a whole number from 1 to {MOST_RETRIES}, not {brief(times)}")
        checked[name] = int(number)
    return checked


def retries_of(error: BaseException, allowed: Mapping[str, int]) -> int:
    """How often a cell that raised ``error`` is called again: as its class, or the nearest named base, says."""
    for kind in type(error).__mro__:
        for name in (_class_name(kind), kind.__qualname__):
            if name in allowed:
                return allowed[name]
    return 0


def backoff_s(tries: int) -> float:
    """The wait after so many calls that raised, s."""
    return min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 30), LONGEST_WAIT_S)


def _class_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _number(value: Any) -> float:
    return math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
