"""MATLAB's files up to version 7 by scipy, and 7.3, which is HDF5: one variable a column."""

from __future__ import annotations

from pathlib import Path

from spinneurons.logs.frames import reading, table
from spinneurons.logs.hdf5 import Hdf5
from spinneurons.logs.table import LogTable

HDF5_FROM = 512  # byte at which the HDF5 of a MATLAB 7.3 file begins


class Matlab:
    """``.mat``."""

    suffixes = (".mat",)

    def reads(self, start: bytes) -> bool:
        """Whether it says so in its first words."""
        return start.startswith(b"MATLAB ")

    def read(self, path: Path) -> LogTable:
        """All variables, or the fields of the one struct that is there."""
        with reading(path, "a MATLAB file"), path.open("rb") as file:
            if b"HDF" in file.read(HDF5_FROM + 8)[HDF5_FROM:]:
                return Hdf5().read(path)
            from scipy.io import loadmat

            variables = loadmat(path, squeeze_me=True, struct_as_record=True)
        columns = {name: value for name, value in variables.items() if not name.startswith("__")}
        if len(columns) == 1 and (struct := next(iter(columns.values()))).dtype.names:
            columns = {name: struct[name].item() for name in struct.dtype.names}
        return table(path, columns, "MATLAB")
