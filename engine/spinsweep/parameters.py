"""Parameters of a sweep: one value for all cells."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinsweep.axis import (
    Axis,
    Kind,
    Value,
    canonical,
    choices_of,
    key,
    one_of,
    plain,
    range_words,
    require_limits,
    require_texts,
)
from spinsweep.checking import json_value, require_callable
from spinsweep.errors import SpecError
from spinsweep.printable import brief


@dataclass(frozen=True)
class Parameter:
    """One value that holds for the whole sweep and is part of its identity.

    Raises
    ------
    SpecError
        The default is outside its own ``low``..``high`` or ``choices``, or is not a JSON value.
    """

    name: str
    default: Any
    """A JSON value: number, text, bool, list or mapping."""
    unit: str = "1"
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    load: Callable[[str], Any] | None = None
    """Turns the command line's text into the value (a file name into its contents, say)."""
    fingerprint: Callable[[Any], Any] | None = None
    """The part of the value that can change a number; None: all of it. Only this is part of the identity."""

    axes: Callable[[Any], Mapping[str, Sequence[Value] | Axis]] | None = None
    """Values of axes that follow from the parameter, where they are not given by themselves; an :class:`Axis` also
    says the unit, name and limits that follow."""
    code: Callable[[Any], Any] | None = None
    """The class or function that a value names, such as that of a plug-in: the sweep's code then contains it."""
    neutral: Any = ...
    """Of a parameter that a published sweep gets later: the value at which cells are what they were before.  At this
    value it is not part of the identity, so that older cubes still grow; ``...``: there is no such value."""

    def __post_init__(self) -> None:
        where = f"parameter {brief(self.name)}"
        require_texts(where, name=self.name, unit=self.unit, help=self.help)
        require_limits(where, self.low, self.high)
        for what in ("load", "fingerprint", "axes", "code"):
            if getattr(self, what) is not None:
                require_callable(f"{where}: {what}", getattr(self, what))
        object.__setattr__(self, "choices", choices_of(where, self.choices))
        object.__setattr__(self, "default", plain(self.default))
        object.__setattr__(self, "default", self.check(self.default))
        if self.neutral is not ...:
            object.__setattr__(self, "neutral", self.check(self.neutral))

    @property
    def upstream(self) -> str:
        """Of an input, the sweep whose cube it is; else ""."""
        return ""

    def settle(self, stored: Any, value: Any) -> Any:
        """The value that a cube with the value ``stored`` goes on with."""
        return value

    def resolve(self, value: Any) -> Any:
        """What cells get for the value."""
        return value

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return one_of(self.choices)
        if self.load is not None:
            return "a file"
        if isinstance(self.default, int | float) and not isinstance(self.default, bool):
            kind: Kind = "int" if isinstance(self.default, int) else "float"
            return range_words(kind, self.unit, self.low, self.high)
        kinds = {str: "text", bool: "true or false", dict: "a JSON object", list: "a JSON list"}
        return kinds.get(type(self.default), "any JSON value")

    def check(self, value: Any) -> Any:
        """``value`` made canonical and checked.

        Raises
        ------
        SpecError
            It is of another type than the default, out of range, or not one of the choices.
        """
        value = plain(value)
        if self.choices and (isinstance(value, np.ndarray) or value not in self.choices):
            raise SpecError(f"parameter {self.name!r} cannot take the value {brief(value)}; it takes {self.allowed}")
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise SpecError(f"parameter {self.name!r} takes true or false, not {brief(value)}")
            return value
        if isinstance(self.default, int | float):
            try:
                number = canonical(value, "int" if isinstance(self.default, int) else "float")
            except SpecError as error:
                raise SpecError(f"parameter {self.name!r}: {error}; it takes {self.allowed}") from None
            if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):  # type: ignore[operator]
                raise SpecError(f"parameter {self.name!r}: {key(number)} is out of range; it takes {self.allowed}")
            return number
        if self.default is not None and not isinstance(value, type(self.default)):
            if self.load is not None and isinstance(value, str | os.PathLike):
                name = os.fspath(value)
                raise SpecError(
                    f"parameter {self.name!r} takes what a file holds, not its name {name!r}; "
                    f"with_text({{{self.name!r}: {name!r}}}) reads the file"
                )
            raise SpecError(f"parameter {self.name!r} takes {self.allowed}, not {brief(value)}")
        return json_value(f"parameter {self.name!r}", value)

    def parse(self, text: str) -> Any:
        """The value from the text after ``NAME=`` on the command line."""
        if self.load is not None:
            try:
                return self.check(self.load(text))
            except ValueError as error:
                raise SpecError(f"parameter {self.name!r}: {error}") from None
            except OSError as error:
                problem = error.strerror or error
                raise SpecError(f"parameter {self.name!r}: {text} cannot be read ({problem})") from None
        if isinstance(self.default, bool):
            return self.check({"true": True, "false": False}.get(text.lower(), text))
        if isinstance(self.default, str):
            return self.check(text)
        if isinstance(self.default, int | float):
            value: Any = text
            with suppress(ValueError):
                value = int(text)
            return self.check(value)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise SpecError(f"parameter {self.name!r}: {brief(text)} is not JSON; it takes {self.allowed}") from None
        return self.check(value)
