"""The syntax of one function or class as text that stays when it is only written otherwise, and what it names.

Comments, positions, docstrings and other statements that do nothing are left out, and what Python 3.11, 3.12 and
later parse otherwise is made the same. Only the lines of the function are parsed, since whole files take long.
"""

from __future__ import annotations

import ast
import dis
import linecache
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

Chain = tuple[str, ...]
CHANGING = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "fill",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "put",
        "remove",
        "setdefault",
        "update",
    ]
)
"""Methods that change what they are called on."""
_SKIPPED = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
_ANNOTATIONS = frozenset(("annotation", "returns", "type_params"))
_SHIFTED = frozenset((dis.opmap["LOAD_GLOBAL"],))  # its argument says in the lowest bit whether it is called
_PLAIN = frozenset(dis.opmap[n] for n in ("STORE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") if n in dis.opmap)
_EXTENDED = dis.opmap["EXTENDED_ARG"]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


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


def of_function(code: CodeType) -> Syntax | None:
    """The syntax of a function or lambda; None where its source is not there, or is not the one that was loaded."""
    lines = _lines(code.co_filename)
    if not lines or not _is_loaded(code):
        return None
    if code.co_name != "<lambda>":
        node = _cut(lines, code.co_firstlineno, code.co_name)
        if node is not None:
            return syntax(node)
    found = _by_place(code.co_filename, lines).get((code.co_firstlineno, code.co_name), [])
    if code.co_name == "<lambda>" and len(found) > 1:
        found = [n for n in found if _contains(n, code)] or found
    return syntax(*found) if found else None


def of_bytecode(code: CodeType, doc: str | None) -> Syntax:
    """The same from bytecode, which versions of Python write otherwise; its docstring is left out."""
    found, constants = Syntax(""), []
    for part in nested(code):
        constants += [ascii(c) for c in part.co_consts if not isinstance(c, CodeType | frozenset) and c != doc]
        constants += [ascii(sorted(map(ascii, c))) for c in part.co_consts if isinstance(c, frozenset)]
        found.text += f"{part.co_code.hex()} {part.co_names} {part.co_varnames} {part.co_freevars}"
        chain: Chain = ()
        for step in dis.get_instructions(part):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                chain = (step.argval,)
                found.names.append(chain)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
                chain = (*chain, step.argval)
                found.names.append(chain)
            elif step.opname not in ("PUSH_NULL", "PRECALL", "CACHE"):
                chain = ()
    found.text += "".join(constants)
    return found


def global_names(code: CodeType) -> set[str]:
    """Names that a function and those within it take from its module, or put there."""
    found: set[str] = set()
    for part in nested(code):
        extended = 0
        raw = part.co_code
        for at in range(0, len(raw), 2):
            operation, argument = raw[at], raw[at + 1] | extended
            if operation == _EXTENDED:
                extended = argument << 8
                continue
            extended = 0
            if operation in _SHIFTED:
                found.add(part.co_names[argument >> 1])
            elif operation in _PLAIN:
                found.add(part.co_names[argument])
    return found


def class_nodes(filename: str, qualname: str) -> list[ast.ClassDef]:
    """Definitions of a class in a file: more than one where it is defined under conditions."""
    lines = _lines(filename)
    if not lines:
        return []
    if "." not in qualname:
        starts = [n for n, line in enumerate(lines, 1) if re.match(rf"class\s+{qualname}\b", line)]
        if len(starts) == 1:
            start = starts[0]
            while start > 1 and lines[start - 2].startswith("@"):
                start -= 1
            if start == 1 or not lines[start - 2].strip() or lines[start - 2].startswith("#"):
                node = _cut(lines, start, qualname)
                if isinstance(node, ast.ClassDef):
                    return [node]
    return [n for path, n in _classes(_tree(filename, tuple(lines)).body) if path == qualname]


def assignments(filename: str, name: str) -> str:
    """The statements of a file, outside of functions, that give ``name`` its value."""
    lines = _lines(filename)
    found = []
    for node in _tree(filename, tuple(lines)).body if lines else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            found.append(syntax(node).text)
    return ";".join(found)


def syntax(*nodes: ast.AST) -> Syntax:
    """The normalised text and names of a node, or of several that may be meant."""
    found, out = Syntax(""), list[str]()
    for node in nodes:
        _write(node, out, found, True)
        out.append("|")
        aside = Syntax("")
        for decorator in getattr(node, "decorator_list", ()):
            _write(decorator, [], aside, True)
        found.outer += aside.names
    found.text = "".join(out)
    return found


def without_methods(node: ast.ClassDef) -> Syntax:
    """A class but for its functions: decorators, bases, values, and the decorators of the functions."""
    body = [n for n in node.body if not isinstance(n, _FUNCTIONS)]
    rest = ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)
    decorators = [d for n in node.body if isinstance(n, _FUNCTIONS) for d in n.decorator_list]
    return syntax(rest, *decorators)


def methods(node: ast.ClassDef) -> Iterator[str]:
    """Names of the functions in a class's body, also of those that are there under a condition."""
    return (n.name for n in ast.walk(node) if isinstance(n, _FUNCTIONS))


def _write(node: Any, out: list[str], found: Syntax, names: bool) -> None:
    """Append a node's text; with ``names``, also what it names."""
    kind = node.__class__
    if kind is ast.Constant:
        out.append(_constant(node.value))
        return
    if names and kind in _NOTES:
        _NOTES[kind](node, found)
        names = kind is not ast.Attribute or not _chain(node)  # whose first names are noted with it
    out.append(kind.__name__)
    out.append("(")
    for name in _fields(kind):
        value = getattr(node, name, None)
        if value is None:
            continue
        if value.__class__ is list:
            if name == "body":
                value = _doing(value) or [ast.Pass()]
            elif name in ("orelse", "finalbody"):
                value = _doing(value)
            elif kind is ast.JoinedStr:
                value = _joined(value)
            if not value:
                continue
            within = names and name not in _ANNOTATIONS
            out.append(name + "=[")
            for part in value:
                if isinstance(part, ast.AST):
                    _write(part, out, found, within)
                else:
                    out.append(ascii(part))
                out.append(",")
            out.append("]")
        elif isinstance(value, ast.AST):
            if name == "format_spec" and not value.values:  # type: ignore[attr-defined]
                continue
            out.append(name + "=")
            _write(value, out, found, names and name not in _ANNOTATIONS)
        else:
            out.append(f"{name}={value!a} ")
    out.append(")")


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in _SKIPPED)


def _note_name(node: ast.Name, found: Syntax) -> None:
    found.names.append((node.id,))


def _note_attribute(node: ast.Attribute, found: Syntax) -> None:
    chain = _chain(node)
    if chain:
        found.names.append(chain)
        if not isinstance(node.ctx, ast.Load):
            found.changed.add(chain[0])


def _note_subscript(node: ast.Subscript, found: Syntax) -> None:
    if not isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        found.changed.add(node.value.id)


def _note_call(node: ast.Call, found: Syntax) -> None:
    called = node.func
    if isinstance(called, ast.Attribute) and called.attr in CHANGING and isinstance(called.value, ast.Name):
        found.changed.add(called.value.id)


def _note_global(node: ast.Global, found: Syntax) -> None:
    found.changed.update(node.names)


def _note_import(node: ast.Import, found: Syntax) -> None:
    found.imports += [(a.name, 0, "", a.asname or a.name.partition(".")[0]) for a in node.names]


def _note_import_from(node: ast.ImportFrom, found: Syntax) -> None:
    found.imports += [(node.module or "", node.level, a.name, a.asname or a.name) for a in node.names]


_NOTES: dict[type[ast.AST], Callable[[Any, Syntax], None]] = {
    ast.Name: _note_name,
    ast.Attribute: _note_attribute,
    ast.Subscript: _note_subscript,
    ast.Call: _note_call,
    ast.Global: _note_global,
    ast.Import: _note_import,
    ast.ImportFrom: _note_import_from,
}
"""What is kept of a node: what it names, changes and imports."""


def _chain(node: ast.expr) -> Chain:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _doing(body: list[Any]) -> list[Any]:
    """The statements that do something: neither ``pass`` nor a constant that stands alone, such as a docstring."""
    return [
        n for n in body if not isinstance(n, ast.Pass) and not (isinstance(n, ast.Expr) and _is_constant(n.value))
    ]


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def _joined(values: list[Any]) -> list[Any]:
    """The parts of an f-string with texts that stand side by side in one: versions of Python cut them otherwise."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, ast.Constant) and found and isinstance(found[-1], ast.Constant):
            found[-1] = ast.Constant(str(found[-1].value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            found.append(value)
    return found


def _constant(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"<{value:#x}>"  # any length: decimal ones are limited
    if isinstance(value, str):
        return ascii(value)  # which are printable depends on the version
    return f"<{value!r}>"


def _cut(lines: list[str], start: int, name: str) -> Any:
    """The definition that begins in line ``start`` (from 1), from as few lines as make a whole one; else None."""
    if not 1 <= start <= len(lines):
        return None
    first = lines[start - 1]
    depth = len(first) - len(first.lstrip())
    head = "if 1:\n" if depth else ""
    end = start
    while end < len(lines):
        line = lines[end]
        text = line.strip()
        if text and not text.startswith("#") and len(line) - len(line.lstrip()) <= depth:
            node = _parsed(head + "".join(lines[start - 1 : end]), bool(head))
            if node is not None:
                return node if getattr(node, "name", None) == name else None
        end += 1
    node = _parsed(head + "".join(lines[start - 1 :]), bool(head))
    return node if getattr(node, "name", None) == name else None


def _parsed(text: str, within: bool) -> Any:
    try:
        body: list[Any] = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    if within:
        body = body[0].body
    return body[0] if len(body) == 1 and isinstance(body[0], (*_FUNCTIONS, ast.ClassDef)) else None


def _lines(filename: str) -> list[str]:
    """A source's lines: of a file, or of a notebook's cell, which ``linecache`` keeps."""
    linecache.checkcache(filename)
    return linecache.getlines(filename)


@lru_cache(maxsize=256)
def _tree(filename: str, lines: tuple[str, ...]) -> ast.Module:
    try:
        return ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _by_place(filename: str, lines: list[str]) -> dict[tuple[int, str], list[Any]]:
    """Functions and lambdas of a file by first line (that of decorators) and name."""
    return _places(filename, tuple(lines))


@lru_cache(maxsize=256)
def _places(filename: str, lines: tuple[str, ...]) -> dict[tuple[int, str], list[Any]]:
    found: dict[tuple[int, str], list[Any]] = {}
    for node in ast.walk(_tree(filename, lines)):
        if isinstance(node, ast.Lambda):
            found.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif isinstance(node, _FUNCTIONS):
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.setdefault((line, node.name), []).append(node)
    return found


def _classes(body: Iterable[Any], path: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """Classes with their qualified names."""
    for part in body:
        if isinstance(part, ast.ClassDef):
            yield path + part.name, part
            yield from _classes(part.body, f"{path}{part.name}.")
        elif isinstance(part, _FUNCTIONS):
            yield from _classes(part.body, f"{path}{part.name}.<locals>.")
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _classes(getattr(part, name, ()), path)


def _contains(node: ast.Lambda, code: CodeType) -> bool:
    """Whether a lambda's instructions stand where the node does."""
    places = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    body = node.body
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    inside = [
        (body.lineno, body.col_offset) <= (line or 0, column or 0) and (last or 0, stop or 0) <= end
        for line, last, column, stop in places
    ]
    return bool(inside) and all(inside)


def _is_loaded(code: CodeType) -> bool:
    """Whether a code object is what its file holds now: the file may have been edited since it was loaded."""
    if code.co_filename.startswith("<"):
        return True
    try:
        about = Path(code.co_filename).stat()
    except OSError:
        return True  # of a notebook's cell
    if about.st_ctime < _began():
        return True
    return any(
        code == other for other in _compiled(code.co_filename, about.st_mtime_ns, about.st_ctime_ns, code.co_name)
    )


@lru_cache(maxsize=4096)
def _compiled(filename: str, modified: int, changed: int, name: str) -> tuple[CodeType, ...]:
    return tuple(c for c in _codes(filename, modified, changed) if c.co_name == name)


@lru_cache(maxsize=256)
def _codes(filename: str, modified: int, changed: int) -> tuple[CodeType, ...]:
    """All code objects of a file as it is now."""
    try:
        whole = compile(Path(filename).read_bytes(), filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(nested(whole))


def nested(code: CodeType) -> Iterable[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


@cache
def _began() -> float:
    """When this process began, in seconds of the epoch; 0 where that is not known."""
    try:
        ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError, IndexError):
        return 0.0
