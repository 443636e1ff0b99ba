"""Readers of installed packages, by their entry point ``spinsweep.readers``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from spinneurons.logs.table import LogError, LogReader, LogTable
from spinneurons.logs.text import Text, start_of

GROUP = "spinsweep.readers"


@cache
def readers() -> dict[str, LogReader]:
    """All readers by their name.

    Raises
    ------
    LogError
        One cannot be imported.
    """
    installed: dict[str, LogReader] = {}
    for point in entry_points(group=GROUP):
        try:
            installed[point.name] = point.load()()
        except Exception as error:  # the package's own code
            raise LogError(f"the reader {point.name} ({point.value}) cannot be imported: {error}") from error
    return installed


def read(path: str | Path) -> LogTable:
    """A file of any format that an installed reader takes; the suffix decides between two that take it.

    Raises
    ------
    LogError
        It cannot be read, or is of no such format.
    """
    path = Path(path)
    able = list(_able(path, start_of(path)))
    if not able:
        known = sorted({suffix for reader in readers().values() for suffix in reader.suffixes})
        raise LogError(f"{path}: is of no format that can be read; known are {', '.join(known)}")
    return able[0].read(path)


def _able(path: Path, start: bytes) -> Iterator[LogReader]:
    """The readers that take a file, the fitting ones first: those of its suffix, and plain text last."""
    able = [reader for reader in readers().values() if reader.reads(start)]
    yield from sorted(able, key=lambda reader: (isinstance(reader, Text), path.suffix.lower() not in reader.suffixes))
