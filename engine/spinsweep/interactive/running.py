"""``spinsweep.run``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from spinsweep.errors import SpecError
from spinsweep.executors.protocol import Start
from spinsweep.executors.running import Options, Result
from spinsweep.executors.running import run as run_silently
from spinsweep.interactive.display import RunDisplay
from spinsweep.interactive.failures import sweep_failed
from spinsweep.interactive.words import python_words
from spinsweep.printable import brief
from spinsweep.runs import Run
from spinsweep.spec import Sweep

if TYPE_CHECKING:  # loaded where it is needed: a run in this process, and help, come at once
    from distributed import Client

OnFailure = Literal["raise", "keep"]


def run(
    sweep: Sweep,
    store: str | Path,
    *,
    executor: str | Start | None = None,
    workers: int | None = None,
    client: Client | None = None,
    on_failure: OnFailure = "raise",
    progress: bool = True,
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
    on_failure
        ``"raise"``: :class:`~spinsweep.SweepFailed` where cells that were asked for are not done at the end;
        ``"keep"``: return all the same, with these cells blank.
    progress
        Show how far the run is, and what one should know of it: a bar in a notebook or on a terminal, a few lines on
        standard error elsewhere.
    on_progress
        Called when the run is open, for every block that ended, and every second.
    options
        ``block``, ``retry_failed``, ``mark_stale``, ``allow_mixed``, ``attrs``, and ``until`` with ``max``; see
        :class:`spinsweep.executors.running.Options`.

    Returns
    -------
    The :class:`~spinsweep.executors.running.Result`; its ``dataset`` holds the cells that were asked for, and
    ``open(whole=True)`` the whole cube

    Raises
    ------
    SweepFailed
        Cells failed, in this run or in an earlier one; the exception has the ``dataset`` of the others.
    CubeError
        The cube cannot be written, or holds another definition.
    SpecError
        The sweep cannot be sent to workers, or there is no such executor.
    RunnerError
        The workers were lost, or blocks could not be kept. What is done is in the cube.
    KeyboardInterrupt
        Ctrl-C, after the blocks in hand have ended; it has the ``result``.
    """
    _check(sweep, store, client, on_failure)
    display = RunDisplay() if progress else None
    opened: list[Run] = []
    caller = threading.get_ident()

    def update(run: Run) -> None:
        opened[:] = [run]
        if display is not None:
            display.update(run)
        if threading.get_ident() == caller:  # another thread says what takes long in this one
            on_progress(run)

    with python_words():
        try:
            result = run_silently(
                sweep, store, executor=executor, workers=workers, client=client, on_progress=update, **options
            )
        finally:
            if display is not None and opened:
                display.close(opened[0])
    if result.outcome == "stopped" and not result.stopped_because:
        stopped = KeyboardInterrupt(f"{result}; what is done is in the cube, call run again to continue")
        stopped.result = result  # type: ignore[attr-defined]  # no class of our own: shells are told of this one alone
        raise stopped
    if on_failure == "raise" and (not result.complete or result.unwritten_blocks):
        raise sweep_failed(result)
    return result


def _check(sweep: object, store: object, client: object, on_failure: object) -> None:
    """Refuse what is of another type than it must be, in one line."""
    if not isinstance(sweep, Sweep):
        what = "make one of the function: spinsweep.Sweep.from_function(...)" if callable(sweep) else "give a Sweep"
        raise SpecError(f"spinsweep.run computes a Sweep, not {brief(sweep)}; {what}")
    if not isinstance(store, str | Path) or not str(store):
        raise SpecError(
            f"spinsweep.run: store must be a folder or a URL, such as 'results/walk.zarr', not {brief(store)}"
        )
    if on_failure not in ("raise", "keep"):
        raise SpecError(f'spinsweep.run: on_failure must be "raise" or "keep", not {brief(on_failure)}')
    if client is None:
        return
    if not hasattr(client, "scheduler_info"):
        raise SpecError(
            f"spinsweep.run: client must be a dask.distributed.Client, not {brief(client)}; "
            "Client(address) makes one of an address or a cluster"
        )
    if getattr(client, "asynchronous", False):
        raise SpecError("spinsweep.run: the client is asynchronous; make it with Client(..., asynchronous=False)")
