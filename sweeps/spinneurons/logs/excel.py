"""Excel workbooks, by openpyxl: the first sheet that has rows; what stands above the names is told as in text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spinneurons.logs.frames import reading, tidy
from spinneurons.logs.layout import constants
from spinneurons.logs.table import LogError, LogTable


class Excel:
    """``.xlsx``."""

    suffixes = (".xlsx", ".xlsm")

    def reads(self, start: bytes) -> bool:
        """Whether it is a ZIP archive, as workbooks are."""
        return start.startswith(b"PK\x03\x04")

    def read(self, path: Path) -> LogTable:
        """The first sheet whose rows are numbers for the most part."""
        with reading(path, "an Excel workbook", "files"):
            sheets = pd.read_excel(path, sheet_name=None, header=None, engine="openpyxl")
        for sheet, cells in sheets.items():
            if (table := _table(path, str(sheet), cells)) is not None:
                return table
        raise LogError(f"{path}: no sheet has rows of numbers")


def _table(path: Path, sheet: str, cells: pd.DataFrame) -> LogTable | None:
    """The rows of a sheet that are numbers for the most part; None without any."""
    numbers = cells.map(lambda value: isinstance(value, int | float) and value == value)
    rows = numbers.sum(axis=1) * 2 >= cells.notna().sum(axis=1).clip(lower=2)
    if not rows.any():
        return None
    first = int(rows.to_numpy().argmax())
    head, body = cells.iloc[:first].dropna(how="all"), cells.iloc[first:]
    names = [str(v) for v in head.iloc[-1]] if len(head) else [f"column {i + 1}" for i in range(cells.shape[1])]
    above = (" : ".join(str(v) for v in row.dropna()) for _, row in head.iloc[:-1].iterrows())
    others = body.index[~rows[first:] & body.notna().any(axis=1)]
    left_out = [f"row {i + 1} of the sheet is no row of numbers" for i in others]
    body = body[rows[first:]]
    lines = body.index.to_numpy() + 1
    frame, overloads = tidy(body.infer_objects().set_axis(names, axis=1).reset_index(drop=True))
    return LogTable(
        path, frame, lambda row: f"{path}, row {lines[row]} of sheet {sheet}", {}, dict(constants(above)),
        (f"Excel, sheet {sheet!r}",), left_out, overloads, named=bool(len(head)),
    )  # fmt: skip
