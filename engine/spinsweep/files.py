"""Small files that people write, read as data: whole, as text, and bounded in whatever they could cost."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinsweep.printable import brief, said

if TYPE_CHECKING:  # its importers load it, where they use it
    from pydantic import ValidationError

MOST = 1_000_000
"""Bytes of such a file, and of what it stands for: YAML's aliases let a short file mean a very long one."""
DEEP = 100
"""Levels of tables and lists in each other at most."""


class Unreadable(ValueError):
    """What is wrong with a file, in words that follow its name."""


def require_file(path: str | Path) -> None:
    """``Unreadable`` for what is there and no file: a pipe would be waited for, and a device has no end."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a path as the user wrote it
    except (OSError, ValueError):
        return  # whoever opens it finds out
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Unreadable("cannot be read (it is a pipe or a device, not a file)")


def text_of(path: str | Path) -> str:
    """The text in a file.

    Raises
    ------
    Unreadable
        It is no file, cannot be read, is too long, or is not text in UTF-8.
    """
    require_file(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise Unreadable("cannot be read (no file has such a name)") from None
    if len(data) > MOST:
        raise Unreadable(f"is longer than {MOST // 1_000_000} MB, the most that such a file may have")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not text in UTF-8 (byte {error.start})") from None


def toml(text: str) -> dict[str, Any]:
    """What a text in TOML says.

    Raises
    ------
    Unreadable
        It is something else, or has a number that TOML has not.
    """
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise Unreadable("is not TOML: it is nested too deeply") from None
    except ValueError as error:  # also of a number of more than 4,300 digits
        raise Unreadable(f"is not TOML: {' '.join(str(error).split())}") from None
    _require_plain(content, "TOML")
    return content


def read(path: str | Path, what: str, error: type[Exception], parse: Callable[[str], Any] = toml) -> Any:
    """What a file says.

    Parameters
    ----------
    what : what the user should give, such as "a bench file in TOML"
    error : raised with one line: the file, what is wrong, and ``what`` where it cannot be read at all
    parse : of its text; :func:`toml` or :func:`yaml`
    """
    try:
        text = text_of(path)
    except Unreadable as problem:
        raise error(f"{path}: {problem}; give {what}") from None
    try:
        return parse(text)
    except Unreadable as problem:
        raise error(f"{path}: {problem}") from None


def first_mistake(error: ValidationError) -> tuple[str, str, str]:
    """Where in a file pydantic found a value that it does not take, what it says, and the value (``(4 given)``)."""
    first = error.errors(include_url=False)[0]
    value = first.get("input")
    shown = "" if isinstance(value, dict | list) else f" ({json.dumps(value, default=str)} given)"
    message = f"{first['msg'][0].lower()}{first['msg'][1:]}".removeprefix("value error, ")
    return ".".join(map(str, first["loc"])) or "file", message, shown


def yaml(text: str) -> Any:
    """What a text in YAML says, without objects.

    Raises
    ------
    Unreadable
        It is something else, or stands for too much.
    """
    from yaml import SafeLoader, YAMLError

    class Loader(SafeLoader):  # type: ignore[misc,unused-ignore]
        def fetch_flow_collection_start(self, token: Any) -> None:
            if self.flow_level > DEEP:  # each level costs time for every sign that follows
                raise RecursionError
            super().fetch_flow_collection_start(token)

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        _require_short(node)
        content = None if node is None else loader.construct_document(node)
    except RecursionError:
        raise Unreadable("is not YAML: it is nested too deeply") from None
    except (YAMLError, Unreadable) as error:
        raise Unreadable(f"is not YAML: {' '.join(str(error).split())}") from None
    except Exception as error:  # of a tag on a text that is no number, no date
        raise Unreadable(f"is not YAML: {said(error)}") from None
    _require_plain(content, "YAML")
    return content


def _require_short(node: Any) -> None:
    """Refuse what is long once every alias is replaced by what it stands for, before anything is made of it."""
    left, size = [node], 0
    while left:
        part = left.pop()
        value = getattr(part, "value", part)
        if isinstance(value, list | tuple):
            left.extend(value)
        size += 1 + (len(value) if isinstance(value, str) else 0)
        if size + len(left) > MOST:
            raise Unreadable("its aliases stand for too much, or for themselves")


def _require_plain(content: Any, what: str) -> None:
    """Refuse what JSON and 64 bits do not take."""
    left = [(0, content)]
    while left:
        depth, part = left.pop()
        if depth > DEEP:
            raise Unreadable(f"is not {what}: it is nested too deeply")
        if isinstance(part, dict | list):
            left.extend((depth + 1, inner) for inner in (part.values() if isinstance(part, dict) else part))
        elif isinstance(part, int) and not -(2**63) <= part < 2**63:
            raise Unreadable(f"is not {what}: the whole number {brief(part, 30)} does not fit 64 bits")
