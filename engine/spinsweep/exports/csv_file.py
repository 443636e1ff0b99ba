"""A table as CSV, and what its columns are in a file beside it, as the W3C's CSV on the Web has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinsweep.exports.table import ColumnValues, CubeTable, TableColumn

DATATYPES = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "M": "dateTime", "O": "string"}
"""Of CSV on the Web, by the kind of a NumPy type."""


def write(table: CubeTable, path: Path) -> None:
    """Write all rows; a blank cell is an empty field, and a NaN that was computed is ``nan``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, piece in enumerate(table.pieces()):
            frame = pd.DataFrame({name: _series(values) for name, values in piece.items()})
            frame.to_csv(file, index=False, header=number == 0, lineterminator="\n", na_rep="")


def description(table: CubeTable, name: str, attributes: Mapping[str, Any]) -> bytes:
    """What stands beside the CSV file of that name: unit, long name and type of each column, and the attributes."""
    content = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": name,
        "dc:title": attributes.get("title", ""),
        "tableSchema": {"columns": [_described(column) for column in table.columns]},
        "notes": [dict(attributes)],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, default=str).encode() + b"\n"


def _described(column: TableColumn) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "titles": column.name}
    described["datatype"] = DATATYPES.get(column.dtype.kind, "string")
    if column.unit:
        described["schema:unitText"] = column.unit
    return described | ({"dc:description": column.long_name} if column.long_name else {})


def _series(column: ColumnValues) -> pd.Series[Any]:
    values, blank = column.values, column.blank
    if values.dtype.kind == "f":  # as texts, so that NaN is told from a blank; shortest that read back the same
        texts = values.astype(str).astype(object)
        return pd.Series(texts) if blank is None else pd.Series(texts).mask(blank, None)
    if values.dtype.kind == "b":
        values = np.where(values, "true", "false").astype(object)
    if blank is None:
        return pd.Series(values)
    if values.dtype.kind in "iu":
        return pd.Series(pd.arrays.IntegerArray(values.copy(), blank.copy()))
    return pd.Series(values).mask(blank)
