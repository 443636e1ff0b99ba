"""The cube: a sweep's zarr store. The only package of the engine that imports zarr and xarray."""

from engine.cube.creation import compressed_fraction, create
from engine.cube.disk import machine
from engine.cube.durable import Durable
from engine.cube.layout import Cube, keep_origin, write_group
from engine.cube.place import place_of
from engine.cube.recovery import CLEAN, Damage, Lost, Repair, examine, recover, repair
from engine.cube.writer import Job, Task, execute, other_attributes, record_failure

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
    "other_attributes",
    "place_of",
    "record_failure",
    "recover",
    "repair",
    "write_group",
]
