"""The reference of what is installed: sweeps, families, readers, instruments, executors, by entry points."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from pages.text import code, plain, table
from spinsweep.discovery import find
from spinsweep.plugins import COMMANDS, SWEEPS, installed, summary_of
from spinsweep.spec import Sweep

GROUPS = {
    "spinsweep.neurons": "Families of neurons",
    "spinsweep.instruments": "Instruments",
    "instrument_emulator.instruments": "Emulated instruments",
    "spinsweep.readers": "Readers of logs",
    "spinsweep.executors": "Executors",
    "spinsweep.cycles": "Cycles of pulses",
    "spinsweep.equipment": "Equipment that blocks may need",
}
INTRODUCTION = """# What is installed

A package adds any of these by an entry point of the group that the heading names;
[ADDING.md](../../../sweeps/ADDING.md) and [BENCH.md](../../BENCH.md) show how.
"""


def page() -> str:
    """The page of all entry points, as Markdown."""
    parts = [INTRODUCTION, *(group(name, title) for name, title in GROUPS.items())]
    return "\n".join(
        [*parts, _commands(), "## Sweeps\n\nGroup `spinsweep.sweeps`.\n", *map(_sweep, installed(SWEEPS))]
    )


def group(name: str, title: str) -> str:
    """One group: the name and the first sentence of each entry point."""
    rows = [(code(n), code(p.value.partition(":")[0]), plain(first_line(p))) for n, p in installed(name).items()]
    return f"## {title}\n\nGroup {code(name)}.\n\n{table(('name', 'module', 'what it is'), rows)}"


def first_line(point: EntryPoint) -> str:
    """What the module of an entry point says of itself."""
    text = inspect.getdoc(import_module(point.module)) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _commands() -> str:
    rows = [(code(name), plain(summary_of(point))) for name, point in installed(COMMANDS).items()]
    return f"## Commands\n\nGroup {code(COMMANDS)}. [Commands](commands.md) has all of them.\n\n" + table(
        ("name", "what it does"), rows
    )


def _sweep(name: str) -> str:
    """One sweep: its axes, outputs and parameters."""
    sweep: Sweep = find(name)
    axes = [(code(a.name), a.unit, plain(a.long_name), plain(_few(a.values))) for a in sweep.every_axis]
    outputs = [
        (code(o.name), ", ".join(o.dims), str(o.dtype), "" if o.unit == "1" else o.unit, plain(o.long_name))
        for o in sweep.outputs
    ]
    parameters = [(code(p.name), code(_short(p.default)), p.unit, plain(p.help)) for p in sweep.parameters]
    parts = [
        f"### {name}\n\n{plain(sweep.title)}.\n",
        table(("axis", "unit", "what it is", "default values"), axes),
        table(("output", "dims beside the axes", "type", "unit", "what it is"), outputs),
        table(("parameter", "default", "unit", "what it is"), parameters) if parameters else "",
    ]
    return "\n".join(parts)


def _few(values: Any) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown) if len(shown) <= 9 else f"{', '.join(shown[:4])}, ... {shown[-1]} ({len(shown)})"


def _short(default: Any) -> str:
    text = str(default)
    return text if len(text) <= 40 and not isinstance(default, dict) else "built in"
