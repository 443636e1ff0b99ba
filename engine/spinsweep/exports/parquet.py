"""A table as Parquet: null where a cell is blank; units and the cube's attributes in the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinsweep.exports.table import CubeTable

ATTRIBUTES = "spinsweep"
"""Key of the schema's metadata that holds the attributes of the cube, as JSON."""


def write(table: CubeTable, path: Path, attributes: Mapping[str, Any]) -> None:
    """Write all rows, in row groups of bounded size."""
    import pyarrow as pa
    from pyarrow import parquet

    fields = [
        pa.field(c.name, _type(c.dtype), metadata={"units": c.unit, "long_name": c.long_name}) for c in table.columns
    ]
    schema = pa.schema(fields, metadata={ATTRIBUTES: json.dumps(dict(attributes), default=str)})
    with parquet.ParquetWriter(path, schema) as writer:
        for piece in table.pieces():
            arrays = [
                pa.array(piece[field.name].values, type=field.type, mask=piece[field.name].blank, from_pandas=False)
                for field in fields
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _type(dtype: Any) -> Any:
    import pyarrow as pa

    return pa.string() if dtype.kind == "O" else pa.from_numpy_dtype(dtype)
