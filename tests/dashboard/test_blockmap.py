"""States of blocks and their maps, against counting one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinsweep.blocks import BlockGrid
from spinsweep.dashboard.blockmap import MAX_BINS, BlockState, binned, bins, block_map, initial_states
from spinsweep.ledger import State

STORED = [BlockState.OUTSIDE, BlockState.WAITING, BlockState.DONE, BlockState.RUNNING, BlockState.FAILED]


@given(data=st.data(), retry=st.booleans())
def test_a_block_waits_for_as_many_cells_as_the_run_will_compute(data: st.DataObject, retry: bool) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    chunk = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    state = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([int(s) for s in State])))
    requested = [data.draw(arrays(bool, n)) for n in shape]

    grid = BlockGrid(shape, chunk)
    blocks, left, failed = initial_states(state, requested, grid, retry_failed=retry)

    again = (State.ABSENT, State.STALE, State.INCOMPLETE, *((State.FAILED,) if retry else ()))
    for block in grid.blocks():
        index = grid.index(block.start)
        cells = list(block.points())
        will = [i for i in cells if state[i] in again and all(a[j] for a, j in zip(requested, i, strict=True))]
        assert left[index] == len(will)
        share = sum(state[i] == State.FAILED for i in cells) / len(cells)
        assert share <= failed[index] / 255 < share + 1 / 255
        assert (blocks[index] == BlockState.WAITING) == bool(will)
        if not will:
            held = {int(state[i]) for i in cells}
            assert (blocks[index] == BlockState.FAILED) == (State.FAILED in held)
            assert (blocks[index] == BlockState.OUTSIDE) == held.isdisjoint({State.DONE, State.FAILED})


@given(data=st.data())
def test_a_map_counts_the_blocks_of_each_bin(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    states = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([int(s) for s in STORED])))
    y, x = data.draw(st.permutations(range(3)))[:2]

    failed = data.draw(arrays(np.uint8, shape))
    drawn = block_map(states, failed, y, x)

    for bin in np.ndindex(shape[y], shape[x]):
        selection: list[int | slice] = [slice(None)] * 3
        selection[y], selection[x] = bin
        binned_states = states[tuple(selection)]
        for state in BlockState:
            assert drawn.counts[(state, *bin)] == np.count_nonzero(binned_states == state)
        assert drawn.shown[bin] == _shown(binned_states.tolist())
        shares = [
            share / 255 if state == BlockState.FAILED else 0.0
            for state, share in zip(binned_states.ravel(), failed[tuple(selection)].ravel(), strict=True)
            if state != BlockState.OUTSIDE
        ]
        assert np.isclose(drawn.failed[bin], np.mean(shares) if shares else 0.0)


def _shown(blocks: Sequence[int]) -> BlockState:
    present = {BlockState(b) for b in blocks} - {BlockState.OUTSIDE}
    if present == {BlockState.WAITING, BlockState.DONE}:
        return BlockState.PARTLY
    return max(present, default=BlockState.OUTSIDE)


def test_a_long_axis_is_drawn_in_at_most_a_hundred_bins_and_loses_no_block() -> None:
    total = binned(np.ones((3, 1234)), 0, 1)

    assert total.shape == (3, bins(1234).size)
    assert bins(1234).size <= MAX_BINS
    assert total.sum() == 3 * 1234
    assert set(total[0, :-1]) == {13.0}
