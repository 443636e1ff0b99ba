"""States of blocks and their maps, against counting one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinsweep.blocks import BlockGrid
from spinsweep.dashboard.blockmap import BINS, BlockState, binned, block_map, initial_states, places
from spinsweep.ledger import State

STORED = [BlockState.OUTSIDE, BlockState.WAITING, BlockState.DONE, BlockState.RUNNING, BlockState.FAILED]


@given(data=st.data(), retry=st.booleans())
def test_a_block_waits_for_as_many_cells_as_the_run_will_compute(data: st.DataObject, retry: bool) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    chunk = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    state = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([int(s) for s in State])))
    requested = [data.draw(arrays(bool, n)) for n in shape]

    grid = BlockGrid(shape, chunk)
    blocks, left = initial_states(state, requested, grid, retry)

    again = (State.ABSENT, State.STALE, *((State.FAILED,) if retry else ()))
    for block in grid.blocks():
        place = grid.index(block.start)
        cells = list(block.points())
        will = [i for i in cells if state[i] in again and all(a[j] for a, j in zip(requested, i, strict=True))]
        assert left[place] == len(will)
        assert (blocks[place] == BlockState.WAITING) == bool(will)
        if not will:
            held = {int(state[i]) for i in cells}
            assert (blocks[place] == BlockState.FAILED) == (State.FAILED in held)
            assert (blocks[place] == BlockState.OUTSIDE) == held.isdisjoint({State.DONE, State.FAILED})


@given(data=st.data())
def test_a_map_counts_the_blocks_of_each_place(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    states = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([int(s) for s in STORED])))
    y, x = data.draw(st.permutations(range(3)))[:2]

    found = block_map(states, y, x)

    for place in np.ndindex(shape[y], shape[x]):
        where: list[int | slice] = [slice(None)] * 3
        where[y], where[x] = place
        here = states[tuple(where)].tolist()
        for state in BlockState:
            assert found.counts[(state, *place)] == here.count(state)
        assert found.shown[place] == _shown(here)


def _shown(blocks: Sequence[int]) -> BlockState:
    present = {BlockState(b) for b in blocks} - {BlockState.OUTSIDE}
    if present == {BlockState.WAITING, BlockState.DONE}:
        return BlockState.PARTLY
    return max(present, default=BlockState.OUTSIDE)


def test_a_long_axis_is_drawn_in_at_most_a_hundred_places_and_loses_no_block() -> None:
    total = binned(np.ones((3, 1234)), 0, 1)

    assert total.shape == (3, places(1234))
    assert places(1234) <= BINS
    assert total.sum() == 3 * 1234
    assert set(total[0, :-1]) == {13.0}
