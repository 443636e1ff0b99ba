"""What goes to other processes: found out before anything is written."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import cloudpickle

from spinsweep.errors import SpecError
from spinsweep.printable import said
from spinsweep.spec import Sweep

DEPTH = 10  # of names in a message


def require_sendable(sweep: Sweep) -> None:
    """Refuse a sweep that no worker can be sent.

    Raises
    ------
    SpecError
        One line: what of it cannot be pickled.
    """
    try:
        cloudpickle.dumps(sweep.with_one_value_an_axis())
    except Exception as error:  # whatever its parts raise
        raise SpecError(
            f"sweep {sweep.name!r}: {_culprit(sweep)} cannot be sent to workers ({said(error)}); make it where it is "
            "used, or compute in this process (--workers 0)"
        ) from error


def _culprit(sweep: Sweep) -> str:
    for field in dataclasses.fields(sweep):
        value = getattr(sweep, field.name)
        if not _goes(value):
            within = "".join(f", which uses {name!r}" for name in _within(value))
            return f"its {field.name}{within}" + ("," if within else "")
    return "it"


def _within(value: Any) -> Iterator[str]:
    """Names that lead from a value to the innermost part of it that cannot be pickled."""
    for _ in range(DEPTH):
        inner = next(((name, part) for name, part in _parts(value).items() if not _goes(part)), None)
        if inner is None:
            return
        name, value = inner
        yield name


def _parts(value: Any) -> Mapping[str, Any]:
    """What a function uses by name, or what an object has."""
    try:
        used = inspect.getclosurevars(value)
    except (TypeError, ValueError):
        return getattr(value, "__dict__", {})
    return {**used.globals, **used.nonlocals}


def _goes(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True
