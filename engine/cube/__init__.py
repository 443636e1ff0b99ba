"""The cube: a sweep's zarr store. The only package of the engine that imports zarr and xarray."""

from engine.cube.layout import Cube, compressed_fraction, create, write_group
from engine.cube.place import place_of
from engine.cube.writer import Job, Task, execute, other_attributes, record_failure

__all__ = [
    "Cube",
    "Job",
    "Task",
    "compressed_fraction",
    "create",
    "execute",
    "other_attributes",
    "place_of",
    "record_failure",
    "write_group",
]
