"""The reference of error messages, from the code that raises them: so it holds each of them, and no other."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pages.text import plain, table

SOURCES = ("spinsweep", "spinneurons")
SHORTEST = 12
"""Letters of a message outside of what is put into it; the text of a shorter one comes from elsewhere."""
KINDS = ("Error", "Exception", "Fault", "Aborted", "Interrupted", "RefusedWorker")
"""How the names of the classes end from which errors derive."""
PUT_IN = "…"
"""Where a name, a number or a file is put in."""
INTRODUCTION = r"""# Messages and exit statuses

An error is one line: what happened, where, and what to do. Search this page for the words of the one that you got; “…”
stands for names, numbers and files. [Situations](../../../sweeps/SITUATIONS.md) says what happens in seventy of them.

| exit status | what it means | what to do |
|---|---|---|
| 0 | every cell that was asked for is done | |
| 1 | not all of them: cells failed, or the run was stopped. What is done is kept | `spinsweep status STORE --traceback`; mend the cause; the same command again, with `--retry-failed` for failed cells |
| 2 | what was asked cannot be done, and nothing was written. Or the run could not go on, as on a full disk; what is done is kept | read the line; the same command again continues |
| 130 | ended at once: a second Ctrl-C or SIGTERM, or the first before anything began | the same command again |
| 141 | whoever read the output was gone, as after `\| head` | |

In Python, each is an exception; all are a `spinsweep.errors.SpinsweepError`, except those of a log, a card, weights or
images, which are a `ValueError` or `RuntimeError`. A cell that fails keeps its own exception in the cube; where the engine
ended it, that is one of these:

| type in the cube | what happened | what to do |
|---|---|---|
| `spinsweep.TimedOut` | it ran longer than `--timeout` | a longer timeout, or look at the stack that is kept |
| `spinsweep.OutOfMemory` | its process held more than `--memory` | more memory a cell |
| `spinsweep.OverWalltime` | it had not ended in two jobs when their time was over | a longer walltime |
| `spinsweep.OtherNumbers` | it came out other than the cube holds, when an output was added | `--mark-stale`, or the code that computed it |
| `spinsweep.WorkerKilled`, `distributed.KilledWorker` | its process died each time | memory, or native code that crashes |
| `spinsweep.Lost` | its readings were damaged in the cube | the message says where they still are |
"""  # noqa: E501


def page() -> str:
    """The page of all messages, as Markdown."""
    return "\n".join([INTRODUCTION, *sections()])


def sections() -> Iterator[str]:
    """One for each class of errors, in the order of the code: what it means, and its messages."""
    raised: dict[str, set[str]] = defaultdict(set)
    meanings = dict[str, str]()
    for name in SOURCES:
        root = Path(str(import_module(name).__file__)).parent
        for file in sorted(root.rglob("*.py")):
            for error, message in messages(ast.parse(file.read_text())):
                raised[error].add(message)
        meanings |= classes(root)
    for error, meaning in meanings.items():
        if raised[error]:
            rows = [(plain(message),) for message in sorted(raised[error], key=str.lower)]
            yield f"## {error}\n\n{plain(meaning)}\n\n{table(('message',), rows)}"


def classes(root: Path) -> dict[str, str]:
    """The classes of errors of a package, and what their docstrings say first."""
    files = [*sorted(root.rglob("errors.py")), *sorted(root.rglob("*.py"))]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {
        node.name: " ".join(inspect.cleandoc(ast.get_docstring(node) or "").partition("\n\n")[0].split())
        for node in nodes
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and _is_error(node)
    }


def _is_error(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith(KINDS) for base in node.bases)


def messages(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Class and text of each error that is raised with a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            text = " ".join(_text(node.exc.args[0]).split())
            while PUT_IN * 2 in text:
                text = text.replace(PUT_IN * 2, PUT_IN)
            if sum(map(str.isalpha, text)) >= SHORTEST:
                yield ast.unparse(node.exc.func).rpartition(".")[2], text


def _text(node: ast.expr) -> str:
    """The text of an expression; ``PUT_IN`` for what is not known before it runs."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            return _text(text).replace("{}", PUT_IN)
    return PUT_IN
