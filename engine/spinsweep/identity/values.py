"""Values as bytes that are the same for equal values in any process: what constants, closures and attributes hold."""

from __future__ import annotations

import copyreg
import enum
import hashlib
import marshal
import os
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np

Named = Callable[[Any], "str | None"]
"""What a function, class or module is called in an identity; None for anything else."""
_NUMBERS = frozenset((bool, int, float, complex, type(None)))
_STATES = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, type(os.environ))
_LOCKS = (type(threading.Lock()), type(threading.RLock()))  # hold nothing that counts


class Values:
    """Digests of values.

    Parameters
    ----------
    named : see :data:`Named`; it takes note of what it names
    say : called with the type of what cannot be looked into
    folders : where the user's own code lies; paths in there count from there on
    """

    def __init__(self, named: Named, say: Callable[[str], None], folders: Iterable[str] = ()) -> None:
        self._named = named
        self._say = say
        self._folders = sorted({f for f in folders if len(f) > 1}, key=len, reverse=True)

    def digest(self, value: Any) -> str:
        """SHA-256 of a value, in hexadecimal; ``= 0.5`` for a number itself."""
        if type(value) in (bool, int, float) and len(hex(int_of(value))) < 20:
            return f"= {value!r}"
        try:
            return self._hash(value, []).hex()
        except Exception:  # its own methods raise, or it is nested too deep
            return self._by_type(value, [])[0] + self._hash(type(value), []).hex()

    def _hash(self, value: Any, within: list[int]) -> bytes:
        """Of any value; ``within`` are the objects that it is part of, by which cycles are cut."""
        digest = hashlib.sha256()
        if id(value) in within:
            digest.update(b"again %d" % within.index(id(value)))
            return digest.digest()
        kind, parts = self._parts(value, [*within, id(value)])
        digest.update(kind.encode("utf-8", "surrogatepass"))
        for part in parts:
            digest.update(struct.pack("<q", len(part)))
            digest.update(part)
        return digest.digest()

    def _parts(self, value: Any, within: list[int]) -> tuple[str, list[bytes] | list[memoryview]]:
        """A word for what it is, and its content."""
        kind = type(value)
        if value is None or value is ... or value is NotImplemented or kind is bool:
            return str(value), []
        if kind is int:
            return "int", [b"%x" % value]
        if kind is float:
            return "float", [value.hex().encode()]
        if kind is complex:
            return "complex", [value.real.hex().encode(), value.imag.hex().encode()]
        if kind is str:
            return "str", [self._placed(value).encode("utf-8", "surrogatepass")]
        if kind in (bytes, bytearray):
            return kind.__name__, [bytes(value)]
        if kind in (tuple, list, set, frozenset) and _NUMBERS.issuperset(map(type, value)):
            ordered = value if kind in (tuple, list) else sorted(value, key=lambda v: (str(type(v)), str(v)))
            return f"numbers {kind.__name__}", [marshal.dumps(list(ordered), 2)]
        if kind in (tuple, list):
            return kind.__name__, [self._hash(v, within) for v in value]
        if kind in (set, frozenset):
            return kind.__name__, sorted(self._hash(v, within) for v in value)
        if isinstance(value, Mapping) and kind.__module__ in ("builtins", "collections"):
            items = [self._hash(k, within) + self._hash(v, within) for k, v in value.items()]
            return f"mapping {kind.__name__}", sorted(items)
        name = self._named(value)
        if name is not None:
            return f"named {name}", []
        if isinstance(value, np.ndarray) and kind is np.ndarray:
            return self._array(value, within)
        if isinstance(value, np.generic):
            return f"scalar {value.dtype.str}", [value.tobytes()]
        if isinstance(value, PurePath):
            return "path", [self._placed(str(value)).encode("utf-8", "surrogatepass")]
        if isinstance(value, enum.Enum):
            return f"member {value.name}", [self._hash(kind, within)]
        if kind.__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
            return self._tensor(value, within)
        return self._object(value, within)

    def _array(self, value: Any, within: list[int]) -> tuple[str, list[Any]]:
        about = f"array {value.dtype.str if value.dtype.names is None else value.dtype.descr} {value.shape}"
        if value.dtype.hasobject:
            return about, [self._hash(v, within) for v in value.ravel().tolist()]
        return about, [np.ascontiguousarray(value).reshape(-1).view(np.uint8).data]

    def _tensor(self, value: Any, within: list[int]) -> tuple[str, list[Any]]:
        whole = value.detach().cpu()
        try:
            array = whole.numpy()
        except (TypeError, RuntimeError):  # of a type that numpy does not have
            array = np.array(whole.double().tolist())
        return f"tensor {value.dtype} {type(value).__name__}", [self._hash(np.asarray(array), within)]

    def _object(self, value: Any, within: list[int]) -> tuple[str, list[bytes]]:
        """Any other object by what pickle would keep of it: its class, arguments and state."""
        kind = type(value)
        if isinstance(value, _STATES) or hasattr(kind, "__next__"):
            return self._by_type(value, within)  # it differs each time
        try:
            reduce = copyreg.dispatch_table.get(kind)
            reduced = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        except Exception:  # a lock, an open file, a connection: whatever its class raises
            return self._by_type(value, within)
        if isinstance(reduced, str):
            return f"global {kind.__module__}.{kind.__qualname__}.{reduced}", []
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        if isinstance(state, dict):
            state = without_derived(kind, state)
        parts = [make, arguments, state, list(items or ()), list(pairs or ())]
        return "object", [self._hash(part, within) for part in parts]

    def _by_type(self, value: Any, within: list[int]) -> tuple[str, list[bytes]]:
        kind = type(value)
        if kind not in _LOCKS:
            self._say(f"{kind.__module__}.{kind.__qualname__}")
        return "type only", [self._hash(kind, within)]

    def _placed(self, text: str) -> str:
        """A text without the folder of the user's code at its beginning."""
        for folder in self._folders:
            if text == folder or text.startswith(folder + "/"):
                return "<folder of the code>" + text[len(folder) :]
        return text


def int_of(value: float) -> int:
    """The whole part of a number, 0 where it has none."""
    return int(value) if value == value and abs(value) != float("inf") else 0


def without_derived(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """An object's attributes without those that ``cached_property`` keeps, since they follow from the others.

    Those that its class names in ``data_attributes`` are left out as well: data whose digest each cell keeps, so that
    a cell that gets other data is not one of other code.
    """
    data = getattr(kind, "data_attributes", ())
    return {
        n: v for n, v in state.items() if n not in data and not isinstance(getattr(kind, n, None), cached_property)
    }
