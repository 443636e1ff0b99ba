"""What installed packages add: sweeps, commands and equipment, by entry point. This loads none of it."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

SWEEPS = "spinsweep.sweeps"
COMMANDS = "spinsweep.commands"
EQUIPMENT = "spinsweep.equipment"
RENAMED = {"engine": "spinsweep", "sweeps": "spinneurons"}
"""What packages were called before they were published, and are called now."""


def installed(group: str = SWEEPS) -> dict[str, EntryPoint]:
    """Entry points of installed packages, by name."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda p: p.name)}


def installed_as(name: str) -> str | None:
    """The name of the installed sweep that ``name`` (also ``MODULE:NAME``) means; None: nothing installed."""
    points = installed()
    names = (name, renamed(name))  # a cube may be older than the packages' names
    return name if name in points else next((n for n, p in points.items() if p.value in names), None)


def renamed(module: str) -> str:
    """What a module is called now whose package had another name; empty: its package is none of those."""
    package, dot, rest = module.partition(".")
    return f"{RENAMED[package]}{dot}{rest}" if package in RENAMED else ""
