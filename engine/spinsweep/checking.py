"""Values that users give, checked: each problem is a ``SpecError`` in one line that names where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spinsweep.axis import plain
from spinsweep.errors import SpecError
from spinsweep.printable import brief, one_line


def items(what: str, value: Any, kind: type) -> tuple[Any, ...]:
    """A tuple of such items; one alone is a tuple of one, as where the comma of ``(item,)`` is missing."""
    parts = (value,) if isinstance(value, kind) else value
    if isinstance(parts, str | Mapping) or not isinstance(parts, Iterable) or getattr(parts, "ndim", 1) == 0:
        raise SpecError(f"{what} must be a tuple of {kind_name(kind)}, not {brief(value)}")
    checked = []
    for position, item in enumerate(parts):
        if not isinstance(item, kind):
            raise SpecError(f"{what}[{position}] must be {kind_name(kind)}, not {brief(item)}")
        checked.append(item)
    return tuple(checked)


def kind_name(kind: type) -> str:
    return "text" if kind is str else kind.__name__


def whole(what: str, value: Any, least: int, most: int) -> int:
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise SpecError(
            f"{what} must be a whole number{f' from 1 to {most}' if least == 1 else ''}, not {brief(value)}"
        )
    return number


def require_callable(what: str, value: Any) -> None:
    if not callable(value):
        raise SpecError(f"{what} must be a function, not {brief(value)}")


def json_value(what: str, value: Any) -> Any:
    """A value as JSON gives it back; numbers and arrays of NumPy are taken as those of Python."""
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_of_numpy))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{what} is not a JSON value: {one_line(str(error), 300)}") from None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{brief(value)} has no form in JSON")
