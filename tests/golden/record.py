"""Arrays as JSON that gives every bit back, and the comparison of two such records."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VALUES = Path(__file__).parent / "values"
WHOLE = 48
"""Values that an array has at most to be kept in full."""
SAMPLES = 24
"""Of a larger one: values kept, evenly spaced, beside the digest of all."""


def of(values: npt.ArrayLike) -> dict[str, Any]:
    """The record of an array: type, shape, and the values; of a large one a digest, some values, and the sum."""
    array = np.asarray(values)
    if array.dtype.kind in "OTU":
        array = array.astype(object)
    found: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    flat = array.ravel()
    if flat.size <= WHOLE:
        return {**found, "values": [_exact(v) for v in flat]}
    places = np.linspace(0, flat.size - 1, SAMPLES).astype(int)
    found |= {"sha256": _digest(flat), "some": [_exact(v) for v in flat[places]]}
    if array.dtype.kind == "f":
        wide = flat.astype(np.float64)
        found |= {
            "largest": _exact(np.nanmax(np.abs(wide), initial=0.0)),
            "sum": _exact(math.fsum(np.nan_to_num(wide))),
        }
        return {**found, "nan": int(np.isnan(wide).sum())}
    return {**found, "sum": int(flat.sum())}


def differences(kept: Mapping[str, Any], found: Mapping[str, Any], bound: float) -> list[str]:
    """What differs between two records, in words; ``bound`` is relative to the largest magnitude, 0: no bit may."""
    if kept == found:
        return []
    if bound == 0.0 or not kept["dtype"].startswith("float"):
        return _told(sorted({*kept, *found}), kept, found)
    if told := _told(["dtype", "shape", "nan"], kept, found):
        return told
    part = "values" if "values" in kept else "some"
    here, there = (np.array([float.fromhex(v) for v in record[part]]) for record in (found, kept))
    largest = float.fromhex(kept["largest"]) if "largest" in kept else np.nanmax(np.abs(there), initial=0.0)
    off = [
        f"{part}[{i}]: {there[i]!r} was kept, now {here[i]!r}, bound {bound:g}"
        for i in range(len(there))
        if not _near(here[i], there[i], bound * largest)
    ]
    if "sum" in kept:
        sums = float.fromhex(kept["sum"]), float.fromhex(found["sum"])
        if abs(sums[0] - sums[1]) > bound * largest * math.prod(kept["shape"]):
            off.append(f"sum: {sums[0]!r} was kept, now {sums[1]!r}, bound {bound:g} of each value")
    return off


def numbers_apart(text: str) -> tuple[str, list[float]]:
    """A text with its decimal numbers taken out, and these."""
    pattern = r"(?<![\w.])-?\d+\.?\d*(?:e[-+]?\d+)?(?![\w.])"
    return re.sub(pattern, "#", text), [float(n) for n in re.findall(pattern, text)]


def write(name: str, content: Mapping[str, Any]) -> None:
    """Keep a record under a name; lists of numbers and words stand on one line."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    flat = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r",\s+", ", ", m[1]) + "]", text)
    assert json.loads(flat) == json.loads(text)
    VALUES.mkdir(exist_ok=True)
    (VALUES / f"{name}.json").write_text(flat + "\n", encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """What is kept under a name."""
    content: dict[str, Any] = json.loads((VALUES / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _exact(value: Any) -> Any:
    if isinstance(value, np.floating | float):
        return float(value).hex()
    return value.item() if isinstance(value, np.generic) else value


def _digest(flat: npt.NDArray[Any]) -> str:
    """SHA-256 of the little-endian values; one NaN is as good as another."""
    if flat.dtype.kind == "f":
        flat = np.where(np.isnan(flat), flat.dtype.type(np.nan), flat)
    return hashlib.sha256(flat.astype(flat.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _told(names: Iterable[str], kept: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [f"{n}: {kept.get(n)} was kept, now {found.get(n)}" for n in names if kept.get(n) != found.get(n)]


def _near(here: float, there: float, most: float) -> bool:
    if math.isfinite(here) and math.isfinite(there):
        return abs(here - there) <= most
    return here == there or (math.isnan(here) and math.isnan(there))
