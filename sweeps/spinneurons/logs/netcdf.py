"""netCDF 3 by scipy: one variable a column, units from attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spinneurons.logs.frames import reading, table
from spinneurons.logs.table import LogTable


class NetCdf3:
    """``.nc`` of netCDF 3; that of netCDF 4 is HDF5."""

    suffixes = (".nc", ".cdf")

    def reads(self, start: bytes) -> bool:
        """Whether it has the signature of netCDF 3."""
        return start.startswith(b"CDF")

    def read(self, path: Path) -> LogTable:
        """All variables; global attributes are constants."""
        with reading(path, "netCDF"):
            from scipy.io import netcdf_file

            with netcdf_file(path, mmap=False) as file:
                columns: dict[str, Any] = {
                    n: v[:].astype(v[:].dtype.newbyteorder("=")) for n, v in file.variables.items()
                }
                units = {n: v.units.decode() for n, v in file.variables.items() if hasattr(v, "units")}
                constants = {
                    n: v.decode() if isinstance(v, bytes) else str(v) for n, v in vars(file)["_attributes"].items()
                }
        return table(path, columns, "netCDF 3", units, constants)
