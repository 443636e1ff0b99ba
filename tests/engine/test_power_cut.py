"""Power cuts: whatever unsynced writes are lost, no lost cell counts as done, and the same command continues."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from examples import GRID
from power import Recorder

from spinsweep.cube import Cube, durable, examine, execute
from spinsweep.errors import CubeError
from spinsweep.evaluate import Cells
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import State
from spinsweep.runs import open_run
from spinsweep.spec import Sweep

SMALL = GRID.with_values(width=[5.0, 1.0], variation=[0.1, 0.2], seed=range(4), steps=2)
GROWN = SMALL.with_values(width=[5.0, 1.0, 0.3], seed=range(7))
STALE = GROWN.with_values(gain=2.0)
EXPECTED = ("sum", "noise")


def go(sweep: Sweep, store: Path, stop_after: int | None = None, **options: bool) -> None:
    """A run; with ``stop_after`` its process is gone after so many blocks."""
    with open_run(sweep, store, block={"variation": 2, "seed": 3}, **options) as run:
        if stop_after is None:
            drive(run, serial)
        else:
            for task, _ in zip(run.tasks(), range(stop_after), strict=False):
                run.note(execute(run.job, task))
            run.outcome = "running"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[float, xr.Dataset]:
    """By the parameter that the definitions differ in."""
    path = tmp_path_factory.mktemp("expected") / "grid.zarr"
    go(GROWN, path)
    first = xr.open_zarr(path)[list(EXPECTED)].load()
    go(STALE, path, mark_stale=True)
    return {1.0: first, 2.0: xr.open_zarr(path)[list(EXPECTED)].load()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """A creation, a run that is cut short, one that goes on and grows into part-filled blocks, a growth, failures,
    their retry, and a new definition whose cells are computed again."""
    folder = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(folder)
    with pytest.MonkeyPatch.context() as patch, recorder.recording():
        patch.setattr(durable, "SYNC_INTERVAL_S", 0.005)
        go(SMALL, folder / "grid.zarr", stop_after=3)
        go(SMALL.with_values(seed=range(5)), folder / "grid.zarr")
        go(GROWN.with_values(seed=range(6)), folder / "grid.zarr")
        go(dataclasses.replace(GROWN, function=failing), folder / "grid.zarr")
        go(GROWN, folder / "grid.zarr", retry_failed=True)
        go(STALE, folder / "grid.zarr", mark_stale=True)
    return recorder


def failing(cells: Cells) -> None:
    raise ValueError("not today")


def assert_nothing_false(store: Path, expected: dict[float, xr.Dataset], kept: int) -> None:
    """What a run takes for done before it computes anything is right, and after it all is.

    ``kept``: done cells at least.
    """
    try:
        definition = Cube(store).definition
    except CubeError:  # the cut came before it was there
        definition = {"parameters": {"gain": 1.0}}
    gain = definition["parameters"]["gain"]
    right = expected[gain]
    with open_run(GROWN.with_values(gain=gain), store, block={"variation": 2, "seed": 3}, retry_failed=True) as run:
        done = run.cube.ledger("cell_state") == State.DONE
        assert done.sum() >= kept
        for name in EXPECTED:
            there = run.cube.array(name).read()  # raises where readers would
            want = right[name].sel(width=list(run.cube.axes["width"]), seed=list(run.cube.axes["seed"])).values
            np.testing.assert_array_equal(there[done], want[done])
        drive(run, serial)
    after = xr.open_zarr(store)
    for name in EXPECTED:
        xr.testing.assert_equal(after[name].load(), right[name])
    assert list(examine(store)) == []


def survive(
    recorder: Recorder, expected: dict[float, xr.Dataset], into: Path, step: int, chance: random.Random | None
) -> None:
    recorder.cut(step, chance, into)
    store = into / "grid.zarr"
    kept = 0
    if (store / "zarr.json").exists():
        kept = Cube(store).counts().done if chance is None else 0
        list(Cube(store).failures())
        Cube(store).runs()
        damages = list(examine(store))
        assert chance is not None or not damages
    assert_nothing_false(store, expected, kept)
    shutil.rmtree(into)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 12))])
def test_after_any_power_cut_no_lost_cell_counts_as_done_and_the_run_goes_on(
    recorded: Recorder, expected: dict[float, xr.Dataset], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    survive(recorded, expected, tmp_path / "cut", chance.randrange(1, len(recorded.steps) + 1), chance)


@pytest.mark.slow
def test_after_each_of_200_power_cuts_no_lost_cell_counts_as_done(
    recorded: Recorder, expected: dict[float, xr.Dataset], tmp_path: Path
) -> None:
    for seed in range(1000, 1200):
        chance = random.Random(seed)
        survive(recorded, expected, tmp_path / f"cut{seed}", chance.randrange(1, len(recorded.steps) + 1), chance)


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))])
def test_a_kill_between_any_two_file_operations_loses_no_done_cell(
    recorded: Recorder, expected: dict[float, xr.Dataset], tmp_path: Path, part: int
) -> None:
    for step in range(part, len(recorded.steps), 20):
        survive(recorded, expected, tmp_path / f"kill{step}", step, None)


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount an image")
RUN = """
import sys
from spinsweep.cube import durable
from spinsweep.runs import open_run
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
sys.path.insert(0, {tests!r})
from examples import GRID

sweep = GRID.with_values(seed=range(int(sys.argv[2])), steps=20)
with open_run(sweep, sys.argv[1], block={{"width": 1, "variation": 1, "seed": 4}}) as run:
    drive(run, serial)
"""


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def cut_an_image(tmp_path: Path, seconds: float) -> tuple[int, int]:
    """Cut the power of a real ext4 while a run writes; cells done after recovery, and cells that were lost."""
    image, copy = tmp_path / "disk.img", tmp_path / "cut.img"
    with image.open("wb") as file:
        file.truncate(150_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-N", "60000", image], check=True)
    code = RUN.format(tests=str(Path(__file__).parent))
    seeds = 400 + int(300 * seconds)  # enough to compute for some seconds more
    with mounted(image, tmp_path / "a") as disk:
        writer = subprocess.Popen([sys.executable, "-c", code, disk / "grid.zarr", str(seeds)])
        while not (disk / "grid.zarr" / "cell_state" / ".durable" / "000001").exists():
            time.sleep(0.05)
        time.sleep(seconds)
        os.kill(writer.pid, signal.SIGSTOP)
        shutil.copy(image, copy)  # what has come to the disk by now, in the middle of all that has not
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    with mounted(copy, tmp_path / "b") as disk:
        store = disk / "grid.zarr"
        before = Cube(store).counts().done
        sweep = GRID.with_values(seed=range(seeds), steps=20)
        with open_run(sweep, store) as run:
            done = Cube(store).counts().done
            run.outcome = "stopped"
        assert list(examine(store)) == []
        data = xr.open_zarr(store)
        state = data.cell_state.values == State.DONE
        seed, width, variation = (data[n].values for n in ("seed", "width", "variation"))
        sums = width[:, None, None] + 10 * variation[:, None] + 100 * seed
        np.testing.assert_array_equal(data["sum"].values[state], sums[state])
        return done, before - done


@ROOT
@pytest.mark.parametrize("seconds", [0.7, *(pytest.param(0.1 + 1.3 * n, marks=pytest.mark.slow) for n in range(10))])
def test_a_power_cut_of_a_real_file_system_loses_a_second_of_work_at_most(tmp_path: Path, seconds: float) -> None:
    done, lost = cut_an_image(tmp_path, seconds)

    assert done > 0  # the first batch is on disk
    print(f"cut after {seconds} s: {done} cells done, {lost} that were called done were lost and found out")
