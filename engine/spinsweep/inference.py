"""The definition of a sweep from a function and values: what :meth:`spinsweep.Sweep.from_function` infers."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from spinsweep import cell_function
from spinsweep.axis import Axis, closest
from spinsweep.cell_function import CELL, RNG, arguments, name_of, streams_of
from spinsweep.checking import json_value
from spinsweep.errors import SpecError
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.printable import brief, said

Outputs = str | Output | Iterable[str | Output] | Mapping[str, Any]


def definition(
    function: Callable[..., Any], values: Mapping[str, Any], outputs: Outputs | None, units: Mapping[str, str]
) -> dict[str, Any]:
    """Fields of the sweep: axes, parameters, outputs, dims and the marked function.

    Raises
    ------
    SpecError
        A value is missing, one is for no argument, or the outputs cannot be inferred.
    """
    if not callable(function):
        raise SpecError(f"from_function takes a function, not {brief(function)}")
    if not isinstance(function, FunctionType | MethodType | functools.partial):
        raise SpecError(
            f"from_function takes a plain function, and {brief(function)} is of the class "
            f"{type(function).__name__}; write a def that calls it"
        )
    if isinstance(function, MethodType):
        raise SpecError(
            f"from_function takes a plain function, and {name_of(function)} is a bound method; write a def that "
            "makes the object and calls it"
        )
    name, taken = name_of(function), arguments(function)
    streams = {*(streams_of(function) or ()), *({RNG, CELL} - {*values})}
    _require_values(name, taken, values, streams)
    if streams_of(function) is None:
        function = cell_function.cell(function)
    axes: list[Axis] = []
    parameters: list[Parameter] = []
    for key, value in values.items():
        made = _axis_or_parameter(name, key, value, units.get(key, ""))
        if isinstance(made, Axis):
            axes.append(made)
        else:
            parameters.append(made)
    if not axes:
        raise SpecError(f"{name}: no axis; give one argument several values, such as seed=range(10)")
    for key, argument in taken.items():
        if key not in values and key not in streams and argument.default is not argument.empty:
            parameters += _default(key, argument.default, units.get(key, "1"))
    cell_function.check(function, [a.name for a in axes], [p.name for p in parameters])
    fields: dict[str, Any] = {"axes": tuple(axes), "parameters": tuple(parameters), "function": function}
    declared = _declared(name, outputs)
    if declared and all(isinstance(output, Output) for output in declared):
        fields |= {"outputs": tuple(declared), "dims": ()}
    else:
        fields |= _inferred(function, axes, parameters, [str(output) for output in declared], units)
    names = [what.name for part in ("axes", "parameters", "outputs", "dims") for what in fields[part]]
    if unknown := [key for key in units if key not in names]:
        raise SpecError(
            f"{name}: units names {unknown[0]!r}{closest(unknown[0], names)}; there are {', '.join(names)}"
        )
    return fields


def _require_values(
    name: str, taken: Mapping[str, inspect.Parameter], values: Mapping[str, Any], streams: Iterable[str]
) -> None:
    """Refuse values for no argument, and arguments without a value."""
    free = [argument for argument in taken if argument not in values and argument not in streams and argument != "**"]
    is_random = any(stream in taken for stream in streams if stream != CELL)
    for key, value in values.items():
        if key in taken or "**" in taken:
            continue
        meant = closest(key, free)
        if meant or not (is_random and _is_axis(value)):  # the axis of a repetition is taken by the random stream
            have = f"it takes {', '.join(taken) or 'none'}"
            raise SpecError(f"{name} has no argument {key!r}{meant}; {have}")
    for argument in free:
        if taken[argument].default is inspect.Parameter.empty:
            raise SpecError(
                f"{name} takes {argument!r}, which has no value; give {argument}=[...] for an axis, or one value "
                "for all cells"
            )


def _is_axis(value: Any) -> bool:
    if isinstance(value, Axis):
        return True
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes | Mapping | Parameter)
        and getattr(value, "ndim", 1) > 0
    )


def _axis_or_parameter(name: str, key: str, value: Any, unit: str) -> Axis | Parameter:
    if isinstance(value, Axis | Parameter):
        if value.name != key:
            raise SpecError(f"{name}: {key}= is given {type(value).__name__} {value.name!r}; name both the same")
        return dataclasses.replace(value, unit=unit) if unit else value
    if isinstance(value, set | frozenset):
        raise SpecError(f"{name}: {key}={brief(value)} has no order; give a list")
    if value is None:
        raise SpecError(f"{name}: {key} is None; give {key}=[...] for an axis, or one value for all cells")
    if _is_axis(value):
        return Axis(key, value, unit=unit or "1")
    return Parameter(key, value, unit=unit or "1")


def _default(key: str, value: Any, unit: str) -> list[Parameter]:
    """A default as a parameter; none where it has no form in JSON: it counts as part of the function then."""
    try:
        json_value(key, value)
    except SpecError:
        return []
    return [Parameter(key, value, unit=unit)]


def _declared(name: str, outputs: Outputs | None) -> Sequence[str | Output]:
    if outputs is None:
        return ()
    if isinstance(outputs, str):
        return (outputs,)
    if isinstance(outputs, Mapping):
        return [Output(key, dtype=dtype) for key, dtype in outputs.items()]
    declared: list[Any] = list(outputs) if isinstance(outputs, Iterable) else [outputs]
    if not declared or len({type(output) for output in declared}) > 1 or not isinstance(declared[0], str | Output):
        raise SpecError(
            f"{name}: outputs must be names, Outputs, or a mapping of name to dtype, not {brief(outputs)}"
        )
    return declared


def _inferred(
    function: Callable[..., Any],
    axes: Sequence[Axis],
    parameters: Sequence[Parameter],
    names: Sequence[str],
    units: Mapping[str, str],
) -> dict[str, Any]:
    """Outputs and dims, from the first cell; its random numbers are others than those of the sweep."""
    name, first = name_of(function), {axis.name: axis.values[0] for axis in axes}
    where = f"{name} at {', '.join(f'{key}={brief(value)}' for key, value in first.items())}"
    cell = _TrialCell(first, {parameter.name: parameter.default for parameter in parameters})
    call = cell_function.by_name(function, first, cell.params)
    try:
        returned = call(cell)
    except Exception as error:  # the function is the user's
        raise SpecError(
            f"{where} raised {said(error)}; to infer the outputs, this cell must work: give outputs= otherwise"
        ) from error
    if not isinstance(returned, Mapping):
        returned = _named(name, returned, names)
    if not returned:
        raise SpecError(f"{where} returned no output")
    made: dict[str, Any] = {"outputs": (), "dims": ()}
    for key, value in returned.items():
        output, dims = _output(where, str(key), value, units)
        made["outputs"] += (output,)
        made["dims"] += tuple(dim for dim in dims if dim not in made["dims"])
    if names and [*names] != [output.name for output in made["outputs"]]:
        have = ", ".join(output.name for output in made["outputs"])
        raise SpecError(f"{where} returned {have}, and outputs= names {', '.join(names)}")
    return made


class _TrialCell:
    """What the first cell is to the function; only types and shapes of what comes of it count."""

    def __init__(self, coords: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        self.coords, self.params = coords, params

    def __getitem__(self, axis: str) -> Any:
        return self.coords[axis]

    def rng(self, stream: str = "", axes: Sequence[str] | None = None) -> np.random.Generator:
        return np.random.default_rng(0)


def _named(name: str, value: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """The values of a function that returns no mapping, by output."""
    if value is None:
        raise SpecError(f"{name} returned None; it must return its outputs")
    if len(names) > 1 or (isinstance(value, tuple) and not names):
        many = len(value) if isinstance(value, tuple | list) else 1
        if many != len(names):
            have = f"outputs= names {', '.join(names)}" if names else "name them: outputs=('mean', 'spread')"
            raise SpecError(f"{name} returned {'a tuple of ' * (many > 1)}{many}; {have}")
        return dict(zip(names, value, strict=True))
    return {names[0] if names else name if name.isidentifier() else "value": value}


def _output(where: str, key: str, value: Any, units: Mapping[str, str]) -> tuple[Output, list[Dim]]:
    """An output and its dims, as its value in the first cell is."""
    try:
        array = np.asarray(value)
    except Exception as error:  # lists of different lengths
        raise SpecError(f"{where} returned {key!r}, which is no array ({said(error)})") from None
    if array.dtype.kind == "O" and all(type(number) is int for number in array.flat):
        array = np.zeros(array.shape, np.int64)  # too large for NumPy, and taken for float64 like all of them
    if array.dtype.kind == "O":
        raise SpecError(f"{where} returned {key!r} = {brief(value)}, which is no number or array of numbers")
    names = getattr(value, "dims", None) or [f"{key}_{place}" for place in range(array.ndim)]
    dims = [Dim(str(n), size, unit=units.get(str(n), "1")) for n, size in zip(names, array.shape, strict=True)]
    dtype = {"U": "string"}.get(array.dtype.kind, array.dtype.name)
    if array.dtype.kind in "iu" and not hasattr(value, "dtype"):
        dtype = "float64"  # a whole number of Python, as 0, says nothing of the next cell
    return Output(key, tuple(dim.name for dim in dims), dtype, units.get(key, "1")), dims
