"""Curves of a cube that fills, as the scheduler's reading process finds them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from watched import WATCHED, until

from spinsweep import State, View
from spinsweep.analysis.curve_data import Curves
from spinsweep.analysis.curves import curves
from spinsweep.cube import Cube
from spinsweep.cube.block_array import BlockArray
from spinsweep.dashboard import reader as module
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.reader import Answer, Question, Reader
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.runs import open_run

VOLTAGE = View("voltage", x="current", over=("seed",))
TRACE = View("trace", x="time", lines="current", over=("seed",))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of 8 x 3 blocks in which one cell failed."""
    path = tmp_path_factory.mktemp("curves") / "c.zarr"
    with open_run(WATCHED.with_values(bad=0.003), path, block={"seed": 4, "current": 1}) as run:
        drive(run, serial)
    return path


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One for all tests: it takes a second to start."""
    reader = Reader()
    yield reader
    reader.close()


def question(path: Path, view: View, states: Any = None) -> Question:
    states = np.full((8, 3), BlockState.DONE, np.uint8) if states is None else states
    return Question(str(path), Cube(path).attributes.cube_id, 1, view.output, view.inner, states, 0, 1, view)


def complete(reader: Reader, asked: Question) -> Answer:
    """The answer, once the process has loaded what it needs for curves."""
    return until(lambda: (a := reader.ask(asked)).complete and a)


def same(found: Curves | None, expected: Curves) -> None:
    assert found is not None
    assert found.view == expected.view
    for one, other in zip(found.lines, expected.lines, strict=True):
        assert (one.label, one.count.tolist()) == (other.label, other.count.tolist())
        for name in ("x", "mean", "low", "high"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)


@pytest.mark.parametrize("view", [VOLTAGE, TRACE, View("trace", x="current", inner="last")])
def test_curves_of_all_blocks_are_those_of_the_dataset(whole: Path, reader: Reader, view: View) -> None:
    answer = complete(reader, question(whole, view))
    same(answer.curves, curves(xr.open_zarr(whole), view))
    assert answer.read_for_curves == 24


def test_another_view_of_an_output_leaves_the_map_as_it_is(whole: Path, reader: Reader) -> None:
    before = complete(reader, question(whole, TRACE))
    after = reader.ask(question(whole, View("trace", x="current")))
    assert after.read == 24
    np.testing.assert_array_equal(after.mean, before.mean)


def test_curves_grow_with_the_blocks_and_each_cell_counts_once(whole: Path, tmp_path: Path, reader: Reader) -> None:
    """A block that goes on in a further round of replicates is read again, and only its new cells are added."""
    path = tmp_path / "c.zarr"
    shutil.copytree(whole, path)
    cube = Cube(path)
    every = xr.open_zarr(path).cell_state.values
    states = np.full((8, 3), BlockState.WAITING, np.uint8)

    def have(cells: Any) -> None:
        for block in cube.grid.blocks():
            cube.array("cell_state").write_block(
                cube.grid.index(block.start), np.where(cells, every, State.ABSENT)[block.region]
            )

    first = np.indices((8, 12))[1] % 4 < 2  # the first two seeds of each block
    have(first)
    for row in range(0, 8, 4):
        states[row : row + 4] = BlockState.DONE
        answer = complete(reader, question(path, VOLTAGE, states))
        assert answer.curves is not None
        assert answer.curves.lines[0].count.sum() == (first & (every == State.DONE))[: row + 4].sum()
    states[:] = BlockState.WAITING
    reader.ask(question(path, VOLTAGE, states))
    have(np.ones_like(first))
    states[:] = BlockState.DONE
    same(complete(reader, question(path, VOLTAGE, states)).curves, curves(xr.open_zarr(whole), VOLTAGE))


def test_windows_that_look_at_different_things_do_not_read_them_again(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    read_block = BlockArray.read_block

    def counted(self: BlockArray, index: Any) -> Any:
        read.append(index)
        return read_block(self, index)

    monkeypatch.setattr(BlockArray, "read_block", counted)
    blocks = module._Blocks()
    blocks._loading.join()
    for _ in range(3):
        for view in (VOLTAGE, TRACE, View("voltage", x="seed", lines="current")):
            assert blocks.answer(question(whole, view)).complete
    assert len(read) == 3 * 2 * 24, "states and values, once for a map with its view, and once for a further view"
    assert len(blocks._kept) == 5 <= module.MAX_KEPT
