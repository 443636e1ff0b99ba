"""Names are the field's words: those of the old private language are defined nowhere in the product."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
# fmt: off
PRIVATE = {
    "Place", "place_of", "Fence", "driving", "driven", "announcing", "writing", "sweep_out", "building",
    "died_out", "prove", "beside", "BEAT", "LIFETIME", "essence", "given", "together", "asked", "own", "owned",
    "rack", "station", "guard", "Experiment", "Train", "world", "terminals", "audit", "Tally", "deafen",
    "Along", "Watch", "gone", "heard", "told", "held_back", "reach", "LIVES", "REVIVAL", "_Host", "_Device",
    "luck", "lit", "stretch", "Contender", "leans", "cap", "because", "found", "there", "at", "again",
    "PATIENCE",
}
# fmt: on
PREFIXES = ("demand_",)


@cache
def modules() -> dict[Path, ast.Module]:
    """The product's modules, parsed once for all tests."""
    files = sorted(file for root in ("engine", "sweeps") for file in (ROOT / root).rglob("*.py"))
    return {file: ast.parse(file.read_text()) for file in files}


def defined(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a module defines: functions, classes, arguments, variables, attributes, import aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


def test_no_name_is_of_the_private_language() -> None:
    private = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file, module in modules().items()
        for name, line in defined(module)
        if name in PRIVATE or name.startswith(PREFIXES)
    ]
    assert private == []


def test_a_class_name_stands_once() -> None:
    counts = Counter(
        node.name for module in modules().values() for node in ast.walk(module) if isinstance(node, ast.ClassDef)
    )
    assert {name: n for name, n in counts.items() if n > 1} == {}
