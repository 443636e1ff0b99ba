"""Drivers by name: found by entry point, so that a new instrument is one file of any installed package."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from spinsweep.axis import closest
from spinsweep.bench.capabilities import Driver
from spinsweep.bench.errors import BenchError
from spinsweep.bench.section import InstrumentSection
from spinsweep.plugins import installed
from spinsweep.printable import said

GROUP = "spinsweep.instruments"


@cache
def driver(name: str) -> type[Driver]:
    """The driver called ``name``; ``BenchError`` if there is none or it cannot be imported."""
    points = installed(GROUP)
    if name not in points:
        known = ", ".join(points) or "none"
        raise BenchError(f"no driver {name!r} is installed{closest(name, points)} (installed: {known})")
    try:
        loaded: type[Driver] = points[name].load()
    except Exception as error:
        raise BenchError(f"driver {name!r} ({points[name].value}) cannot be imported: {said(error)}") from error
    return loaded


def driver_of(role: str, name: object) -> type[Driver]:
    """The driver of that name, if it can play the role; ``BenchError`` says which could."""
    fitting = ", ".join(_fitting(role)) or "none"
    if not isinstance(name, str):
        raise BenchError(f'its driver is missing; write driver = "NAME" (installed: {fitting})')
    chosen = driver(name)
    if role not in chosen.roles:
        raise BenchError(f"driver {name!r} is for {', '.join(chosen.roles)}, not for {role} (installed: {fitting})")
    return chosen


def section_of(role: str, chosen: type[Driver]) -> type[InstrumentSection]:
    """The section that a driver has for a role: one of its own for each, or the same for all."""
    by_role: Mapping[str, type[InstrumentSection]] = getattr(chosen, "sections", {})
    return by_role.get(role, chosen.Section)


def driver_for_model(role: str, model: object) -> str:
    """Name of an installed driver for a model number, else ``NAME``."""
    return next((name for name in _fitting(role) if driver(name).Section.model == str(model)), "NAME")


def _fitting(role: str) -> list[str]:
    """Names of the installed drivers that can play a role."""
    names = []
    for name in installed(GROUP):
        with suppress(BenchError):  # one that cannot be imported fits nothing
            if role in driver(name).roles:
                names.append(name)
    return names
