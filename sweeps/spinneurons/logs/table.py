"""What a file of measurements holds, before anybody says what its columns mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pandas as pd


class LogError(ValueError):
    """One line: the file, its line, the column, what is wrong and what would be right."""


@dataclass(frozen=True)
class LogTable:
    """The columns of a file, by the names that stand there."""

    path: Path
    columns: pd.DataFrame
    """(rows, columns); float64 where all of a column are numbers or lost, else text, ``""`` for no value."""
    line_of: Callable[[int], str]
    """Where a row stands, for messages: ``lab.csv:17``."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units by column, where the file has a row of units or attributes."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """What the file says about all of its rows, such as ``Bar width``: ``2 um``."""
    notes: Sequence[str] = ()
    """How the file was read, in words: encoding, separator, decimal mark, sheet."""
    left_out: Sequence[str] = ()
    """Lines that were not read, and why."""
    overloads: int = 0
    """Readings that the instrument marked as overload; they are lost samples here."""
    named: bool = True
    """Whether the columns have names in the file; else they are ``column 1`` and so on."""


class LogReader(Protocol):
    """A format of files, found by the entry point ``spinsweep.readers``."""

    suffixes: Sequence[str]
    """Of the files that it reads, such as ``.xlsx``."""

    def reads(self, start: bytes) -> bool:
        """Whether a file is of this format; ``start``: its first 64 KiB, decompressed."""

    def read(self, path: Path) -> LogTable:
        """The file.

        Raises
        ------
        LogError
            It cannot be read.
        """
