"""Notes and errors in the words of the caller: they name options of the command line, here they name arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from spinsweep.errors import SpinsweepError
from spinsweep.executors.running import Options

_ARGUMENTS = {"store": "store", "workers": "workers", "executor": "executor", "cluster": "client"}
_ARGUMENTS |= {
    name.replace("_", "-"): f"{name}=True" if "bool" in str(kind) else name
    for name, kind in Options.__annotations__.items()
}
_OPTION = re.compile(rf"--({'|'.join(sorted(_ARGUMENTS, key=len, reverse=True))})\b(?!-)")
_COMMAND = re.compile(r"(`[^`]*`)")
_PHRASES = {"run the same command again": "call run again", "--workers 0": 'executor="serial"'}


def in_python(text: str) -> str:
    """``text`` with options of the command line as arguments of ``spinsweep.run``; quoted commands stay."""
    return "".join(part if part.startswith("`") else _translated(part) for part in _COMMAND.split(text))


@contextmanager
def python_words() -> Iterator[None]:
    """What is raised inside speaks of arguments."""
    try:
        yield
    except SpinsweepError as error:
        error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


def _translated(text: str) -> str:
    for phrase, words in _PHRASES.items():
        text = text.replace(phrase, words)
    return _OPTION.sub(lambda option: _ARGUMENTS[option[1]], text)
