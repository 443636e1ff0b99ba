"""A cell as a plain function: ``@spinsweep.cell`` gives it axes, parameters and random streams by name.

The decorator marks the function and leaves it as it is: it can be called, pickled and compared like any other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, overload

from spinsweep import limits
from spinsweep.axis import closest
from spinsweep.errors import OutputError, SpecError
from spinsweep.printable import brief

Function = Callable[..., Any]
Streams = Mapping[str, Sequence[str] | None]
RNG = "rng"
"""Argument that gets the cell's own stream."""
CELL = "cell"
"""Argument that gets the :class:`spinsweep.Cell` itself."""


@overload
def cell(function: Function, /, *, streams: Streams | Iterable[str] = ()) -> Function: ...
@overload
def cell(
    *, streams: Streams | Iterable[str] = (), memory: int | str | None = None, gpu: float | None = None
) -> Callable[[Function], Function]: ...
def cell(
    function: Function | None = None,
    /,
    *,
    streams: Streams | Iterable[str] = (),
    memory: int | str | None = None,
    gpu: float | None = None,
) -> Any:
    """Mark a function of one cell that takes axes and parameters as arguments, by name.

    An argument ``rng`` gets the cell's own random stream, an argument ``cell`` the :class:`spinsweep.Cell`. The
    function returns a mapping of output to value; the value alone, if there is one output; or a tuple with a value
    for each output, in the sweep's order. The engine calls it cell by cell.

    Parameters
    ----------
    streams
        Further random streams, by the argument that gets each: ``{"chip": ("seed",)}`` is shared by the cells that
        agree on ``seed``, as ``cell.rng("chip", axes=("seed",))`` is; None instead of axes, or a name alone: each
        cell has its own.
    memory, gpu
        What a cell may use, of every sweep of this function that says nothing else; see :class:`spinsweep.Sweep`.

    Raises
    ------
    SpecError
        It is no plain function.
    """
    if function is None:
        return functools.partial(cell, streams=streams, memory=memory, gpu=gpu)
    name = name_of(function)
    if isinstance(function, MethodType):
        raise SpecError(f"{name} is a bound method; write @spinsweep.cell above the method in its class")
    if not isinstance(function, FunctionType | functools.partial):
        raise SpecError(f"spinsweep.cell marks a plain function, not {brief(function)}; write a def that calls it")
    named: Any = {streams: None} if isinstance(streams, str) else streams
    if not isinstance(named, Mapping):
        named = dict.fromkeys(named)
    for stream, axes in named.items():
        if not isinstance(stream, str) or (axes is not None and not _are_names(axes)):
            raise SpecError(f"{name}: streams must map an argument to names of axes or None, not {brief(streams)}")
    if memory is not None or gpu is not None:
        needs = limits.memory(f"{name}: memory", memory), limits.gpu(f"{name}: gpu", gpu)
        function.cell_needs = needs  # type: ignore[union-attr]
    function.per_cell = True  # type: ignore[union-attr]
    function.cell_streams = {  # type: ignore[union-attr]
        stream: None if axes is None else (axes,) if isinstance(axes, str) else tuple(axes)
        for stream, axes in named.items()
    }
    return function


def _are_names(axes: Any) -> bool:
    return isinstance(axes, str) or (isinstance(axes, Iterable) and all(isinstance(axis, str) for axis in axes))


def is_per_cell(function: Any) -> bool:
    """Whether a function takes one cell, by itself or, marked by :func:`cell`, by name."""
    return bool(_mark(function, "per_cell", False))


def streams_of(function: Any) -> Streams | None:
    """The further streams of a function that takes its arguments by name; None if it takes cells."""
    streams: Streams | None = _mark(function, "cell_streams", None)
    return streams


def needs_of(function: Any) -> tuple[int | None, float | None]:
    """The memory of a cell in bytes and its GPUs, of a function that :func:`cell` marked with them."""
    needs: tuple[int | None, float | None] = _mark(function, "cell_needs", (None, None))
    return needs


def _mark(function: Any, name: str, default: Any) -> Any:
    """A mark of a function, also within partials of it."""
    while isinstance(function, functools.partial) and not hasattr(function, name):
        function = function.func
    return getattr(function, name, default)


def name_of(function: Any) -> str:
    """What a function is called, in a message."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", "") or type(function).__name__)


def arguments(function: Function) -> dict[str, inspect.Parameter]:
    """The arguments that a function takes by name, and ``**`` any others.

    Raises
    ------
    SpecError
        It takes some by their place alone.
    """
    taken: dict[str, inspect.Parameter] = {}
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind in (argument.POSITIONAL_ONLY, argument.VAR_POSITIONAL):
            star = "*" * (argument.kind == argument.VAR_POSITIONAL)
            raise SpecError(
                f"{name_of(function)} takes {star}{name} by its place; a cell's arguments are given by name"
            )
        taken["**" if argument.kind == argument.VAR_KEYWORD else name] = argument
    return taken


def check(function: Any, axes: Sequence[str], parameters: Sequence[str]) -> None:
    """Refuse a function that the engine cannot call.

    Raises
    ------
    SpecError
        One line that names the argument, and the nearest axis or parameter.
    """
    name = name_of(function)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        kind = "asynchronous" if inspect.iscoroutinefunction(function) else "a generator"
        raise SpecError(f"{name} is {kind}; a cell is computed by a plain def that returns its outputs")
    streams = streams_of(function)
    if streams is None:
        _require_one_argument(function)
        return
    taken = arguments(function)
    known = [*axes, *parameters]
    for reserved, gets in {RNG: "the cell's random stream", CELL: "the Cell itself"}.items():
        if reserved in known:
            kind = "axis" if reserved in axes else "parameter"
            raise SpecError(
                f"{name}: an argument {reserved!r} gets {gets}; give the {kind} {reserved!r} another name"
            )
    for argument, what in taken.items():
        if argument in (*known, *streams, RNG, CELL, "**"):
            continue
        meant = closest(argument, [n for n in (*known, RNG) if n not in taken])
        if what.default is what.empty or meant:
            have = f"there are {', '.join(known)} and {RNG}"
            raise SpecError(f"{name} takes {argument!r}, which is no axis or parameter{meant}; {have}")
    for stream, along in streams.items():
        if stream in known:
            raise SpecError(f"{name}: the stream {stream!r} has the name of an axis or parameter; choose another one")
        if stream not in taken and "**" not in taken:
            raise SpecError(f"{name} has the stream {stream!r}, but no such argument{closest(stream, taken)}")
        if unknown := [axis for axis in along or () if axis not in axes]:
            have = f"{closest(unknown[0], axes)}; the axes are {', '.join(axes)}"
            raise SpecError(f"{name}: the stream {stream!r} is along {unknown[0]!r}, which is no axis{have}")


def _require_one_argument(function: Any) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a built-in function
        return
    try:
        signature.bind(None)
    except TypeError:
        raise SpecError(
            f"{name_of(function)}{signature} cannot be called with one argument, the cells; mark it with "
            "@spinsweep.cell, and it is given axes, parameters and rng by name"
        ) from None


def adapted(function: Function, axes: Iterable[str], parameters: Iterable[str], outputs: Sequence[str]) -> Function:
    """A function of cells as the engine calls it: one that takes its arguments by name is given those of the cell."""
    if streams_of(function) is None:
        return function
    call = by_name(function, axes, parameters)
    return lambda one: by_output(call(one), outputs, function)


def by_name(function: Function, axes: Iterable[str], parameters: Iterable[str]) -> Function:
    """A function of one :class:`spinsweep.Cell` that calls ``function``, which is marked by :func:`cell`."""
    streams, taken = streams_of(function) or {}, arguments(function)
    axes, parameters = tuple(axes), tuple(parameters)
    of_axes = [n for n in axes if n in taken or "**" in taken]
    of_parameters = [n for n in parameters if n in taken or "**" in taken]
    others = {*taken} - {*axes, *parameters, *streams}

    def call(one: Any) -> Any:
        values = {name: one.coords[name] for name in of_axes}
        values |= {name: one.params[name] for name in of_parameters}
        values |= {stream: one.rng(stream, along) for stream, along in streams.items()}
        if RNG in others:
            values[RNG] = one.rng()
        if CELL in others:
            values[CELL] = one
        return function(**values)

    return call


def by_output(returned: Any, outputs: Sequence[str], function: Function) -> Any:
    """What a function returned as a mapping of output to value."""
    if isinstance(returned, Mapping):
        return returned
    if returned is None:
        raise OutputError(f"{name_of(function)} returned None; it ends without a return of {', '.join(outputs)}")
    if len(outputs) == 1:
        return {outputs[0]: returned}
    if isinstance(returned, tuple | list) and len(returned) == len(outputs):
        return dict(zip(outputs, returned, strict=True))
    many = f"{len(returned)} values" if isinstance(returned, tuple | list) else type(returned).__name__
    raise OutputError(
        f"{name_of(function)} returned {many} for {len(outputs)} outputs; return a mapping, or a tuple of "
        f"{', '.join(outputs)}"
    )
