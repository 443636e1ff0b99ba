"""The worker's side of every executor with processes of its own: the job, compared once, and what computes it."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import cloudpickle

from spinsweep.cube import Cube, Job, Task, execute, keep_origin, open_storage
from spinsweep.errors import CubeNotSeen, OtherCode
from spinsweep.ledger import Receipt
from spinsweep.origins import in_words
from spinsweep.provenance import WorkerRecord, of_worker, other_code, other_versions
from spinsweep.reaper_process import kill_marked, marked_file, marking
from spinsweep.user_modules import Folder, UserModules

APPEARS_S = 3.0  # that a worker waits for a cube which it does not see


@dataclass(frozen=True)
class SentJob:
    """A job on its way to workers."""

    pickled: bytes
    """By cloudpickle; unpickled at the first task, when all that it needs can be found."""
    folders: Sequence[Folder]
    """Where the driver finds modules of the user's own."""

    @classmethod
    def of(cls, job: Job) -> SentJob:
        """In the driver."""
        return cls(cloudpickle.dumps(job), UserModules.finder().shared())


class WorkerJob:
    """What all tasks of a run share, in one worker process.

    Parameters
    ----------
    sent : as the driver sends it
    address : by which the driver knows this worker
    """

    def __init__(self, sent: SentJob, address: str) -> None:
        UserModules.finder().add_shared(sent.folders)
        self._pickled = sent.pickled
        self._address = address
        self._described = False

    def compute(self, task: Task) -> Receipt:
        """Compute and write a block; the first receipt of a worker describes it.

        Raises
        ------
        OtherCode
            This process has other code than the driver, and is not allowed to compute.
        CubeNotSeen
            The cube, or one that is an input, is not here where the driver has it.
        """
        job, refusal = self._compared
        if refusal:
            raise OtherCode(refusal, self._address)
        receipt = execute(job, task)
        if receipt.hung:
            receipt = replace(receipt, hung_at=self._address)
        if not self._described:
            self._described = True
            receipt = replace(receipt, worker=WorkerRecord.here(job.origin, self._address))
        return receipt

    @cached_property
    def _compared(self) -> tuple[Job, str]:
        """The job with this process's origin, and why it must not compute; unpickled at the first task."""
        job = cloudpickle.loads(self._pickled)
        assert isinstance(job, Job)
        if missing := _missing(job):
            where = f"worker {self._address} on {socket.gethostname()}"
            raise CubeNotSeen(
                f"{where} finds {missing}: keep it in a folder that all machines see under this path, or at a URL",
                self._address,
            )
        origin = of_worker(job.origin)
        here, driver = origin.record, job.origin.record
        if (different := other_code(here, driver) + other_versions(here, driver)) and not job.allow_mixed:
            return job, f"worker {self._address} on {socket.gethostname()} has other code: {in_words(different)}"
        if origin.number != job.origin.number:
            keep_origin(open_storage(job.store), origin)
        return replace(job, origin=origin), ""


def _missing(job: Job) -> str:
    """What of the job's cubes is not here, in words; "" when all are.

    A folder that the driver has just made may come late to another machine of a network's file system.
    """
    until = time.monotonic() + APPEARS_S
    cubes = {job.store: "where the driver has the cube of this run"}
    for name in job.sweep.inputs:
        if (value := job.sweep.params[name]) is not None:
            cubes.setdefault(value["store"], f"where the driver has the input {name!r}")
    for store, what in cubes.items():
        storage = open_storage(store)
        while not storage.exists("zarr.json"):
            if time.monotonic() > until:
                return f"no cube at {store}, {what}"
            time.sleep(0.2)
    if Cube(job.store).attributes.cube_id != job.cube_id:
        return f"another cube at {job.store}, {cubes[job.store]}"
    return ""


class CellProcesses:
    """What the cells of a run start at this worker; it ends with the run.

    The mark is of this process: another worker of this machine goes on.
    """

    def __init__(self, run: str) -> None:
        self._mark = f"{run}-{uuid.uuid4().hex}"
        self._file = marked_file(self._mark)

    @contextmanager
    def marked(self) -> Iterator[None]:
        """While a block is computed."""
        with marking(self._mark):
            yield

    def end(self) -> None:
        """Kill what is left of them."""
        os.close(self._file)
        kill_marked(self._mark, {os.getpid()})
