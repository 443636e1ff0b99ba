"""A cube as a file of another kind: netCDF, a table, or an archive of few files."""

from spinsweep.exports.export import Exported, export

__all__ = ["Exported", "export"]
