"""How delimited text is written: encoding, separator, decimal mark, names, units, constants, footer.

A file is a preamble, at most one line of names and one of units, rows, and a footer. Rows are the lines that have as
many fields as most lines have and are numbers for the most part; all else is told from them.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars", r"\s+": "spaces"}
"""What may stand between fields, and how it is called."""
OVERLOAD = ("overflow", "ovld", "ol", "o.l", "o.l.", "overload", "+ol", "-ol")
"""Texts, in lower case, that instruments write where a reading was beyond the range."""
COMMENTS = ("#", "%", "//")
"""What a line begins with that is a comment."""
UNIT = re.compile(r"[numkMGµμ]?(A|V|[oO]hms?|[ΩΩ]|m|s|K|T|Oe|Hz|W)([/*^ ].*)?|%|a\.? ?u\.?|arb\.? ?u(nits?)?\.?|1|-")
ROW = 0.5  # part of the fields of a row that are numbers, at the least
_NUMBER = {
    mark: re.compile(rf"[+-]?(\d+({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)|", re.I)
    for mark in (r"\.", ",")
}


@dataclass(frozen=True)
class TextLayout:
    """Where the parts of a text are and how its fields are written."""

    separator: str
    """A key of :data:`SEPARATORS`."""
    decimal: str
    """``.`` or ``,``."""
    width: int = 0
    """Fields of a row."""
    trailing: bool = False
    """Whether a separator stands behind the last field as well."""
    first: int = 0
    """Index of the first line that is a row."""
    names: Sequence[str] = ()
    units: Sequence[str] = ()
    constants: Mapping[str, str] = field(default_factory=dict)

    def fields(self, line: str) -> list[str]:
        """The fields of a line, without the blanks about them."""
        if self.separator == r"\s+":
            return line.split()
        fields = [f.strip() for f in next(csv.reader([line], delimiter=self.separator), [])]
        return fields[:-1] if self.trailing and fields and not fields[-1] else fields

    def is_number(self, text: str) -> bool:
        """Whether a field is a number as this text writes them, or a lost one."""
        pattern = _NUMBER["," if self.decimal == "," else r"\."]
        return pattern.fullmatch(text) is not None or text.lower() in OVERLOAD

    def is_row(self, line: str) -> bool:
        """Whether a line has the form of a row, whatever the number of its fields."""
        fields = self.fields(line)
        filled = [f for f in fields if f]
        numbers = sum(map(self.is_number, filled))
        return len(fields) > 1 and numbers >= ROW * len(filled) and len(filled) >= ROW * len(fields)


def is_blank(line: str) -> bool:
    """Whether a line is skipped: empty, only separators, or a comment."""
    return line.startswith(COMMENTS) or not line.strip(" \t,;|\r\n")


def encoding_of(start: bytes) -> str | None:
    """The encoding of text by its first bytes; None for what is no text.

    What is not UTF-8 and has no control characters is taken for Windows-1252, which contains Latin-1's letters.
    """
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if start.startswith(mark):
            return name
    if 0 in start:
        name = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
        return name if _is_written(start.decode(name, errors="replace")) else None
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # else the last character is only cut
            return "cp1252" if _is_written(start.decode("latin-1")) else None
        text = ""
    return "utf-8" if _is_written(text) else None


def _is_written(text: str) -> bool:
    """Whether hardly any character of a text is a control character, or was no character at all."""
    strange = sum(n for c, n in Counter(text).items() if c == "\ufffd" or (ord(c) < 32 and c not in "\t\r\n\f\x1a"))
    return strange <= len(text) / 10


def recognise(
    lines: Sequence[str], separators: Iterable[str] = SEPARATORS, decimals: Iterable[str] = ".,"
) -> TextLayout | None:
    """The layout of a text by its first lines; None where no line has the form of a row.

    Parameters
    ----------
    separators, decimals : what may be, where a format says it
    """
    best: tuple[float, TextLayout] | None = None
    body = [(i, line) for i, line in enumerate(lines) if not is_blank(line)]
    for separator in separators:
        for decimal in decimals:
            if separator == decimal or (best and separator == r"\s+"):
                continue
            layout = _by_rows(body, TextLayout(separator, decimal))
            if layout is None:
                continue
            rows = [layout.fields(line) for _, line in body[:200] if layout.is_row(line)]
            score = sum(sum(map(layout.is_number, f)) for f in rows if len(f) == layout.width)
            if best is None or score > best[0]:
                best = score, layout
    return None if best is None else _with_header(lines, best[1])


def _by_rows(body: Sequence[tuple[int, str]], layout: TextLayout) -> TextLayout | None:
    """Width, trailing separator and first row of a layout whose separator and decimal mark are given."""
    rows = [(i, layout.fields(line)) for i, line in body if layout.is_row(line)]
    if not rows:
        return None
    width = Counter(len(fields) for _, fields in rows).most_common(1)[0][0]
    same = [(i, fields) for i, fields in rows if len(fields) == width]
    trailing = width > 2 and all(not fields[-1] for _, fields in same)
    return replace(layout, width=width - trailing, trailing=trailing, first=same[0][0])


def _with_header(lines: Sequence[str], layout: TextLayout) -> TextLayout:
    """The layout with what stands before the first row: names, units and constants."""
    before = [line for line in lines[: layout.first] if line.strip()]
    head: list[list[str]] = []
    while before and len(head) < 3:
        fields = layout.fields(_uncommented(before[-1]))
        if len(fields) < layout.width or (len(fields) > layout.width + 1):
            break
        head.insert(0, fields[: layout.width])
        if before.pop().startswith(COMMENTS):
            break
    names, units = _names_and_units(head)
    return replace(layout, names=names, units=units, constants=dict(constants(before)))


def _uncommented(line: str) -> str:
    mark = next((mark for mark in COMMENTS if line.startswith(mark)), "")
    return line.removeprefix(mark).strip(" \r\n")


def _names_and_units(head: list[list[str]]) -> tuple[list[str], list[str]]:
    """Of up to three lines above the rows: what stands above the names is a title, and below the units a comment."""
    if len(head) == 3:
        if _are_units(head[1]):
            return head[0], head[1]
        head = head[1:]
    if len(head) < 2:
        return (head[0] if head else []), []
    short = all(len(u.strip("[]() ")) <= 8 and not re.search(r"[_ ]", u.strip()) for u in head[1])
    return (head[0], head[1]) if short else (head[1], [])


def _are_units(fields: list[str]) -> bool:
    filled = [text for f in fields if (text := f.strip("[]() "))]
    return bool(filled) and sum(UNIT.fullmatch(text) is not None for text in filled) >= len(filled) / 2


def constants(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """``key: value``, ``key = value`` or ``key,value`` of a preamble, with or without the mark of a comment."""
    for line in lines:
        if match := re.fullmatch(r"(?:[#%\s]|//)*([^:=,;\t]+?)\s*[:=,;\t]\s*(\S.*?)[\s,;]*", line):
            yield match[1], match[2]


def footer(tail: Sequence[str], layout: TextLayout) -> tuple[int, list[str]]:
    """How many lines at the end of a text are no rows, and what they are, in words."""
    number, texts = 0, []
    for line in reversed(tail):
        fields = layout.fields(line)
        if not is_blank(line):
            if layout.is_row(line) and len(fields) >= layout.width:
                break
            if layout.is_row(line) or layout.is_number(fields[0]):
                texts.append(f"the last line is cut: it has {len(fields)} of {layout.width} fields")
            else:
                texts.append(f"a line at the end is no row: {line.strip()[:60]!r}")
        number += 1
    return number, texts[::-1]
