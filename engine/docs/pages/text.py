"""Plain text and tables as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MARKS = re.compile(r"(`+.*?`+)|([\\*_<>\[\]|$#{}~])", re.S)


def plain(text: str) -> str:
    """Plain text as Markdown that shows it as it is; what stands in backticks stays code."""
    return MARKS.sub(lambda match: match[1] or f"\\{match[2]}", text.replace("``", "`"))


def code(text: str) -> str:
    """Text as code, also with backticks in it."""
    fence = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    return f"{fence}{text}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already, each of one line."""
    lines = [list(head), ["---"] * len(head), *([" ".join(cell.split()) for cell in row] for row in rows)]
    return "".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", c) for c in line) + " |\n" for line in lines)
