"""One block's cells computed: labelled coordinates and addressed random streams in, checked arrays out."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.axis import Value, canonical, key
from spinsweep.calls import IN_HAND, NOBODY, Calls, Coords, InHand
from spinsweep.captured import Tail, captured
from spinsweep.cell_function import adapted, is_per_cell
from spinsweep.errors import OutputError, RunAborted, SpecError, WorkInterrupted
from spinsweep.interrupts import interrupts_told_apart, was_told
from spinsweep.limits import backoff_s, retries_of
from spinsweep.moments import DTYPE, moment
from spinsweep.outputs import Output
from spinsweep.printable import brief, cut
from spinsweep.seeds import generator
from spinsweep.spec import Named, Sweep
from spinsweep.stages import InMemory, Keeper

Array = npt.NDArray[Any]
MESSAGE, TRACEBACK = 10_000, 100_000  # characters that a cube keeps of each
LARGEST = {np.dtype(name): float(np.finfo(name).max) for name in ("float16", "float32")}
"""Number of each type that others are cast to."""
UNFINISHED = (WorkInterrupted, RunAborted)  # say nothing of a cell


@dataclass(frozen=True)
class CellError:
    """What a cell raised."""

    type: str
    """Qualified name of the exception's class."""
    message: str
    traceback: str
    output: str = ""
    """What it had printed, at most the last :data:`spinsweep.captured.LONGEST` characters."""


class Cell:
    """One cell as a block function sees it: ``cell["width"]``, ``cell.params``, ``cell.rng("noise")``."""

    def __init__(
        self, sweep: Sweep, coords: Mapping[str, Value], cube_id: str = "", stages: Keeper | None = None
    ) -> None:
        self._sweep = sweep
        self._stages = stages
        self.coords: dict[str, Value] = {**{a.name: a.neutral for a in sweep.neutral_axes.values()}, **coords}
        """Canonical value of each axis."""
        self._cube_id = cube_id
        self.params: dict[str, Any] = sweep.cell_params
        """Value of each parameter; not to be changed."""

    def __getitem__(self, axis: str) -> Any:
        try:
            return self.coords[axis]
        except KeyError:
            return Named("axis", self.coords)[axis]  # whose error names those that there are

    def fresh(self, coords: Coords) -> Cell:
        """A cell like this at these coordinates."""
        point = {name: value for name, (value,) in coords.items()}
        return Cell(self._sweep, point, self._cube_id, self._stages)

    @property
    def address(self) -> str:
        """Names the cell among those of all cubes and definitions; "" outside of a cube.

        For what is kept of a cell elsewhere, such as the journal of a bench. No number may depend on it.
        """
        if not self._cube_id:
            return ""
        absent = {a.name for a in self._sweep.neutral_axes.values()}
        coords = ",".join(f"{name}={value}" for name, value in self.coords.items() if name not in absent)
        return f"{self._cube_id}/{self._sweep.digest[:16]}/{coords}"

    def stage(self, name: str) -> dict[str, Array]:
        """What the stage of that name has computed for the cell's coordinates, arrays that cannot be changed."""
        return _staged(self._sweep, name, self.coords, self._stages)

    def rng(self, stream: str = "", axes: tuple[str, ...] | None = None) -> np.random.Generator:
        """The cell's own stream of that name, or the one shared by all cells that agree on ``axes``."""
        names = self._sweep.axis_names if axes is None else axes
        return _generator(self._sweep, stream, {self._sweep.axis(name).name: self.coords[name] for name in names})


class Cells:
    """A box of cells as a block function sees it: the product of ``coords``.

    Iterating gives its :class:`Cell` objects, last axis fastest.
    """

    def __init__(
        self, sweep: Sweep, coords: Mapping[str, tuple[Value, ...]], cube_id: str = "", stages: Keeper | None = None
    ) -> None:
        self._sweep = sweep
        self._cube_id = cube_id
        self._stages = stages
        self._values = {name: tuple(coords[name]) for name in sweep.axis_names}
        neutral = {a.name: a.values for a in sweep.neutral_axes.values()}
        values = {**self._values, **neutral}
        self.coords: dict[str, Array] = Named("axis", {n: np.asarray(v) for n, v in values.items()})
        """Values along each axis, 1-D arrays; an axis that the cube lacks has its neutral value."""
        self.params: dict[str, Any] = sweep.cell_params
        """Value of each parameter; not to be changed."""

    def fresh(self, coords: Coords) -> Cells:
        """A box like this at these coordinates."""
        return Cells(self._sweep, coords, self._cube_id, self._stages)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis, in the sweep's order of axes."""
        return tuple(len(v) for v in self._values.values())

    def __iter__(self) -> Iterator[Cell]:
        for point in itertools.product(*self._values.values()):
            yield Cell(self._sweep, dict(zip(self._values, point, strict=True)), self._cube_id, self._stages)

    def stage(self, name: str, **coords: Value) -> dict[str, Array]:
        """What the stage of that name has computed for these coordinates; see :meth:`Cell.stage`."""
        point = {name: canonical(value, self._sweep.axis(name).kind) for name, value in coords.items()}
        return _staged(self._sweep, name, point, self._stages)

    def rng(self, stream: str = "", **coords: Value) -> np.random.Generator:
        """The stream at these coordinates; the one that ``Cell.rng(stream, axes=...)`` of their axes gives."""
        point = {name: canonical(value, self._sweep.axis(name).kind) for name, value in coords.items()}
        return _generator(self._sweep, stream, point)


def _generator(sweep: Sweep, stream: str, coords: Mapping[str, Value]) -> np.random.Generator:
    """The stream at these coordinates, as older cubes have it: without neutral values, under axes' first names."""
    if neutral := sweep.neutral_values:
        coords = {name: value for name, value in coords.items() if name not in neutral or value != neutral[name]}
    if renamed := sweep.stream_names:
        coords = {renamed.get(name, name): value for name, value in coords.items()}
    return generator(sweep.root_seed, sweep.name, stream, coords)


class StageCell(Cell):
    """What the function of a stage gets: a cell with the axes of the stage alone."""

    def __init__(self, sweep: Sweep, coords: Mapping[str, Value]) -> None:
        super().__init__(sweep, coords)
        self.coords = dict(coords)

    def rng(self, stream: str = "", axes: tuple[str, ...] | None = None) -> np.random.Generator:
        """The stream of all cells that agree on the stage's axes, or on ``axes`` of them."""
        return super().rng(stream, tuple(self.coords) if axes is None else axes)


_in_memory = InMemory()


def _staged(sweep: Sweep, name: str, coords: Mapping[str, Value], stages: Keeper | None) -> dict[str, Array]:
    stage = Named("stage", {stage.name: stage for stage in sweep.stages})[name]
    point = {axis: Named("axis", coords)[axis] for axis in stage.axes}
    address = json.dumps([sweep.digest, sorted((axis, key(value)) for axis, value in point.items())])
    if stages is None:
        address = f"{id(stage.function)} {address}"  # another function may have the same definition
    return (stages or _in_memory)(name, address, lambda: stage.compute(StageCell(sweep, point)))


@dataclass
class Evaluated:
    """Results of a box of cells; arrays begin with the box's shape."""

    values: dict[str, Array]
    """Each output; a failed cell holds the output's fill."""
    duration: Array
    """Seconds, float32."""
    tries: Array
    """How often each was called, uint16."""
    errors: dict[tuple[int, ...], CellError]
    """Position in the box -> what was raised there."""


def evaluate(
    sweep: Sweep,
    coords: Mapping[str, tuple[Value, ...]],
    cube_id: str = "",
    stages: Keeper | None = None,
    calls: Calls = NOBODY,
) -> Evaluated:
    """Compute the box of cells ``coords``; an exception of the block function is a result, not raised.

    Raised are those that say nothing of a cell: the ``KeyboardInterrupt`` of a real Ctrl-C, ``WorkInterrupted`` and
    ``RunAborted``.

    When a function of a whole block raises, its cells are computed one by one, so that a failing cell does not
    take the good ones with it.

    Parameters
    ----------
    calls : hears of each call of the function
    """
    with interrupts_told_apart(), captured() as tail:
        hand = IN_HAND.get() or InHand()
        try:
            return _evaluated(sweep, Cells(sweep, coords, cube_id, stages), coords, calls, tail, hand)
        finally:
            hand.call = None


def _evaluated(sweep: Sweep, cells: Cells, coords: Coords, calls: Calls, tail: Tail, hand: InHand) -> Evaluated:
    result = empty(sweep, cells.shape)
    first, size = (0,) * len(cells.shape), result.duration.size
    per_cell = is_per_cell(sweep.function)
    function = adapted(sweep.function, cells.coords, sweep.params, [output.name for output in sweep.outputs])
    if not per_cell:
        values, seconds, tries = _called(sweep, function, cells, coords, calls, tail, hand)
        result.duration[...] = seconds / size
        result.tries[...] = tries
        if size == 1 or not isinstance(values, CellError):
            calls.computed(coords, values, seconds / size, tries)
        if not isinstance(values, CellError):
            result.values = values
            return result
        if size == 1:
            result.errors[first] = values
            return result
    names = sweep.axis_names
    needed = not per_cell or calls is not NOBODY or bool(sweep.retries)
    for position, cell in zip(np.ndindex(cells.shape), cells, strict=True):
        single = {name: (cell.coords[name],) for name in names} if needed else {}
        if per_cell:
            values, seconds, tries = _called(sweep, function, cell, single, calls, tail, hand)
        else:
            values, seconds, tries = _called(sweep, function, cells.fresh(single), single, calls, tail, hand)
        result.duration[position], result.tries[position] = seconds, tries
        calls.computed(single, values, seconds, tries)
        if isinstance(values, CellError):
            result.errors[position] = values
            continue
        for name, value in values.items():
            result.values[name][position] = value[()] if per_cell else value[first]
    return result


def _called(
    sweep: Sweep,
    function: Callable[[Any], Any],
    cells: Cell | Cells,
    coords: Coords,
    calls: Calls,
    tail: Tail,
    hand: InHand,
) -> tuple[dict[str, Array] | CellError, float, int]:
    """What the block function returns, checked, or raises; the seconds of its last call; and how many it took."""
    shape = cells.shape if isinstance(cells, Cells) else ()
    size = math.prod(shape)
    for tries in itertools.count(1):
        tail.clear()
        calls.began(coords, size)
        began = time.perf_counter()
        hand.call, hand.began = cells if size == 1 else None, began
        repeat = False
        try:
            values: dict[str, Array] | CellError = _checked(sweep, function(cells), shape)
        except BaseException as error:  # asyncio.CancelledError and SystemExit are results of a cell, too
            if _says_nothing(error):
                calls.ended()
                raise
            repeat = bool(sweep.retries) and tries <= retries_of(error, sweep.retries)
            values = _described(error, tail.text)
        seconds = time.perf_counter() - began
        calls.ended()
        if not repeat:
            break
        time.sleep(backoff_s(tries))
        cells = cells.fresh(coords)  # the call that raised may have changed it
    return values, seconds, tries


def point_of(call: Cell | Cells) -> dict[str, Value] | None:
    """Coordinates of a call of one cell, by axis; None where the function has taken them away."""
    if isinstance(call, Cells):
        return {name: values[0] for name, values in call._values.items()}
    names = call._sweep.axis_names
    return {name: call.coords[name] for name in names} if set(names) <= set(call.coords) else None


def _says_nothing(error: BaseException) -> bool:
    """Whether an exception is not about the cell in which it came up."""
    if not isinstance(error, KeyboardInterrupt):
        return isinstance(error, UNFINISHED)
    return threading.current_thread() is threading.main_thread() and was_told(error)  # signals go to no other


def empty(sweep: Sweep, shape: tuple[int, ...]) -> Evaluated:
    """A box in which nothing was computed."""
    values = {o.name: np.full(shape + sweep.output_shape(o), o.fill, dtype=o.numpy_dtype) for o in sweep.outputs}
    return Evaluated(values, np.zeros(shape, np.float32), np.ones(shape, np.uint16), {})


def _checked(sweep: Sweep, returned: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    """The returned arrays with the declared dims, shapes and dtypes, or an ``OutputError``."""
    if not isinstance(returned, Mapping):
        raise OutputError(f"{sweep.name!r} returned {type(returned).__name__}, not a mapping of output to array")
    outputs = {str(name): value for name, value in returned.items()}
    names = {o.name for o in sweep.outputs}
    if missing := sorted(names - set(outputs)):
        raise OutputError(f"{sweep.name!r} did not return output {missing[0]!r}")
    if extra := sorted(set(outputs) - names - set(sweep.axis_names)):
        raise OutputError(f"{sweep.name!r} returned {extra[0]!r}, which it does not declare")
    leading = sweep.axis_names if shape else ()
    return {o.name: _fitted(sweep, o, outputs[o.name], leading, shape) for o in sweep.outputs}


def _fitted(sweep: Sweep, output: Output, value: Any, leading: tuple[str, ...], shape: tuple[int, ...]) -> Array:
    dims, what = leading + output.dims, f"output {output.name!r}"
    if hasattr(value, "dims") and hasattr(value, "transpose"):  # labelled: put its dims in order
        if set(value.dims) != set(dims):
            raise OutputError(f"{what} has dims {tuple(value.dims)}, declared are {dims}")
        value = value.transpose(*dims).values
    array = np.asarray(value)
    if array.dtype.kind == "O" and output.numpy_dtype.kind in "iufc":
        array = _of_whole_numbers(array, output.numpy_dtype, what)
    expected = shape + sweep.output_shape(output)
    if array.shape != expected:
        raise OutputError(f"{what} has shape {array.shape}, declared is {expected} for dims {dims}")
    target = output.numpy_dtype
    if array.dtype is target and output.dtype != "str":
        return array
    if output.dtype == "str":
        return _texts(array, what)
    if target.kind == "M":
        return _dates(array, what)
    if np.can_cast(array.dtype, target):  # whatever the values
        return array.astype(target, copy=False)
    if target.kind in "iu" and array.dtype.kind in "iu":
        limits = np.iinfo(target)
        if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
            raise OutputError(f"{what} has values {array.min()} to {array.max()}, declared is {target}")
    elif not np.can_cast(array.dtype, target, casting="same_kind"):
        raise OutputError(f"{what} has dtype {array.dtype}, declared is {target}{_both(array.dtype, target)}")
    if array.ndim == 0 and array.dtype.kind == "f" and abs(array.item()) <= LARGEST.get(target, 0.0):
        return array.astype(target)  # errstate takes longer than all of this
    try:
        with np.errstate(over="raise"):
            return array.astype(target, copy=False)
    except FloatingPointError:
        raise OutputError(
            f"{what} has values that are too large for {target}, which would make them infinite"
        ) from None


def _of_whole_numbers(array: Array, target: np.dtype[Any], what: str) -> Array:
    """Whole numbers of Python that are too large for NumPy's, as float64 where the output is of floats."""
    if not all(type(number) is int for number in array.flat):
        return array
    try:
        if target.kind in "fc":
            return array.astype(np.float64)
    except OverflowError:
        pass
    largest = max(array.flat, key=abs)
    wider = "declare float64, or give" if target.kind in "iu" else "give"
    raise OutputError(
        f"{what} has the number {brief(largest)}, which is too large for {target}; {wider} its logarithm"
    )


def _both(actual: np.dtype[Any], target: np.dtype[Any]) -> str:
    """A hint to the type of numbers that holds both; the type may have been inferred from the first cell."""
    are_numbers = {actual.kind, target.kind} <= set("biufc")
    return f"; declare {np.promote_types(actual, target)}, which holds both" if are_numbers else ""


def _texts(array: Array, what: str) -> Array:
    """Texts as an array of objects of Python."""
    texts = array.astype(object)
    for place, text in enumerate(texts.flat):
        try:
            if not isinstance(text, str):
                raise OutputError(f"{what} has {brief(text)} of type {type(text).__name__}, declared is str")
            text.encode()
        except UnicodeEncodeError:
            raise OutputError(f"{what} has {brief(text)}, which is no text of Unicode") from None
        if type(text) is not str:
            texts.flat[place] = str(text)
    return texts


def _dates(array: Array, what: str) -> Array:
    """Dates in nanoseconds."""
    try:
        if array.dtype.kind == "O":
            dates = [np.datetime64("nat") if value is None else moment(value) for value in array.flat]
            return np.array(dates, DTYPE).reshape(array.shape)
        if array.dtype.kind != "M":
            raise OutputError(f"{what} has dtype {array.dtype}, declared is {DTYPE}")
        exact = array.astype(DTYPE, copy=False)
        for position in np.argwhere((exact.astype(array.dtype) != array) & ~np.isnat(array))[:1]:
            moment(array[tuple(position)])
    except SpecError as error:
        raise OutputError(f"{what}: {error}") from None
    return exact


def _described(error: BaseException, output: str) -> CellError:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
        trace = "".join(traceback.format_exception(error))
    except BaseException as second:  # its __str__ raises
        message = trace = f"an exception that cannot be shown: {type(second).__name__}"
    texts = (name, message, trace, output)
    name, message, trace, output = (text.encode(errors="backslashreplace").decode() for text in texts)
    half = TRACEBACK // 2  # where it began, and where it ended
    if len(trace) > TRACEBACK:
        trace = f"{trace[:half]}\n[... {len(trace) - 2 * half} more characters]\n{trace[-half:]}"
    return CellError(cut(name, 200), cut(message, MESSAGE), trace, output)
