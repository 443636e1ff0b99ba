"""Delimited text of any kind as a table, by pandas' fast parser; what it cannot tell is looked at line by line."""

from __future__ import annotations

import csv
import gzip
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from spinneurons.logs.frames import tidy
from spinneurons.logs.layout import (
    COMMENTS,
    OVERLOAD,
    SEPARATORS,
    TextLayout,
    encoding_of,
    footer,
    is_blank,
    recognise,
)
from spinneurons.logs.table import LogError, LogTable
from spinsweep.files import Unreadable, require_file
from spinsweep.printable import said

SAMPLE = 1 << 16
"""Bytes at each end of a file from which its layout is recognised."""
PART = 1_000_000
"""Rows that the parser reads at a time."""
TRAILING = "\0"  # name of the column behind a separator that ends a row
LOST = ("nan", "na", "n/a", "null", "none", "---", "--")
"""Texts, in lower case, that stand for a lost sample, besides an empty field."""


class Text:
    """CSV, TSV and their kin; also compressed by gzip."""

    suffixes = (".csv", ".tsv", ".txt", ".dat", ".asc", ".gz")

    def reads(self, start: bytes) -> bool:
        """Whether it is text at all."""
        return encoding_of(start) is not None

    def read(self, path: Path) -> LogTable:
        """The file, its layout recognised from itself."""
        return read(path)


def read(path: Path, layout_of: Callable[[list[str]], TextLayout | None] = recognise) -> LogTable:
    """A file of delimited text.

    Parameters
    ----------
    layout_of : the layout by the first lines, for formats that declare it

    Raises
    ------
    LogError
        The file cannot be read, has no rows, or has one that does not fit the others.
    """
    start, end = ends(path)
    encoding = encoding_of(start)
    if encoding is None:
        raise LogError(
            f"{path}: is not text; give a CSV file, or one of a format that `spinsweep import --help` names"
        )
    lines = _lines(start, encoding)
    layout = layout_of(lines if len(start) < SAMPLE else lines[:-1])
    if layout is None:
        raise LogError(f"{path}: has no rows; it needs a line of names and one line a cycle")
    tail = _lines(end, encoding)
    ending, left_out = footer(tail[1:] if len(end) >= SAMPLE else tail[layout.first :], layout)
    rows = _Rows(path, encoding, layout, ending)
    frame = _parsed(rows)
    if frame.empty:
        raise LogError(f"{path}: has no rows that are whole; {'; '.join(left_out) or 'is it a log?'}")
    return _table(rows, frame, left_out)


def _lines(part: bytes, encoding: str) -> list[str]:
    """The lines of a part of a file, as they are counted when it is read; a character cut at its ends is lost."""
    if encoding == "utf-16" and not part.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16-le"
    text = part.decode(encoding, errors="replace")
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed.

    Raises
    ------
    LogError
        It cannot be read.
    """
    try:
        require_file(path)
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return io.BufferedReader(gzip.open(path)) if packed else path.open("rb")
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); give the path of a log") from None
    except Unreadable as error:
        raise LogError(f"{path}: {error}; give the path of a log") from None


def start_of(path: Path) -> bytes:
    """The first ``SAMPLE`` bytes of a file, decompressed."""
    with opened(path) as file:
        return file.read(SAMPLE)


def ends(path: Path) -> tuple[bytes, bytes]:
    """The first and the last ``SAMPLE`` bytes of a file, decompressed."""
    with opened(path) as file:
        start = end = file.read(SAMPLE)
        if isinstance(file, io.BufferedReader) and not isinstance(file.raw, io.FileIO):
            while part := file.read(SAMPLE):  # compressed: its end is found by reading
                end = (end + part)[-SAMPLE:]
        else:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - SAMPLE) // 4 * 4)
            end = file.read()
        return start, end


@dataclass(frozen=True)
class _Rows:
    """The rows of a file, as text."""

    path: Path
    encoding: str
    layout: TextLayout
    ending: int
    """Lines at the end that are no rows."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Number in the file and text of each row; each has as many fields as the others.

        Raises
        ------
        LogError
            A line does not fit.
        """
        separator, width = self.layout.separator, self.layout.width
        plain = len(separator) == 1
        between = width - 1 + self.layout.trailing
        held: deque[tuple[int, str]] = deque()
        try:
            with io.TextIOWrapper(opened(self.path), encoding=self.encoding, newline=None) as text:
                for number, line in enumerate(text, 1):
                    held.append((number, line))
                    if len(held) <= self.ending:
                        continue
                    number, line = held.popleft()
                    if number <= self.layout.first:
                        continue
                    if not plain or line.count(separator) != between or line.startswith(COMMENTS):
                        if is_blank(line):
                            continue
                        fields = self.layout.fields(line)
                        if len(fields) != width:
                            raise LogError(f"{self.path}:{number}: {self._misfit(fields)}")
                    yield number, line
        except UnicodeDecodeError as error:
            raise LogError(
                f"{self.path}: is not text in {self.encoding} throughout ({error.reason} at byte {error.start}); "
                "save the log in UTF-8"
            ) from None
        except (OSError, EOFError) as error:
            raise LogError(f"{self.path}: cannot be read to its end ({error})") from None

    def _misfit(self, fields: list[str]) -> str:
        names, width = self.layout.names, self.layout.width
        lacking = names[len(fields)] if len(fields) < len(names) else f"number {len(fields) + 1}"
        what = (
            f"column {lacking!r} is missing"
            if len(fields) < width
            else (f"there is a field {fields[width]!r} beyond the last column {names[-1] if names else width!r}")
        )
        return f"{what}; the other lines have {width} fields, this one {len(fields)}"

    def line_of(self, row: int) -> str:
        """Where a row stands, for messages."""
        number, _ = next(islice(iter(self), row, None))
        return f"{self.path}:{number}"


class _Stream:
    """Rows as the file that pandas reads."""

    def __init__(self, rows: Iterator[tuple[int, str]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[str]:
        return (line for _, line in self._rows)

    def read(self, size: int = -1) -> str:
        """About so many characters, in whole lines; ``""`` at the end."""
        return "".join(line for _, line in islice(self._rows, max(1, size // 64)))


def _parsed(rows: _Rows) -> pd.DataFrame:
    """The rows by pandas' parser: numbers as float64, all else as text.

    The parser reads the file itself where what it gives shows that each line is a row: the last column is filled
    everywhere, as in no comment, no blank line and no line that is cut.  Else each line is looked at on its way.
    """
    layout = rows.layout
    names = [name or f"column {i + 1}" for i, name in enumerate(layout.names or [""] * layout.width)]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise LogError(
            f"{rows.path}:{layout.first}: column {repeated!r} stands twice in the line of names; rename one"
        )
    lost = {form(text) for text in LOST + OVERLOAD for form in (str, str.upper, str.capitalize)}
    options: dict[str, Any] = {
        "sep": layout.separator,
        "decimal": layout.decimal,
        "header": None,
        "names": [*names, *[TRAILING] * layout.trailing],
        "keep_default_na": False,
        "na_values": [*lost, "NaN", ""],
        "skipinitialspace": True,
        "low_memory": False,
    }
    if (frame := _read_whole(rows, options)) is not None:
        return frame
    try:
        stream: Any = _Stream(iter(rows))
        return cast("pd.DataFrame", pd.read_csv(stream, index_col=False, usecols=names, **options))
    except (pd.errors.ParserError, csv.Error) as error:
        raise LogError(f"{rows.path}: is not a table: {said(error)}") from None


def _read_whole(rows: _Rows, options: Mapping[str, Any]) -> pd.DataFrame | None:
    """The rows as the parser alone reads them; None where it may have taken something else for a row."""
    layout = rows.layout
    with opened(rows.path) as file:
        compressed = not isinstance(file, io.BufferedReader) or not isinstance(file.raw, io.FileIO)
    if len(layout.separator) > 1 or layout.trailing or rows.ending or compressed:
        return None
    try:
        frame = _in_parts(rows, options)
        if frame is None:
            with _from_first_row(rows) as text:
                frame = pd.read_csv(text, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError, OSError):
        return None  # whose line is found by looking at each
    texts = [frame[name] for name in frame if frame[name].dtype.kind not in "iufb"]
    if not isinstance(frame.index, pd.RangeIndex) or frame.iloc[:, -1].isna().any():
        return None
    if any(column.astype(str).str.contains(r"^(?:#|%|//)|\n").any() for column in texts):
        return None
    return frame


@contextmanager
def _from_first_row(rows: _Rows) -> Iterator[IO[str]]:
    with rows.path.open(encoding=rows.encoding, newline=None) as text:
        for _ in range(rows.layout.first):
            text.readline()
        yield text


def _in_parts(rows: _Rows, options: Mapping[str, Any]) -> pd.DataFrame | None:
    """The rows, in half the memory that the parser takes for the whole; None where parts do not read alike.

    So it is if a column has only numbers in one part and texts in another: those numbers would not be the texts of
    the file.  A part in which a row has too many fields comes back alone: its index shows it.
    """
    parts: dict[str, list[pd.Series]] = {}
    with _from_first_row(rows) as text, pd.read_csv(text, chunksize=PART, **options) as reader:
        for part in reader:
            if not isinstance(part.index, pd.RangeIndex):
                return part
            for name in part:
                parts.setdefault(str(name), []).append(part[name])
    if any(len({series.dtype.kind in "iuf" for series in column}) > 1 for column in parts.values()):
        return None
    whole = {name: pd.concat(parts.pop(name), ignore_index=True) for name in list(parts)}
    return pd.DataFrame(whole, copy=False)


def _table(rows: _Rows, frame: pd.DataFrame, left_out: list[str]) -> LogTable:
    """The table, and how it was read."""
    layout = rows.layout
    columns, overloads = tidy(frame)
    separator = SEPARATORS[layout.separator]
    notes = [
        *([rows.encoding.upper().replace("-SIG", "").replace("CP1252", "Windows-1252")]),
        f"separated by {separator}",
        *(["decimal comma"] if layout.decimal == "," else []),
        *([] if layout.names else ["no line of names"]),
        *(["units below the names"] if layout.units else []),
    ]
    units = {n: u.strip("[]() ") for n, u in zip(layout.names, layout.units, strict=False) if u.strip("[]() ")}
    return LogTable(
        rows.path, columns, rows.line_of, units, layout.constants, notes, left_out, overloads,
        named=bool(layout.names),
    )  # fmt: skip
