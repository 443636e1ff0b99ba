"""The syntax of one function or class as text that stays when it is only written otherwise, and what it names.

Comments, positions, docstrings and other statements that do nothing are left out, and what Python 3.11, 3.12 and
later parse otherwise is made the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Chain = tuple[str, ...]
# fmt: off
CHANGING = frozenset((
    "add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "pop", "popitem", "popleft", "put",
    "remove", "setdefault", "update",
))
# fmt: on
"""Methods that change what they are called on."""
_SKIPPED = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
_ANNOTATIONS = frozenset(("annotation", "returns", "type_params"))
_NOTED = frozenset((ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Global, ast.Import, ast.ImportFrom))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Syntax:
    """One function's or class's syntax."""

    text: str
    names: list[Chain] = field(default_factory=list)
    """What it names, as dotted names in the order of their appearance; annotations aside."""
    changed: set[str] = field(default_factory=set)
    """First names of what it assigns into or calls a changing method of."""
    outer: list[Chain] = field(default_factory=list)
    """What its decorators name."""
    imports: list[tuple[str, int, str, str]] = field(default_factory=list)
    """Imports within: (module, level, name or "", local name)."""


def syntax(*nodes: ast.AST) -> Syntax:
    """The normalised text and names of a node, or of several that may be meant."""
    whole, texts = Syntax(""), list[str]()
    for node in nodes:
        _write(node, texts, whole, names=True)
        texts.append("|")
        decorators = Syntax("")
        for decorator in getattr(node, "decorator_list", ()):
            _write(decorator, [], decorators, names=True)
        whole.outer += decorators.names
    whole.text = "".join(texts)
    return whole


def without_methods(node: ast.ClassDef) -> Syntax:
    """A class but for its functions: decorators, bases, values, and the decorators of the functions."""
    body = [n for n in node.body if not isinstance(n, FUNCTIONS)]
    rest = ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)
    decorators = [d for n in node.body if isinstance(n, FUNCTIONS) for d in n.decorator_list]
    return syntax(rest, *decorators)


def methods(node: ast.ClassDef) -> Iterator[str]:
    """Names of the functions in a class's body, also of those that are there under a condition."""
    return (n.name for n in ast.walk(node) if isinstance(n, FUNCTIONS))


def _write(node: Any, texts: list[str], syntax: Syntax, *, names: bool) -> None:
    """Append a node's text; with ``names``, also what it names."""
    kind = node.__class__
    if kind is ast.Constant:
        texts.append(_constant(node.value))
        return
    if names and kind in _NOTED:
        _note(node, syntax)
        names = kind is not ast.Attribute or not _chain(node)  # whose first names are noted with it
    texts.append(kind.__name__)
    texts.append("(")
    for name in _fields(kind):
        value = getattr(node, name, None)
        if value is None:
            continue
        if value.__class__ is list:
            if name == "body":
                value = _effective(value) or [ast.Pass()]
            elif name in ("orelse", "finalbody"):
                value = _effective(value)
            elif kind is ast.JoinedStr:
                value = _merge_texts(value)
            if not value:
                continue
            within = names and name not in _ANNOTATIONS
            texts.append(name + "=[")
            for part in value:
                if isinstance(part, ast.AST):
                    _write(part, texts, syntax, names=within)
                else:
                    texts.append(ascii(part))
                texts.append(",")
            texts.append("]")
        elif isinstance(value, ast.AST):
            if name == "format_spec" and not value.values:  # type: ignore[attr-defined]
                continue
            texts.append(name + "=")
            _write(value, texts, syntax, names=names and name not in _ANNOTATIONS)
        else:
            texts.append(f"{name}={value!a} ")
    texts.append(")")


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in _SKIPPED)


def _note(node: ast.AST, syntax: Syntax) -> None:
    """What is kept of a node: what it names, changes and imports."""
    match node:
        case ast.Name():
            syntax.names.append((node.id,))
        case ast.Attribute() if chain := _chain(node):
            syntax.names.append(chain)
            if not isinstance(node.ctx, ast.Load):
                syntax.changed.add(chain[0])
        case ast.Subscript(value=ast.Name(id=name)) if not isinstance(node.ctx, ast.Load):
            syntax.changed.add(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in CHANGING:
            syntax.changed.add(name)
        case ast.Global():
            syntax.changed.update(node.names)
        case ast.Import():
            syntax.imports += [(a.name, 0, "", a.asname or a.name.partition(".")[0]) for a in node.names]
        case ast.ImportFrom():
            syntax.imports += [(node.module or "", node.level, a.name, a.asname or a.name) for a in node.names]


def _chain(node: ast.expr) -> Chain:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _effective(body: list[Any]) -> list[Any]:
    """The statements that have an effect: neither ``pass`` nor a constant that stands alone, such as a docstring."""
    return [n for n in body if not _does_nothing(n)]


def _does_nothing(node: ast.AST) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _merge_texts(values: list[Any]) -> list[Any]:
    """The parts of an f-string with texts that stand side by side in one: versions of Python cut them otherwise."""
    parts: list[Any] = []
    for value in values:
        if isinstance(value, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(str(parts[-1].value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            parts.append(value)
    return parts


def _constant(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"<{value:#x}>"  # any length: decimal ones are limited
    if isinstance(value, str):
        return ascii(value)  # which are printable depends on the version
    return f"<{value!r}>"
