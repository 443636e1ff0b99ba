"""Docstrings as the project writes them, made fit for reStructuredText: plain text, with code in double backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MARKS = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`\n]+`_?)|([*|])|(?<=\w)(_)(?=\W|$)")


def processed(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Mend the lines of one docstring in place; of the event ``autodoc-process-docstring``, before napoleon."""
    lines[:] = with_formulas([MARKS.sub(_marked, line) for line in lines])
    if re.fullmatch(r"Alias for field number \d+", " ".join(lines).strip()):
        lines.clear()  # which a named tuple says of a field that says nothing
    if lines and what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # a comment: napoleon takes what stands before a colon in the first line for a type


def _marked(match: re.Match[str]) -> str:
    """Escape a character that would be taken for markup; keep code apart from a word that it touches."""
    if not match[1]:
        return f"\\{match[2] or match[3]}"
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    apart = "" if not before or before in " -:/'\"<([{" else "\\ "
    return apart + match[1] + ("\\ " if after.isalnum() or after == "`" else "")


def with_formulas(lines: list[str]) -> Iterator[str]:
    """What is indented in the free text, before the first section, is a block of code: formulas keep their lines."""
    sections = (n for n, line in enumerate(lines) if re.fullmatch(r"-{3,}", line.strip()))
    end = next(sections, len(lines) + 1) - 1
    inside = False
    for number, line in enumerate(lines):
        indented = number < end and line.startswith("    ")
        if indented and not inside and not (number and lines[number - 1].strip()):
            if not _opened(lines[:number]):
                yield from ("::", "")
            inside = True
        elif line.strip() and not indented:
            inside = False
        yield line.replace("\\", "") if inside else line


def _opened(above: list[str]) -> bool:
    """Whether the text above ends by ``::``, which begins such a block already, or is a directive or a list."""
    said = next((line for line in reversed(above) if line.strip()), "")
    return said.rstrip().endswith("::") or said.lstrip().startswith(("- ", ".. "))
