"""Blocks cut the grid so that each cell is in exactly one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinsweep.blocks import BlockGrid, as_boxes, choose_chunk

shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


@given(shapes, st.data())
def test_every_cell_is_in_exactly_one_block(shape: tuple[int, ...], data: st.DataObject) -> None:
    chunk = tuple(data.draw(st.integers(1, n)) for n in shape)

    visits = Counter(p for block in BlockGrid(shape, chunk).blocks() for p in block.points())

    assert set(visits) == set(np.ndindex(shape))
    assert set(visits.values()) == {1}


@given(shapes, st.data())
def test_a_grid_numbers_its_blocks_and_finds_those_that_a_selection_touches(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    grid = BlockGrid(shape, tuple(data.draw(st.integers(1, n + 1)) for n in shape))
    selected = [data.draw(arrays(bool, n)) for n in shape]
    cells = data.draw(arrays(bool, shape))
    whole = np.zeros(shape, bool)
    whole[np.ix_(*selected)] = True
    blocks = list(grid.blocks())
    indices = [grid.index(block.start) for block in blocks]

    assert indices == list(np.ndindex(grid.lengths))
    assert [grid.number(index) for index in indices] == list(range(grid.size))
    assert [grid.block(grid.index([n - 1 for n in block.stop])) for block in blocks] == blocks
    assert all(index in grid for index in indices)
    assert grid.lengths not in grid
    assert list(grid.blocks(selected)) == [block for block in blocks if whole[block.region].any()]
    assert grid.holding(cells) == [i for i, block in zip(indices, blocks, strict=True) if cells[block.region].any()]
    assert grid.count(cells).ravel().tolist() == [cells[block.region].sum() for block in blocks]


@given(shapes, st.integers(1, 10_000), st.data())
def test_a_chosen_block_fits_the_grid_and_the_number_of_cells(
    shape: tuple[int, ...], cells: int, data: st.DataObject
) -> None:
    first = data.draw(st.permutations(range(len(shape))).map(lambda p: p[: data.draw(st.integers(0, len(p)))]))

    chunk = choose_chunk(shape, cells, first)

    assert all(1 <= c <= n for c, n in zip(chunk, shape, strict=True))
    assert math.prod(chunk) <= cells


def test_blocks_take_lengths_that_divide_the_axis() -> None:
    assert choose_chunk((9, 6, 20), 13) == (1, 1, 10)
    assert choose_chunk((9, 6, 20), 70) == (1, 3, 20)
    assert choose_chunk((9, 6, 20), 60, first=(0, 1)) == (9, 6, 1)


@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
def test_boxes_hold_the_wanted_cells_and_no_others(data: st.DataObject, shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape)

    seen = np.zeros(shape, int)
    for sets in as_boxes(mask):
        seen[np.ix_(*sets)] += 1

    assert (seen == mask).all()
