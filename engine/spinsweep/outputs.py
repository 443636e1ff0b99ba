"""What a cell gives: outputs, the dims that they fill beyond the axes, and further coordinates along an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep import moments
from spinsweep.axis import Axis, Value, listed, require_texts, require_unit
from spinsweep.checking import items, json_value, require_callable, whole
from spinsweep.errors import SpecError
from spinsweep.long_values import LongValues
from spinsweep.printable import brief, said

DTYPES = ("bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)), "float16", "float32", "float64",
          "complex64", "complex128", "str", moments.DTYPE)  # fmt: skip
"""Types of an output's values."""
MAX_LENGTH = 1_000_000_000
"""Of an inner dim."""
IN_CUBE = {"str": "string", moments.DTYPE: "int64"}
"""Types that have another name in a cube."""
TEXT_BYTES = 16
"""Of a text, about, before compression."""
CODING = ("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype", "calendar",
          "coordinates")  # fmt: skip
"""Attributes by which xarray decodes an array; with them a reader gets other numbers than the cells, or none."""


@dataclass(frozen=True)
class Dim:
    """A dimension that every cell fills by itself, beyond the axes, such as the cycles of one device."""

    name: str
    size: int | str = 0
    """Length, or the name of the parameter that holds it; ignored when ``values`` are given."""
    values: Sequence[Value] | npt.NDArray[Any] | LongValues = ()
    """Coordinate values, a tuple from then on, or :class:`~spinsweep.long_values.LongValues` for more than a million;
    empty: ``start``, ``start`` + 1, ..."""
    start: int = 0
    unit: str = "1"
    long_name: str = ""

    def __post_init__(self) -> None:
        where = f"dim {brief(self.name)}"
        require_texts(where, name=self.name, unit=self.unit, long_name=self.long_name)
        require_unit(where, self.unit)
        values = LongValues.of(where, self.values) or listed(self.values)
        if isinstance(values, tuple) and values:
            dated = Axis(self.name, values)  # refuses what no coordinate can be
            values = dated.values if dated.kind == "datetime" else values
        object.__setattr__(self, "values", values)
        if not isinstance(self.size, str) and not values:
            object.__setattr__(self, "size", whole(f"{where}: size", self.size, 1, MAX_LENGTH))
        object.__setattr__(self, "start", whole(f"{where}: start", self.start, -(2**62), 2**62))

    @property
    def has_dates(self) -> bool:
        """Whether its values are dates."""
        if isinstance(self.values, LongValues):
            return bool(self.values.dtype.kind == "M")
        return len(self.values) > 0 and moments.is_moment(self.values[0])

    def summarized(self) -> Dim:
        """The dim as a task needs it, without values that would have to travel with it."""
        return replace(self, values=self.values.summarized()) if isinstance(self.values, LongValues) else self


@dataclass(frozen=True)
class Coordinate:
    """A further coordinate along one axis, computed from the axis's values and the parameters."""

    name: str
    axis: str
    function: Callable[[Any, Mapping[str, Any]], Any]
    """(values (n,), parameters) -> (n,) float64."""
    unit: str = "1"
    long_name: str = ""

    def __post_init__(self) -> None:
        where = f"coordinate {brief(self.name)}"
        require_texts(where, name=self.name, axis=self.axis, unit=self.unit, long_name=self.long_name)
        require_unit(where, self.unit)
        require_callable(f"{where}: function", self.function)

    def along(self, values: Sequence[Value], params: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """The coordinate at the values of its axis, (n,).

        Raises
        ------
        SpecError
            Its function raises, or returns something else than one number a value.
        """
        try:
            values_there = np.asarray(self.function(np.asarray(values), params), np.float64)
        except Exception as error:  # the function is the user's
            raise SpecError(f"coordinate {self.name!r}: its function raised {said(error)}") from error
        if values_there.shape != (len(values),):
            raise SpecError(
                f"coordinate {self.name!r}: its function returns shape {values_there.shape} for {len(values)} values"
            )
        return values_there


@dataclass(frozen=True)
class Output:
    """One named array of the cube: the axes of the sweep, then ``dims``."""

    name: str
    dims: tuple[str, ...] = ()
    """Dimensions beyond the axes, in order."""
    dtype: str = "float64"
    """A name, or anything that NumPy takes as one (``np.float32``); ``str`` for texts of any length,
    ``datetime64[ns]`` for dates."""
    unit: str = "1"
    long_name: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes of the array in the cube, such as ``flag_values`` and ``flag_meanings``: JSON values, and
    numbers and arrays of NumPy."""
    tolerance: float = 0.0
    """How far a cell may be off on another kind of processor, relative to its largest value; 0: bit for bit."""
    formerly: str = ""
    """The name of an output before it was renamed, by which ``spinsweep migrate`` finds it in older cubes."""

    def __post_init__(self) -> None:
        where = f"output {brief(self.name)}"
        require_texts(where, name=self.name, unit=self.unit, long_name=self.long_name, formerly=self.formerly)
        require_unit(where, self.unit)
        object.__setattr__(self, "dims", items(f"{where}: dims", self.dims, str))
        value: Any = self.dtype
        try:
            dtype = np.dtype("str" if isinstance(value, str) and value == "string" else value)
            dtype = np.dtype("str") if dtype.kind == "T" else dtype
        except Exception:  # also what a class of the user raises
            dtype = np.dtype(object)
        if value is None or dtype.name not in DTYPES:
            raise SpecError(f"{where}: dtype {brief(value)} is not one of {', '.join(DTYPES)}")
        if not isinstance(value, str) or dtype.kind in "UM":
            object.__setattr__(self, "dtype", dtype.name)
        if dtype.kind == "M" and self.unit != "1":
            raise SpecError(f"{where}: dates have no unit; leave out {brief(self.unit)}")
        if dtype.kind == "M" and isinstance(self.attrs, Mapping) and "units" in self.attrs:
            raise SpecError(f"{where}: dates have no unit; leave out the attribute 'units'")
        if len(set(self.dims)) < len(self.dims):
            raise SpecError(f"{where}: dims {brief(self.dims)} name one dim twice; name each once")
        if not isinstance(self.attrs, Mapping) or not all(isinstance(name, str) for name in self.attrs):
            raise SpecError(f"{where}: attrs must be a mapping of names to values, not {brief(self.attrs)}")
        if taken := next((name for name in self.attrs if name in CODING), None):
            raise SpecError(f"{where}: attribute {taken!r} tells xarray to change the numbers; leave it out")
        attrs = {n: json_value(f"{where}: attribute {brief(n)}", v) for n, v in self.attrs.items()}
        require_unit(f"{where}: attribute 'units'", str(attrs.get("units", "")))
        object.__setattr__(self, "attrs", attrs)
        tolerance: Any = self.tolerance
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
            raise SpecError(f"{where}: tolerance {brief(tolerance)} must be at least 0 and below 1, such as 1e-12")
        if tolerance and dtype.kind not in "fc":
            raise SpecError(
                f"{where}: tolerance {tolerance} on {self.dtype}: only floating-point outputs have one; leave it out"
            )

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """Of its values in memory; texts are objects."""
        return np.dtype(object if self.dtype == "str" else self.dtype)

    @property
    def stored_dtype(self) -> str:
        """Of its array in the cube."""
        return IN_CUBE.get(self.dtype, self.dtype)

    @property
    def value_bytes(self) -> int:
        """Bytes of one value before compression."""
        return TEXT_BYTES if self.dtype == "str" else self.numpy_dtype.itemsize

    @property
    def fill(self) -> Any:
        """What an unwritten cell reads: NaN, NaT, "", 0 or False (its state tells it from a real one)."""
        if self.dtype == "str":
            return ""
        dtype = self.numpy_dtype
        return np.full((), "nan" if dtype.kind in "fc" else "nat" if dtype.kind == "M" else 0, dtype)[()]
