"""The cube: a sweep's zarr store. The only package of the engine that imports zarr and xarray."""

from spinsweep.cube.creation import compressed_fraction, create
from spinsweep.cube.disk import machine
from spinsweep.cube.durable import Durable
from spinsweep.cube.layout import Cube, keep_origin, write_group
from spinsweep.cube.recovery import CLEAN, Damage, Lost, Repair, examine, recover, repair
from spinsweep.cube.storage import open_storage
from spinsweep.cube.writer import Job, Task, execute, other_artifacts, record_failure

__all__ = [
    "CLEAN",
    "Cube",
    "Damage",
    "Durable",
    "Job",
    "Lost",
    "Repair",
    "Task",
    "compressed_fraction",
    "create",
    "examine",
    "execute",
    "keep_origin",
    "machine",
    "open_storage",
    "other_artifacts",
    "record_failure",
    "recover",
    "repair",
    "write_group",
]
