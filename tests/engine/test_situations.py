"""Situations of people who sweep for a living: what they did, and what they are told or get."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spinsweep
from spinsweep import Axis, Cell, Output, Parameter, SpecError, Sweep, cell
from spinsweep.evaluate import evaluate

X = Axis("x", (0.0, 1.0))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Callable_:
    """An object that can be called, and is no function."""

    def __call__(self, x: float) -> float:
        return x

    def method(self, x: float) -> float:
        return x


@cell
def identity(x: float) -> float:
    return x


@cell
def with_stream(x: float, rng: Any) -> float:
    return float(rng.normal())


@cell
def with_cell(x: float, cell: Cell) -> float:
    return float(cell["x"])


def a_sweep(function: Any = identity, axes: tuple[Axis, ...] = (X,), *outputs: Any, **more: Any) -> Sweep:
    return Sweep("s", "S", axes, outputs or (Output("y"),), function, **more)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((Path("a"), Path("b")), "PosixPath('a') is not a number, bool, text or date.*; give str"),
        ((Colour.RED, Colour.BLUE), "<Colour.RED: 1> is not a number.*; give its name or value"),
        (((1, 2), (3, 4)), "(1, 2) is not a number.*; give an axis for each of its parts"),
        (np.zeros((2, 2)), "array([0., 0.]) is not a number.*; give an axis for each of its parts"),
        ((1j, 2), "1j is not a number.*; give its real and imaginary parts"),
        ((None, 2), "None is not a number.*; give a value that stands for none"),
        (("a", None), "None is not a number.*; give a value that stands for none"),
        ((b"a", b"b"), "b'a' is not a number.*; give value.decode()"),
        (({}, {}), "{} is not a number.*; give a text or number that stands for it"),
        ((min, max), "<built-in function min> is not a number.*; give a text or number that stands for it"),
    ],
)
def test_values_of_a_kind_that_no_axis_takes_are_told_what_to_give_instead(values: Any, says: str) -> None:
    with pytest.raises(SpecError) as told:
        Axis("p", values)
    first, then = says.split(".*")
    assert f"axis 'p': {first}" in str(told.value)
    assert then in str(told.value)
    assert "any numbers" not in str(told.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: a_sweep(identity, (X,), Output("x")), "output 'x' is called like the axis"),
        (lambda: a_sweep(identity, (X,), Output("y"), Output("y")), "output 'y' is there twice"),
        (lambda: a_sweep(identity, (X, X)), "axis 'x' is there twice"),
        (lambda: a_sweep(parameters=(Parameter("x", 1.0),)), "parameter 'x' is called like the axis"),
        (lambda: a_sweep(identity, (X,), Output("runs")), "output 'runs' has a name that every cube uses itself"),
        (lambda: a_sweep(axes=(X, Axis("errors", (0, 1)))), "axis 'errors' has a name that every cube uses itself"),
        (
            lambda: a_sweep(with_stream, (X, Axis("rng", (0, 1)))),
            "'rng' gets the cell's random stream; give the axis",
        ),
        (lambda: a_sweep(with_cell, (X, Axis("cell", (0, 1)))), "'cell' gets the Cell itself; give the axis"),
        (lambda: a_sweep(with_stream, parameters=(Parameter("rng", 1),)), "random stream; give the parameter 'rng'"),
        (lambda: Sweep.from_function(with_stream, x=[1, 2], rng=[1, 2]), "give the axis 'rng' another name"),
    ],
)
def test_names_that_clash_are_told_with_both_things_that_have_them(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(SpecError) as told:
        make()
    assert says in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (Callable_(), "is of the class Callable_; write a def that calls it"),
        (Callable_().method, "method is a bound method; write a def that makes the object and calls it"),
        (np.sin, "is of the class ufunc; write a def that calls it"),
        (abs, "is of the class builtin_function_or_method; write a def that calls it"),
        (float, "is of the class type; write a def that calls it"),
    ],
)
def test_what_is_no_plain_function_is_told_so_in_the_words_of_what_was_written(function: Any, says: str) -> None:
    with pytest.raises(SpecError) as told:
        Sweep.from_function(function, x=[1, 2])
    assert str(told.value).startswith("from_function takes a plain function, and ")
    assert says in str(told.value)
    assert "@" not in str(told.value)


@pytest.mark.parametrize(
    ("value", "dtype", "comes_to"),
    [
        (2**70, "int64", "has the number 1180591620717411303424, which is too large for int64; declare float64"),
        (-(2**70), "uint8", "which is too large for uint8"),
        (2**63, "int64", "has values 9223372036854775808 to 9223372036854775808, declared is int64"),
        (10**400, "float64", "which is too large for float64; give its logarithm"),
        (2**70, "float64", 2.0**70),
        (2**63, "uint64", 2**63),
        (np.float16(0.5), "float16", 0.5),
        (1j, "complex128", 1j),
        (True, "bool", True),
        ("μm", "str", "μm"),
    ],
)
def test_a_number_is_kept_exactly_or_its_cell_is_told_that_it_is_too_large(
    value: Any, dtype: str, comes_to: Any
) -> None:
    @cell
    def gives(x: float) -> Any:
        return value

    got = evaluate(a_sweep(gives, (X,), Output("y", dtype=dtype)), {"x": (0.0,)})
    if isinstance(comes_to, str) and got.errors:
        assert comes_to in got.errors[0,].message
    else:
        assert not got.errors
        assert got.values["y"][0] == comes_to


def test_a_whole_number_of_any_size_is_inferred_as_a_float() -> None:
    def large(n: int) -> int:
        return 2**n

    sweep = Sweep.from_function(large, n=[70, 3])
    assert [output.dtype for output in sweep.outputs] == ["float64"]


def _generator() -> Iterator[int]:
    yield 1


def _throws() -> None:
    paused = _generator()
    next(paused)
    paused.throw(KeyboardInterrupt("own"))  # type: ignore[attr-defined]


def _hands_on() -> None:
    elsewhere: Future[None] = Future()
    elsewhere.set_exception(KeyboardInterrupt("of another thread"))
    elsewhere.result()


def _raises() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupts", [_throws, _hands_on, _raises])
@pytest.mark.parametrize("executor", [None, "serial"])
def test_an_interrupt_that_a_cell_makes_itself_fails_the_cell_in_this_process_too(
    interrupts: Callable[[], None], executor: str | None, tmp_path: Path
) -> None:
    @cell
    def some(x: float) -> float:
        if x:
            interrupts()
        return x

    how: Any = {"executor": executor} if executor else {}
    result = spinsweep.run(a_sweep(some), tmp_path / "c.zarr", on_failure="keep", progress=False, **how)
    assert (result.counts.done, result.counts.failed) == (1, 1)
    assert result.failures[0].error.type == "KeyboardInterrupt"
