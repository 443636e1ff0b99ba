"""One function runs a sweep, wherever its blocks are computed, and says nothing meanwhile.

The command line calls it with its own display; :mod:`spinsweep.interactive` makes ``spinsweep.run`` of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from spinsweep import limits
from spinsweep.axis import Value, key
from spinsweep.cube import Cube
from spinsweep.discovery import executor_named
from spinsweep.errors import SpecError
from spinsweep.executors.driver import drive
from spinsweep.executors.protocol import Start
from spinsweep.executors.sending import require_sendable
from spinsweep.executors.serial import serial
from spinsweep.ledger import Counts, Failure
from spinsweep.machine import Machine
from spinsweep.resources import cpu_count
from spinsweep.runs import Run, open_run
from spinsweep.runs.sampling import sample, sample_elsewhere
from spinsweep.spec import Sweep
from spinsweep.until import Until

if TYPE_CHECKING:  # loaded where they are needed: a run in this process, and help, come at once
    import xarray as xr
    from distributed import Client

    from spinsweep.runs.rounds import Rounds


class CellLimits(TypedDict, total=False):
    """What a run gives its cells; what is None or left out is as the sweep says."""

    timeout: float | None
    """Seconds that one cell may take. A cell that takes longer ends as failed, with its stack, and its worker is
    replaced; in this process the cell's thread is left behind instead."""
    retries: Mapping[Any, int] | None
    """How often a cell that raised is called again, by class of the exception or its name."""
    max_failures: float | None
    """Stop when so many cells have failed; ``math.inf``: never. If the sweep says nothing either, stop when the first
    20 that ended, or 50 of the first 100, failed with one and the same error (type and message). What is done is
    kept; the same call goes on, and ``retry_failed=True`` computes the failed cells again."""
    memory: int | str | None
    """Bytes that the process of a cell may use, or a text such as ``"2 GiB"``: so many are computed at a time as fit,
    and a process that uses more is ended. In this process nothing is."""
    gpu: float | None
    """GPUs that a cell needs, or a part of one: it sees these alone."""


class Options(CellLimits, total=False):
    """How a cube is made and taken further; see :func:`spinsweep.runs.open_run`."""

    block: int | Mapping[str, int] | None
    """Cells in a block, or block length by axis; never changes a result."""
    retry_failed: bool
    """Compute failed cells again as well."""
    mark_stale: bool
    """Compute again what an earlier definition or other code computed."""
    allow_mixed: bool
    """Let workers with other code compute as well."""
    attrs: Mapping[str, Any] | None
    """Attributes of a cube that is made, beside ours."""
    until: Until | str | Sequence[str] | None
    """Conditions on intervals, such as ``"accuracy: half_width < 0.005"``: replicates are computed in rounds, for the
    combinations of the other axes whose intervals are too wide; see :mod:`spinsweep.runs.rounds`. The values of the
    sweep are the first round. If None, as the sweep says."""
    max: int | Mapping[str, int] | None
    """How many replicates a combination gets at most, such as ``{"seed": 200}``; given with ``until``."""


@dataclass(frozen=True, repr=False)
class Result:
    """What came of a run."""

    store: str
    """The cube's folder or URL."""
    outcome: str
    """"complete", "failed cells", or "stopped" (by Ctrl-C, or because too many cells failed)."""
    counts: Counts
    """The cells asked for, by state."""
    notes: tuple[str, ...]
    """What one should know of the run: other code, blocks, workers."""
    unwritten_blocks: tuple[str, ...]
    """Blocks that ended without a result, in words."""
    requested: Mapping[str, Sequence[Value]]
    """Values of each axis that were asked for, in that order."""
    stopped_because: str = ""
    """Why the run stopped by itself; empty if it did not."""
    rounds: Rounds | None = None
    """Of a run with ``until``."""

    @property
    def sets(self) -> xr.Dataset:
        """Of a run with ``until``: how many replicates each set has, whether it is met, its mean and half width.

        See :func:`spinsweep.runs.sets.table`.
        """
        if self.rounds is None:
            raise SpecError(f"{self.store}: there are sets only after a run with until")
        from spinsweep.runs.sets import table  # late: xarray takes long to load

        return table(self.rounds)

    @property
    def complete(self) -> bool:
        """Whether every cell asked for is done, and no set of replicates needs more."""
        return self.counts.done == self.counts.total and not (self.rounds is not None and self.rounds.is_open.any())

    @property
    def cube(self) -> Cube:
        """The cube as it is now."""
        return Cube(self.store)

    @property
    def failures(self) -> list[Failure]:
        """Every failed cell of those asked for, with its coordinates and error."""
        requested = {name: {key(value) for value in values} for name, values in self.requested.items()}
        return [f for f in self.cube.failures() if all(key(f.coords[name]) in requested[name] for name in requested)]

    @property
    def dataset(self) -> xr.Dataset:
        """The cells that were asked for, blank where a cell is not done; see :meth:`open`.

        In memory if they are few, as a notebook shows their numbers then and the cube may move; else lazily.
        """
        return self.cube.loaded_if_small(self.open())

    def open(self, *, whole: bool = False, zeros: bool = False) -> xr.Dataset:
        """Open the cube, lazily, with the cells that are not done blank.

        Parameters
        ----------
        whole : all cells of the cube; else those that were asked for, in that order
        zeros : leave booleans and integers in their own types; see :func:`spinsweep.open_cube`
        """
        from spinsweep.reading import CubeView  # late: xarray takes long to load

        cube = self.cube
        dataset = cube.dataset()
        if not whole:
            dataset = dataset.isel({n: _places(cube.axes[n], values) for n, values in self.requested.items()})
        return CubeView(dataset).finished(zeros=zeros)

    def __str__(self) -> str:
        counts = self.counts
        return f"{self.store}: {self.outcome}, {counts.done} of {counts.total} cells done{counts.failures}"

    def __repr__(self) -> str:
        return f"<Result {self}>"


def run(
    sweep: Sweep,
    store: str | Path,
    *,
    executor: str | Start | None = None,
    workers: int | None = None,
    client: Client | None = None,
    on_progress: Callable[[Run], None] = lambda run: None,
    **options: Unpack[Options],
) -> Result:
    """Compute the cells of ``sweep`` that the cube at ``store`` does not have.

    Parameters
    ----------
    store
        A folder, or a URL such as ``s3://bucket/walk.zarr``.
    executor
        Where to compute: ``"serial"`` (this process), ``"processes"``, ``"dask"`` (a cluster of this machine), the
        name of another installed one, or what starts one. None: on the client's workers, in processes of this machine
        if ``workers`` are given, else in this process.
    workers
        How many blocks are computed at a time; None: one for each core.
    client
        A Dask client, whose workers compute.
    on_progress
        Called when the run is open, for every block that ended, and every second; by another thread while a block
        takes long in this process.
    options
        ``block``, ``retry_failed``, ``mark_stale``, ``allow_mixed``, ``attrs``, and ``until`` with ``max``; see
        :class:`Options`. ``timeout``, ``retries``, ``max_failures``, ``memory`` and ``gpu``; see :class:`CellLimits`.

    Returns
    -------
    The :class:`Result`; its ``dataset`` opens the cube.

    Raises
    ------
    CubeError
        The cube cannot be written, or holds another definition.
    SpecError
        The sweep cannot be sent to workers, or there is no such executor.
    RunnerError
        The workers were lost, or blocks could not be kept. What is done is in the cube.
    """
    sweep = _limited(sweep, options)
    of_cube: dict[str, Any] = {n: value for n, value in options.items() if n not in CellLimits.__annotations__}
    start, at_a_time = _chosen(executor, workers, client)
    if getattr(start, "on_this_machine", False) and (sweep.memory or sweep.gpu):
        at_a_time = Machine.here().at_a_time(at_a_time, sweep.memory_bytes, sweep.gpu)
    of_cube["until"] = Until.of(of_cube.get("until"), of_cube.pop("max", None)) or sweep.until
    of_cube["sampler"] = sample
    if not getattr(start, "in_process", False):
        require_sendable(sweep)
        of_cube["sampler"] = sample_elsewhere
    with open_run(sweep, store, workers=at_a_time, **of_cube) as opened:
        on_progress(opened)
        if opened.progress.blocks > opened.progress.blocks_ended or opened.next_round():
            drive(opened, start, on_progress, workers=at_a_time)
        elif opened.progress.blocks:  # all were computed for the sample
            on_progress(opened)
    return Result(
        str(opened.cube.storage),
        opened.outcome,
        opened.finish(),
        tuple(opened.notes),
        tuple(opened.unwritten_blocks),
        {axis.name: axis.values for axis in opened.sweep.axes},
        opened.stopped_because,
        opened.rounds,
    )


def _limited(sweep: Sweep, wanted: CellLimits) -> Sweep:
    """The sweep with the limits of a call.

    Raises
    ------
    SpecError
        One of them cannot be.
    """
    changes: dict[str, Any] = {
        "timeout": limits.timeout("timeout", wanted.get("timeout")),
        "max_failures": limits.max_failures("max_failures", wanted.get("max_failures")),
        "memory": limits.memory("memory", wanted.get("memory")),
        "gpu": limits.gpu("gpu", wanted.get("gpu")),
    }
    if (retries := wanted.get("retries")) is not None:
        changes["retries"] = limits.retries("retries", retries)
    changes = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(sweep, **changes) if changes else sweep


def _places(values: Sequence[Value], requested: Sequence[Value]) -> slice | list[int]:
    """Where the values asked for are among those of an axis; a slice, which reads less, if it can."""
    index = {key(value): place for place, value in enumerate(values)}
    places = [index[key(value)] for value in requested]
    first = places[0]
    return slice(first, first + len(places)) if places == list(range(first, first + len(places))) else places


def _chosen(executor: str | Start | None, workers: int | None, client: Client | None) -> tuple[Start, int]:
    """What starts the executor, and how many blocks it computes at a time."""
    if client is not None:
        if executor not in (None, "dask") or workers is not None:
            raise SpecError("a client has its workers: leave executor and workers out")
        from spinsweep.executors.dask import on_client

        return on_client(client), max(1, sum(client.nthreads().values()))
    if executor is None:
        executor = "processes" if workers else "serial"
    if executor == "serial":
        if workers not in (None, 0, 1):
            raise SpecError(f'executor "serial" computes in this process; {workers} workers are of "processes"')
        return serial, 1
    if workers is not None and workers < 1:
        raise SpecError(f'{workers} workers cannot compute; give at least 1, or the executor "serial"')
    return executor_named(executor) if isinstance(executor, str) else executor, workers or cpu_count()
