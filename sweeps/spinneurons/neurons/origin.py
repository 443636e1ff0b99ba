"""Where the data of a cube come from: measured, or simulated, and then with which card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import xarray as xr

from spinneurons.analysis.cubes import parameters
from spinneurons.neurons.parameters import CardUse
from spinsweep.bench.section import EMULATED
from spinsweep.discovery import find
from spinsweep.errors import SpecError

MEASURED = "measured"


class DataOrigin(NamedTuple):
    """What figures and their captions say of a cube."""

    mark: str
    """``measured``, ``measured on an emulated bench``, ``simulated``, or ``simulated, card measured: TITLE``; it
    stands in every figure."""
    sentence: str
    """With which card it was simulated, and which of the entries that bear on it are not measured; else ""."""


def origin_of(cube: xr.Dataset) -> DataOrigin:
    """The origin of a cube: readings of a bench or a log are measured, all else is simulated."""
    if "measured_on" in cube.attrs and _was_emulated(parameters(cube).get("bench") or {}):
        return DataOrigin(f"{MEASURED} on an emulated bench", "No instrument and no device was real.")
    if "measured_on" in cube.attrs or "imported_from" in cube.attrs:
        return DataOrigin(MEASURED, "")
    card = parameters(cube).get("card")
    if card is None:
        return DataOrigin("simulated", "")
    title, by_provenance = " ".join(str(card.get("title", "")).split()), _by_provenance(cube, card)
    is_measured = bool(by_provenance.pop(MEASURED, []) or card.get("device"))
    mark = f"simulated, card measured: {title}" if is_measured else "simulated"
    said = "; ".join(f"{provenance}: {', '.join(keys)}" for provenance, keys in sorted(by_provenance.items()))
    rest = f" Not measured are these entries of the card: {said}." if said else ""
    return DataOrigin(mark, f"Simulated with the device card “{title}”.{rest}")


def _was_emulated(bench: Mapping[str, Any]) -> bool:
    """Whether an instrument of a bench, as it stands in a cube, was an emulator's."""
    parts = [*bench.values(), *(bench.get("auxiliary") or {}).values()]
    return any(str(part.get("serial", "")).startswith(EMULATED) for part in parts if isinstance(part, Mapping))


def _by_provenance(cube: xr.Dataset, card: Mapping[str, Any]) -> dict[str, list[str]]:
    """Entries of the card that have a bearing on the cube, by their provenance."""
    groups: dict[str, list[str]] = {}
    used = _used(cube)
    for key, entry in _entries(card):
        if _is_used(key, used):
            groups.setdefault(str(entry["provenance"]), []).append(key)
    return groups


def _entries(card: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for section, entries in card.items():
        if isinstance(entries, Mapping):
            yield from ((f"{section}.{key}", entry) for key, entry in entries.items())


def _used(cube: xr.Dataset) -> tuple[str, ...] | None:
    """Entries that the sweep of the cube uses; None if that is not known: all."""
    with suppress(SpecError):
        for parameter in find(str(cube.attrs["sweep"])).parameters if "sweep" in cube.attrs else ():
            if parameter.name == "card" and isinstance(parameter.fingerprint, CardUse):
                return parameter.fingerprint.entries
    return None


def _is_used(key: str, used: tuple[str, ...] | None) -> bool:
    return used is None or key in used or key.partition(".")[0] in used
