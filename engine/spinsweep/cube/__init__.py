"""The cube: a sweep's zarr store. The only package of the engine that imports zarr and xarray."""

from spinsweep.cube.attributes import ARCHIVE, FORMAT, VERSION_NAME
from spinsweep.cube.block_array import DamagedChunk
from spinsweep.cube.creation import compressed_fraction, create
from spinsweep.cube.cube import Cube
from spinsweep.cube.damage import Damage, examine
from spinsweep.cube.durable import Durable
from spinsweep.cube.execution import execute, other_artifacts, record_failure, record_result
from spinsweep.cube.groups import keep_origin, run_group, write_group
from spinsweep.cube.memory_limit import OUT_OF_MEMORY, used_more
from spinsweep.cube.recovery import CLEAN, Lost, Repair, recover, repair
from spinsweep.cube.stage_files import stage_files
from spinsweep.cube.stores import open_storage, zip_store
from spinsweep.cube.task import Job, Task
from spinsweep.cube.time_limit import TIMED_OUT, CallLimits, Hang, LastResort, compute_within
from spinsweep.disk import machine_id

# fmt: off
__all__ = [
    "ARCHIVE", "CLEAN", "FORMAT", "OUT_OF_MEMORY", "TIMED_OUT", "VERSION_NAME", "CallLimits", "Cube", "Damage",
    "DamagedChunk", "Durable", "Hang", "Job", "LastResort", "Lost", "Repair", "Task",
    "compressed_fraction", "compute_within", "create", "examine", "execute", "keep_origin", "machine_id",
    "open_storage", "other_artifacts", "record_failure", "record_result", "recover", "repair", "run_group",
    "stage_files", "used_more", "write_group", "zip_store",
]
# fmt: on
