"""HDF5, and netCDF 4, which is HDF5: one dataset a column, or one table with fields; units from attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spinneurons.logs.frames import reading, table
from spinneurons.logs.table import LogError, LogTable


class Hdf5:
    """``.h5`` and ``.nc`` of netCDF 4, also QCoDeS's export."""

    suffixes = (".h5", ".hdf5", ".hdf", ".nc")

    def reads(self, start: bytes) -> bool:
        """Whether it has HDF5's signature."""
        return start.startswith(b"\x89HDF\r\n\x1a\n")

    def read(self, path: Path) -> LogTable:
        """All datasets, by their name without the groups; scalars and attributes are constants."""
        with reading(path, "HDF5", "files"):
            import h5py

            columns: dict[str, Any] = {}
            units: dict[str, str] = {}
            constants: dict[str, str] = {}

            def visit(name: str, item: Any) -> None:
                short = name.rpartition("/")[2]
                if not isinstance(item, h5py.Dataset):
                    constants.update({k: str(v) for k, v in item.attrs.items() if not k.startswith("_")})
                    return
                if item.dtype.names:  # a table
                    columns.update({field: item[field] for field in item.dtype.names})
                    return
                if short in columns:
                    raise LogError(f"{path}: two datasets are called {short!r}; keep one in the file")
                columns[short] = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
                for key in ("units", "unit"):
                    if key in item.attrs:
                        value = item.attrs[key]
                        units[short] = value.decode() if isinstance(value, bytes) else str(value)

            with h5py.File(path, "r") as file:
                constants.update({k: str(v) for k, v in file.attrs.items() if not k.startswith("_")})
                file.visititems(visit)
        return table(path, columns, "HDF5", units, constants)
