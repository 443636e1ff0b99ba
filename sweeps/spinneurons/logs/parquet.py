"""Parquet by pandas and pyarrow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spinneurons.logs.frames import reading, tidy
from spinneurons.logs.table import LogTable


class Parquet:
    """``.parquet``."""

    suffixes = (".parquet", ".pq")

    def reads(self, start: bytes) -> bool:
        """Whether it has Parquet's signature."""
        return start.startswith(b"PAR1")

    def read(self, path: Path) -> LogTable:
        """All columns."""
        with reading(path, "Parquet", "files"):
            frame, overloads = tidy(pd.read_parquet(path, engine="pyarrow").reset_index(drop=True))
        return LogTable(path, frame, lambda row: f"{path}, row {row + 1}", notes=("Parquet",), overloads=overloads)
