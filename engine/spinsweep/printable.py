"""Text from elsewhere, made fit for a terminal: cubes, files, exceptions and other programs may say anything.

Escape sequences, carriage returns and marks that turn the direction of writing are shown as they are written in
Python (``\\x1b``), so that no text moves the cursor, sets the clipboard or passes for another. All that is printed
goes through here: by :func:`say`, or by the console of the command line.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

LINE = 4000
"""Characters of one line at most; what is cut is said."""
# joiners belong to words of some languages, and blanks of all widths to numbers
_UNSEEN = re.compile(r"[^\n\t\u200c\u200d -~\u00a0\u00a1-\u00ac\u00ae-\u036f]")


def printable(text: str) -> str:
    """``text`` with everything but letters, signs, blanks and line ends escaped."""
    return _UNSEEN.sub(_shown, text.replace("\r\n", "\n"))


def one_line(text: str, most: int = LINE) -> str:
    """``text`` on one line, printable, and cut after ``most`` characters."""
    line = text if len(text) <= most else text[: most + 1000]  # a message may have 50 MB
    line = printable(" ".join(filter(None, (part.strip() for part in line.expandtabs(1).splitlines()))))
    return cut(line, most, len(text) - len(line)) if len(text) > most or len(line) > most else line


def cut(text: str, most: int, more: int = 0) -> str:
    """The first ``most`` characters, and how many are left out; ``more`` are left out already."""
    left = max(0, len(text) - most) + max(0, more)
    return f"{text[:most]} [... {left} more characters]" if left else text


def brief(value: Any, most: int = 100) -> str:
    """``repr`` of a value in a message: short, and never a failure of its own."""
    try:
        text = repr(value)
    except Exception:  # a whole number of more than 4,300 digits, or a class whose __repr__ raises
        text = f"a value of type {type(value).__name__} that cannot be shown"
    return one_line(text, most)


def said(error: BaseException) -> str:
    """Type and message of an exception on one line."""
    try:
        message = one_line(str(error), 1000)
    except Exception:  # its __str__ raises
        message = "its message cannot be shown"
    name = one_line(type(error).__name__, 100)
    return f"{name}: {message}" if message else name


def say(text: object = "", *, error: bool = False) -> None:
    """Print ``text`` at once, on standard output or standard error."""
    print(printable(str(text)), file=sys.stderr if error else sys.stdout, flush=True)


def _shown(match: re.Match[str]) -> str:
    mark = match[0]
    visible = mark.isprintable() or unicodedata.category(mark) == "Zs"
    return mark if visible else mark.encode("unicode_escape").decode()
