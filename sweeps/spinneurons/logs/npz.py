"""NumPy archives: one array a column. Nothing in them is unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinneurons.logs.frames import reading, table
from spinneurons.logs.table import LogTable


class Npz:
    """``.npz``."""

    suffixes = (".npz",)

    def reads(self, start: bytes) -> bool:
        """Whether it is a ZIP archive whose first member is an array."""
        return start.startswith(b"PK\x03\x04") and b".npy" in start[:200]

    def read(self, path: Path) -> LogTable:
        """All arrays; one with fields is a table."""
        with reading(path, "a NumPy archive"), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
            for name, array in list(columns.items()):
                if array.dtype.names:
                    columns |= {field: columns[name][field] for field in array.dtype.names}
                    del columns[name]
        return table(path, columns, "NumPy archive")
