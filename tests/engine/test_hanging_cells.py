"""Cells that hang, and cells that are called again: real processes, real threads, real native code."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from hanging_cells import (
    FLAKY,
    HANGING,
    HUNG,
    flaky,
    flaky_blocks,
    hanging_blocks,
    holding,
    locking,
)

from spinsweep import SpecError
from spinsweep.blocks import Block
from spinsweep.cube import TIMED_OUT, LastResort, Task
from spinsweep.executors.dispatch import Dispatcher
from spinsweep.executors.events import Finished, Hung, RecordFailure, Split, Submit, Tick, WorkersChanged
from spinsweep.executors.running import run
from spinsweep.ledger import Receipt
from spinsweep.limits import backoff_s, retries_of


def where(name: str, client: Client) -> dict[str, Any]:
    return {"serial": {}, "processes": {"executor": "processes", "workers": 2}, "dask": {"client": client}}[name]


@pytest.mark.parametrize("name", ["serial", "processes", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_cell_that_hangs_fails_with_its_stack_and_the_others_of_its_block_are_computed(
    tmp_path: Path, client: Client, log: Path, name: str
) -> None:
    sweep = HANGING.with_values(log=str(log), hangs=1)
    result = run(sweep, tmp_path / "c.zarr", block=6, **where(name, client))
    processes = {x: [int(line) for line in (log / str(x)).read_text().split()] for x in range(12)}
    whole = run(HANGING.with_values(log=str(log)), tmp_path / "whole.zarr", block=5)

    if name != "dask":  # there, a block that waited at a worker is begun again with it
        assert {len(each) for each in processes.values()} == {1}, "what was computed was kept"
    assert (result.outcome, result.counts.done, result.counts.failed) == ("failed cells", 10, 2)
    assert [failure.coords["x"] for failure in result.failures] == list(HUNG)
    for failure in result.failures:
        assert failure.error.type == TIMED_OUT
        assert failure.error.message == "ran longer than its timeout of 1 s"
        assert "in wait_for_ever\n    time.sleep(60)" in failure.error.traceback
        assert "in hanging" in failure.error.traceback.splitlines()[1]
    done = result.dataset.cell_state == 1
    xr.testing.assert_identical(result.dataset.y.where(done).drop_attrs(), whole.dataset.y.where(done).drop_attrs())
    assert any("thread of this process" in note for note in result.notes) == (name == "serial")
    if name != "serial":
        for x in HUNG:
            wait_until_ended(processes[x][0])


def wait_until_ended(process: int) -> None:
    for _ in range(300):
        if not Path(f"/proc/{process}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("the process in which a cell hangs is still there")


def test_of_a_function_of_a_whole_block_each_cell_is_then_computed_by_itself(tmp_path: Path, log: Path) -> None:
    sweep = dataclasses.replace(HANGING, function=hanging_blocks, timeout=0.3)
    result = run(sweep.with_values(log=str(log), hangs=1, x=range(6)), tmp_path / "c.zarr", block=3)

    assert [failure.coords["x"] for failure in result.failures] == [3]
    assert result.counts.done == 5


def test_native_code_that_keeps_python_from_running_is_ended_with_its_process(
    tmp_path: Path,
) -> None:
    sweep = dataclasses.replace(HANGING, function=locking, timeout=0.2).with_values(x=range(3))
    result = run(sweep, tmp_path / "c.zarr", block=3, workers=1)

    (failure,) = result.failures
    assert (failure.coords["x"], failure.error.type, result.counts.done) == (1, TIMED_OUT, 2)
    assert "in locking" in failure.error.traceback


@pytest.mark.slow
def test_on_dask_the_stacks_of_the_worker_that_ended_itself_come_back(tmp_path: Path, log: Path) -> None:
    sweep = dataclasses.replace(HANGING, function=holding, timeout=0.2).with_values(log=str(log), hangs=1, x=range(3))
    result = run(sweep, tmp_path / "c.zarr", block=3, executor="dask", workers=1)

    (failure,) = result.failures
    assert (failure.coords["x"], failure.error.type, result.counts.done) == (1, TIMED_OUT, 2)
    assert "in native code that kept its process from answering" in failure.error.message
    assert "in holding" in failure.error.traceback
    calls = (log / "1").read_text().split()
    assert len(calls) == 2, "once in its block and once by itself: each is known after one death"


def test_what_a_process_leaves_that_ends_itself_is_the_block_in_hand_and_its_stacks(tmp_path: Path) -> None:
    code = """
import ctypes, sys
from pathlib import Path
from spinsweep.cube import time_limit
time_limit.GRACE_S = 0.1
resort = time_limit.LastResort
resort.begin(Path(sys.argv[1]))
for resort.block in ("run\\nfirst, a longer name", "run\\nsecond"):
    resort.arm(60.0)
    resort.disarm()
if sys.argv[2] == "ends":
    resort.end()
elif sys.argv[2] == "hangs":
    resort.arm(0.1)
    ctypes.PyDLL(None).sleep(60)
"""
    left = {}
    for what in ("ends", "dies", "hangs"):
        ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / what), what], stderr=subprocess.PIPE)
        assert ended.returncode == (what == "hangs"), ended.stderr.decode()
        left[what] = LastResort.left(tmp_path / what)

    assert (left["ends"], left["dies"]) == (None, None)
    assert not (tmp_path / "ends").exists()
    assert left["hangs"] is not None
    assert left["hangs"][0] == "run\nsecond"
    assert "line 15 in <module>" in left["hangs"][1]


def test_a_timeout_changes_no_number_and_no_identity(tmp_path: Path, log: Path) -> None:
    timed = run(HANGING.with_values(log=str(log)), tmp_path / "a.zarr", block=4)
    plain = dataclasses.replace(HANGING, timeout=None, retries={"OSError": 2})
    cube = run(plain.with_values(log=str(log)), tmp_path / "b.zarr", block=4).dataset

    assert plain.digest == HANGING.digest
    names = ["y", "cell_state", "cell_attempt", "cell_error", "cell_code"]
    xr.testing.assert_identical(cube[names].drop_attrs(), timed.dataset[names].drop_attrs())


def sent(dispatcher: Dispatcher, *events: Any) -> list[Any]:
    return [action for event in events for action in dispatcher.handle(event)]


def test_the_rest_of_a_block_is_sent_again_and_of_cells_that_were_called_together_each_by_itself() -> None:
    left = np.array([False, True, True])
    for apart, sizes in ((False, [2]), (True, [1, 1])):
        dispatcher = Dispatcher(iter([Task(Block((0,), (3,)))]))
        (submit,) = [a for a in sent(dispatcher, WorkersChanged({"a": 1}), Tick()) if isinstance(a, Submit)]
        receipt = Receipt(Block((0,), (3,)), 0, 1, 1.0, left=left, apart=apart, hung=True)
        split, again = sent(dispatcher, Finished(submit.attempts[0].number, receipt), Tick())
        assert split == Split(1 + len(sizes))
        assert [attempt.task.cells for attempt in again.attempts] == sizes
        assert not dispatcher.over


def test_a_block_whose_process_ended_itself_is_sent_cell_by_cell_and_a_cell_that_did_it_failed() -> None:
    dispatcher = Dispatcher(iter([Task(Block((0,), (2,)))]))
    (submit,) = [a for a in sent(dispatcher, WorkersChanged({"a": 1}), Tick()) if isinstance(a, Submit)]
    split, again = sent(dispatcher, Hung(submit.attempts[0].number, "T", "m", "stack"), Tick())
    (failure,) = sent(dispatcher, Hung(again.attempts[0].number, "T", "m", "stack"))

    assert split == Split(2)
    assert failure == RecordFailure(again.attempts[0].task, "T", "m", "stack")


@pytest.mark.parametrize("function", [flaky, flaky_blocks])
def test_a_cell_is_called_again_for_the_named_exceptions_alone_and_its_number_is_the_same(
    tmp_path: Path, function: Any
) -> None:
    logs = [tmp_path / "one", tmp_path / "two"]
    for folder in logs:
        folder.mkdir()
    sweep = dataclasses.replace(FLAKY, function=function)
    failing = sweep.with_values(log=str(logs[0]), fails=1)
    result = run(failing, tmp_path / "c.zarr", block=1, retries={OSError: 2})
    plain = run(sweep.with_values(log=str(logs[1])), tmp_path / "plain.zarr")

    assert [failure.coords["x"] for failure in result.failures] == [2]
    assert result.dataset.cell_attempt.values.tolist() == [2, 1, 2, 2]
    done = result.dataset.cell_state.values == 1
    assert (result.dataset.y.values[done] == plain.dataset.y.values[done]).all()


def test_a_cell_that_goes_on_failing_has_its_last_error_and_the_number_of_its_calls(
    tmp_path: Path, log: Path
) -> None:
    result = run(
        FLAKY.with_values(log=str(log), fails=9, x=[1]), tmp_path / "c.zarr", retries={"ConnectionResetError": 1}
    )

    (failure,) = result.failures
    assert (failure.attempt, failure.error.message) == (2, "gone")


def test_an_exception_is_named_by_its_class_or_a_base_and_the_nearest_says_how_often() -> None:
    assert retries_of(ConnectionResetError(), {"OSError": 2, "ConnectionError": 5}) == 5
    assert retries_of(np.linalg.LinAlgError(), {"LinAlgError": 1}) == 1
    assert retries_of(np.linalg.LinAlgError(), {"numpy.linalg.LinAlgError": 4}) == 4
    assert retries_of(ValueError(), {"OSError": 2}) == 0
    waits = [backoff_s(tries) for tries in range(1, 2000)]
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert waits[-1] == 60.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be seconds above 0, not 0"),
        ({"timeout": float("nan")}, "timeout must be seconds above 0"),
        ({"timeout": True}, "timeout must be seconds above 0"),
        ({"retries": "OSError"}, "retries must be a mapping such as {'OSError': 3}"),
        ({"retries": {"OS Error": 3}}, "retries: 'OS Error' is not the name of an exception"),
        ({"retries": {int: 3}}, "is not the name of an exception"),
        ({"retries": {"OSError": 0}}, "retries: OSError: must be a whole number from 1 to 1000, not 0"),
    ],
)
def test_limits_that_cannot_be_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        run(HANGING, tmp_path / "c.zarr", **options)
    with pytest.raises(SpecError) as of_sweep:
        dataclasses.replace(HANGING, **options)
    assert message in str(error.value)
    assert message in str(of_sweep.value)
    assert not (tmp_path / "c.zarr").exists()


def test_what_is_measured_is_begun_once() -> None:
    with pytest.raises(SpecError, match="cells that are measured are begun once: no timeout"):
        dataclasses.replace(HANGING, measured=True)
