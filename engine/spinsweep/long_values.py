"""The values of an inner dim that are too many for a tuple: one array, for which a digest stands in the identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.errors import SpecError
from spinsweep.moments import DTYPE, as_stored

LONG = 1_000_000
"""More values than these are kept as an array; up to these, they stand in the sweep's definition one by one."""


class LongValues:
    """Values along a dim, immutable, (n,) float64, int64 or datetime64[ns].

    Parameters
    ----------
    where : the dim, as messages name it
    values : (n,) numbers or dates; they are copied

    Raises
    ------
    SpecError
        A value is not finite, does not fit into 64 bits, or stands twice.
    """

    def __init__(self, where: str, values: npt.NDArray[Any]) -> None:
        self.dtype: np.dtype[Any] = np.dtype({"f": "float64", "M": DTYPE}.get(values.dtype.kind, "int64"))
        if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
            raise SpecError(f"{where}: {values.max()} does not fit into 64 bits")
        array = np.array(values, self.dtype)
        array.flags.writeable = False
        if not np.isfinite(array).all():  # of NaT it is false as well
            raise SpecError(f"{where}: the value at {int(np.argmin(np.isfinite(array)))} is not finite")
        if not (_rises(array) or _rises(array[::-1])):
            ordered = np.sort(array)
            same = ordered[1:] == ordered[:-1]
            if same.any():
                raise SpecError(f"{where} has the value {ordered[np.argmax(same)]} twice; give each value once")
        self._array: npt.NDArray[Any] | None = array
        self._length = len(array)
        self._sha256 = ""

    @classmethod
    def of(cls, where: str, values: Any) -> LongValues | None:
        """The values, if they are numbers or dates and more than ``LONG``; else None."""
        if isinstance(values, cls):
            return values
        try:
            if isinstance(values, str) or len(values) <= LONG:
                return None
        except TypeError:
            return None
        array = np.asarray(values)
        return cls(where, array) if array.ndim == 1 and array.dtype.kind in "fiuM" else None

    @property
    def array(self) -> npt.NDArray[Any]:
        """All of them, (n,); not to be written to."""
        assert self._array is not None, "a task does not carry the values of a long dim"
        return self._array

    @property
    def sha256(self) -> str:
        """SHA-256 of the little-endian numbers, in hexadecimal."""
        if not self._sha256:
            stored = as_stored(self.array)
            self._sha256 = hashlib.sha256(stored.astype(stored.dtype.newbyteorder("<"), copy=False).data).hexdigest()
        return self._sha256

    @property
    def summary(self) -> dict[str, Any]:
        """What stands for them in a sweep's definition."""
        return {"length": self._length, "dtype": self.dtype.name, "sha256": self.sha256}

    def summarized(self) -> LongValues:
        """Without the array: what a task needs of them."""
        lean = object.__new__(LongValues)
        lean.dtype, lean._array, lean._length, lean._sha256 = self.dtype, None, self._length, self.sha256
        return lean

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001 - NumPy's own
        return np.array(self.array, dtype) if copy else np.asarray(self.array, dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LongValues) and self.summary == other.summary

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"{self._length} values of {self.dtype}"


def _rises(array: npt.NDArray[Any]) -> bool:
    return bool((array[1:] > array[:-1]).all())
