"""LabVIEW measurement files (.lvm): the header says separator and decimal mark.

Source: NI, "LabVIEW Measurement File Specification" (2.0).
"""

from __future__ import annotations

from pathlib import Path

from spinneurons.logs.layout import TextLayout, constants, recognise
from spinneurons.logs.table import LogTable
from spinneurons.logs.text import read

END = "***End_of_Header***"


class LabView:
    """``.lvm``."""

    suffixes = (".lvm",)

    def reads(self, start: bytes) -> bool:
        """Whether it says so in its first words."""
        return start.removeprefix(b"\xef\xbb\xbf").startswith(b"LabVIEW Measurement")

    def read(self, path: Path) -> LogTable:
        """Its first segment, without the column of comments."""
        return read(path, _layout)


def _layout(lines: list[str]) -> TextLayout | None:
    header = dict(constants(lines[: next((i for i, line in enumerate(lines) if line.startswith(END)), 0)]))
    return recognise(
        lines,
        separators=[{"Tab": "\t", "Comma": ","}.get(header.get("Separator", "Tab"), "\t")],
        decimals=header.get("Decimal_Separator", "."),
    )
