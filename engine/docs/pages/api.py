"""The reference of the Python interface: which names are public; Sphinx takes what they say from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import spinneurons
import spinneurons.analysis
import spinsweep

MODULES = {
    "Analysis of any cube": (
        "spinsweep.analysis.intervals",
        "spinsweep.analysis.tables",
        "spinsweep.analysis.comparison",
        "spinsweep.analysis.crossings",
        "spinsweep.analysis.sensitivity",
        *(f"spinneurons.analysis.{module.name}" for module in iter_modules(spinneurons.analysis.__path__)),
    ),
    "Devices": (
        "spinneurons.neurons.card",
        "spinneurons.neurons.family",
        "spinneurons.neurons.base",
        "spinneurons.neurons.hall_bar",
        "spinneurons.neurons.tunnel_junction",
        "spinneurons.neurons.laws",
        "spinneurons.neurons.fit",
        "spinneurons.neurons.cubes",
    ),
    "Analysis of the experiments": tuple(
        f"spinneurons.{name}.analysis"
        for name in sorted(module.name for module in iter_modules(spinneurons.__path__) if module.ispkg)
        if (Path(spinneurons.__path__[0]) / name / "analysis.py").exists()
    ),
    "For packages that add something": (
        "spinsweep.evaluate",
        "spinsweep.executors.protocol",
        "spinsweep.executors.events",
        "spinsweep.bench.capabilities",
        "spinsweep.bench.section",
        "spinsweep.bench.adapter",
        "spinneurons.logs.frames",
        "spinneurons.mnist.data",
        "spinneurons.logs.table",
    ),
}
"""Public modules beside ``spinsweep`` itself, by what they are for; all of their names without ``_`` are public."""
EMPTY = "Every name says what it takes and returns, with shapes, units and errors."


def pages() -> Iterator[tuple[str, str]]:
    """The name and the text, in reStructuredText, of each page of the interface."""
    entries = [_entry("spinsweep", name) for name in spinsweep.__all__]
    yield "spinsweep", "\n".join([heading("spinsweep", "="), inspect.cleandoc(spinsweep.__doc__ or ""), "", *entries])
    rest = [_slug(title) for title in MODULES]
    yield "index", "\n".join([heading("Python", "="), ".. toctree::", "", *(f"   {n}" for n in ("spinsweep", *rest))])
    for title, modules in MODULES.items():
        parts = [heading(title, "="), EMPTY, ""]
        for module in modules:
            parts += [
                heading(module, "-"),
                f".. automodule:: {module}\n",
                *(_entry(module, n) for n in names(module)),
            ]
        yield _slug(title), "\n".join(parts)


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def names(module: str) -> list[str]:
    """The public functions and classes that a module defines, in its order; not those that ``spinsweep`` has."""
    loaded = import_module(module)
    return [
        name
        for name, thing in vars(loaded).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isroutine(thing))
        and getattr(thing, "__module__", "") == module
        and name not in spinsweep.__all__
    ]


def _entry(module: str, name: str) -> str:
    thing: Any = getattr(import_module(module), name)
    kind = "autoexception" if _is(thing, BaseException) else "autoclass" if inspect.isclass(thing) else "autofunction"
    members = "   :members:\n" if inspect.isclass(thing) else ""
    return f".. {kind}:: {module}.{name}\n{members}"


def _is(thing: Any, base: type) -> bool:
    return inspect.isclass(thing) and issubclass(thing, base)


def heading(text: str, mark: str) -> str:
    """A heading in reStructuredText."""
    return f"{text}\n{mark * len(text)}\n"
