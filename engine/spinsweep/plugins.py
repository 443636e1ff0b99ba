"""What installed packages add: sweeps, commands, equipment and executors, by entry point. This loads none of it."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

SWEEPS = "spinsweep.sweeps"
COMMANDS = "spinsweep.commands"
EQUIPMENT = "spinsweep.equipment"
EXECUTORS = "spinsweep.executors"
RENAMED = {"engine": "spinsweep", "sweeps": "spinneurons"}
"""What packages were called before they were published, and are called now."""


def installed(group: str = SWEEPS) -> dict[str, EntryPoint]:
    """Entry points of installed packages, by name."""
    return dict(_installed(group, tuple(sys.path)))


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[tuple[str, EntryPoint], ...]:
    """Looked up once for each search path: each time takes as long as to load numpy."""
    return tuple((point.name, point) for point in sorted(entry_points(group=group), key=lambda p: p.name))


def installed_as(name: str) -> str | None:
    """The name of the installed sweep that ``name`` (also ``MODULE:NAME``) means; None: nothing installed."""
    points = installed()
    names = (name, renamed(name))  # a cube may be older than the packages' names
    return name if name in points else next((n for n, p in points.items() if p.value in names), None)


def renamed(module: str) -> str:
    """What a module is called now whose package had another name; empty: its package is none of those."""
    package, dot, rest = module.partition(".")
    return f"{RENAMED[package]}{dot}{rest}" if package in RENAMED else ""


def summary_of(command: EntryPoint) -> str:
    """The first paragraph about a command, from the source of its module; empty where it does not say.

    That of a function is its docstring, that of an object the argument ``help`` of the call that made it.
    """
    try:
        spec = find_spec(command.module)
        tree = ast.parse(Path(str(spec and spec.origin)).read_bytes())
    except (ImportError, OSError, ValueError, SyntaxError):
        return ""
    for node in tree.body:
        text = None
        if isinstance(node, ast.FunctionDef) and node.name == command.attr:
            text = ast.get_docstring(node)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == command.attr:
            helps = [k.value for k in getattr(node.value, "keywords", ()) if k.arg == "help"]
            text = str(helps[0].value) if helps and isinstance(helps[0], ast.Constant) else None
        if text:
            return inspect.cleandoc(text).partition("\n\n")[0]
    return ""
