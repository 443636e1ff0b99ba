"""Workers that are gone with the receipts of blocks that they had computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from spinsweep import Axis, Cells, Output, Sweep
from spinsweep.deployment.local_cluster import local_client
from spinsweep.executors import dask
from spinsweep.executors.dask import Dask
from spinsweep.executors.events import Attempt, Computing, Ended, Finished
from spinsweep.executors.protocol import Context
from spinsweep.runs import open_run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


def twice(cells: Cells) -> dict[str, Any]:
    return {"y": 2.0 * cells.coords["x"]}


SWEEP = Sweep(name="twice", title="Twice", axes=(Axis("x", (0, 1, 2)),), outputs=(Output("y"),), function=twice)


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


@contextmanager
def computed_and_lost(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, Dask]]:
    """All blocks are written, their receipts were not fetched, and there is no worker left."""
    monkeypatch.setattr(dask, "ANSWER_S", 0.5)
    with (
        local_client(1, dashboard=False) as client,
        open_run(SWEEP, store, block=1) as run,
        Dask(Context(run, 1, lambda: None, lambda: None, lambda: False), client) as executor,
    ):
        list(executor.events())
        executor.submit([Attempt(number, task) for number, task in enumerate(run.tasks())], None)
        until(lambda: len(client.futures) == 3 and {s.status for s in client.futures.values()} == {"finished"})
        client.cluster.scale(0)
        until(lambda: not client.scheduler_info()["workers"])
        yield client, executor


def test_a_run_without_workers_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with computed_and_lost(tmp_path / "a.zarr", monkeypatch) as (_, executor):
        assert not [event for event in executor.events() if isinstance(event, Ended)]
        assert executor.computing() == Computing({}, [])
        assert sorted(executor.cancel([0, 1, 2])) == [0, 1, 2]


def test_they_are_computed_again_by_the_next_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with computed_and_lost(tmp_path / "a.zarr", monkeypatch) as (client, executor):
        assert not [event for event in executor.events() if isinstance(event, Ended)]
        client.cluster.scale(1)
        ended: list[Ended] = []

        def all_ended() -> bool:
            ended.extend(event for event in executor.events() if isinstance(event, Ended))
            return len(ended) == 3

        until(all_ended)
    assert all(isinstance(event, Finished) and event.receipt.done == 1 for event in ended)
    assert sorted(event.attempt for event in ended) == [0, 1, 2]
