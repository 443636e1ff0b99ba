"""Python's objects taken apart: the functions, values and attributes within them."""

from __future__ import annotations

import copyreg
import enum
import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

from spinsweep.identity.values import without_derived


def closure_values(function: types.FunctionType) -> dict[str, Any]:
    """Values of a function's closure, but for the class that ``super`` asks for."""
    values = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            try:
                values[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                values[name] = None
    return values


def python_function(value: Any) -> Any:
    """The function within what compiles or caches it: of numba, of ``lru_cache``.

    Of numba's own objects nothing else counts: an intrinsic gets a random number in each process.
    """
    for path in (("py_func",), ("_defn",), ("_dispatcher", "py_func"), ("gufunc_builder", "py_func")):
        inner: Any = value if type(value).__module__.startswith("numba.") else None
        for name in path:
            inner = attribute_of(inner, name)
        if isinstance(inner, types.FunctionType):
            return inner
    return value.__wrapped__ if isinstance(value, functools._lru_cache_wrapper) else None


def attribute_of(value: Any, name: str) -> Any:
    """An attribute of any object, whose class may raise anything; None if there is none."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def innermost(function: Any) -> Any:
    """The function in partials, methods and wrappers."""
    while True:
        inner = getattr(function, "func", None) if isinstance(function, functools.partial) else None
        inner = inner or getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        if inner is None:
            return function if hasattr(function, "__qualname__") else type(function)
        function = inner


def object_named(module: str, qualname: str) -> Any:
    """The object of that name in a loaded module; None if there is none."""
    value: Any = sys.modules.get(module)
    for name in qualname.split("."):
        value = getattr(value, name, None)
    return value


def functions_of(member: Any) -> Iterator[types.FunctionType]:
    """The Python functions of a class's member."""
    parts = [member]
    if isinstance(member, staticmethod | classmethod):
        parts = [member.__func__]
    elif isinstance(member, property):
        parts = [member.fget, member.fset, member.fdel]
    elif isinstance(member, functools.cached_property | functools.partialmethod | functools.singledispatchmethod):
        parts = [member.func]
    for part in parts:
        inner = python_function(part) or part
        if isinstance(inner, types.FunctionType):
            yield inner


def is_state(kind: type, name: str, member: Any) -> bool:
    """Whether a class's attribute is a value of its own, and none that Python keeps there."""
    if name.startswith("__") or name in ("_abc_impl", "_fields", "_field_defaults"):
        return False
    if isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType | property):
        return False
    if type(member).__module__ == "_collections":  # the fields of a named tuple
        return False
    return not issubclass(kind, enum.Enum)


def attributes(value: Any) -> dict[str, Any] | None:
    """An object's attributes, where these are all that it is; None where only it knows."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # one of its attributes cannot be pickled: look at them one by one
        contents = getattr(value, "__dict__", None)
        return without_derived(type(value), contents) if contents is not None else None
    if not isinstance(reduced, tuple) or reduced[0] is not copyreg.__newobj__ or len(reduced[1]) != 1:  # type: ignore[attr-defined]
        return None
    state: Any = reduced[2] if len(reduced) > 2 else {}
    if any(part is not None for part in reduced[3:]):
        return None
    if isinstance(state, tuple) and len(state) == 2:
        state = {**(state[0] or {}), **(state[1] or {})}
    state = state or {}
    return without_derived(type(value), state) if isinstance(state, dict) else None
