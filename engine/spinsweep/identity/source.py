"""Where the source of a function or class is: only its own lines are parsed, since whole files take long."""

from __future__ import annotations

import ast
import linecache
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

from spinsweep.identity.bytecode import nested
from spinsweep.identity.syntax import FUNCTIONS, Syntax, syntax


def of_function(code: CodeType) -> Syntax | None:
    """The syntax of a function or lambda; None where its source is not there, or is not the one that was loaded."""
    lines = _lines(code.co_filename)
    if not lines or not _is_loaded(code):
        return None
    if code.co_name != "<lambda>":
        node = _cut(lines, code.co_firstlineno, code.co_name)
        if node is not None:
            return syntax(node)
    nodes = _nodes_by_line(code.co_filename, tuple(lines)).get((code.co_firstlineno, code.co_name), [])
    if code.co_name == "<lambda>" and len(nodes) > 1:
        nodes = [n for n in nodes if _contains(n, code)] or nodes
    return syntax(*nodes) if nodes else None


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
    statements = []
    for node in _tree(filename, tuple(lines)).body if lines else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            statements.append(syntax(node).text)
    return ";".join(statements)


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
            node = _parsed(head + "".join(lines[start - 1 : end]), within=bool(head))
            if node is not None:
                return node if getattr(node, "name", None) == name else None
        end += 1
    node = _parsed(head + "".join(lines[start - 1 :]), within=bool(head))
    return node if getattr(node, "name", None) == name else None


def _parsed(text: str, *, within: bool) -> Any:
    try:
        body: list[Any] = _parse(text).body
    except (SyntaxError, ValueError):
        return None
    if within:
        body = body[0].body
    return body[0] if len(body) == 1 and isinstance(body[0], (*FUNCTIONS, ast.ClassDef)) else None


_one_parser = threading.Lock()
"""Two threads in CPython 3.11's parser at a time may end in a SystemError (python/cpython#106905)."""


def _parse(text: str) -> ast.Module:
    with _one_parser:
        return ast.parse(text)


def _lines(filename: str) -> list[str]:
    """A source's lines: of a file, or of a notebook's cell, which ``linecache`` keeps."""
    linecache.checkcache(filename)
    return linecache.getlines(filename)


@lru_cache(maxsize=256)
def _tree(filename: str, lines: tuple[str, ...]) -> ast.Module:
    try:
        return _parse("".join(lines))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


@lru_cache(maxsize=256)
def _nodes_by_line(filename: str, lines: tuple[str, ...]) -> dict[tuple[int, str], list[Any]]:
    """Functions and lambdas of a file by first line (that of decorators) and name."""
    nodes: dict[tuple[int, str], list[Any]] = {}
    for node in ast.walk(_tree(filename, lines)):
        if isinstance(node, ast.Lambda):
            nodes.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif isinstance(node, FUNCTIONS):
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            nodes.setdefault((line, node.name), []).append(node)
    return nodes


def _classes(body: Iterable[Any], path: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """Classes with their qualified names."""
    for part in body:
        if isinstance(part, ast.ClassDef):
            yield path + part.name, part
            yield from _classes(part.body, f"{path}{part.name}.")
        elif isinstance(part, FUNCTIONS):
            yield from _classes(part.body, f"{path}{part.name}.<locals>.")
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _classes(getattr(part, name, ()), path)


def _contains(node: ast.Lambda, code: CodeType) -> bool:
    """Whether a lambda's instructions stand where the node does."""
    positions = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    body = node.body
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    inside = [
        (body.lineno, body.col_offset) <= (line or 0, column or 0) and (last or 0, stop or 0) <= end
        for line, last, column, stop in positions
    ]
    return bool(inside) and all(inside)


def _is_loaded(code: CodeType) -> bool:
    """Whether a code object is what its file holds now: the file may have been edited since it was loaded."""
    if code.co_filename.startswith("<"):
        return True
    try:
        status = Path(code.co_filename).stat()
    except OSError:
        return True  # of a notebook's cell
    if status.st_ctime < _process_start():
        return True
    return code in _compiled(code.co_filename, status.st_mtime_ns, status.st_ctime_ns, code.co_name)


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


@cache
def _process_start() -> float:
    """When this process began, in seconds of the epoch; 0 where that is not known."""
    try:
        ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError, IndexError):
        return 0.0
