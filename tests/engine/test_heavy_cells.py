"""Cells that need much memory: real processes that really allocate it."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heavy_cells import HEAVY, SCORE, WAYS, forks_and_files, leaking, whole_block
from hypothesis import given
from hypothesis import strategies as st

import spinsweep
from spinsweep import SpecError, Sweep, memory
from spinsweep.blocks import Block
from spinsweep.cube import OUT_OF_MEMORY, Task
from spinsweep.deployment import local_cluster
from spinsweep.executors.dispatch import MAX_OVERS, Dispatcher
from spinsweep.executors.events import Finished, OverMemory, RecordFailure, Split, Submit, Tick, WorkersChanged
from spinsweep.executors.running import Result, run
from spinsweep.ledger import Receipt
from spinsweep.machine import USABLE, Machine, deal, gpus, in_words, memory_limit
from spinsweep.resources import GPU, MEMORY


def on_pool(sweep: Sweep, store: Path, **options: Any) -> Result:
    return run(sweep, store, executor="processes", workers=2, **options)


def only_the_cell_at_fault_failed(result: Result, plain: Result) -> None:
    (failure,) = result.failures
    assert (failure.coords["x"], failure.error.type) == (3, OUT_OF_MEMORY)
    assert failure.error.message.startswith("used more than its 191 MiB (")
    assert failure.error.message.endswith(" when it was ended)")
    assert result.counts.done == 5
    done = result.dataset.cell_state.values == 1
    assert (result.dataset.y.values[done] == plain.dataset.y.values[done]).all()


def ended(process: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{process}").exists():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "way", [1, pytest.param(2, marks=pytest.mark.slow), 3], ids=[way.__name__ for way in WAYS[1:]]
)
def test_a_cell_that_uses_more_than_its_memory_fails_alone_and_its_process_is_ended(
    tmp_path: Path, log: Path, way: int
) -> None:
    plain = run(HEAVY.with_values(log=str(log)), tmp_path / "plain.zarr")
    (log / "3").unlink()
    result = on_pool(HEAVY.with_values(log=str(log), way=way), tmp_path / "c.zarr", block=3)

    only_the_cell_at_fault_failed(result, plain)
    assert all(ended(int(process)) for process in (log / "3").read_text().split())
    if way == 1:
        assert "in heavy" in result.failures[0].error.traceback


@pytest.mark.slow
def test_on_dask_the_cell_at_fault_fails_alone_as_well(tmp_path: Path, log: Path) -> None:
    plain = run(HEAVY.with_values(log=str(log)), tmp_path / "plain.zarr")
    result = run(HEAVY.with_values(log=str(log), way=1), tmp_path / "c.zarr", executor="dask", workers=2, block=3)
    only_the_cell_at_fault_failed(result, plain)


@pytest.mark.slow
def test_workers_are_what_the_system_ends_first_where_memory_runs_out(tmp_path: Path, log: Path) -> None:
    result = on_pool(HEAVY.with_values(log=str(log)), tmp_path / "c.zarr")
    own = int(SCORE.read_text())

    assert (result.dataset.score.values >= memory.ENDED_FIRST).all()
    assert int(SCORE.read_text()) == own


@pytest.mark.slow
def test_what_earlier_cells_left_in_a_process_is_held_against_none(tmp_path: Path, log: Path) -> None:
    sweep = dataclasses.replace(HEAVY, function=leaking).with_values(log=str(log))
    result = run(sweep, tmp_path / "c.zarr", executor="processes", workers=1, block=6)

    assert (result.outcome, result.counts.done) == ("complete", 6)
    assert len({process for x in range(6) for process in (log / str(x)).read_text().split()}) > 1


@pytest.mark.slow
def test_of_a_function_of_a_whole_block_each_cell_is_then_computed_by_itself(tmp_path: Path, log: Path) -> None:
    sweep = dataclasses.replace(HEAVY, function=whole_block).with_values(log=str(log), x=range(4))
    result = run(sweep, tmp_path / "c.zarr", executor="processes", workers=1, block=4)

    assert (result.outcome, result.counts.done) == ("complete", 4)


@pytest.mark.slow
def test_a_cell_of_a_sample_that_uses_too_much_harms_nothing(tmp_path: Path, log: Path) -> None:
    sweep = HEAVY.with_values(log=str(log), way=1, x=[3, 4, 5])
    result = on_pool(sweep, tmp_path / "c.zarr")

    assert [failure.coords["x"] for failure in result.failures] == [3]
    assert any("choose the blocks used more than its 191 MiB" in note for note in result.notes)


def test_in_the_process_of_the_driver_nothing_is_ended_and_that_is_said(tmp_path: Path, log: Path) -> None:
    held = np.ones(300_000_000, np.uint8)
    result = run(HEAVY.with_values(log=str(log)), tmp_path / "c.zarr")

    assert result.counts.done == 6
    assert any("is not watched in this process" in note for note in result.notes)
    assert held.size


# what may be asked


@pytest.mark.parametrize("executor", ["serial", "processes", "dask"])
def test_more_than_this_machine_has_is_refused_at_once_and_nothing_is_written(
    tmp_path: Path, log: Path, executor: str
) -> None:
    with pytest.raises(SpecError) as error:
        run(HEAVY.with_values(log=str(log)), tmp_path / "c.zarr", executor=executor, memory="5000 GiB")

    assert str(error.value) == (
        f"a cell needs memory of 4.88 TiB, and this machine has {in_words(Machine.here().memory)} for cells; give "
        "--memory less, or compute on workers that have more (--cluster)"
    )
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "much"}, "memory must be a size such as '2 GiB', or bytes, not 'much'"),
        ({"memory": 2}, "memory: 2 is less than a worker needs by itself, 64 MiB; write the unit, as in '2 GiB'"),
        ({"memory": True}, "memory must be a size"),
        ({"memory": "1e400 GB"}, "memory must be a size"),
        ({"memory": -1e9}, "memory must be a size"),
        ({"gpu": 0}, "gpu must be a part of a GPU from 0.01 to 1, or a whole number, not 0"),
        ({"gpu": 1.5}, "gpu must be a part of a GPU"),
        ({"gpu": "1"}, "gpu must be a part of a GPU"),
    ],
)
def test_needs_that_cannot_be_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        run(HEAVY, tmp_path / "c.zarr", **options)
    with pytest.raises(SpecError) as of_sweep:
        dataclasses.replace(HEAVY, **options)
    assert message in str(error.value)
    assert message in str(of_sweep.value)
    assert not (tmp_path / "c.zarr").exists()


def test_needs_may_stand_at_the_function_and_change_no_identity() -> None:
    def walk(steps: int) -> float:
        return float(steps)

    plain = Sweep.from_function(walk, steps=[1, 2])
    asked = Sweep.from_function(walk, steps=[1, 2], memory="1 GB", gpu=0.5)
    marked = spinsweep.cell(memory="2 GiB", gpu=1)(walk)
    of_mark = Sweep.from_function(marked, steps=[1, 2])

    assert (plain.memory, asked.memory, of_mark.memory) == (None, 10**9, 2 << 30)
    assert (asked.gpu, of_mark.gpu) == (0.5, 1)
    assert Sweep.from_function(marked, steps=[1, 2], memory="3 GiB").memory == 3 << 30
    assert plain.digest == asked.digest == of_mark.digest
    assert not asked.is_timed


def test_a_function_with_an_argument_of_that_name_is_told_how_to_give_it_values() -> None:
    def recall(memory: float) -> float:
        return memory

    with pytest.raises(SpecError, match=r"recall takes an argument 'memory'; give its values in a mapping"):
        Sweep.from_function(recall, memory="1 GiB")
    assert Sweep.from_function(recall, {"memory": [1.0, 2.0]}).axis_names == ("memory",)


def test_what_is_measured_has_no_such_needs() -> None:
    with pytest.raises(SpecError, match="no memory and no gpu"):
        dataclasses.replace(HEAVY, measured=True)


# what fits


@given(
    memories=st.tuples(st.integers(1, 2**45), st.integers(1, 2**45)),
    workers=st.integers(1, 300),
    devices=st.integers(0, 16),
    gpu=st.none() | st.floats(0.01, 0.99) | st.integers(1, 20).map(float),
)
def test_what_is_computed_at_a_time_fits_and_one_more_would_not(
    memories: tuple[int, int], workers: int, devices: int, gpu: float | None
) -> None:
    there, needed = memories
    machine = Machine(there, tuple(map(str, range(devices))))
    try:
        fit = machine.at_a_time(workers, needed, gpu)
    except SpecError:
        assert needed > there or (gpu is not None and not deal(machine.gpus, gpu))
        return
    assert 1 <= fit <= workers
    assert fit * needed <= there
    shares = devices + 1 if gpu is None else len(deal(machine.gpus, gpu))
    full = (fit + 1) * needed > there or (gpu is not None and fit == shares)
    assert full or fit == workers


@given(devices=st.integers(0, 9), gpu=st.floats(0.01, 0.99) | st.integers(1, 12).map(float))
def test_no_device_is_given_to_more_processes_than_share_it(devices: int, gpu: float) -> None:
    shares = deal([str(n) for n in range(devices)], gpu)
    given_to = [device for share in shares for device in share]
    assert all(len(share) == max(1, int(gpu)) for share in shares)
    assert all(given_to.count(device) * min(gpu, 1.0) <= 1 + 1e-9 for device in given_to)
    first = [share[0] for share in shares[:devices]]
    assert len(set(first)) == len(first), "each device is used before one is shared"


def test_a_share_larger_than_that_of_each_core_means_fewer_workers() -> None:
    machine = Machine(24 << 30)
    assert machine.at_a_time(2, 16 << 30, None) == 1
    assert machine.at_a_time(2, 12 << 30, None) == 2


def control_group(root: Path, line: str, limits: dict[str, str]) -> int:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line)
    for file, limit in limits.items():
        path = root / "sys/fs/cgroup" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit)
    return memory_limit({}, root)


def test_the_least_of_nested_control_groups_is_what_there_is(tmp_path: Path) -> None:
    two = {"a/memory.max": "300000000\n", "a/b/memory.max": "max\n", "c/memory.max": "5\n"}
    assert control_group(tmp_path / "two", "0::/a/b\n", two) == 300_000_000
    one = {"memory/job/memory.limit_in_bytes": "200000000\n", "memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}
    assert control_group(tmp_path / "one", "3:cpuset:/\n4:cpu,memory:/job/step\n0::/\n", one) == 200_000_000


def test_a_slurm_job_has_what_it_asked_for(tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "3"}
    there = memory_limit({}, tmp_path)
    assert memory_limit({**job, "SLURM_MEM_PER_NODE": "100"}, tmp_path) == 100 << 20
    assert memory_limit({**job, "SLURM_MEM_PER_CPU": "50"}, tmp_path) == 150 << 20
    assert memory_limit({**job, "SLURM_MEM_PER_NODE": "0"}, tmp_path) == there
    assert memory_limit({"SLURM_MEM_PER_NODE": "100"}, tmp_path) == there
    assert Machine.here().memory == int(USABLE * memory_limit())


LISTED = """GPU 0: NVIDIA H200 (UUID: GPU-0a1b)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-77aa)
  MIG 3g.20gb     Device  0: (UUID: MIG-11aa)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-77aa/2/0)
"""


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({"CUDA_VISIBLE_DEVICES": "1, GPU-77aa"}, ("1", "GPU-77aa")),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,2"}, ("0",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, ()),
        ({}, ("GPU-0a1b", "MIG-11aa", "MIG-GPU-77aa/2/0")),
    ],
)
def test_gpus_are_those_that_cuda_would_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], devices: tuple[str, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\n[ "$1" = -L ] && cat <<END\n{LISTED}END\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpus(environment) == devices


# what a process holds


def test_what_forks_share_counts_once_and_mapped_files_not_at_all(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=forks_and_files, args=(tmp_path,))
    process.start()  # this one may hold whatever other tests have left
    process.join()
    assert process.exitcode == 0


# what is decided


def sent(dispatcher: Dispatcher, *events: Any) -> list[Any]:
    return [action for event in events for action in dispatcher.handle(event)]


def begun(cells: int) -> tuple[Dispatcher, int]:
    dispatcher = Dispatcher(iter([Task(Block((0,), (cells,)))]))
    (submit,) = [a for a in sent(dispatcher, WorkersChanged({"a": 1}), Tick()) if isinstance(a, Submit)]
    return dispatcher, submit.attempts[0].number


def test_a_block_whose_process_was_ended_for_its_memory_is_sent_cell_by_cell() -> None:
    dispatcher, number = begun(2)
    split, again = sent(dispatcher, OverMemory(number, "too much", fresh=True), Tick())
    (failure,) = sent(dispatcher, OverMemory(again.attempts[0].number, "too much", fresh=True))

    assert split == Split(2)
    assert failure == RecordFailure(again.attempts[0].task, OUT_OF_MEMORY, "too much", "")


def test_a_cell_is_at_fault_in_a_process_that_is_new_or_in_each_of_several() -> None:
    dispatcher, number = begun(1)
    for _ in range(MAX_OVERS):
        (again,) = sent(dispatcher, OverMemory(number, "too much", fresh=False), Tick())
        number = again.attempts[0].number
    assert again.attempts[0].alone
    (failure,) = sent(dispatcher, OverMemory(number, "too much", fresh=False))
    assert isinstance(failure, RecordFailure)


def test_a_block_that_gets_nowhere_in_processes_that_are_full_is_split() -> None:
    dispatcher, number = begun(2)
    receipt = Receipt(Block((0,), (2,)), 0, 0, 1.0, left=np.array([True, True]), hung=True, over="too much")
    for _ in range(MAX_OVERS - 1):
        (again,) = [a for a in sent(dispatcher, Finished(number, receipt), Tick()) if isinstance(a, Submit)]
        number = again.attempts[0].number
    split, again = sent(dispatcher, Finished(number, receipt), Tick())
    assert split == Split(2)
    assert [attempt.task.cells for attempt in again.attempts] == [1, 1]


def test_a_worker_of_a_local_cluster_has_what_its_cells_need_and_sees_its_own_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_cluster, "memory_limit", lambda: 8 << 30)
    monkeypatch.setattr(Machine, "here", lambda: Machine(8 << 30, ("GPU-a", "GPU-b")))
    with local_cluster.local_client(2, dashboard=False, resources={MEMORY: 3e9, GPU: 1.0}) as client:
        workers: Any = client.scheduler_info()["workers"].values()
        assert {w["memory_limit"] for w in workers} == {4 << 30}
        assert [w["resources"] for w in workers] == [{"cpu": 1, "memory": 4 << 30, "gpu": 1}] * 2
        seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["GPU-a", "GPU-b"]


def test_a_run_waits_for_a_worker_that_has_the_memory_and_says_what_is_offered(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(WAITS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "a worker with cpu=1 and memory=3 GiB (the only worker offers cpu=1, memory=2 GiB)" in done.stdout


WAITS = """
import spinsweep
from spinsweep.deployment import local_cluster
from spinsweep.deployment.local_cluster import local_client
from spinsweep.executors.running import run


@spinsweep.cell(memory="3 GiB")
def own(n):
    return {"y": 2.0 * n}


class Enough(BaseException):
    pass


def main():
    local_cluster.memory_limit = lambda: 2 << 30
    with local_client(1, dashboard=False, resources={"memory": 1.0}) as client:
        def look(run):
            if run.progress.waiting:
                print(run.progress.waiting)
                raise Enough
        try:
            run(spinsweep.Sweep.from_function(own, n=range(3)), "c.zarr", client=client, on_progress=look)
        except Enough:
            pass


if __name__ == "__main__":
    main()
"""
